/**
 * What went wrong elsewhere, each with the evidence that would have got through. Spec: tdx.md §6.2 to §6.6, §7.
 * @module
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { baselineTdxPolicy } from '../../../attestation/tdx/td-policy.ts';
import { verifyTdx, type TdxResult } from '../../../attestation/tdx/verify.ts';
import { issueCertificate } from '../../../attestation/x509.ts';
import { generateP256 } from '../../../attestation/x509-keys.ts';
import { fixed, fromHex, fromUtf8, utf8 } from '../../../core/bytes.ts';
import {
  pckProfile,
  tcbSignerProfile,
} from '../../../enclave-worker/evidence/simulator/hierarchy.ts';
import { pemChain } from '../../../enclave-worker/evidence/simulator/simulator.ts';
import { buildCase, filled, svn, TCB_INFO, tdReport, type Faults } from '../../support/tdx/case.ts';
import { createTestPki, DAY_MS, NOW_MS, PCK_FACTS } from '../../support/tdx/pki.ts';

const pki = await createTestPki();

async function judge(faults: Faults): Promise<TdxResult> {
  return verifyTdx(await buildCase(pki, faults));
}

function failed(result: TdxResult): readonly string[] {
  return result.checks.flatMap(({ id, outcome }) => (outcome === 'fail' ? [id] : []));
}

async function refusedFor(faults: Faults, ids: readonly string[]): Promise<void> {
  const result = await judge(faults);
  assert.deepEqual(failed(result), ids);
  assert.equal(result.accepted, false);
}

const YEAR = { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + 365 * DAY_MS };

describe('dcap-qvl CVE-2026-22696: any enclave could act as quoting enclave', () => {
  test('an enclave of another signer is refused', async () => {
    await refusedFor({ quote: { qe: { mrSigner: filled(32, 0xaa) } } }, ['qe.mrsigner']);
  });

  test('a QE identity rewritten to fit that enclave is refused', async () => {
    await refusedFor(
      {
        quote: { qe: { mrSigner: filled(32, 0xaa) } },
        collateral: {
          qeIdentityInput: { mrSigner: filled(32, 0xaa) },
          qeIdentityKey: pki.strangerKeys.privateKey,
        },
      },
      ['qeIdentity.signature'],
    );
  });

  test('evidence without a QE identity is refused', async () => {
    const result = await judge({ collateral: { sent: () => ({ qeIdentity: new Uint8Array() }) } });
    assert.deepEqual(failed(result), ['qeIdentity.format']);
    assert.equal(result.authentic, false);
  });
});

describe('dcap-qvl JS: a revoked platform handed over its own revocation list', () => {
  const revoked: Faults['collateral'] = {
    pckCrl: (profile, { pck }) => ({
      ...profile,
      revoked: [{ serial: pck.profile.serial, revokedMs: NOW_MS - DAY_MS }],
    }),
  };

  test('the genuine list revokes it', async () => {
    await refusedFor({ collateral: revoked }, ['pck.revoked']);
  });

  test('an empty list under a key of its own is refused', async () => {
    await refusedFor({ collateral: { pckCrlKey: pki.strangerKeys.privateKey } }, [
      'pckCrl.signature',
    ]);
  });

  test('an empty list of the other CA is refused', async () => {
    await refusedFor(
      {
        collateral: {
          pckCrl: (profile) => ({ ...profile, issuer: pki.processorCa.name, revoked: [] }),
          pckCrlKey: pki.processorCa.keys.privateKey,
        },
      },
      ['pckCrl.issuer', 'pckCrl.signature'],
    );
  });

  test('the last list before the revocation is refused when it has expired', async () => {
    await refusedFor(
      {
        collateral: {
          pckCrl: (profile) => ({
            ...profile,
            thisUpdateMs: NOW_MS - 60 * DAY_MS,
            nextUpdateMs: NOW_MS - 30 * DAY_MS,
          }),
        },
      },
      ['pckCrl.freshness'],
    );
  });

  test('no list at all is refused', async () => {
    await refusedFor({ collateral: { sent: () => ({ pckCrl: new Uint8Array() }) } }, [
      'pckCrl.format',
    ]);
  });
});

describe('dcap-qvl #124: the TDX module was not judged', () => {
  test('a module of another signer is refused', async () => {
    await refusedFor({ quote: { td: { mrSignerSeam: filled(48, 1) } } }, ['tdxModule.mrsigner']);
  });

  test('a debug module is refused', async () => {
    await refusedFor({ quote: { td: { seamAttributes: fixed(fromHex('0100000000000000'), 8) } } }, [
      'tdxModule.attributes',
    ]);
  });

  test('an out-of-date module on a current platform is refused', async () => {
    const result = await judge({ quote: { td: { teeTcbSvn: svn(3, 1, 4) } } });
    assert.equal(result.tcb?.launch.platform.status, 'UpToDate');
    assert.equal(result.tcb?.status, 'OutOfDate');
    assert.equal(result.accepted, false);
  });
});

describe('go-tdx-guest: the status of the module hid that of the platform', () => {
  for (const tcbStatus of ['OutOfDate', 'ConfigurationNeeded', 'Revoked'] as const) {
    test(`a platform that is ${tcbStatus} under a current module is refused`, async () => {
      const levels = TCB_INFO.levels.map((level) => ({ ...level, tcbStatus }));
      const result = await judge({ collateral: { tcbInfoInput: { levels } } });
      assert.equal(result.tcb?.launch.module?.status, 'UpToDate');
      assert.equal(result.tcb?.status, tcbStatus);
      assert.equal(result.accepted, false);
    });
  }

  test('a QE authentication length beyond the quote is an answer, not a crash', async () => {
    const at = 48 + 584 + 4 + 582;
    const quote = (await buildCase(pki)).quote.slice();
    quote.set([0xff, 0xff], at);
    await refusedFor({ quote: { bytes: () => quote } }, ['quote.format']);
  });

  test('the identity chosen by the module version counts, not the general entry', async () => {
    const faults: Faults = {
      collateral: {
        tcbInfo: (document) => ({
          ...document,
          tdxModule: {
            mrsigner: 'ff'.repeat(48),
            attributes: '0000000000000000',
            attributesMask: 'FFFFFFFFFFFFFFFF',
          },
        }),
      },
    };
    assert.equal((await judge(faults)).accepted, true);
  });
});

describe('go-tdx-guest, tinfoil-python #122: the debug bit inside the allowed attributes', () => {
  const debug = fixed(fromHex('0100001000000000'), 8);

  test('attributes that list DEBUG do not allow it', async () => {
    await refusedFor(
      { quote: { td: { tdAttributes: debug } }, policy: { tdAttributes: { equals: debug } } },
      ['policy.td.debug'],
    );
  });

  test('a policy without further rules refuses it', async () => {
    const evidence = await buildCase(pki, { quote: { td: { tdAttributes: debug } } });
    const policy = baselineTdxPolicy({
      reportData: { unchecked: 'not part of this test' },
      measurements: { unchecked: 'not part of this test' },
    });
    assert.deepEqual(failed(verifyTdx({ ...evidence, policy })), ['policy.td.debug']);
  });
});

describe('Cocoon: a debug TD of the same image passed', () => {
  test('listed measurements do not make up for attributes', async () => {
    const tdAttributes = fixed(fromHex('0100001000000000'), 8);
    const result = await judge({ quote: { td: { tdAttributes } } });
    assert.equal(result.measurement?.image, 'test');
    assert.deepEqual(failed(result), ['policy.td.debug']);
  });

  test('an empty list of images means nobody', async () => {
    await refusedFor({ policy: { measurements: { anyOf: [] } } }, ['policy.measurements']);
  });

  test('an answer says until when it holds', async () => {
    const evidence = await buildCase(pki);
    const { validUntilMs } = verifyTdx(evidence);
    assert.equal(validUntilMs, TCB_INFO.nextUpdateMs);
    assert.equal(verifyTdx({ ...evidence, nowMs: validUntilMs + 1000 }).accepted, false);
  });
});

describe('Cocos GHSA-4px3-wj2x-xx47, GHSA-4r6g-mp48-j2rw: expected report data not compared', () => {
  test('every byte of the expected value counts', async () => {
    const { reportData } = tdReport();
    for (let at = 0; at < 64; at++) {
      const equals = fixed(reportData.slice(), 64);
      equals[at] = (equals[at] ?? 0) ^ 0x80;
      await refusedFor({ policy: { reportData: { equals } } }, ['policy.reportData']);
    }
  });

  test('an all-zero expectation is compared, not skipped', async () => {
    await refusedFor({ policy: { reportData: { equals: filled(64, 0) } } }, ['policy.reportData']);
  });

  test('leaving it unchecked takes a reason that stays in the answer', async () => {
    const note = 'compared by the caller';
    const result = await judge({ policy: { reportData: { unchecked: note } } });
    const check = result.checks.find(({ id }) => id === 'policy.reportData');
    assert.deepEqual(check, {
      id: 'policy.reportData',
      outcome: 'waived',
      by: 'policy.reportData',
      note,
    });
  });
});

describe('Taiko legacy contract: collateral was believed without its signatures', () => {
  test('TCB info that calls an old machine current is refused', async () => {
    const raised = TCB_INFO.levels.map((level) => ({ ...level, tcbStatus: 'UpToDate' as const }));
    await refusedFor(
      {
        quote: { td: { teeTcbSvn: svn(5, 1, 3) } },
        collateral: {
          tcbInfoInput: { levels: raised },
          tcbInfoKey: pki.strangerKeys.privateKey,
        },
      },
      ['tcbInfo.signature'],
    );
  });

  test('a signer certificate of their own is refused', async () => {
    const keys = await generateP256();
    const signer = { name: pki.tcbSigning.name, keys };
    const forger = { ...pki.root, keys: pki.strangerKeys };
    const der = await issueCertificate(
      await tcbSignerProfile(signer, forger, YEAR),
      forger.keys.privateKey,
    );
    await refusedFor(
      {
        collateral: {
          tcbInfoKey: keys.privateKey,
          sent: (_, { root }) => ({ tcbInfoIssuerChain: pemChain({ der }, root) }),
        },
      },
      ['tcbInfo.chain'],
    );
  });

  test('a signature of one document under another is refused', async () => {
    const { collateral } = await buildCase(pki);
    const signature = /"signature":"[0-9a-f]{128}"/;
    const other = signature.exec(fromUtf8(collateral.tcbInfo))?.[0] ?? '';
    const pasted = utf8(fromUtf8(collateral.qeIdentity).replace(signature, other));
    await refusedFor({ collateral: { sent: () => ({ qeIdentity: pasted }) } }, [
      'qeIdentity.signature',
    ]);
  });
});

describe('role confusion: whoever Intel certified for one thing did another', () => {
  test('a PCK key with its genuine chain cannot sign TCB info', async () => {
    await refusedFor(
      {
        collateral: {
          tcbInfoKey: pki.pck.keys.privateKey,
          sent: (_, { pck, root }) => ({ tcbInfoIssuerChain: pemChain(pck, root) }),
        },
      },
      ['tcbInfo.chain', 'tcbInfo.signerRole'],
    );
  });

  test('the TCB signing certificate cannot stand in for a PCK leaf', async () => {
    const result = await judge({
      quote: {
        pckKey: pki.tcbSigning.keys.privateKey,
        pckChain: ({ tcbSigner, intermediate, root }) => pemChain(tcbSigner, intermediate, root),
      },
    });
    assert.deepEqual(failed(result), ['pck.chain', 'pck.leafRole', 'pck.extension']);
  });

  test('a PCK leaf cannot issue a PCK leaf in place of the intermediate', async () => {
    const keys = await generateP256();
    const forged = { name: pki.pck.name, keys };
    const profile = await pckProfile(forged, pki.pck, { ...YEAR, facts: PCK_FACTS });
    const der = await issueCertificate(profile, pki.pck.keys.privateKey);
    const result = await judge({
      quote: {
        pckKey: keys.privateKey,
        pckChain: ({ pck, root }) => pemChain({ der }, pck, root),
      },
    });
    assert.deepEqual(failed(result), [
      'pck.chain',
      'pck.caConstraint',
      'pckCrl.issuer',
      'pckCrl.signature',
    ]);
  });
});

describe('Trail of Bits on private inference, April 2026', () => {
  test('configuration measured at run time (RTMR3) is part of the identity', async () => {
    const [rtmr0, rtmr1, rtmr2] = tdReport().rtmr;
    await refusedFor({ quote: { td: { rtmr: [rtmr0, rtmr1, rtmr2, filled(48, 1)] } } }, [
      'policy.measurements',
    ]);
  });

  test('configuration given at launch (MRCONFIGID) is part of the identity', async () => {
    await refusedFor({ quote: { td: { mrConfigId: filled(48, 1) } } }, ['policy.measurements']);
  });

  test('a quote that answers another challenge is refused', async () => {
    await refusedFor({ quote: { td: { reportData: filled(64, 1) } } }, ['policy.reportData']);
  });
});

describe('WireTap, Battering RAM, TEE.fail: keys taken out of machines their owner can open', () => {
  test('the machine is named from its verified certificate', async () => {
    const { platform } = await judge({});
    assert.equal(platform?.ppid, '11'.repeat(16));
    assert.equal(platform.platformInstanceId, '22'.repeat(16));
    assert.equal(platform.fmspc, 'c0ffee000000');
    assert.match(platform.pckSerial, /^[0-9a-f]{32}$/);
  });

  test('a machine known to be opened is denied by its PPID, whatever its leaf', async () => {
    const deniedPlatforms = [{ kind: 'ppid', value: '11'.repeat(16) }] as const;
    await refusedFor({ policy: { deniedPlatforms } }, ['policy.deniedPlatforms']);
    await refusedFor(
      {
        policy: { deniedPlatforms },
        certificates: { pck: (profile) => ({ ...profile, serial: fromHex('0123456789') }) },
      },
      ['policy.deniedPlatforms'],
    );
  });

  test('a leaf that no CA signed names nobody', async () => {
    const result = await judge({ certificates: { signedBy: { pck: pki.strangerKeys } } });
    assert.equal(result.platform, undefined);
    assert.equal(result.unverifiedPlatform, undefined);
  });

  test('a forged quote under a stranger’s public PCK chain does not speak for that machine', async () => {
    const forger = pki.strangerKeys.privateKey;
    const result = await judge({ quote: { pckKey: forger, quoteKey: forger } });
    assert.equal(result.authentic, false);
    assert.equal(result.platform, undefined);
    assert.equal(result.unverifiedPlatform?.ppid, '11'.repeat(16));
  });
});

describe('renewal of the TCB signing certificate, May 2025', () => {
  test('another signer under the same root is as good', async () => {
    const keys = await generateP256();
    const renewed = { name: pki.tcbSigning.name, keys };
    const profile = await tcbSignerProfile(renewed, pki.root, YEAR);
    const der = await issueCertificate(profile, pki.root.keys.privateKey);
    const result = await judge({
      collateral: {
        tcbInfoKey: keys.privateKey,
        sent: (_, { root }) => ({ tcbInfoIssuerChain: pemChain({ der }, root) }),
      },
    });
    assert.equal(result.accepted, true);
  });
});
