/**
 * Every claim publishes the voucher that it rests on. A stranger reads it from the chain and shows it as its own: to be
 * served from what is signed and not charged yet, to read the payer's account, to learn a better voucher.
 * Spec: ton-settlement §4.10, §4.12.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixed } from '../../core/bytes.ts';
import { amount } from '../../settlement/money.ts';
import { addressOfId } from '../../settlement/ton/channels/place.ts';
import { formatVoucher, type Voucher } from '../../settlement/voucher.ts';
import { TEST_PRICES } from '../support/attested-key.ts';
import { post } from '../support/gateway-lab.ts';
import { answering } from '../support/sx-worker.ts';
import { openPaidLab, TON, type PaidLab, type TestPayer } from '../support/ton/paid-gateway.ts';
import { until } from '../support/until.ts';

/** At the bounds of the lab, 64 and 64. */
const NEED = 1640n;

/** As anybody reads it who watches the channel. */
async function published(lab: PaidLab, { channel }: TestPayer): Promise<Voucher> {
  const { transactions } = await lab.chain.transactionsSince(addressOfId(channel), 0n);
  const claim = transactions.find(({ inMessage }) => inMessage?.info.type === 'external-in');
  assert.ok(claim?.inMessage);
  const body = claim.inMessage.body.beginParse();
  body.loadUint(32);
  const epoch = body.loadUint(16);
  body.loadBit();
  const ceiling = amount(body.loadCoins());
  body.loadCoins();
  return { channel, epoch, ceiling, signature: fixed(Uint8Array.from(body.loadBuffer(64)), 64) };
}

test('a voucher that a claim has published serves nobody and shows nothing', async (context) => {
  const lab = await openPaidLab({ deps: { settlerPolicy: { roundMs: 50 } } });
  context.after(() => lab.close());
  const worker = await lab.worker(answering('hello'), { prices: TEST_PRICES });
  const payer = await lab.payer({ deposit: 3n * TON });
  const ask = async (headers: Readonly<Record<string, string>>) => {
    const { bytes } = lab.seal(lab.keysOf(worker), '{}', {
      maxAmount: NEED,
      payer: payer.channel,
    });
    return await post(lab, '/sx/v1/exchange', bytes, {
      'content-type': 'application/vnd.sx1.req',
      'content-length': String(bytes.length),
      ...headers,
    });
  };
  // Enough is owed that the settler claims.
  await lab.gateway.ledger.adoptCharge({
    account: payer.channel,
    cum: amount(TON),
    reference: fixed(new Uint8Array(32), 32),
    nowMs: lab.gateway.clock(),
  });
  const held = payer.voucher(TON + 3n * NEED);
  assert.equal((await ask(payer.shown(held))).status, 402, 'a new channel: first a claim');
  await until(async () => {
    const account = await lab.gateway.ledger.findAccount(payer.channel);
    return (account?.claimed ?? 0n) > 0n;
  });
  const voucher = await published(lab, payer);
  assert.deepEqual(voucher.signature, held.signature, 'the very voucher, for all to see');

  assert.equal((await ask(payer.shown(held))).status, 200);
  const stolen = { 'x-vg-voucher': formatVoucher(voucher) };
  const refused = await ask(stolen);
  assert.equal(refused.status, 403);
  assert.equal(refused.headers['payment-required'], undefined);
  assert.equal(worker.seen.count, 1);
  const bearer = { authorization: `Bearer vgv1.${formatVoucher(voucher)}` };
  assert.equal((await ask(bearer)).status, 400);
  for (const path of [
    '/v1/account',
    '/v1/channels/'.concat(Buffer.from(payer.channel).toString('hex')),
  ]) {
    const answer = await post(lab, path, new Uint8Array(), stolen, 'GET');
    assert.equal(answer.status, 403, path);
  }
  assert.equal((await ask(payer.shown(held))).status, 200, 'its payer goes on');
});
