/**
 * D8. Attack: a client reads all that it asked for and leaves before the end, or asks twice for the price of one: it pays for
 * what was served. Other ways not to pay have files of their own, see docs/threats-of-payment.md.
 * @module
 */

import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { after, before, test } from 'node:test';
import { toHex, utf8 } from '../../core/bytes.ts';
import { exchange, openLab, type Lab } from '../support/gateway-lab.ts';
import { answering, receiptOf, type SxWorker, type Turn } from '../support/sx-worker.ts';
import { until } from '../support/until.ts';

const TEXT = 'all that was asked for';

let lab: Lab;
let worker: SxWorker;
before(async () => {
  lab = await openLab();
  worker = await lab.worker({ kind: 'answer', act: almost });
});
after(() => lab.close());

/** All data, and the end only in what the worker keeps: the client is to leave in front of it. */
function almost({ opened, epoch, response }: Turn): void {
  const { responder } = opened;
  response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
  response.write(responder.head(200, []));
  response.write(responder.data(utf8(TEXT)));
  response.once('close', () => {
    worker.receipts.set(toHex(opened.prelude.msgId), receiptOf(opened, epoch).signed.payload);
  });
}

function leave(sealed: Uint8Array, at: 'end' | 'reset'): Promise<number> {
  return new Promise((resolve) => {
    const outgoing = httpRequest({
      port: lab.port,
      path: '/sx/v1/exchange',
      method: 'POST',
      headers: {
        'content-type': 'application/vnd.sx1.req',
        'content-length': sealed.length,
        authorization: `Bearer ${lab.apiKey}`,
      },
    });
    outgoing.on('error', () => undefined);
    outgoing.on('response', (response) => {
      let read = 0;
      response.on('error', () => undefined);
      response.on('data', (bytes: Uint8Array) => {
        read += bytes.length;
        if (read < TEXT.length) return;
        if (at === 'reset') outgoing.socket?.resetAndDestroy();
        else outgoing.destroy();
        resolve(read);
      });
    });
    outgoing.end(sealed);
  });
}

for (const at of ['end', 'reset'] as const) {
  test(`D8: whoever leaves with all of the answer, by ${at}, has it settled all the same`, async () => {
    const sealed = lab.seal(lab.keysOf(worker));
    assert.ok((await leave(sealed.bytes, at)) > TEXT.length);
    await until(async () => {
      const request = await lab.gateway.ledger.findRequest(sealed.msgId);
      assert.notEqual(request?.state, 'released');
      return request?.state === 'settled';
    });
  });
}

test('D8: one request at many doors at once runs once, and the others are told so', async () => {
  const honest = await lab.worker(answering(TEXT));
  const sealed = lab.seal(lab.keysOf(honest));
  const doors = await Promise.all(
    Array.from({ length: 6 }, async () => (await exchange(lab, sealed.bytes)).status),
  );
  assert.deepEqual(
    doors.toSorted((a, b) => a - b),
    [200, 409, 409, 409, 409, 409],
  );
  assert.equal(honest.seen.count, 1);
});
