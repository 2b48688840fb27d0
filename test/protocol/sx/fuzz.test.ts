/** Random, truncated and spliced input ends in a coded error, quickly and in little memory. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat } from '../../../core/bytes.ts';
import { VeilError } from '../../../core/errors.ts';
import { sha256 } from '#primitives';
import { parseReceiptUnverified } from '../../../protocol/receipt.ts';
import { parseClearRequest, ResponseRelay } from '../../../protocol/sx/clear.ts';
import { decodeInner } from '../../../protocol/sx/inner.ts';
import { exchangeOf, KEMS, pick, read, seal, stageWorkers } from './stage.ts';

const ROUNDS = 1500;

/** Reproducible: a failing case is found again by its round. */
function randomSource(seed: string) {
  let state = sha256(new TextEncoder().encode(seed));
  const next = (): number => {
    state = sha256(state);
    return new DataView(state.buffer, state.byteOffset).getUint32(0);
  };
  const below = (max: number): number => (max === 0 ? 0 : next() % max);
  const bytes = (size: number): Uint8Array => {
    const out = new Uint8Array(size);
    for (let at = 0; at < size; at += 32) {
      state = sha256(state);
      out.set(state.subarray(0, Math.min(32, size - at)), at);
    }
    return out;
  };
  return { below, bytes };
}

/** Cut, splice, repeat, overwrite: what a wire or an enemy does to good bytes. */
function mangle(random: ReturnType<typeof randomSource>, good: Uint8Array, other: Uint8Array) {
  const at = random.below(good.length);
  const to = random.below(other.length);
  switch (random.below(5)) {
    case 0:
      return good.subarray(0, at);
    case 1:
      return concat(good.subarray(0, at), other.subarray(to));
    case 2:
      return concat(good.subarray(0, at), random.bytes(1 + random.below(64)), good.subarray(at));
    case 3: {
      const changed = good.slice();
      changed.set(random.bytes(Math.min(1 + random.below(16), good.length - at)), at);
      return changed;
    }
    default:
      return random.bytes(random.below(400));
  }
}

/** Accepting is fine where a change happens to change nothing; anything but a coded error is not. */
function endsCoded(run: () => unknown, round: number): void {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof VeilError, `round ${round}: ${String(error)}`);
    assert.match(error.code, /^sx\./, `round ${round}`);
  }
}

for (const kem of KEMS) {
  test(`${kem}: mangled requests at worker and gateway`, () => {
    const random = randomSource(`request ${kem}`);
    const workers = stageWorkers(kem, 2);
    const worker = pick(workers, 0);
    const [one, two] = [seal(workers).bytes, seal(workers).bytes];
    for (let round = 0; round < ROUNDS; round++) {
      const bytes = mangle(random, one, two);
      endsCoded(() => worker.open(bytes), round);
      endsCoded(() => parseClearRequest(bytes), round);
    }
  });

  test(`${kem}: mangled answers at client and gateway, in pieces`, () => {
    const random = randomSource(`answer ${kem}`);
    const workers = stageWorkers(kem, 2);
    const { sealed, response } = exchangeOf(workers);
    const other = exchangeOf(workers).response;
    for (let round = 0; round < ROUNDS; round++) {
      const bytes = mangle(random, response, other);
      const pieceBytes = 1 + random.below(300);
      endsCoded(() => read(sealed.exchange, bytes, pieceBytes), round);
      endsCoded(() => {
        const relay = new ResponseRelay(pick(workers, 0).attested.key.kid, { constantRate: false });
        relay.push(bytes);
        relay.end();
      }, round);
    }
  });
}

test('random inner messages and receipts', () => {
  const random = randomSource('inner');
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = random.bytes(random.below(200));
    endsCoded(() => decodeInner(bytes), round);
    endsCoded(() => decodeInner(concat(Uint8Array.of(0, 4), bytes)), round);
    endsCoded(() => parseReceiptUnverified(random.bytes(445)), round);
  }
});

test('a header that promises megabytes allocates none', () => {
  const { sealed, response } = exchangeOf(stageWorkers('X25519', 1));
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 200; i++) {
    const bytes = concat(response.subarray(0, 48), Uint8Array.of(0, 0xff, 0xff, 0xf0));
    endsCoded(() => read(sealed.exchange, bytes), i);
  }
  assert.ok(process.memoryUsage().arrayBuffers - before < 8_000_000);
});
