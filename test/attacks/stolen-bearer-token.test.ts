/**
 * Somebody reads the voucher that an app uses as its API key. It is money to whoever holds it, until it is spent: the payer
 * loses what was left of that session, and the thief can neither raise it, nor close the channel, nor be paid. A token names
 * its channel for as long as the epoch lasts: of a channel that is paid from further, it spends what is signed later too.
 * Spec: ton-settlement §4.4, §4.12 (stolen voucher bearer token → client: ≤ B of that session).
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toBase64Url, toHex, utf8 } from '../../core/bytes.ts';
import { formatBearer, narrow, type Bearer } from '../../settlement/bearer.ts';
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

function spend({ lab, worker }: DearLab, payer: TestPayer, bearer: Bearer): Promise<RawAnswer> {
  const { channel } = payer;
  const { bytes } = lab.seal(lab.keysOf(worker), '{}', { maxAmount: NEED, payer: channel });
  return post(lab, '/sx/v1/exchange', bytes, {
    'content-type': 'application/vnd.sx1.req',
    authorization: `Bearer ${formatBearer(bearer)}`,
  });
}

/** Until nothing is served any more. Returns how much was. */
async function emptied(dear: DearLab, payer: TestPayer, bearer: Bearer): Promise<bigint> {
  const charged = async () =>
    (await dear.lab.gateway.ledger.findAccount(payer.channel))?.charged ?? 0n;
  const before = await charged();
  for (let tries = 0; (await spend(dear, payer, bearer)).status === 200; tries++) {
    assert.ok(tries < 50, 'it has to end');
  }
  return (await charged()) - before;
}

test('the thief of a session spends what was left of it, and nothing beyond', async (context) => {
  await withDearLab(async (dear) => {
    const payer = await dear.lab.payer();
    const budget = 170_000_000n;
    const whole = { kind: 'whole', voucher: payer.voucher(budget) } as const;
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

test('of a token that was narrowed no request costs more than its cap, and none comes late', async () => {
  await withDearLab(async (dear) => {
    const { lab } = dear;
    const payer = await lab.payer();
    const whole = { kind: 'whole', voucher: payer.voucher(170_000_000n) } as const;
    assert.equal((await spend(dear, payer, whole)).status, 200);
    const capped = narrow(whole, { kind: 'request-cap', cap: amount(NEED - 1n) });
    assert.equal(await emptied(dear, payer, capped), 0n);
    const late = narrow(whole, { kind: 'expiry', notAfterMs: lab.gateway.clock() - 1 });
    assert.equal(await emptied(dear, payer, late), 0n);
    const wide = narrow(whole, { kind: 'request-cap', cap: amount(NEED) });
    assert.ok((await emptied(dear, payer, wide)) > 0n);
  });
});

test('with the token alone nothing is raised, closed or paid out', async () => {
  await withDearLab(async (dear) => {
    const { lab } = dear;
    const payer = await lab.payer();
    const voucher = payer.voucher(100_000_000n);
    assert.equal((await spend(dear, payer, { kind: 'whole', voucher })).status, 200);
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

test('a thief of an old token spends what is signed afterwards, until the epoch is over', async (context) => {
  await withDearLab(async (dear) => {
    const { lab } = dear;
    const payer = await lab.payer();
    const session = NEED + DEAR_COST;
    const old = { kind: 'whole', voucher: payer.voucher(session) } as const;
    assert.ok((await emptied(dear, payer, old)) > 0n);
    assert.equal(await emptied(dear, payer, old), 0n, 'its session is spent');
    const later = { kind: 'whole', voucher: payer.voucher(session + 2n * NEED) } as const;
    assert.equal((await spend(dear, payer, later)).status, 200);
    const before = (await lab.gateway.ledger.findAccount(payer.channel))?.charged ?? 0n;
    const overhang = later.voucher.ceiling - before;
    const ended = narrow(old, { kind: 'expiry', notAfterMs: lab.gateway.clock() + 60_000 });
    assert.equal(await emptied(dear, payer, ended), 0n, 'one that was narrowed ends with the next');
    const lost = await emptied(dear, payer, old);
    context.diagnostic(`signed later and not spent ${overhang}, lost ${lost}`);
    assert.ok(lost > 0n && lost <= overhang);

    const charged = before + lost;
    const voucher = await heldVoucher(lab, payer);
    const end = { voucher, charged, key: chargingKeyOf(lab), ends: 'final' } as const;
    assert.equal(await grab(lab, payer, end), undefined);
    await payer.announce();
    assert.equal(await emptied(dear, payer, old), 0n);
  });
});
