/**
 * Somebody reads the token that an app uses as its API key. It is money to whoever holds it, until it is spent or over: the
 * payer loses what was left of that session, and the thief can neither raise it, nor close the channel, nor be paid, nor spend
 * what the channel signs later.
 * Spec: ton-settlement §4.4, §4.12 (stolen voucher bearer token → client: ≤ B of that session).
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toBase64Url, toHex, utf8 } from '../../core/bytes.ts';
import type { Caveat } from '../../settlement/pass.ts';
import { amount } from '../../settlement/money.ts';
import { formatVoucher } from '../../settlement/voucher.ts';
import { post, type RawAnswer } from '../support/gateway-lab.ts';
import {
  chargingKeyOf,
  DEAR_COST,
  DEAR_PRICES,
  grab,
  heldVoucher,
  onChain,
  PER_TOKEN,
  withDearLab,
  type DearLab,
} from '../support/ton/cheat-lab.ts';
import type { TestPayer } from '../support/ton/paid-gateway.ts';

/** At the bounds of the lab: 64 tokens in, 64 out. */
const NEED = DEAR_PRICES.base + 128n * PER_TOKEN;
const JSON_TYPE = { 'content-type': 'application/json' };

function spend({ lab, worker }: DearLab, payer: TestPayer, token: string): Promise<RawAnswer> {
  const { channel } = payer;
  const { bytes } = lab.seal(lab.keysOf(worker), '{}', { maxAmount: NEED, payer: channel });
  return post(lab, '/sx/v1/exchange', bytes, {
    'content-type': 'application/vnd.sx1.req',
    authorization: `Bearer ${token}`,
  });
}

/** Until nothing is served any more. Returns how much was. */
async function emptied(dear: DearLab, payer: TestPayer, token: string): Promise<bigint> {
  const charged = async () =>
    (await dear.lab.gateway.ledger.findAccount(payer.channel))?.charged ?? 0n;
  const before = await charged();
  for (let tries = 0; (await spend(dear, payer, token)).status === 200; tries++) {
    assert.ok(tries < 50, 'it has to end');
  }
  return (await charged()) - before;
}

test('the thief of a session spends what was left of it, and nothing beyond', async (context) => {
  await withDearLab(async (dear) => {
    const payer = await dear.lab.payer();
    const budget = 170_000_000n;
    const whole = payer.token(payer.voucher(budget));
    assert.equal((await spend(dear, payer, whole)).status, 200);
    const left = budget - DEAR_COST;
    const lost = await emptied(dear, payer, whole);
    context.diagnostic(`left of the session ${left}, lost ${lost}`);
    assert.ok(lost > 0n && lost <= left);
    assert.ok(left - lost < NEED, 'all that is worth a request');
    const account = await dear.lab.gateway.ledger.findAccount(payer.channel);
    assert.ok((account?.ceiling ?? 0n) <= budget);
  });
});

test('of a token with caveats no request costs more than its cap, and none comes late', async () => {
  await withDearLab(async (dear) => {
    const { lab } = dear;
    const payer = await lab.payer();
    const token = (caveat: Caveat) => payer.token(payer.voucher(170_000_000n), [caveat]);
    const capped = token({ kind: 'request-cap', cap: amount(NEED - 1n) });
    assert.equal(await emptied(dear, payer, capped), 0n);
    const late = token({ kind: 'expiry', notAfterMs: lab.gateway.clock() - 1 });
    assert.equal(await emptied(dear, payer, late), 0n);
    const wide = token({ kind: 'request-cap', cap: amount(NEED) });
    assert.ok((await emptied(dear, payer, wide)) > 0n);
  });
});

test('with the token alone nothing is raised, closed or paid out', async () => {
  await withDearLab(async (dear) => {
    const { lab } = dear;
    const payer = await lab.payer();
    const voucher = payer.voucher(100_000_000n);
    assert.equal((await spend(dear, payer, payer.token(voucher))).status, 200);
    const raised = { ...voucher, ceiling: amount(voucher.ceiling + 1n) };
    const raise = utf8(JSON.stringify({ voucher: formatVoucher(raised) }));
    assert.equal((await post(lab, '/v1/payments/voucher', raise, JSON_TYPE)).status, 402);
    const withdraw = {
      epoch: 0,
      amount: '0',
      validUntil: lab.devnet.nowS() + 600,
      signature: toBase64Url(voucher.signature),
    };
    const close = utf8(JSON.stringify({ withdraw }));
    const path = `/v1/channels/${toHex(payer.channel)}/close`;
    assert.equal((await post(lab, path, close, JSON_TYPE)).status, 402);
    const { status, claimed, refunded } = await onChain(lab, payer);
    assert.deepEqual([status, claimed, refunded], ['open', 0n, 0n]);
  });
});

test('a thief of an old token spends nothing of what is signed afterwards', async () => {
  await withDearLab(async (dear) => {
    const { lab } = dear;
    const payer = await lab.payer();
    const session = NEED + DEAR_COST;
    const old = payer.token(payer.voucher(session));
    assert.ok((await emptied(dear, payer, old)) > 0n);
    assert.equal(await emptied(dear, payer, old), 0n, 'its session is spent');
    const later = payer.voucher(session + 2n * NEED);
    assert.equal((await spend(dear, payer, payer.token(later))).status, 200);
    assert.equal(await emptied(dear, payer, old), 0n, 'it has ended with the next');

    const charged = (await lab.gateway.ledger.findAccount(payer.channel))?.charged ?? 0n;
    const voucher = await heldVoucher(lab, payer);
    const end = { voucher, charged, key: chargingKeyOf(lab), ends: 'final' } as const;
    assert.equal(await grab(lab, payer, end), undefined);
    await payer.announce();
    assert.equal(await emptied(dear, payer, old), 0n);
  });
});
