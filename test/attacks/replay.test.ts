/** C4. Attack: the gateway sends a request a second time, to the same worker, another one or one that was started anew, or shows an old answer again. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../../core/bytes.ts';
import type { VerifiedReceipt } from '../../protocol/sx/read-response.ts';
import { appOf, assertError, MODES, WHOLE } from '../support/hostile.ts';
import { memoryGateway, sealedResponse } from '../support/memory-gateway.ts';

test('a request repeated at its worker is opened once', async () => {
  const gateway = await memoryGateway();
  let kept: Uint8Array | undefined;
  gateway.mischief.request = (sealed) => (kept = sealed);
  assert.deepEqual(await appOf(gateway)('unary'), WHOLE);
  const [worker] = gateway.workers;
  assert.ok(worker !== undefined && kept !== undefined);
  const again = kept;
  assert.throws(() => worker.serve(again), { code: 'sx.replay' });
  assert.equal(worker.opened.length, 1);
});

test('a request kept past its life is refused', async () => {
  const gateway = await memoryGateway();
  gateway.mischief.request = (sealed) => {
    gateway.advance(121_000);
    return sealed;
  };
  assertError(await appOf(gateway)('unary'), ['sealed_request_refused']);
  assert.equal(gateway.workers[0]?.opened.length, 0);
});

for (const mode of MODES) {
  test(`an earlier answer shown for a new request is noticed (${mode})`, async () => {
    const gateway = await memoryGateway();
    const ask = appOf(gateway);
    let kept: readonly Uint8Array[] = [];
    gateway.mischief.answer = (pieces) => (kept = pieces);
    assert.deepEqual(await ask(mode), WHOLE);
    gateway.mischief.respond = () => sealedResponse(kept);
    assertError(await ask(mode), ['answer_broken', 'sx.response']);
  });
}

test('C4: the other recipient opens it too, which is known, and its answer and receipt count for nothing', async () => {
  const gateway = await memoryGateway([{}, {}]);
  const receipts: VerifiedReceipt[] = [];
  let twice: readonly (readonly Uint8Array[])[] = [];
  gateway.mischief.respond = (sealed) => {
    twice = gateway.workers.map((worker) => worker.serve(sealed));
    return sealedResponse(twice[0] ?? []);
  };
  const ask = appOf(gateway, { onReceipt: (receipt) => void receipts.push(receipt) });
  assert.deepEqual(await ask('unary'), WHOLE);
  assert.deepEqual(
    gateway.workers.map(({ opened }) => opened.length),
    [1, 1],
  );
  assert.equal(receipts.length, 1);
  assert.equal(toHex(receipts[0]?.key.kid ?? Uint8Array.of()), gateway.workers[0]?.kid);
});

for (const mode of MODES) {
  test(`C4: of two answers to one request no mixture is an answer (${mode})`, async () => {
    const gateway = await memoryGateway([{}, {}]);
    for (const at of [1, 2, 3]) {
      gateway.mischief.respond = (sealed) => {
        const [one, other] = gateway.workers.map((worker) => worker.serve(sealed));
        assert.ok(one !== undefined && other !== undefined);
        return sealedResponse([...one.slice(0, -at), ...other.slice(-at)]);
      };
      assertError(await appOf(gateway)(mode), ['answer_broken', 'sx.response', 'sx.receipt']);
    }
  });
}

test('C4: a worker that was started anew has no key for what was sealed before', async () => {
  const gateway = await memoryGateway();
  let kept: Uint8Array | undefined;
  gateway.mischief.request = (sealed) => (kept = sealed);
  assert.deepEqual(await appOf(gateway)('unary'), WHOLE);
  const again = kept;
  assert.ok(again !== undefined);
  const anew = await gateway.addWorker();
  assert.throws(() => anew.serve(again), { code: 'sx.key_unknown' });
  assert.equal(anew.opened.length, 0);
});
