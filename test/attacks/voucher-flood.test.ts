/**
 * A payer brings vouchers without end, each a little higher, so that the gateway does nothing but verify and write them.
 * They are counted like requests, beside requests. Spec: ton-settlement §4.5.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../core/bytes.ts';
import { formatVoucher } from '../../settlement/voucher.ts';
import { TEST_PRICES } from '../support/attested-key.ts';
import { post } from '../support/gateway-lab.ts';
import { answering } from '../support/sx-worker.ts';
import { openPaidLab } from '../support/ton/paid-gateway.ts';

const NEED = 1640n;
const PER_MINUTE = 5;

test('vouchers come as often as requests may, and take no request its turn', async (context) => {
  const lab = await openPaidLab({ config: { accounts: { requestsPerMinute: PER_MINUTE } } });
  context.after(() => lab.close());
  const worker = await lab.worker(answering('hello'), { prices: TEST_PRICES });
  const [payer, other] = [await lab.payer(), await lab.payer()];
  const bring = async (by: typeof payer, ceiling: bigint): Promise<number> => {
    const voucher = by.voucher(ceiling);
    const body = utf8(JSON.stringify({ voucher: formatVoucher(voucher) }));
    const headers = { 'content-type': 'application/json', ...by.shown(voucher) };
    return (await post(lab, '/v1/payments/voucher', body, headers)).status;
  };
  const statuses: number[] = [];
  for (let at = 0n; at < 4n * BigInt(PER_MINUTE); at++)
    statuses.push(await bring(payer, NEED + at));
  assert.ok(statuses.filter((status) => status === 200).length < 2 * PER_MINUTE);
  assert.equal(statuses.at(-1), 429);
  assert.equal(await bring(other, NEED), 200);
  const { bytes } = lab.seal(lab.keysOf(worker), '{}', { maxAmount: NEED, payer: payer.channel });
  const answer = await post(lab, '/sx/v1/exchange', bytes, {
    'content-type': 'application/vnd.sx1.req',
    'content-length': String(bytes.length),
    ...payer.shown(payer.voucher(NEED)),
  });
  assert.equal(answer.status, 200);
});
