/** An answer that is paid for while it runs, over a real link: steps come when they are asked for, and it ends when told. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VeilError } from '../../../core/errors.ts';
import { SX_FORM } from '../../../gateway/sealed-form.ts';
import { verifyMeter, type Meter } from '../../../protocol/meter.ts';
import { verifyReceipt } from '../../../protocol/sx/check-receipt.ts';
import { parseClearRequest, ResponseRelay } from '../../../protocol/sx/clear.ts';
import { scriptedEngine, untilAborted } from '../../enclave-worker/exchange-fixture.ts';
import { linkedWorker, TOKEN } from '../../enclave-worker/paid-worker.ts';
import { refuses } from '../../protocol/sx/stage.ts';

test('the gateway counts along, stops, and gets the bill for what there was', async () => {
  const engine = scriptedEngine(async function* play(_job, signal) {
    yield await Promise.resolve({ kind: 'started' } as const);
    for (let at = 0; at < 6; at++) yield { kind: 'text', text: 'w ' } as const;
    await untilAborted(signal);
    yield { kind: 'end', reason: 'aborted' } as const;
  });
  const linked = await linkedWorker({ engine });
  const { signal } = new AbortController();
  const sealed = linked.seal(100);
  const request = parseClearRequest(sealed.bytes);
  const { key } = linked.live;
  const relay = new ResponseRelay(key.kid, { constantRate: false });
  const done = Promise.withResolvers<Uint8Array>();
  let previous: Meter | undefined;
  let stopped: Promise<boolean> | undefined;
  let receipt: Uint8Array | undefined;
  linked.link.exchange(
    sealed.bytes,
    {
      onHead: (status) => assert.equal(status, 200),
      onData: (chunk) => {
        const step = relay.push(chunk);
        for (const payload of step.meters) {
          previous = verifyMeter(payload, { key, prelude: request.prelude, previous });
        }
        // Six tokens are paid for, and the client signs no more.
        if (previous?.completion === 6) stopped ??= linked.link.stop(sealed.msgId, signal);
        receipt ??= step.receipt;
        if (step.final && receipt !== undefined) done.resolve(receipt);
      },
      onEnd: () => done.reject(new Error('ended early')),
      onError: (error: VeilError) => done.reject(error),
    },
    { form: SX_FORM.link, meterEvery: 2 },
  );
  const payload = await done.promise;
  assert.equal(await stopped, true);
  const { prelude, th } = request;
  const respHash = relay.respHash();
  const expected = { key, prelude, th, respHash, policyDigest: 'sealed' } as const;
  const { receipt: bill } = verifyReceipt(payload, expected);
  assert.deepEqual([bill.amount, bill.outcome], [6n * TOKEN, 'ok']);
  assert.equal(previous?.seq, 3);
  assert.equal(await linked.link.stop(sealed.msgId, signal), false);
  // Nothing of it says that the bill is what the last step said.
  refuses(() => verifyMeter(payload, { key, prelude, previous }), 'sx.meter');
  await linked.close();
});
