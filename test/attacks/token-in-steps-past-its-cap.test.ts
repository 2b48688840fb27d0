/**
 * Somebody was handed a token with a cap and pays in steps, or goes on reading when it has ended. Neither may give it what
 * the caveats withhold. Spec: ton-settlement §4.4 (session).
 * @module
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { amount } from '../../settlement/money.ts';
import { TEST_PRICES } from '../support/attested-key.ts';
import { post } from '../support/gateway-lab.ts';
import { answering, type SxWorker } from '../support/sx-worker.ts';
import { openPaidLab, type PaidLab } from '../support/ton/paid-gateway.ts';

/** At the bounds of the lab, 64 and 64. */
const NEED = 1640n;

let lab: PaidLab;
let worker: SxWorker;

before(async () => {
  lab = await openPaidLab();
  worker = await lab.worker(answering('hello'), { prices: TEST_PRICES });
});
after(() => lab.close());

test('a cap per request holds for all of it, also when it is paid for in steps', async () => {
  const payer = await lab.payer();
  const cap = amount(NEED - 1n);
  const token = payer.token(payer.voucher(10n * NEED), [{ kind: 'request-cap', cap }]);
  const { bytes } = lab.seal(lab.keysOf(worker), '{}', {
    maxAmount: NEED,
    payer: payer.channel,
    stream: true,
  });
  const answer = await post(lab, '/sx/v1/exchange', bytes, {
    'content-type': 'application/vnd.sx1.req',
    'content-length': String(bytes.length),
    authorization: `Bearer ${token}`,
    'x-vg-chunk': '16',
  });
  assert.equal(answer.status, 403);
  assert.equal(worker.seen.count, 0);
});

test('a token that has ended shows neither the account nor what was paid from it', async () => {
  const payer = await lab.payer();
  const read = async (notAfterMs: number): Promise<number> => {
    const token = payer.token(payer.voucher(NEED), [{ kind: 'expiry', notAfterMs }]);
    const headers = { authorization: `Bearer ${token}` };
    return (await post(lab, '/v1/account', new Uint8Array(), headers, 'GET')).status;
  };
  const nowMs = lab.gateway.clock();
  assert.equal(await read(nowMs + 60_000), 200);
  assert.equal(await read(nowMs - 1), 403);
});
