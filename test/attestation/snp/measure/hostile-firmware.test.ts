/**
 * Firmware that somebody else made: cut off anywhere, changed anywhere, or no firmware at all, it ends in a digest or in
 * a coded refusal, and what lies around it in memory is never read.
 * Spec: STYLE §5.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measureSnpLaunch } from '../../../../attestation/snp/measure/launch.ts';
import { fixed, toHex } from '../../../../core/bytes.ts';
import { VeilError } from '../../../../core/errors.ts';
import { buildOvmf, METADATA_FROM_END } from '../../../support/snp/ovmf.ts';
import { damage, seededBytes } from '../../../support/changes.ts';

const HASH = fixed(new Uint8Array(32), 32);
const KERNEL_HASHES = { kernel: HASH, initrd: HASH, commandLine: HASH };
const MACHINE = { vcpus: 2, cpuSignature: 0x00a0_0f11, guestFeatures: 1n };
/** The pages need no hashing: what is tried here is reading. */
const FIRMWARE_DIGEST = fixed(new Uint8Array(48), 48);

const CODES: ReadonlySet<string> = new Set([
  'measure.firmware_size',
  'measure.firmware_table',
  'measure.reset_vector',
  'measure.metadata',
  'measure.section',
  'measure.kernel_hashes',
]);

/** The digest, or the code of the refusal. Anything else fails the test. */
function outcomeOf(firmware: Uint8Array): string {
  try {
    const digest = measureSnpLaunch(
      { firmware, firmwareDigest: FIRMWARE_DIGEST, kernelHashes: KERNEL_HASHES, vmm: 'qemu' },
      MACHINE,
    );
    assert.equal(digest.length, 48);
    return toHex(digest);
  } catch (error) {
    assert.ok(error instanceof VeilError && CODES.has(error.code), String(error));
    return error.code;
  }
}

/** The same, as a view into memory full of something else: what is read outside would change the outcome. */
function outcomesOf(firmware: Uint8Array): string {
  const alone = outcomeOf(firmware);
  for (const filling of [0x00, 0xff]) {
    const memory = new Uint8Array(firmware.length + 256).fill(filling);
    memory.set(firmware, 128);
    assert.equal(outcomeOf(memory.subarray(128, 128 + firmware.length)), alone);
  }
  return alone;
}

const SOUND = buildOvmf();
const SOUND_DIGEST = outcomeOf(SOUND);
assert.equal(SOUND_DIGEST.length, 96);

/** Bytes that carry meaning, counted from the end: table with footer, and metadata. */
const TABLE_BYTES = 32 + 18 + 22 + 26 + 22;
const METADATA_BYTES = 16 + 12 * 5;

test('cut off at the front or at the back, at every length', () => {
  for (let size = 0; size < SOUND.length; size += size < 512 ? 1 : 509) {
    outcomesOf(SOUND.subarray(0, size));
    outcomesOf(SOUND.subarray(SOUND.length - size));
  }
});

test('cut off at the front by whole pages, it stays measurable: the metadata is counted from the end', () => {
  assert.equal(outcomeOf(SOUND.subarray(4096)), SOUND_DIGEST);
});

const TABLE_START = SOUND.length - TABLE_BYTES;
const METADATA_START = SOUND.length - METADATA_FROM_END;
/** Of the hash table: a lower bound, so other sizes are as good. */
const HASH_TABLE_SIZE = TABLE_START + 22 + 4;
/** Of the first and the last section: types 1 and 4 are both measured as zero pages. */
const ZERO_PAGE_TYPES = [0, 4].map((section) => METADATA_START + 16 + 12 * section + 8);

function isWithoutMeaning(at: number, value: number): boolean {
  if (ZERO_PAGE_TYPES.includes(at)) return value === 1 || value === 4;
  return at >= HASH_TABLE_SIZE && at < HASH_TABLE_SIZE + 4;
}

test('every byte of the table and of the metadata, with every value: no change of meaning is overlooked', () => {
  const offsets = [
    ...Array.from({ length: TABLE_BYTES - 32 }, (_, at) => TABLE_START + at),
    ...Array.from({ length: METADATA_BYTES }, (_, at) => METADATA_START + at),
  ];
  const seen = new Set<string>();
  for (const at of offsets) {
    const changed = Uint8Array.from(SOUND);
    for (let value = 0; value < 256; value++) {
      changed[at] = value;
      const outcome = outcomeOf(changed);
      seen.add(outcome);
      if (value === SOUND[at] || isWithoutMeaning(at, value)) continue;
      assert.notEqual(outcome, SOUND_DIGEST, `value ${value} at ${at}`);
    }
  }
  for (const code of CODES) {
    if (code !== 'measure.firmware_size') assert.ok(seen.has(code), `${code} was never met`);
  }
});

test('random damage', () => {
  for (let seed = 0; seed < 2000; seed++) {
    const tail = damage(SOUND.subarray(SOUND.length - 4096), `ovmf ${seed}`);
    const whole = new Uint8Array(4096);
    whole.set(tail.subarray(0, 4096), 4096 - Math.min(4096, tail.length));
    outcomesOf(whole);
  }
});

test('random bytes behind a sound footer', () => {
  for (let seed = 0; seed < 2000; seed++) {
    const firmware = Uint8Array.from(SOUND.subarray(SOUND.length - 4096));
    const garbage = seededBytes(`table ${seed}`, TABLE_BYTES - 50);
    firmware.set(garbage, 4096 - TABLE_BYTES);
    outcomesOf(firmware);
  }
});

test('no firmware', () => {
  for (const size of [0, 31, 32, 49, 50, 4096, 8192]) {
    for (const filling of [0x00, 0xff]) outcomesOf(new Uint8Array(size).fill(filling));
  }
});
