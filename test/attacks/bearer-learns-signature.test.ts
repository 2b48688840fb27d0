/**
 * Somebody was handed a narrowed bearer token and pays with it until the gateway asks for more. Neither the demand nor pay
 * as you go may give it what the caveats withhold: the voucher's signature, or more for one request than its cap.
 * Spec: ton-settlement §4.4 (session), §4.5 (corrective 402).
 * @module
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { toHex, utf8 } from '../../core/bytes.ts';
import { formatBearer, narrow, type Bearer, type Caveat } from '../../settlement/bearer.ts';
import { amount } from '../../settlement/money.ts';
import { parsePaymentRequired, PAYMENT_REQUIRED_HEADER } from '../../settlement/x402.ts';
import { formatVoucher, type Voucher } from '../../settlement/voucher.ts';
import { TEST_PRICES } from '../support/attested-key.ts';
import { post, type RawAnswer } from '../support/gateway-lab.ts';
import { answering, type SxWorker } from '../support/sx-worker.ts';
import { openPaidLab, type PaidLab, type TestPayer } from '../support/ton/paid-gateway.ts';

/** At the bounds of the lab, 64 and 64. */
const NEED = 1640n;

let lab: PaidLab;
let worker: SxWorker;

before(async () => {
  lab = await openPaidLab();
  worker = await lab.worker(answering('hello'), { prices: TEST_PRICES });
});
after(() => lab.close());

async function held(voucher: Voucher): Promise<void> {
  const body = utf8(JSON.stringify({ voucher: formatVoucher(voucher) }));
  const headers = { 'content-type': 'application/json' };
  assert.equal((await post(lab, '/v1/payments/voucher', body, headers)).status, 200);
}

function ask(
  payer: TestPayer,
  bearer: Bearer,
  headers: Readonly<Record<string, string>> = {},
): Promise<RawAnswer> {
  const { bytes } = lab.seal(lab.keysOf(worker), '{}', {
    maxAmount: NEED,
    payer: payer.channel,
    stream: true,
  });
  return post(lab, '/sx/v1/exchange', bytes, {
    'content-type': 'application/vnd.sx1.req',
    'content-length': String(bytes.length),
    authorization: `Bearer ${formatBearer(bearer)}`,
    ...headers,
  });
}

const demandIn = ({ headers }: RawAnswer) =>
  parsePaymentRequired(String(headers[PAYMENT_REQUIRED_HEADER]));

test('a demand to a narrowed token does not show the voucher that it was narrowed from', async () => {
  const payer = await lab.payer();
  const voucher = payer.voucher(NEED - 1n);
  await held(voucher);
  const whole = { kind: 'whole', voucher } as const;
  const caveat: Caveat = { kind: 'expiry', notAfterMs: lab.gateway.clock() + 60_000 };
  const answer = await ask(payer, narrow(whole, caveat));
  assert.equal(answer.status, 402);
  assert.equal(demandIn(answer).code, 'insufficient_ceiling');
  assert.equal(demandIn(answer).voucherState, undefined);
  const decoded = Buffer.from(String(answer.headers[PAYMENT_REQUIRED_HEADER]), 'base64').toString();
  assert.ok(!decoded.includes(toHex(voucher.signature)));
  // Who shows the signature may be told that it is held.
  const own = await ask(payer, whole);
  assert.deepEqual(demandIn(own).voucherState?.signature, voucher.signature);
});

test('a cap per request holds for all of it, also when it is paid for in steps', async () => {
  const payer = await lab.payer();
  const voucher = payer.voucher(10n * NEED);
  await held(voucher);
  const cap = amount(NEED - 1n);
  const capped = narrow({ kind: 'whole', voucher }, { kind: 'request-cap', cap });
  const answer = await ask(payer, capped, { 'x-vg-chunk': '1' });
  assert.equal(answer.status, 403);
  assert.equal(worker.seen.count, 0);
});

test('a token that has ended shows neither the account nor what was paid from it', async () => {
  const payer = await lab.payer();
  const voucher = payer.voucher(NEED);
  await held(voucher);
  const read = async (notAfterMs: number): Promise<number> => {
    const bearer = narrow({ kind: 'whole', voucher }, { kind: 'expiry', notAfterMs });
    const headers = { authorization: `Bearer ${formatBearer(bearer)}` };
    return (await post(lab, '/v1/account', new Uint8Array(), headers, 'GET')).status;
  };
  const nowMs = lab.gateway.clock();
  assert.equal(await read(nowMs + 60_000), 200);
  assert.equal(await read(nowMs - 1), 403);
});
