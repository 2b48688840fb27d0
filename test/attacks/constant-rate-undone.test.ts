/**
 * Somebody between app and worker would rather see the pace of the model: it clears the flag, or has a worker that does not
 * care for it. Spec: P§3.2, P§10.8; gateways-and-e2ee §8.2 C5.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomBytes } from '#primitives';
import { utf8 } from '../../core/bytes.ts';
import { ResponseReader } from '../../protocol/sx/read-response.ts';
import { ResponseSealer } from '../../protocol/sx/respond.ts';
import { flip, refuses, seal, StageWorker } from '../protocol/sx/stage.ts';

const FLAGS_AT = 5;
const CONSTANT_RATE = 2;

test('a request whose flag was cleared on the way opens nowhere', () => {
  const worker = new StageWorker('X-Wing');
  const { bytes } = seal([worker], { flags: { constantRate: true } });
  refuses(() => worker.open(flip(bytes, FLAGS_AT, CONSTANT_RATE)), 'sx.refused', {
    reason: 'unwrap',
  });
});

test('nor does one whose flag was set on the way', () => {
  const worker = new StageWorker('X-Wing');
  const { bytes } = seal([worker]);
  refuses(() => worker.open(flip(bytes, FLAGS_AT, CONSTANT_RATE)), 'sx.refused', {
    reason: 'unwrap',
  });
});

test('an answer that a genuine worker sealed at its own pace is not handed out', () => {
  const worker = new StageWorker('X-Wing');
  const sealed = seal([worker], { flags: { constantRate: true } });
  const { kid } = worker.open(sealed.bytes);
  const { prelude, th, responseSecret } = sealed.exchange;
  const secret = responseSecret(kid);
  assert.ok(secret);
  // As a worker would that does not know of the flag: the same keys, other frames.
  const flags = { ...prelude.flags, constantRate: false };
  const nonce = randomBytes(32);
  const responder = new ResponseSealer({ kid, prelude: { ...prelude, flags }, th, nonce, secret });
  const head = responder.head(200, [['content-type', 'text/event-stream']]);
  const reader = new ResponseReader(sealed.exchange);
  refuses(() => reader.push(head), 'sx.response');
  refuses(() => reader.push(responder.data(utf8('data: {}\n\n'))), 'sx.response');
});
