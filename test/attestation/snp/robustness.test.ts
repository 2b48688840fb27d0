/**
 * Damaged SNP evidence ends in a complete verdict: never an exception, never "accept" where a signature, a pinned digest
 * or a rule covers the byte. Every byte of a report is covered by one of them. SLOW=1: every bit of every byte, more
 * garbage. Spec: sev-snp.md §1, §2; STYLE §10.
 * @module
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SignatureMemo } from '../../../attestation/pki/signature.ts';
import { SnpCache } from '../../../attestation/snp/cache.ts';
import { SNP_CHECK_IDS } from '../../../attestation/snp/check-list.ts';
import type { SnpEvidence } from '../../../attestation/snp/verify.ts';
import { verifySnp, verifySnpApart, type SnpResult } from '../../../attestation/snp/verify.ts';
import { concat } from '../../../core/bytes.ts';
import { damage, flipBit, seededBytes } from '../../support/changes.ts';
import { buildSnpCase, type SnpCase, type SnpFaults } from '../../support/snp/case.ts';
import { RUNTIME_DATA } from '../../support/snp/hcl.ts';
import { createSnpTestPki } from '../../support/snp/pki.ts';

const SLOW = process.env['SLOW'] === '1';
const pki = await createSnpTestPki();

/** With a cache that has seen the sound evidence: the fast paths must be as strict as the slow ones. */
function warmed(sound: SnpCase): (change: Partial<SnpEvidence>) => SnpResult {
  const cache = new SnpCache();
  assert.equal(verifySnp({ ...sound, cache }).accepted, true);
  return (change) => {
    const evidence = { ...sound.evidence, ...change };
    const result = verifySnp({ ...sound, evidence, cache });
    assert.equal(result.checks.length, SNP_CHECK_IDS.length);
    return result;
  };
}

const EVERY_BIT = [0, 1, 2, 3, 4, 5, 6, 7];

function bitsOf(at: number): readonly number[] {
  return SLOW ? EVERY_BIT : [at % 8];
}

/** Where a changed bit was accepted. */
function survivors(
  bytes: Uint8Array,
  step: number,
  accepts: (changed: Uint8Array) => boolean,
): ReadonlySet<number> {
  const found = new Set<number>();
  for (let at = 0; at < bytes.length; at += step) {
    for (const bit of bitsOf(at)) if (accepts(flipBit(bytes, at, bit))) found.add(at);
  }
  return found;
}

const KINDS: readonly SnpFaults[] = [
  {},
  { product: 'Turin' },
  { signer: 'vlek' },
  {
    product: 'Milan',
    report: { version: 3 },
    policy: {
      launchMitigations: { unchecked: 'version 3' },
      currentMitigations: { unchecked: 'version 3' },
    },
  },
];

describe('a damaged report', () => {
  for (const [at, kind] of KINDS.entries()) {
    test(`changed in any of its 1184 bytes is refused (kind ${at})`, async () => {
      const sound = await buildSnpCase(pki, kind);
      const verify = warmed(sound);
      const { bytes } = sound.evidence;
      const found = survivors(bytes, 1, (changed) => verify({ bytes: changed }).accepted);
      assert.deepEqual([...found], []);
    });
  }

  test('changed in any byte is not even authentic', async () => {
    const sound = await buildSnpCase(pki);
    const verify = warmed(sound);
    const found = survivors(
      sound.evidence.bytes,
      1,
      (changed) => verify({ bytes: changed }).authentic,
    );
    assert.deepEqual([...found], []);
  });

  test('cut or extended anywhere is refused', async () => {
    const sound = await buildSnpCase(pki);
    const verify = warmed(sound);
    const { bytes } = sound.evidence;
    for (let size = 0; size < 2 * bytes.length; size++) {
      if (size === bytes.length) continue;
      const other = concat(bytes, bytes).subarray(0, size);
      assert.equal(verify({ bytes: other }).accepted, false, `${size} bytes`);
    }
  });

  test('cut up and put together again is refused', async () => {
    const sound = await buildSnpCase(pki);
    const verify = warmed(sound);
    for (let round = 0; round < (SLOW ? 20_000 : 500); round++) {
      const bytes = damage(sound.evidence.bytes, `report/${round}`);
      const isSame = Buffer.compare(bytes, sound.evidence.bytes) === 0;
      assert.equal(verify({ bytes }).accepted, isSame, `round ${round}`);
    }
  });

  test('replaced by garbage is refused, whatever its size', async () => {
    const verify = warmed(await buildSnpCase(pki));
    for (let size = 0; size < 2000; size += SLOW ? 1 : 13) {
      assert.equal(verify({ bytes: seededBytes(`garbage/${size}`, size) }).accepted, false);
    }
  });

  test('of random bytes that the key did sign ends in a verdict', async () => {
    for (let round = 0; round < (SLOW ? 3000 : 150); round++) {
      const random = seededBytes(`signed/${round}`, 0x2a0);
      const evidence = await buildSnpCase(pki, { report: { signed: () => random } });
      const result = verifySnp(evidence);
      assert.equal(result.checks.length, SNP_CHECK_IDS.length);
      assert.equal(result.accepted, false);
    }
  });

  test('verified apart is refused as well', async () => {
    const sound = await buildSnpCase(pki);
    for (let round = 0; round < (SLOW ? 2000 : 60); round++) {
      const bytes = damage(sound.evidence.bytes, `apart/${round}`);
      if (Buffer.compare(bytes, sound.evidence.bytes) === 0) continue;
      const memo = new SignatureMemo();
      const input = { ...sound, evidence: { ...sound.evidence, bytes } };
      await verifySnpApart(input, memo);
      assert.equal(verifySnp({ ...input, memo }).accepted, false, `round ${round}`);
    }
  });
});

const MEMBERS = ['vek', 'intermediate', 'root', 'crl'] as const;
type Member = (typeof MEMBERS)[number];

function memberOf(sound: SnpCase, member: Member): Uint8Array {
  const bytes = sound.evidence.endorsements[member];
  assert.ok(bytes !== undefined);
  return bytes;
}

/** Endorsements are not remembered until they are authentic, so each change costs several signatures: a sample. */
const FLIP_STEP = SLOW ? 1 : 5;
const CUT_STEP = SLOW ? 1 : 7;

describe('damaged endorsements', () => {
  for (const member of MEMBERS) {
    const verifier = async (): Promise<{
      readonly bytes: Uint8Array;
      readonly accepts: (changed: Uint8Array) => boolean;
    }> => {
      const sound = await buildSnpCase(pki);
      const verify = warmed(sound);
      const { endorsements } = sound.evidence;
      return {
        bytes: memberOf(sound, member),
        accepts: (changed) =>
          verify({ endorsements: { ...endorsements, [member]: changed } }).accepted,
      };
    };

    test(`${member} changed in any byte is refused`, async () => {
      const { bytes, accepts } = await verifier();
      assert.deepEqual([...survivors(bytes, FLIP_STEP, accepts)], []);
    });

    test(`${member} cut or extended is refused`, async () => {
      const { bytes, accepts } = await verifier();
      for (let size = 0; size < bytes.length; size += CUT_STEP) {
        assert.equal(accepts(bytes.subarray(0, size)), false, `${size} bytes`);
      }
      assert.equal(accepts(bytes.subarray(0, -1)), false);
      assert.equal(accepts(concat(bytes, Uint8Array.of(0))), false);
    });

    test(`${member} replaced by garbage or cut up is refused`, async () => {
      const { bytes, accepts } = await verifier();
      for (let round = 0; round < (SLOW ? 3000 : 80); round++) {
        const seed = `${member}/${round}`;
        assert.equal(accepts(seededBytes(seed, round * 3)), false, seed);
        const damaged = damage(bytes, seed);
        assert.equal(accepts(damaged), Buffer.compare(damaged, bytes) === 0, seed);
      }
    });
  }

  test('every document in every place is refused', async () => {
    const sound = await buildSnpCase(pki);
    const verify = warmed(sound);
    const { endorsements } = sound.evidence;
    for (const place of MEMBERS) {
      for (const other of MEMBERS.filter((member) => member !== place)) {
        const changed = { ...endorsements, [place]: memberOf(sound, other) };
        assert.equal(verify({ endorsements: changed }).accepted, false, `${other} as ${place}`);
      }
    }
  });
});

/** What the authority itself signed wrongly reaches deeper than what a stranger changed. */
describe('damage that is signed', () => {
  const rounds = Array.from({ length: SLOW ? 1000 : 25 }, (_, at) => at);
  for (const member of ['vek', 'intermediate', 'root'] as const) {
    test(`of ${member} ends in a verdict`, async () => {
      for (const round of rounds) {
        const tbs = (bytes: Uint8Array): Uint8Array => damage(bytes, `${member}/tbs/${round}`);
        const result = verifySnp(await buildSnpCase(pki, { chain: { [member]: { tbs } } }));
        assert.equal(result.checks.length, SNP_CHECK_IDS.length);
      }
    });
  }

  test('of the list ends in a verdict', async () => {
    for (const round of rounds) {
      const tbs = (bytes: Uint8Array): Uint8Array => damage(bytes, `crl/tbs/${round}`);
      const result = verifySnp(await buildSnpCase(pki, { crl: { tbs } }));
      assert.equal(result.checks.length, SNP_CHECK_IDS.length);
    }
  });

  test("of a leaf's extensions binds no report that it did not bind before", async () => {
    for (const round of rounds) {
      const result = verifySnp(
        await buildSnpCase(pki, {
          chain: {
            entries: (all) =>
              all.map(({ arc, value }, at) => ({
                arc,
                value: at === round % all.length ? damage(value, `entry/${round}`) : value,
              })),
          },
        }),
      );
      const chipId = result.facts?.report.chipId ?? new Uint8Array();
      const { owner } = result;
      if (result.accepted) {
        assert.ok(owner?.kind === 'vcek' && Buffer.compare(owner.hwid, chipId) === 0);
      }
    }
  });
});

describe('what a host wraps around the evidence', () => {
  test('a certificate table changed in any byte that counts is refused', async () => {
    const sound = await buildSnpCase(pki, { table: (entries) => entries, sent: () => ({}) });
    const verify = warmed(sound);
    const table = sound.evidence.certTable ?? new Uint8Array();
    // Zeros up to the end of the page are nobody's.
    const end = table.findLastIndex((byte) => byte !== 0) + 1;
    const padding = table.subarray(end);
    const found = survivors(
      table.subarray(0, end),
      FLIP_STEP,
      (changed) => verify({ certTable: concat(changed, padding) }).accepted,
    );
    assert.deepEqual([...found], []);
  });

  test('a certificate table of anything ends in a verdict', async () => {
    const sound = await buildSnpCase(pki, { table: (entries) => entries, sent: () => ({}) });
    const verify = warmed(sound);
    const table = sound.evidence.certTable ?? new Uint8Array();
    for (let round = 0; round < (SLOW ? 5000 : 150); round++) {
      verify({ certTable: damage(table.subarray(0, 200), `table/${round}`) });
      verify({ certTable: damage(table, `whole/${round}`) });
      verify({ certTable: seededBytes(`random/${round}`, round * 7) });
    }
  });

  test("a blob of Azure's changed in any byte that counts is refused", async () => {
    const sound = await buildSnpCase(pki, { hcl: {} });
    const verify = warmed(sound);
    const { bytes } = sound.evidence;
    assert.ok(bytes.length > 0x4d4 + RUNTIME_DATA.length);
    const found = survivors(bytes, 1, (changed) => verify({ bytes: changed }).accepted);
    // The size of the blob and the reserved bytes of its header are the host's word, and nothing rests on them.
    const ignored = (at: number): boolean => (at >= 0x08 && at < 0x0c) || (at >= 0x10 && at < 0x20);
    assert.deepEqual(
      [...found].filter((at) => !ignored(at)),
      [],
    );
  });

  test("a blob of Azure's cut anywhere is refused, but for the zeros at its end", async () => {
    const sound = await buildSnpCase(pki, { hcl: {} });
    const verify = warmed(sound);
    const { bytes } = sound.evidence;
    const end = 0x4d4 + RUNTIME_DATA.length;
    for (let size = 0; size < bytes.length; size++) {
      const result = verify({ bytes: bytes.subarray(0, size) });
      assert.equal(result.accepted, size >= end, `${size} bytes`);
    }
  });

  test('a report in place of a blob, and a blob in place of a report, are refused', async () => {
    const bare = await buildSnpCase(pki);
    const wrapped = await buildSnpCase(pki, { hcl: {} });
    const blob = wrapped.evidence.bytes;
    assert.equal(warmed(bare)({ form: 'azure-hcl' }).accepted, false);
    assert.equal(warmed(wrapped)({ form: 'report' }).accepted, false);
    assert.equal(
      warmed(wrapped)({ form: 'report', bytes: blob.subarray(32, 1216) }).accepted,
      true,
    );
  });
});

test('evidence of a size that nobody has is refused', async () => {
  const sound = await buildSnpCase(pki);
  const verify = warmed(sound);
  const { endorsements } = sound.evidence;
  const large = new Uint8Array(20 * 1024 * 1024).fill(0x30);
  assert.equal(verify({ bytes: large }).accepted, false);
  assert.equal(verify({ bytes: large, form: 'azure-hcl' }).accepted, false);
  assert.equal(verify({ certTable: large }).accepted, false);
  for (const member of MEMBERS) {
    assert.equal(verify({ endorsements: { ...endorsements, [member]: large } }).accepted, false);
  }
});

test('no endorsements at all are refused', async () => {
  const verify = warmed(await buildSnpCase(pki));
  assert.equal(verify({ endorsements: {} }).accepted, false);
});
