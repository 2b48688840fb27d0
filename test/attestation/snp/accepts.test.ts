/**
 * Sound evidence in every form that is in the field, and what the verdict says about it. Spec: sev-snp.md §1, §2.
 * @module
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sha256 } from '#primitives';
import { SNP_CHECK_IDS } from '../../../attestation/snp/check-list.ts';
import { parseCertificate } from '../../../attestation/pki/certificate.ts';
import { verifySnp, type SnpResult } from '../../../attestation/snp/verify.ts';
import { derOctets } from '../../../attestation/der-writer.ts';
import { pssSha384 } from '../../../attestation/x509-keys.ts';
import { concat, fixed, fromHex, toHex } from '../../../core/bytes.ts';
import {
  writeCertificateTable,
  type GuidOrder,
  type TableEntry,
} from '../../../enclave-worker/evidence/simulator/snp/certificate-table.ts';
import { buildSnpCase, CRL_TIMES, NOT_ASKED, type SnpFaults } from '../../support/snp/case.ts';
import { CA_VALIDITY, createSnpTestPki, PRODUCTS, VEK_VALIDITY } from '../../support/snp/pki.ts';

const pki = await createSnpTestPki();

async function accepted(faults: SnpFaults): Promise<SnpResult> {
  const result = verifySnp(await buildSnpCase(pki, faults));
  const bad = result.checks.filter(({ outcome }) => outcome === 'fail' || outcome === 'skipped');
  assert.deepEqual(bad, []);
  assert.deepEqual(
    result.checks.map(({ id }) => id),
    SNP_CHECK_IDS,
  );
  assert.equal(result.authentic, true);
  assert.equal(result.accepted, true);
  assert.equal(result.simulated, true);
  return result;
}

function waived(result: SnpResult): readonly string[] {
  return result.checks.flatMap(({ id, outcome }) => (outcome === 'waived' ? [id] : []));
}

describe('sound evidence passes every check', () => {
  for (const product of ['Milan', 'Genoa', 'Turin'] as const) {
    for (const signer of ['vcek', 'vlek'] as const) {
      test(`${signer} of ${product}, bare and in Azure's blob`, async () => {
        for (const form of [{}, { hcl: {} }]) {
          const result = await accepted({ product, signer, ...form });
          assert.deepEqual(waived(result), signer === 'vcek' ? [] : ['policy.chipId']);
          assert.deepEqual(result.warnings, []);
          assert.equal(result.facts?.product, product.toLowerCase());
          assert.equal(result.facts.signer, signer);
          assert.deepEqual(result.facts.tcb?.reported, PRODUCTS[product].tcb);
          assert.equal(result.owner?.kind, signer);
          assert.equal(result.hcl === undefined, !('hcl' in form));
        }
      });
    }
  }

  const ANY_VERSION = {
    minReportVersion: NOT_ASKED,
    launchMitigations: NOT_ASKED,
    currentMitigations: NOT_ASKED,
  } as const;
  for (const version of [2, 3, 4, 5] as const) {
    for (const product of ['Genoa', 'Turin'] as const) {
      test(`version ${version} on ${product}`, async () => {
        const result = await accepted({ product, report: { version }, policy: ANY_VERSION });
        assert.equal(result.facts?.report.version, version);
        assert.equal(result.facts.product, product.toLowerCase());
        assert.equal(result.facts.report.cpuid === undefined, version === 2);
      });
    }
  }

  test('version 4 with something where version 5 has mitigations', async () => {
    await accepted({
      report: { version: 4, fields: { launchMitigations: 1n, currentMitigations: 1n } },
      policy: ANY_VERSION,
    });
  });
});

const LINES = [
  ['Milan', 0x00, 0, 'milan'],
  ['Milan', 0x01, 2, 'milan-x'],
  ['Genoa', 0x10, 0, 'genoa'],
  ['Genoa', 0x1f, 2, 'genoa-x'],
  ['Genoa', 0xa0, 2, 'bergamo-siena'],
  ['Genoa', 0xaf, 1, 'bergamo-siena'],
  ['Turin', 0x02, 1, 'turin'],
  ['Turin', 0x11, 0, 'turin-dense'],
] as const;

describe('silicon lines', () => {
  for (const [product, model, stepping, line] of LINES) {
    test(`model ${model.toString(16)}h, stepping ${stepping} is ${line} and has its own floor`, async () => {
      const { cpuid, tcb } = PRODUCTS[product];
      const floors = { floors: { [line]: tcb } };
      const result = await accepted({
        product,
        report: { fields: { cpuid: { ...cpuid, model, stepping } } },
        policy: { minTcb: floors, minLaunchTcb: floors },
      });
      assert.equal(result.facts?.siliconLine, line);
    });
  }
});

/** The order of the curve. */
const ORDER = BigInt(
  '0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
);

describe('forms that mean the same', () => {
  test('a chip in an OCTET STRING, as older leaves have it', async () => {
    for (const product of ['Milan', 'Turin'] as const) {
      await accepted({
        product,
        chain: {
          entries: (all) =>
            all.map(({ arc, value }) => ({ arc, value: arc === '4' ? derOctets(value) : value })),
        },
      });
    }
  });

  test('a product with its stepping', async () => {
    await accepted({ chain: { facts: { productName: 'Genoa-B1' } } });
  });

  test('a signature with the other s', async () => {
    await accepted({
      report: {
        signature: (rs) => {
          const s = ORDER - BigInt(`0x${toHex(rs.subarray(48))}`);
          return concat(rs.subarray(0, 48), fromHex(s.toString(16).padStart(96, '0')));
        },
      },
    });
  });

  test('a leaf whose signature algorithm writes its trailer', async () => {
    await accepted({ chain: { vek: { scheme: pssSha384({ trailer: 'written' }) } } });
  });
});

describe('certificate tables', () => {
  const fromTable = (table: SnpFaults['table']): SnpFaults => ({
    ...(table === undefined ? {} : { table }),
    sent: () => ({}),
  });
  for (const order of ['text', 'mixed'] as const satisfies readonly GuidOrder[]) {
    for (const signer of ['vcek', 'vlek'] as const) {
      test(`a ${signer} in a table with GUIDs in ${order} order`, async () => {
        const table = (entries: readonly TableEntry[]): Uint8Array =>
          writeCertificateTable(entries, order);
        await accepted({ signer, ...fromTable(table) });
      });
    }
  }

  test('entries that nobody knows, and the same certificate twice', async () => {
    await accepted(
      fromTable((entries) => [
        { guid: 'ecae0c0f-9502-43b1-afa2-0ae2e0d565b6', bytes: new Uint8Array(20_000) },
        ...entries,
        ...entries.slice(0, 1),
      ]),
    );
  });

  test('endorsements that were sent go before those of the table', async () => {
    const other = await pki.sound({ product: 'Turin', signer: 'vcek' });
    await accepted({
      table: (entries) => entries.map(({ guid }) => ({ guid, bytes: other.vek.der })),
    });
  });

  test('a host with nothing to say', async () => {
    await accepted({ table: () => new Uint8Array() });
    await accepted({ table: () => new Uint8Array(16_384) });
  });
});

test('a higher major counts, whatever the minor', async () => {
  await accepted({
    policy: {
      minAbi: { major: 0, minor: 99 },
      minFirmware: { major: 0, minor: 99, build: 99 },
    },
  });
});

test('a pinned root need not be sent', async () => {
  const { root } = await pki.sound({ product: 'Genoa', signer: 'vcek' });
  await accepted({
    anchors: [
      { sha256: sha256(root.der), certificate: parseCertificate(root.der), simulated: true },
    ],
    sent: ({ vek, intermediate, crl }) => ({ vek, intermediate, crl }),
  });
});

test('every leaf has serial 0, which no list takes back', async () => {
  await accepted({
    crl: {
      profile: (profile) => ({
        ...profile,
        revoked: [{ serial: Uint8Array.of(0), revokedMs: CRL_TIMES.thisUpdateMs }],
      }),
    },
  });
});

test('the first and the last second belong to every validity', async () => {
  const { notBeforeMs, notAfterMs } = VEK_VALIDITY.vcek;
  const times = {
    thisUpdateMs: CA_VALIDITY.notBeforeMs,
    nextUpdateMs: CA_VALIDITY.notAfterMs,
  };
  for (const nowMs of [notBeforeMs, notAfterMs]) {
    await accepted({ nowMs, crl: { profile: (profile) => ({ ...profile, ...times }) } });
  }
  for (const nowMs of [CRL_TIMES.thisUpdateMs, CRL_TIMES.nextUpdateMs]) await accepted({ nowMs });
});

test('the verdict lasts as long as the first of its documents', async () => {
  const sound = await accepted({});
  assert.equal(sound.validUntilMs, CRL_TIMES.nextUpdateMs);
  const cloud = await accepted({ signer: 'vlek' });
  assert.equal(cloud.validUntilMs, VEK_VALIDITY.vlek.notAfterMs);
  const unlisted = await accepted({
    sent: ({ vek, intermediate, root }) => ({ vek, intermediate, root }),
    policy: { crl: NOT_ASKED },
  });
  assert.equal(unlisted.validUntilMs, VEK_VALIDITY.vcek.notAfterMs);
  assert.deepEqual(waived(unlisted), [
    'crl.present',
    'crl.format',
    'crl.issuer',
    'crl.signature',
    'crl.freshness',
    'chain.revoked',
  ]);
});

test('a list that was sent is judged, whether the policy wants one or not', async () => {
  const evidence = await buildSnpCase(pki, {
    crl: { signedBy: pki.rsa.stranger.privateKey },
    policy: { crl: NOT_ASKED },
  });
  const failed = verifySnp(evidence).checks.filter(({ outcome }) => outcome === 'fail');
  assert.deepEqual(
    failed.map(({ id }) => id),
    ['crl.signature'],
  );
});

describe('what is odd and not wrong is said', () => {
  const ids = ({ warnings }: SnpResult): readonly string[] => warnings.map(({ id }) => id);

  test('a masked chip, where the policy takes it', async () => {
    const result = await accepted({
      report: { fields: { chipId: fixed(new Uint8Array(64), 64) } },
      policy: { maskedChipId: NOT_ASKED, chipIds: NOT_ASKED },
    });
    assert.deepEqual(waived(result), ['bind.chipId', 'policy.maskedChipId', 'policy.chipId']);
  });

  test('a chip key that the report says is masked', async () => {
    const result = await accepted({ report: { fields: { signerInfo: 0b11 } } });
    assert.deepEqual(ids(result), ['report.maskChipKey']);
  });

  test('a chip that a VLEK does not prove', async () => {
    const { chipId } = PRODUCTS.Genoa;
    const result = await accepted({ signer: 'vlek', report: { fields: { chipId } } });
    assert.deepEqual(ids(result), ['report.chipIdUnproven']);
  });

  test('firmware that is not committed', async () => {
    const result = await accepted({
      report: { fields: { currentFirmware: { major: 1, minor: 56, build: 0 } } },
      policy: { provisionalFirmware: NOT_ASKED },
    });
    assert.deepEqual(ids(result), ['report.provisionalFirmware']);
  });
});
