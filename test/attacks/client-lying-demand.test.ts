/** A gateway that refuses with a made-up state of the channel, to have more signed than was asked for: it gains nothing. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, randomBytes } from '#primitives';
import { decodePayState, encodePayState, newPayState } from '../../client/pay/pay-state.ts';
import { amount, AMOUNT_MAX, type Amount } from '../../settlement/money.ts';
import { signVoucher } from '../../settlement/voucher.ts';
import type { PaymentRequired } from '../../settlement/x402.ts';
import { COST, paidGateway, payingApp, TestMemory, type PaidGateway } from '../support/paying.ts';

const STRANGER = generateEd25519();

/** What the gateway shows of the channel, in place of what its ledger holds. */
interface Shown {
  readonly ceiling: Amount;
  readonly charged: Amount;
  readonly reserved?: Amount;
  readonly epoch?: number;
  readonly signedBy?: Uint8Array;
  readonly channel?: Uint8Array;
}

function demanding(gateway: PaidGateway, shown: (asked: PaymentRequired) => Shown): void {
  const { books } = gateway;
  books.mischief.demand = (asked) => {
    const { channelState } = asked;
    assert.ok(channelState);
    const { ceiling, charged, reserved = amount(0n), epoch = 0, ...rest } = shown(asked);
    const secretKey = rest.signedBy === undefined ? books.payerKeys.secretKey : STRANGER.secretKey;
    const channel = rest.channel === undefined ? books.channel : randomBytes(32);
    const { signature } = signVoucher(secretKey, { channel: books.channel, epoch, ceiling });
    return {
      ...asked,
      code: 'insufficient_ceiling',
      channelState: { ...channelState, channel, epoch, charged, reserved },
      voucherState: { epoch, ceiling, signature },
    };
  };
}

/** A payer that has paid once and forgotten nothing, and the ceiling of its first request. */
async function payer(context: Parameters<typeof paidGateway>[0]) {
  const gateway = await paidGateway(context);
  const memory = new TestMemory(encodePayState(newPayState(gateway.books.channel, 'known')));
  const app = payingApp(gateway, { memory });
  await app.ask();
  const [need = 0n] = gateway.books.vouchers;
  return { gateway, app, need };
}

test('charges that were made up do not raise the next ceiling by one nanoTON', async (context) => {
  const { gateway, app, need } = await payer(context);
  // The gateway shows our own latest voucher and says that it is used up.
  demanding(gateway, () => ({ ceiling: amount(COST + need), charged: amount(COST + need) }));
  for (let turn = 0; turn < 3; turn++) {
    await assert.rejects(app.ask(), { status: 402, code: 'insufficient_ceiling' });
  }
  delete gateway.books.mischief.demand;
  await app.ask();
  assert.deepEqual(new Set(gateway.books.vouchers.slice(1)), new Set([COST + need]));
});

test('reservations that were made up do not either', async (context) => {
  const { gateway, app, need } = await payer(context);
  demanding(gateway, () => ({
    ceiling: amount(need),
    charged: amount(COST),
    reserved: amount(AMOUNT_MAX),
  }));
  await assert.rejects(app.ask(), { code: 'insufficient_ceiling' });
  delete gateway.books.mischief.demand;
  await app.ask();
  assert.deepEqual(gateway.books.vouchers.slice(1), [COST + need, COST + need]);
});

test('an older voucher of ours proves nothing: no second try, nothing adopted', async (context) => {
  const { gateway, app, need } = await payer(context);
  demanding(gateway, () => ({ ceiling: amount(need), charged: amount(need) }));
  await assert.rejects(app.ask(), { code: 'insufficient_ceiling' });
  assert.equal(gateway.books.vouchers.length, 2);
});

test('a signature that is not ours is named for what it is', async (context) => {
  const { gateway, app, need } = await payer(context);
  const signedBy = STRANGER.secretKey;
  demanding(gateway, () => ({
    ceiling: amount(need * 100n),
    charged: amount(need * 100n),
    signedBy,
  }));
  await assert.rejects(app.ask(), { status: 402, code: 'pay_disputed' });
  assert.equal(gateway.books.vouchers.length, 2);
});

test('charges above anything that was signed are disputed', async (context) => {
  const { gateway, app, need } = await payer(context);
  demanding(gateway, () => ({ ceiling: amount(need), charged: amount(COST + need + 1n) }));
  await assert.rejects(app.ask(), { status: 402, code: 'pay_disputed' });
  assert.equal(gateway.books.vouchers.length, 2);
});

test('the state of another channel is disputed', async (context) => {
  const { gateway, app, need } = await payer(context);
  const channel = randomBytes(32);
  demanding(gateway, () => ({ ceiling: amount(need * 9n), charged: amount(1n), channel }));
  await assert.rejects(app.ask(), { status: 402, code: 'pay_disputed' });
});

for (const [where, epoch] of [
  ['ahead', 1],
  ['far ahead', 65_535],
] as const) {
  test(`an epoch ${where} is never signed for on a gateway's word`, async (context) => {
    const { gateway, app, need } = await payer(context);
    demanding(gateway, () => ({ ceiling: amount(need * 9n), charged: amount(0n), epoch }));
    await assert.rejects(app.ask(), { status: 402, code: 'epoch_mismatch' });
    const state = decodePayState(
      app.memory.saved.at(-1) ?? new Uint8Array(),
      gateway.books.channel,
    );
    assert.equal(state.epoch, 0);
  });
}

test('nor is one that is over', async (context) => {
  const gateway = await paidGateway(context);
  const state = { ...newPayState(gateway.books.channel, 'known'), epoch: 2 };
  await gateway.books.fund({ epoch: 2, blockSeqno: 2 });
  const app = payingApp(gateway, { memory: new TestMemory(encodePayState(state)) });
  await app.ask();
  demanding(gateway, () => ({ ceiling: amount(10n ** 8n), charged: amount(10n ** 8n), epoch: 1 }));
  await assert.rejects(app.ask(), { status: 402, code: 'epoch_mismatch' });
  delete gateway.books.mischief.demand;
  await app.ask();
  const [need = 0n, ...later] = gateway.books.vouchers;
  assert.deepEqual(new Set(later), new Set([need + COST]));
});

test('a gateway that refuses for ever is asked twice and no more', async (context) => {
  const { gateway, app, need } = await payer(context);
  let shown = need * 10n;
  // Each time our own signature over more than we remember: only somebody with a copy of our key could.
  demanding(gateway, () => {
    shown += need;
    return { ceiling: amount(shown), charged: amount(shown) };
  });
  await assert.rejects(app.ask(), { status: 402, code: 'insufficient_ceiling' });
  assert.equal(gateway.books.vouchers.length, 3);
});

test('of a forgotten voucher no more is believed than it covers, and never beyond spendMax', async (context) => {
  const gateway = await paidGateway(context);
  const known = () => new TestMemory(encodePayState(newPayState(gateway.books.channel, 'known')));
  const app = payingApp(gateway, { memory: known() });
  // All of it is said to be charged, and as much again reserved: the signature covers it once.
  const ceiling = amount(5_000_000n);
  let refusals = 0;
  demanding(gateway, () => ({ ceiling, charged: ceiling, reserved: ceiling }));
  const { demand } = gateway.books.mischief;
  gateway.books.mischief.demand = (asked) => (refusals++ === 0 ? demand?.(asked) : undefined);
  await app.ask();
  const [need = 0n, second] = gateway.books.vouchers;
  assert.equal(second, ceiling + need);
  refusals = 0;
  const bounded = payingApp(gateway, { memory: known(), pay: { spendMax: ceiling } });
  await assert.rejects(bounded.ask(), { status: 402, code: 'pay_limit' });
  assert.equal(gateway.books.vouchers.length, 3);
});

test('a demand that cannot be read is a refusal like any other', async (context) => {
  const { gateway, app } = await payer(context);
  const { fetch } = gateway;
  const broken: typeof fetch = async (url, init) => {
    if (!url.endsWith('/exchange')) return fetch(url, init);
    return new Response('{}', { status: 402, headers: { 'payment-required': 'AAAA' } });
  };
  const again = payingApp(gateway, { memory: app.memory, client: { fetch: broken } });
  await assert.rejects(again.ask(), { status: 402, code: 'insufficient_funds' });
});
