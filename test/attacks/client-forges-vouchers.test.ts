/**
 * A client pays with everything but a sound promise: vouchers that were forged, bent, of another channel or epoch, shown
 * twice, lowered, or good once for many at the same time. The gateway serves nothing that the chain does not pay.
 * Spec: ton-settlement §3.4, §4.2, §4.12 (client reusing, malleating or forging vouchers → gateway: 0).
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixed, fromHex, concat } from '../../core/bytes.ts';
import { amount } from '../../settlement/money.ts';
import { type Voucher } from '../../settlement/voucher.ts';
import { post } from '../support/gateway-lab.ts';
import { littleEndian } from '../support/payer-keys.ts';
import {
  chargingKeyOf,
  DEAR_COST,
  grab,
  heldVoucher,
  onChain,
  withDearLab,
  type DearLab,
} from '../support/ton/cheat-lab.ts';
import type { TestPayer } from '../support/ton/paid-gateway.ts';

const NEED = 50_000_000n;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

async function ask({ lab, worker }: DearLab, payer: TestPayer, voucher: Voucher): Promise<number> {
  const { channel } = payer;
  const { bytes } = lab.seal(lab.keysOf(worker), '{}', { maxAmount: NEED, payer: channel });
  const headers = {
    'content-type': 'application/vnd.sx1.req',
    ...payer.shown(voucher),
  };
  return (await post(lab, '/sx/v1/exchange', bytes, headers)).status;
}

/** S + L: a lax verifier takes it. */
function bent(voucher: Voucher): Voucher {
  const { signature } = voucher;
  const s = BigInt(`0x${Buffer.from(signature.slice(32)).reverse().toString('hex')}`);
  const bytes = concat(signature.slice(0, 32), littleEndian(s + ORDER));
  return { ...voucher, signature: fixed(bytes, 64) };
}

test('nothing is served for a promise that is none', async (context) => {
  await withDearLab(async (dear) => {
    const { lab, worker } = dear;
    const payer = await lab.payer();
    const other = await lab.payer();
    const sound = payer.voucher(NEED);
    const fakes: readonly (readonly [string, Voucher])[] = [
      ['bent', bent(sound)],
      ['signed by another', { ...sound, signature: other.voucher(NEED).signature }],
      ['of another ceiling', { ...sound, ceiling: amount(NEED + 1n) }],
      ['of another channel', { ...other.voucher(NEED), channel: payer.channel }],
      ['of the next epoch', payer.voucher(NEED, 1)],
      ['of zeroes', { ...sound, signature: fixed(fromHex('00'.repeat(64)), 64) }],
    ];
    for (const [what, voucher] of fakes) assert.equal(await ask(dear, payer, voucher), 402, what);
    context.diagnostic(`${fakes.length} fakes, ${worker.seen.count} served`);
    assert.equal(worker.seen.count, 0);
    assert.equal(await ask(dear, payer, sound), 200);
  });
});

test('a good voucher shown to many at once, again, and lowered is paid on chain for all that it bought', async (context) => {
  await withDearLab(async (dear) => {
    const { lab, worker } = dear;
    const payer = await lab.payer();
    const voucher = payer.voucher(2n * NEED);
    await Promise.all(Array.from({ length: 10 }, () => ask(dear, payer, voucher)));
    for (let again = 0; again < 4; again++) await ask(dear, payer, voucher);
    await ask(dear, payer, payer.voucher(1n));
    const account = await lab.gateway.ledger.findAccount(payer.channel);
    const served = BigInt(worker.seen.count) * DEAR_COST;
    assert.ok(served > 0n);
    assert.equal(account?.charged, served);
    assert.ok(served <= voucher.ceiling);
    const held = await heldVoucher(lab, payer);
    const claim = { voucher: held, charged: served, key: chargingKeyOf(lab) };
    assert.equal(await grab(lab, payer, claim), undefined);
    const unpaid = served - (await onChain(lab, payer)).claimed;
    context.diagnostic(`served ${served}, not paid on chain ${unpaid}`);
    assert.equal(unpaid, 0n);
  });
});
