/**
 * Damaged evidence ends in a complete result: never an exception, never "accept" where the hardware or the vTPM has signed
 * the byte. What nobody signs in the blob is listed here, byte by byte.
 * SLOW=1 changes every bit and adds garbage. Spec: tdx.md §14 (property tests).
 * @module
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AZURE_CHECK_IDS } from '../../../attestation/azure/check-list.ts';
import {
  verifyAzureSnp,
  verifyAzureVtpm,
  type VtpmInput,
  type VtpmResult,
} from '../../../attestation/azure/verify-azure.ts';
import { verifyTdx } from '../../../attestation/tdx/verify.ts';
import { damage, flipBit, seededBytes } from '../../support/changes.ts';
import { azureSnpCase, azureTdxCase, pcrsOf, QUOTED, VTPM } from '../../support/azure/case.ts';
import { createSnpTestPki } from '../../support/snp/pki.ts';
import { createTestPki } from '../../support/tdx/pki.ts';

const SLOW = process.env['SLOW'] === '1';
const EVERY_BIT = [0, 1, 2, 3, 4, 5, 6, 7];

function bitsOf(at: number): readonly number[] {
  return SLOW ? EVERY_BIT : [at % 8];
}

/** On TDX, where the blob is judged by the vTPM's part alone. */
const machine = await azureTdxCase(await createTestPki());
const SOUND: VtpmInput = {
  ...machine,
  policy: machine.policy.azure,
  hardware: {
    tee: 'tdx',
    result: verifyTdx({
      ...machine,
      policy: { ...machine.policy.tdx, reportData: { unchecked: 'judged with the blob' } },
    }),
  },
};
const { tpm, blob } = SOUND;

function verify(change: Partial<VtpmInput>): VtpmResult {
  const result = verifyAzureVtpm({ ...SOUND, ...change });
  assert.deepEqual(
    result.checks.map(({ id }) => id),
    AZURE_CHECK_IDS,
  );
  return result;
}

function refused(change: Partial<VtpmInput>, what: string): void {
  const { accepted, authentic } = verify(change);
  assert.deepEqual({ accepted, authentic }, { accepted: false, authentic: false }, what);
}

test('the sound evidence is accepted', () => {
  assert.equal(verify({}).accepted, true);
});

describe('a damaged quote or signature', () => {
  for (const member of ['quote', 'signature'] as const) {
    const bytes = tpm[member];

    test(`${member} cut anywhere is refused`, () => {
      for (let length = 0; length < bytes.length; length++) {
        const cut = { tpm: { ...tpm, [member]: bytes.subarray(0, length) } };
        refused(cut, `${length} bytes`);
      }
    });

    test(`${member} changed in any byte is refused`, () => {
      for (let at = 0; at < bytes.length; at++) {
        for (const bit of bitsOf(at)) {
          refused({ tpm: { ...tpm, [member]: flipBit(bytes, at, bit) } }, `byte ${at} bit ${bit}`);
        }
      }
    });

    test(`${member} replaced by garbage or cut up is refused`, () => {
      for (let round = 0; round < (SLOW ? 20_000 : 500); round++) {
        const seed = `${member}/${round}`;
        refused({ tpm: { ...tpm, [member]: seededBytes(seed, round % 1200) } }, seed);
        const damaged = damage(bytes, seed);
        if (!sameBytes(bytes, damaged)) refused({ tpm: { ...tpm, [member]: damaged } }, seed);
      }
    });
  }
});

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Size, status and reserved part of the header, and the TDREPORT with what fills its place. */
const UNSIGNED: readonly (readonly [from: number, to: number])[] = [
  [8, 12],
  [16, 32],
  [32, 1216],
];

function isSigned(at: number): boolean {
  return !UNSIGNED.some(([from, to]) => at >= from && at < to);
}

describe('a damaged blob', () => {
  test('cut anywhere before the end of the runtime data is refused', () => {
    const end = blob.findLastIndex((byte) => byte !== 0) + 1;
    for (let length = 0; length < end; length++) {
      refused({ blob: blob.subarray(0, length) }, `${length} bytes`);
    }
  });

  test('changed in any byte is refused, but for those that prove nothing', () => {
    for (let at = 0; at < blob.length; at++) {
      for (const bit of bitsOf(at)) {
        const { accepted } = verify({ blob: flipBit(blob, at, bit) });
        assert.equal(accepted, !isSigned(at), `byte ${at} bit ${bit}`);
      }
    }
  });

  test('replaced by garbage is refused, whatever its size', () => {
    for (let size = 0; size < 3000; size += 11) {
      refused({ blob: seededBytes(`blob/${size}`, size) }, `${size} bytes`);
    }
    refused({ blob: new Uint8Array(1024 * 1024) }, 'a megabyte');
  });
});

test('a register changed in any byte is refused', () => {
  for (const index of QUOTED) {
    const value = VTPM.pcrs.get(index) ?? new Uint8Array(32);
    for (let at = 0; at < value.length; at++) {
      const pcrs = new Map([...pcrsOf(VTPM), [index, flipBit(value, at, at % 8)]]);
      refused({ pcrs }, `PCR ${index} byte ${at}`);
    }
  }
});

test('each register missing, and each one too many, is refused', () => {
  for (let index = 0; index < 24; index++) {
    const pcrs = QUOTED.includes(index)
      ? pcrsOf(
          VTPM,
          QUOTED.filter((other) => other !== index),
        )
      : pcrsOf(VTPM, [...QUOTED, index]);
    refused({ pcrs }, `PCR ${index}`);
  }
});

test('registers in any order are the same registers', () => {
  const pcrs = new Map([...pcrsOf(VTPM)].toReversed());
  assert.equal(verify({ pcrs }).accepted, true);
});

test('parts in the places of others are refused', () => {
  const parts = [blob, tpm.quote, tpm.signature];
  for (const [a, first] of parts.entries()) {
    for (const [b, second] of parts.entries()) {
      for (const [c, third] of parts.entries()) {
        if (a === 0 && b === 1 && c === 2) continue;
        refused({ blob: first, tpm: { quote: second, signature: third } }, `${a} ${b} ${c}`);
      }
    }
  }
});

test('evidence of any size ends in a result with short texts', () => {
  const big = new Uint8Array(64 * 1024 * 1024);
  refused({ blob: big, tpm: { quote: big, signature: big } }, 'big parts');
  const many = new Map(Array.from({ length: 100_000 }, (_, at) => [at, big] as const));
  refused({ pcrs: many }, 'many registers');
  refused({ nonce: big }, 'a big nonce');
  for (const check of verify({ nonce: big, blob: big }).checks) {
    if (check.outcome === 'fail') assert.ok(check.got.length <= 200);
  }
});

/** A report and its signature cost a verification each: a sample by default. */
const SNP_STEP = SLOW ? 1 : 13;
const SNP_UNSIGNED_HEADER: readonly (readonly [from: number, to: number])[] = UNSIGNED.slice(0, 2);

test('on SEV-SNP a blob changed in any byte is refused, report included', async () => {
  const sound = await azureSnpCase(await createSnpTestPki());
  assert.equal(verifyAzureSnp(sound).accepted, true);
  for (let at = 0; at < sound.blob.length; at += SNP_STEP) {
    const result = verifyAzureSnp({ ...sound, blob: flipBit(sound.blob, at, at % 8) });
    const proves = !SNP_UNSIGNED_HEADER.some(([from, to]) => at >= from && at < to);
    assert.equal(result.accepted, !proves, `byte ${at}`);
  }
});
