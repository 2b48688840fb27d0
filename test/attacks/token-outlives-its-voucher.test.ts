/**
 * A token ends with the next voucher of its channel. Whoever holds one tries to be served all the same, from what was signed
 * afterwards and not for it: with a request that was let in before, with an answer that is paid in steps, and in a later epoch
 * with a voucher that was read from the chain. Spec: ton-settlement §4.4 (session), §4.12.
 * @module
 */

import assert from 'node:assert/strict';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { after, before, mock, test } from 'node:test';
import { NOTHING } from '../../settlement/money.ts';
import { toHex, utf8 } from '../../core/bytes.ts';
import { formatToken, parseTokenUnverified } from '../../settlement/token.ts';
import { formatVoucher, type Voucher } from '../../settlement/voucher.ts';
import { parsePaymentRequired } from '../../settlement/x402.ts';
import { TEST_PRICES } from '../support/attested-key.ts';
import { post } from '../support/gateway-lab.ts';
import { answering, receiptOf, type SxWorker, type Turn } from '../support/sx-worker.ts';
import { openPaidLab, type PaidLab, type TestPayer } from '../support/ton/paid-gateway.ts';
import { until } from '../support/until.ts';

/** At the bounds of the lab, 64 and 64. */
const NEED = 1640n;
/** Of that, what is reserved before an answer begins that is paid in steps of one token. */
const CHUNK = 2;
const FIRST = 1152n;
/** Of output; with three steps ahead they cost more than was reserved at first. */
const TOKENS = 20;
const SX = { 'content-type': 'application/vnd.sx1.req' };

let lab: PaidLab;
let worker: SxWorker;

before(async () => {
  lab = await openPaidLab();
  worker = await lab.worker(answering('hello'), { prices: TEST_PRICES });
});
after(() => lab.close());

function sealed({ channel }: TestPayer): Uint8Array {
  return lab.seal(lab.keysOf(worker), '{}', { maxAmount: NEED, payer: channel }).bytes;
}

async function ask(payer: TestPayer, token: string): Promise<number> {
  const headers = { ...SX, authorization: `Bearer ${token}` };
  return (await post(lab, '/sx/v1/exchange', sealed(payer), headers)).status;
}

async function accept(payer: TestPayer, voucher: Voucher): Promise<void> {
  const body = utf8(JSON.stringify({ voucher: formatVoucher(voucher) }));
  const headers = { 'content-type': 'application/json', ...payer.shown(voucher) };
  assert.equal((await post(lab, '/v1/payments/voucher', body, headers)).status, 200);
}

test('a request whose body comes after the next voucher is refused', async (context) => {
  const payer = await lab.payer();
  const token = payer.token(payer.voucher(NEED));
  assert.equal(await ask(payer, token), 200, 'from here on its voucher is known');
  const looked = mock.method(lab.gateway.ledger, 'findAccount').mock;
  context.after(() => looked.restore());
  const body = sealed(payer);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const outgoing = httpRequest({
    host: '127.0.0.1',
    port: lab.port,
    path: '/sx/v1/exchange',
    method: 'POST',
    headers: { ...SX, 'content-length': body.length, authorization: `Bearer ${token}` },
    agent: false,
  });
  outgoing.on('error', reject);
  outgoing.on('response', (response) => resolve(response.resume()));
  outgoing.flushHeaders();
  await until(() => looked.callCount() > 0);
  await accept(payer, payer.voucher(10n * NEED));
  outgoing.end(body);
  const { statusCode, headers } = await promise;
  assert.equal(statusCode, 402);
  const demand = parsePaymentRequired(String(headers['payment-required']));
  assert.deepEqual([demand.code, demand.voucherState], ['voucher_stale', undefined]);
  assert.equal(worker.seen.count, 1);
});

test('an answer that is paid in steps gets none of them from a voucher that came later', async () => {
  const payer = await lab.payer();
  const heldFor = async ({ prelude }: Turn['opened']): Promise<bigint> => {
    const found = await lab.gateway.ledger.findRequest(prelude.msgId);
    return found?.state === 'reserved' ? found.reservation.need : 0n;
  };
  const held: bigint[] = [];
  const streaming: SxWorker = await lab.worker(
    {
      kind: 'answer',
      act: async ({ opened, epoch, response }) => {
        const { responder, prelude } = opened;
        const isStopped = () => streaming.stops.includes(toHex(prelude.msgId));
        await accept(payer, payer.voucher(10n * NEED));
        response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
        response.write(responder.head(200, [['content-type', 'text/event-stream']]));
        response.write(responder.data(utf8('data: {}\n\n')));
        const usage = { prompt: 1, cached: 0, completion: TOKENS, reasoning: 0 };
        response.write(responder.meter({ signer: epoch.signer, usage, seq: 1 }));
        await until(async () => isStopped() || (await heldFor(opened)) > FIRST);
        held.push(await heldFor(opened));
        response.write(receiptOf(opened, epoch, TOKENS).bytes);
        response.end(responder.final());
      },
    },
    { prices: TEST_PRICES },
  );
  const { bytes } = lab.seal(lab.keysOf(streaming), '{}', {
    maxAmount: NEED,
    payer: payer.channel,
    stream: true,
  });
  const authorization = `Bearer ${payer.token(payer.voucher(FIRST))}`;
  const headers = { ...SX, authorization, 'x-vg-chunk': String(CHUNK) };
  assert.equal((await post(lab, '/sx/v1/exchange', bytes, headers)).status, 200);
  assert.deepEqual(held, [FIRST]);
  assert.equal((await lab.gateway.ledger.findAccount(payer.channel))?.charged, FIRST);
});

test('the pass of an old token opens no voucher of a later epoch', async () => {
  const payer = await lab.payer();
  const old = payer.token(payer.voucher(10n * NEED));
  assert.equal(await ask(payer, old), 200);
  const { ledger } = lab.gateway;
  const account = await ledger.findAccount(payer.channel);
  assert.ok(account);
  const { deposited, claimed, refunded, blockSeqno, charged } = account;
  const recorded = await ledger.recordChainState({
    channel: payer.channel,
    epoch: 1,
    deposited,
    claimed,
    refunded,
    withdrawing: NOTHING,
    blockSeqno: blockSeqno + 1,
    witnesses: 1,
  });
  assert.equal(recorded.outcome, 'recorded');
  const published = payer.voucher(charged + 3n * NEED, 1);
  await accept(payer, published);
  const { pass } = parseTokenUnverified(old);
  assert.equal(await ask(payer, formatToken({ voucher: published, pass })), 403);
  assert.equal(await ask(payer, payer.token(published)), 200, 'its payer goes on');
});
