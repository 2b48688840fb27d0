/**
 * A client reads so slowly that its worker cannot hand over the end before the deadline, and reads on just then: the gateway
 * would blame the worker, and what the client has read would be free. Spec: gateways-and-e2ee §7.5; overview "Once only".
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex, utf8 } from '../../core/bytes.ts';
import { keyHashOf } from '../../gateway/accounts.ts';
import type { SealedSink } from '../../gateway/sealed-sink.ts';
import { openLab } from '../support/gateway-lab.ts';
import { receiptOf, type SxWorker } from '../support/sx-worker.ts';
import { until } from '../support/until.ts';

/** Full at the first piece, and ready again at once. */
function reluctantSink(): SealedSink {
  let isFull = true;
  const ignored = (): void => undefined;
  return {
    head: ignored,
    write: () => {
      const isReady = !isFull;
      isFull = false;
      return isReady;
    },
    drain: () => Promise.resolve(),
    end: ignored,
    fail: ignored,
  };
}

test('a client that was slow once has itself to thank for the deadline, and pays', async (context) => {
  const lab = await openLab();
  context.after(() => lab.close());
  const worker: SxWorker = await lab.worker({
    kind: 'answer',
    act: ({ opened, epoch, response }) => {
      const { responder } = opened;
      response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
      response.write(responder.head(200, []));
      response.write(responder.data(utf8('all that was asked for')));
      // What is left does not fit into the sockets: the receipt is signed, and kept.
      const { payload } = receiptOf(opened, epoch).signed;
      worker.receipts.set(toHex(opened.prelude.msgId), payload);
    },
  });
  const sealed = lab.seal(lab.keysOf(worker), '{}', { deadlineMs: 300 });
  const payer = keyHashOf(lab.apiKey);
  const account = { keyId: 'k', payer, means: { kind: 'none' } } as const;
  const { signal } = new AbortController();
  const done = await lab.gateway.exchange(sealed.bytes, account, signal, reluctantSink());
  assert.equal(done.outcome, 'broken');
  await until(async () => {
    const request = await lab.gateway.ledger.findRequest(sealed.msgId);
    assert.notEqual(request?.state, 'released');
    return request?.state === 'settled';
  });
});
