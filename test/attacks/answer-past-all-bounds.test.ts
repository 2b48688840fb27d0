/**
 * Attack: a client asks for so much (all choices, all alternatives of every token) that the answer passes what a gateway
 * relays. It has read all up to there; were that a fault of the worker, nobody would pay for it. @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../core/clock.ts';
import { attempt } from '../../gateway/attempt.ts';
import { createDeadlines } from '../../gateway/deadline.ts';
import { SX_FORM, type SealedForm } from '../../gateway/sealed-form.ts';
import type { SealedSink } from '../../gateway/sealed-sink.ts';
import { parseClearRequest } from '../../protocol/sx/clear.ts';
import { sxError } from '../../protocol/sx/errors.ts';
import { openLab } from '../support/gateway-lab.ts';

/** Passes on one step and then is at its bound, as if it had passed on a quarter of a gigabyte. */
const FULL_AT_ONCE: SealedForm = {
  ...SX_FORM,
  relay: (kid, request) => {
    const relay = SX_FORM.relay(kid, request);
    let steps = 0;
    return {
      push: (chunk) => {
        if (steps > 0) throw sxError('sx.limit', 'bytes');
        const step = relay.push(chunk);
        if (step.firstSealed) steps++;
        return step;
      },
      respHash: () => relay.respHash(),
      release: (line) => relay.release(line),
    };
  },
};

test('what broke off at a bound of the relay is the reader’s to pay', async (context) => {
  const lab = await openLab();
  context.after(() => lab.close());
  let more: (() => void) | undefined;
  const worker = await lab.worker({
    kind: 'answer',
    act: ({ opened, response }) => {
      const { responder } = opened;
      response.on('error', () => undefined);
      response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
      response.write(responder.head(200, [['content-type', 'application/json']]));
      more = () => response.write(responder.data(new Uint8Array(64)));
    },
  });
  const sealed = lab.seal(lab.keysOf(worker)).bytes;
  const [live] = lab.gateway.registry.byWorkerId(worker.workerId);
  assert.ok(live !== undefined);
  const deadlines = createDeadlines(systemClock);
  context.after(() => deadlines.close());
  const sink: SealedSink = {
    head: () => more?.(),
    write: () => true,
    drain: () => Promise.resolve(),
    end: () => assert.fail('ended'),
    fail: (code) => assert.fail(code),
  };
  const end = await attempt({
    worker: live,
    form: FULL_AT_ONCE,
    key: live.key,
    sealed,
    request: parseClearRequest(sealed),
    sink,
    signal: new AbortController().signal,
    clock: systemClock,
    deadlines,
    limits: {
      exchangesMax: 1,
      firstSealedTimeoutMs: 60_000,
      idleTimeoutMs: 60_000,
      slowReaderTimeoutMs: 60_000,
    },
    untilMs: systemClock() + 60_000,
    onFirstSealed: () => undefined,
    metering: undefined,
  });
  // Of a client's fault the receipt is fetched and settled, as after one that has left.
  assert.deepEqual(end, { kind: 'broken', code: 'sx.limit', fault: 'client' });
});
