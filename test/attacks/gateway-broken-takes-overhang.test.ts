/**
 * Whoever broke into a gateway has the key that charges, every voucher that came in, and no scruples: it charges all that was
 * signed for. A payer loses the overhang of what it signed over what was served, and nothing beyond it, however it pays.
 * Spec: ton-settlement §4.12 (gateway enclave broken or absent → client: ≤ B).
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHANNEL_EXIT } from '../../settlement/ton/contracts/exit-codes.ts';
import { amount } from '../../settlement/money.ts';
import { post } from '../support/gateway-lab.ts';
import {
  chargingKeyOf,
  DEAR_COST,
  DEAR_PRICES,
  devnetApp,
  grab,
  heldVoucher,
  onChain,
  PER_TOKEN,
  withDearLab,
  type DearLab,
} from '../support/ton/cheat-lab.ts';
import type { TestPayer } from '../support/ton/paid-gateway.ts';
import { until } from '../support/until.ts';

/** Of prompt and of output, in requests of the lab's own making. */
const MAX_TOKENS = 64n;
const CHUNK = 8n;

interface Loss {
  /** Signed for and not served. */
  readonly overhang: bigint;
  readonly lost: bigint;
}

/** Takes all there is to take. `served`: what an honest gateway would have charged. */
async function robbed({ lab }: DearLab, payer: TestPayer, served: bigint): Promise<Loss> {
  const key = chargingKeyOf(lab);
  const voucher = await heldVoucher(lab, payer);
  const beyond = { voucher, charged: voucher.ceiling + 1n, key };
  assert.equal(await grab(lab, payer, beyond), CHANNEL_EXIT.ceiling);
  const raised = { ...voucher, ceiling: amount(voucher.ceiling + 1n) };
  assert.equal(await grab(lab, payer, { ...beyond, voucher: raised }), CHANNEL_EXIT.payerSignature);
  assert.equal(await grab(lab, payer, { voucher, charged: voucher.ceiling, key }), undefined);
  assert.equal(
    await grab(lab, payer, { voucher, charged: voucher.ceiling, key }),
    CHANNEL_EXIT.stale,
  );
  const { claimed } = await onChain(lab, payer);
  return { overhang: voucher.ceiling - served, lost: claimed - served };
}

test('per request it is what one request may cost over what it did cost', async (context) => {
  await withDearLab(async (dear) => {
    const payer = await dear.lab.payer();
    const app = devnetApp(dear.lab, payer);
    for (let asked = 0; asked < 3; asked++) await app.ask();
    await app.close();
    const served = app.settled.reduce((sum, { amount: cost }) => sum + cost, 0n);
    assert.equal(served, 3n * DEAR_COST);
    const { ceiling } = await heldVoucher(dear.lab, payer);
    const reservation = ceiling - 2n * DEAR_COST;
    const { overhang, lost } = await robbed(dear, payer, served);
    context.diagnostic(`R ${reservation}, overhang ${overhang}, lost ${lost}`);
    assert.ok(lost > 0n && lost <= reservation);
    assert.equal(lost, overhang);
    assert.equal(lost, reservation - DEAR_COST);
  });
});

test('in a session it is what is left of the budget', async (context) => {
  const budget = 150_000_000n;
  await withDearLab(async (dear) => {
    const payer = await dear.lab.payer();
    const app = devnetApp(dear.lab, payer, { policy: { session: budget } });
    await app.ask();
    await app.close();
    const { lost } = await robbed(dear, payer, DEAR_COST);
    context.diagnostic(`budget ${budget}, lost ${lost}`);
    assert.equal(lost, budget - DEAR_COST);
  });
});

test('of requests side by side it is what all of them may cost', async (context) => {
  await withDearLab(async (dear) => {
    const { lab, worker } = dear;
    worker.script = { kind: 'hang' };
    const payer = await lab.payer();
    const app = devnetApp(lab, payer);
    const leave = new AbortController();
    const asked = [1, 2].map(async () => {
      await assert.rejects(app.ask(leave.signal));
    });
    await until(() => worker.seen.count === 2);
    const { ceiling } = await heldVoucher(lab, payer);
    const { lost } = await robbed(dear, payer, 0n);
    context.diagnostic(`two reservations ${ceiling}, lost ${lost}`);
    assert.equal(lost, ceiling);
    assert.ok(lost >= 2n * DEAR_PRICES.base);
    leave.abort();
    await Promise.all(asked);
    await app.close();
  });
});

test('as it goes it is the prompt and a chunk and a half, not all that the answer could cost', async (context) => {
  await withDearLab(async (dear) => {
    const { lab, worker } = dear;
    worker.script = { kind: 'hang' };
    const payer = await lab.payer();
    const signed = DEAR_PRICES.base + (MAX_TOKENS + CHUNK + CHUNK / 2n) * PER_TOKEN;
    const whole = DEAR_PRICES.base + 2n * MAX_TOKENS * PER_TOKEN;
    const { bytes } = lab.seal(lab.keysOf(worker), '{}', {
      maxAmount: whole,
      payer: payer.channel,
      stream: true,
    });
    // Still unanswered when the lab closes.
    const asked = post(lab, '/sx/v1/exchange', bytes, {
      'content-type': 'application/vnd.sx1.req',
      ...payer.shown(payer.voucher(signed)),
      'x-vg-chunk': String(CHUNK),
    }).catch(() => undefined);
    await until(() => worker.seen.count === 1);
    const { lost } = await robbed(dear, payer, 0n);
    context.diagnostic(`R ${whole}, signed ${signed}, lost ${lost}`);
    assert.equal(lost, signed);
    assert.ok(lost < whole);
    await lab.gateway.close();
    await asked;
  });
});

test('an epoch later nothing of it is worth anything', async () => {
  await withDearLab(async (dear) => {
    const { lab } = dear;
    const payer = await lab.payer();
    const app = devnetApp(lab, payer);
    await app.ask();
    await app.close();
    const voucher = await heldVoucher(lab, payer);
    const key = chargingKeyOf(lab);
    const fair = { voucher, charged: DEAR_COST, key, ends: 'final' } as const;
    assert.equal(await grab(lab, payer, fair), undefined);
    const late = { voucher, charged: voucher.ceiling, key };
    assert.equal(await grab(lab, payer, late), CHANNEL_EXIT.status);
    const { claimed, refunded, deposited } = await onChain(lab, payer);
    assert.deepEqual([claimed, refunded], [DEAR_COST, deposited - DEAR_COST]);
  });
});
