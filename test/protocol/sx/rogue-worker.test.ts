/** A worker that holds the right keys and still breaks the rules inside the seal. Spec: P§7.4, P§10.3. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, fixed, toHex, utf8 } from '../../../core/bytes.ts';
import { randomBytes } from '#primitives';
import { encodeContentChunk, encodeResponseHead, RESPONSE_END } from '../../../protocol/bhttp.ts';
import { generateHpkeKeyPair } from '../../../protocol/hpke.ts';
import { ResponseRelay } from '../../../protocol/sx/clear.ts';
import { clearFrame, FRAME, FrameSealer } from '../../../protocol/sx/frames.ts';
import { responseKeys } from '../../../protocol/sx/key-schedule.ts';
import { RECIPIENT_KEYS_MAX } from '../../../protocol/sx/limits.ts';
import { RecipientKeys } from '../../../protocol/sx/recipient-keys.ts';
import { NOW_MS, read, refuses, sameBytes, seal, StageWorker } from './stage.ts';

type Frame = readonly [type: number, data: Uint8Array, plaintextBytes?: number];

/** Seals whatever it is told to, in the name of the worker, for a request that needs no receipt. */
function rogueAnswer(frames: readonly Frame[]) {
  const worker = new StageWorker('X25519');
  const sealed = seal([worker], { flags: { receiptRequired: false } });
  const { kid } = worker.attested.key;
  const secret = sealed.exchange.responseSecret(kid);
  assert.ok(secret !== undefined);
  const nonce = randomBytes(32);
  const sealer = new FrameSealer(responseKeys(sealed.exchange.th, nonce, fixed(secret, 32)));
  const wire = frames.map(([type, data, plaintextBytes = 128]) =>
    sealer.seal(type, data, plaintextBytes),
  );
  return { exchange: sealed.exchange, kid, bytes: concat(kid, nonce, ...wire) };
}

const HEAD: Frame = [FRAME.data, encodeResponseHead({ status: 200, fields: [] })];
const CHUNK: Frame = [FRAME.data, encodeContentChunk(utf8('x'))];
const END: Frame = [FRAME.data, RESPONSE_END];
const FINAL: Frame = [FRAME.final, new Uint8Array(32)];

test('the rules kept, the answer reads', () => {
  const { exchange, bytes } = rogueAnswer([HEAD, CHUNK, END, FINAL]);
  assert.equal(read(exchange, bytes).at(-1)?.kind, 'final');
});

const ROGUE: readonly (readonly [what: string, code: string, frames: readonly Frame[]])[] = [
  ['FINAL before the content has ended', 'sx.response', [HEAD, CHUNK, FINAL]],
  [
    'TRAILER before the content has ended',
    'sx.response',
    [HEAD, CHUNK, [FRAME.trailer, utf8('{}')]],
  ],
  ['data after the end of the content', 'sx.response', [HEAD, END, CHUNK]],
  ['the head not in the first frame', 'sx.response', [CHUNK, HEAD]],
  ['PAD that carries data', 'sx.response', [HEAD, [FRAME.pad, utf8('hidden')]]],
  ['FINAL of 31 bytes', 'sx.response', [HEAD, END, [FRAME.final, new Uint8Array(31)]]],
  [
    'FINAL with a hash but no receipt',
    'sx.receipt_missing',
    [HEAD, END, [FRAME.final, randomBytes(32)]],
  ],
  [
    'TRAILER of more than 8192 bytes',
    'sx.limit',
    [HEAD, END, [FRAME.trailer, new Uint8Array(8193), 8320]],
  ],
  [
    'a header off the list',
    'sx.response',
    [[FRAME.data, encodeResponseHead({ status: 200, fields: [['set-cookie', 'a=b']] })]],
  ],
];

for (const [what, code, frames] of ROGUE) {
  test(`refused although sealed by the worker: ${what}`, () => {
    const { exchange, bytes } = rogueAnswer(frames);
    refuses(() => read(exchange, bytes), code);
  });
}

test('refused although sealed by the worker: a receipt before the content has ended', () => {
  const { exchange, bytes } = rogueAnswer([HEAD, CHUNK]);
  const receipt = clearFrame(FRAME.receipt, new Uint8Array(445));
  refuses(() => read(exchange, concat(bytes, receipt)), 'sx.response');
});

test('an answer without a receipt is released by the relay, but takes no ledger line', () => {
  const { kid, bytes } = rogueAnswer([HEAD, END, FINAL]);
  const relayed = () => {
    const relay = new ResponseRelay(kid, { constantRate: false });
    return { relay, step: relay.push(bytes) };
  };
  const { relay, step } = relayed();
  assert.equal(step.receipt, undefined);
  assert.ok(step.final);
  sameBytes(concat(...step.forward, ...relay.release()), bytes);
  refuses(() => relayed().relay.release(utf8('line')), 'internal.invariant');
});

test('recipient keys: live ones are listed, retired and expired ones are gone, and they are few', () => {
  const keys = new RecipientKeys();
  const add = (expiresAtMs: number) =>
    keys.add({ statementHash: randomBytes(32), pair: generateHpkeKeyPair('X25519'), expiresAtMs });
  const [old, retired, live] = [add(NOW_MS), add(NOW_MS + 1), add(NOW_MS + 1)];
  assert.equal(keys.get(old.kid, NOW_MS), undefined);
  assert.equal(keys.get(old.kid, NOW_MS - 1), old);
  keys.retire(retired.kid);
  keys.purge(NOW_MS);
  assert.equal(keys.get(old.kid, NOW_MS - 1), undefined, 'purged, not only hidden');
  assert.deepEqual(keys.kids(NOW_MS).map(toHex), [toHex(live.kid)]);
  assert.deepEqual(keys.kids(NOW_MS + 1), []);
  for (let i = 1; i < RECIPIENT_KEYS_MAX; i++) add(NOW_MS + 1);
  refuses(() => add(NOW_MS + 1), 'internal.invariant');
});
