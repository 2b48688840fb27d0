/** docs/settlement.md names every setting and every event there is, and its figures are those of the code. @module */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { GATEWAY_CONFIG } from '../../gateway/config.ts';
import { GATEWAY_EVENTS } from '../../gateway/events.ts';
import { SETTLEMENTS_PAGE } from '../../gateway/limits.ts';
import { PAYOUTS_MAX, RAMP_CAPS } from '../../settlement/ledger/limits.ts';
import { amount, formatAmount } from '../../settlement/money.ts';
import {
  ANCHOR_FLOOR,
  ANCHOR_FUNDING,
  ORDER_FEE,
  SETTLER_POLICY,
  WORKER_CHANNELS_MAX,
  WORKER_CHANNELS_SHOWN_MAX,
  WORKER_DEPOSIT_MIN,
  WORKER_EARNED_MIN_PERCENT,
  WORKER_REFILL_PERCENT,
} from '../../settlement/settler/policy.ts';
import { CHANNEL_FEES } from '../../settlement/ton/contracts/pay-channel.ts';

const TEXT = readFileSync('docs/settlement.md', 'utf8').replaceAll(/\s+/g, ' ');
const MINUTE_MS = 60_000;

test('every setting stands in it, with its default', () => {
  const { settlement } = GATEWAY_CONFIG.parse({
    dataDir: 'd',
    settlement: {
      ton: {
        network: 'devnet',
        providers: [{ name: 'a', url: 'http://127.0.0.1:1/' }],
        settlementKeyFile: 's',
        treasuryKeyFile: 't',
      },
    },
  });
  const { ton } = settlement;
  assert.ok(ton);
  for (const key of [...Object.keys(settlement), ...Object.keys(ton)]) {
    assert.ok(TEXT.includes(`${key}:`), key);
  }
  for (const key of ['depositMin', 'topUpMin', 'treasuryReserve'] as const) {
    const shown = formatAmount(ton[key], 'TON').replace(/\.0$/, '');
    assert.ok(TEXT.includes(`${key}: '${shown}'`), key);
  }
  assert.ok(TEXT.includes(`workerChannelsMax: ${ton.workerChannelsMax} `));
  assert.deepEqual(
    [ton.workerChannelDeposit, ton.anchor, settlement.custodial],
    [null, 'hourly', 'refuse'],
  );
});

test('every event of settlement stands in it', () => {
  for (const name of Object.keys(GATEWAY_EVENTS)) {
    if (/^(settler|settlement)\./.test(name)) assert.ok(TEXT.includes(`\`${name}\``), name);
  }
});

test('its figures are those of the code', () => {
  const { claims, payouts, roundMs, startMs, readEveryMs, anchor } = SETTLER_POLICY;
  const tonOf = (nanoton: Parameters<typeof formatAmount>[0]) =>
    formatAmount(nanoton, 'TON').replace(/\.0$/, '');
  assert.ok(anchor !== 'off' && anchor.everyMs === 60 * MINUTE_MS);
  assert.deepEqual([claims.ageMs, payouts.ageMs], [1440 * MINUTE_MS, 1440 * MINUTE_MS]);
  assert.deepEqual([WORKER_EARNED_MIN_PERCENT, WORKER_REFILL_PERCENT], [100n, 50n]);
  for (const said of [
    `made every ${roundMs / 1000} s`,
    `waited for ${startMs / 1000} s`,
    `no more than ${tonOf(RAMP_CAPS.TON)} TON`,
    `- ${tonOf(claims.amount)} TON is open; or ${claims.utilisationPercent} % of`,
    `after the last claim, ${tonOf(claims.agedAmount)} TON`,
    `below ${tonOf(amount(CHANNEL_FEES.minExternal))} TON from outside, and once per ${claims.intervalMs / MINUTE_MS} minutes`,
    `read every ${readEveryMs / MINUTE_MS} minutes`,
    `${tonOf(payouts.amount)} TON owed is paid`,
    `owed ${tonOf(payouts.agedAmount)} TON or more; up to ${PAYOUTS_MAX} in one order`,
    `an order takes ${tonOf(ORDER_FEE)} beside`,
    `At least ${tonOf(WORKER_DEPOSIT_MIN)}`,
    `up to ${WORKER_CHANNELS_MAX}`,
    `first ${WORKER_CHANNELS_SHOWN_MAX})`,
    `filled with ${tonOf(ANCHOR_FUNDING)} TON by the treasury, again below ${tonOf(ANCHOR_FLOOR)}`,
    `up to ${SETTLEMENTS_PAGE} entries`,
  ]) {
    assert.ok(TEXT.includes(said), said);
  }
});
