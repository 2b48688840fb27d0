/**
 * Forms of sound evidence that must be accepted: sizes, paddings, both CAs, both ends of every interval.
 * Spec: tdx.md §1.2, §1.3, §3, §5.
 * @module
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sha256 } from '#primitives';
import { verifyTdx } from '../../../attestation/tdx/verify.ts';
import { concat, fixed, fromHex, toHex } from '../../../core/bytes.ts';
import { pemChain } from '../../../enclave-worker/evidence/simulator/simulator.ts';
import { writeTdReport } from '../../../enclave-worker/evidence/simulator/quote-writer.ts';
import { buildCase, filled, svn, tdReport, type Faults } from '../../support/tdx/case.ts';
import { createTestPki, DAY_MS, NOW_MS } from '../../support/tdx/pki.ts';

const pki = await createTestPki();

async function accepted(faults: Faults, warnings: readonly string[] = []): Promise<void> {
  const result = verifyTdx(await buildCase(pki, faults));
  assert.deepEqual(
    result.checks.filter(({ outcome }) => outcome === 'fail' || outcome === 'skipped'),
    [],
  );
  assert.equal(result.accepted, true);
  assert.deepEqual(
    result.warnings.map(({ id }) => id),
    warnings,
  );
}

test('the three TD reports have the sizes of the specification', () => {
  assert.deepEqual(
    ([2, 3, 4] as const).map((body) => writeTdReport(tdReport(body)).length),
    [584, 648, 885],
  );
});

/** Offset, size and name of every member, from the table of the specification. */
const MEMBERS = [
  [0, 16, 'teeTcbSvn'],
  [16, 48, 'mrSeam'],
  [64, 48, 'mrSignerSeam'],
  [112, 8, 'seamAttributes'],
  [120, 8, 'tdAttributes'],
  [128, 8, 'xfam'],
  [136, 48, 'mrTd'],
  [184, 48, 'mrConfigId'],
  [232, 48, 'mrOwner'],
  [280, 48, 'mrOwnerConfig'],
  [520, 64, 'reportData'],
] as const;
const EXTENDED_MEMBERS = [
  [649, 32, 'tdId'],
  [681, 48, 'deviceInfoHash'],
  [729, 48, 'initialServiceTdHash'],
  [777, 8, 'initialServiceTdAttributes'],
  [785, 16, 'initialCpuSvn'],
  [801, 16, 'initialTeeTcbSvn'],
  [817, 12, 'initialTeeFmspc'],
  [829, 48, 'currentServiceTdHash'],
  [877, 8, 'currentServiceTdAttributes'],
] as const;

test('every member of the largest report is read from its own offset', async () => {
  const pattern = concat(
    ...Array.from({ length: 28 }, (_, at) => sha256(Uint8Array.of(at))),
  ).subarray(0, 885);
  const evidence = await buildCase(pki, {
    quote: {
      version: 5,
      body: 4,
      signed: (bytes) => concat(bytes.subarray(0, 54), pattern),
    },
  });
  const td = verifyTdx(evidence).quote?.td;
  assert.ok(td?.extended !== undefined && td.v15 !== undefined);
  const at = (offset: number, size: number): string =>
    toHex(pattern.subarray(offset, offset + size));
  for (const [offset, size, name] of MEMBERS) assert.equal(toHex(td[name]), at(offset, size), name);
  for (const [i, rtmr] of td.rtmr.entries()) assert.equal(toHex(rtmr), at(328 + 48 * i, 48));
  assert.equal(toHex(td.v15.teeTcbSvn2), at(584, 16));
  assert.equal(toHex(td.v15.mrServiceTd), at(600, 48));
  assert.equal(td.extended.vmid, pattern[648]);
  for (const [offset, size, name] of EXTENDED_MEMBERS) {
    assert.equal(toHex(td.extended[name]), at(offset, size), name);
  }
});

describe('QE authentication data may have any size', () => {
  for (const size of [0, 1, 31, 32, 33, 1000, 65535]) {
    test(`${size} bytes`, async () => {
      await accepted({ quote: { qeAuthData: new Uint8Array(size).fill(0xa5) } });
    });
  }
});

describe('what follows the quote', () => {
  test('zero padding is no warning', async () => {
    await accepted({ quote: { bytes: (quote) => concat(quote, new Uint8Array(3065)) } });
  });

  test('other bytes are a warning, and counted', async () => {
    const faults: Faults = { quote: { bytes: (quote) => concat(quote, Uint8Array.of(0, 1)) } };
    await accepted(faults, ['quote.trailing']);
    assert.equal(verifyTdx(await buildCase(pki, faults)).quote?.trailingBytes, 2);
  });

  test('a NUL after the last certificate is as Intel writes it', async () => {
    await accepted({
      quote: {
        pckChain: ({ pck, intermediate, root }) => `${pemChain(pck, intermediate, root)}\0`,
      },
    });
  });

  test('line ends of Windows in the chain are read', async () => {
    await accepted({
      quote: {
        pckChain: ({ pck, intermediate, root }) =>
          pemChain(pck, intermediate, root).replaceAll('\n', '\r\n'),
      },
    });
  });
});

test('reserved bytes of the header may say anything, signed', async () => {
  await accepted({ quote: { header: { reserved: fromHex('01020304') } } });
});

test('a chain beside the quote is read when the quote carries none', async () => {
  await accepted({
    quote: { auth: (auth) => ({ ...auth, innerType: 3, innerData: new Uint8Array(404) }) },
    collateral: {
      sent: (_, { pck, intermediate, root }) => ({
        pckCertChain: pemChain(pck, intermediate, root),
      }),
    },
  });
});

test('a chain beside the quote does not replace the one inside', async () => {
  const others = await createTestPki();
  await accepted({
    collateral: {
      sent: () => ({
        pckCertChain: pemChain(others.sound.pck, others.sound.intermediate, others.sound.root),
      }),
    },
  });
});

test('a machine of the Processor CA with its own list is accepted', async () => {
  const faults: Faults = { certificates: { ca: 'processor' } };
  await accepted(faults);
  assert.equal(verifyTdx(await buildCase(pki, faults)).platform?.ca, 'processor');
});

test('a serial of the leaf in the list of the other CA revokes nobody', async () => {
  await accepted({
    collateral: {
      rootCrl: (profile, { pck }) => ({
        ...profile,
        revoked: [{ serial: pck.profile.serial, revokedMs: NOW_MS - DAY_MS }],
      }),
    },
  });
});

test('empty revocation lists are lists', async () => {
  await accepted({
    collateral: {
      pckCrl: (profile) => ({ ...profile, revoked: [] }),
      rootCrl: (profile) => ({ ...profile, revoked: [] }),
    },
  });
});

test('unknown members of the documents are read over', async () => {
  await accepted({
    collateral: {
      tcbInfo: (document) => ({ ...document, later: { nested: [1, 'two', null] } }),
      qeIdentity: (document) => ({ later: true, ...document }),
    },
  });
});

describe('both ends of an interval belong to it', () => {
  const until = NOW_MS + 5000;
  const since = NOW_MS - 5000;
  const bounds: readonly (readonly [string, Faults])[] = [
    [
      'the leaf',
      { certificates: { pck: (p) => ({ ...p, notBeforeMs: since, notAfterMs: until }) } },
    ],
    [
      'the intermediate',
      { certificates: { intermediate: (p) => ({ ...p, notBeforeMs: since, notAfterMs: until }) } },
    ],
    [
      'the signer',
      { certificates: { tcbSigner: (p) => ({ ...p, notBeforeMs: since, notAfterMs: until }) } },
    ],
    ['TCB info', { collateral: { tcbInfoInput: { issueMs: since, nextUpdateMs: until } } }],
    [
      'the QE identity',
      { collateral: { qeIdentityInput: { issueMs: since, nextUpdateMs: until } } },
    ],
    [
      'the PCK list',
      { collateral: { pckCrl: (p) => ({ ...p, thisUpdateMs: since, nextUpdateMs: until }) } },
    ],
    [
      'the root list',
      { collateral: { rootCrl: (p) => ({ ...p, thisUpdateMs: since, nextUpdateMs: until }) } },
    ],
  ];
  for (const [what, faults] of bounds) {
    test(`${what}: accepted at both ends, refused one second outside`, async () => {
      const evidence = await buildCase(pki, faults);
      const at = (nowMs: number): boolean => verifyTdx({ ...evidence, nowMs }).accepted;
      assert.equal(at(since), true);
      assert.equal(at(until), true);
      assert.equal(at(since - 1000), false);
      assert.equal(at(until + 1000), false);
    });

    test(`${what} ends the verdict when it ends first`, async () => {
      assert.equal(verifyTdx(await buildCase(pki, faults)).validUntilMs, until);
    });
  }
});

describe('features that are not trust are allowed', () => {
  for (const bit of [27, 30, 31, 63]) {
    test(`attribute bit ${bit}`, async () => {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, (1n << 28n) | (1n << BigInt(bit)), true);
      await accepted({ quote: { td: { tdAttributes: fixed(bytes, 8) } } });
    });
  }

  test('every allowed bit of XFAM', async () => {
    await accepted({ quote: { td: { xfam: fixed(fromHex('e7db060000000000'), 8) } } });
  });
});

test('reaching a minimum exactly is enough', async () => {
  await accepted({
    quote: { version: 5, body: 3 },
    policy: { minTeeTcbSvn: svn(5, 1, 4), minTcbEvaluationDataNumber: 19 },
  });
});

describe('exceptions a policy may write down', () => {
  const bound = { teeTcbSvn2: svn(5, 1, 4), mrServiceTd: filled(48, 7) };

  test('a listed service TD', async () => {
    await accepted({
      quote: { version: 5, body: 3, td: { v15: bound } },
      policy: { serviceTd: { anyOf: [filled(48, 6), filled(48, 7)] } },
    });
  });

  test('what is left unchecked shows as waived, with its note', async () => {
    const note = 'the paravisor clears it';
    const evidence = await buildCase(pki, {
      quote: { td: { tdAttributes: filled(8, 0) } },
      policy: { septVeDisable: { unchecked: note } },
    });
    const result = verifyTdx(evidence);
    assert.equal(result.accepted, true);
    assert.deepEqual(
      result.checks.find(({ id }) => id === 'policy.td.septVeDisable'),
      {
        id: 'policy.td.septVeDisable',
        outcome: 'waived',
        by: 'policy.td.septVeDisable',
        note,
      },
    );
  });

  test('an allowed machine by its PPID, in whatever case', async () => {
    await accepted({
      policy: { allowedPlatforms: { anyOf: [{ kind: 'fmspc', value: 'C0FFEE000000' }] } },
    });
  });
});
