/** Which channel and which voucher count as money: each rule alone. Spec: P§15.2; ton-settlement §3.4. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ed25519PublicKey, randomBytes } from '#primitives';
import { fixed } from '../../../core/bytes.ts';
import {
  judgeChannel,
  type ChannelDemands,
  type ChannelFault,
} from '../../../enclave-worker/earnings/channel-soundness.ts';
import type { SettledChannel } from '../../../protocol/settled.ts';
import { amount } from '../../../settlement/money.ts';
import { encodeVoucher, signVoucher } from '../../../settlement/voucher.ts';
import { SMALL_ORDER_KEYS } from '../../support/payer-keys.ts';
import { channelWith, PAYOUT, PAYOUT_KEY, termsOf } from '../paid-worker.ts';

const DEMANDS: ChannelDemands = {
  asset: 'TON',
  payout: PAYOUT,
  network: 'tvm:-217',
  withdrawDelayMinS: 86_400,
};

function faultOf(shown: SettledChannel, demands = DEMANDS, known: readonly SettledChannel[] = []) {
  const kept = known.flatMap((channel) => {
    const judged = judgeChannel(channel, DEMANDS, []);
    return judged.outcome === 'sound' && judged.voucher !== undefined ? [judged.voucher] : [];
  });
  const judged = judgeChannel(shown, demands, kept);
  return judged.outcome === 'unsound' ? judged.fault : undefined;
}

const [smallOrder] = SMALL_ORDER_KEYS;
assert.ok(smallOrder !== undefined);
const sound = channelWith(5n);
const { channel } = sound;

const CASES: Readonly<
  Record<ChannelFault, readonly [SettledChannel, ChannelDemands?, SettledChannel?]>
> = {
  channel_asset: [sound, { ...DEMANDS, asset: 'USDT' }],
  payee: [channelWith(5n, { terms: termsOf({ payee: `0:${'8'.repeat(64)}` }) })],
  network: [channelWith(5n, { terms: termsOf({ network: 'tvm:-3' }) })],
  lock: [channelWith(5n, { terms: termsOf({ payeeKey: ed25519PublicKey(PAYOUT_KEY) }) })],
  payer_key: [channelWith(5n, { terms: termsOf({ payerKey: smallOrder }) })],
  delay: [channelWith(5n, { terms: termsOf({ withdrawDelayS: 86_399 }) })],
  channel: [{ ...sound, channel: randomBytes(32) }],
  voucher_channel: [
    { ...sound, voucher: channelWith(5n, { terms: termsOf({ salt: 2n }) }).voucher },
  ],
  voucher_signature: [
    {
      ...sound,
      voucher: encodeVoucher(
        signVoucher(fixed(new Uint8Array(32).fill(43), 32), {
          channel,
          epoch: 0,
          ceiling: amount(5n),
        }),
      ),
    },
  ],
  voucher_lower: [channelWith(4n), DEMANDS, sound],
};

test('a sound channel with a sound voucher, or with none yet', () => {
  assert.equal(faultOf(sound), undefined);
  assert.equal(faultOf({ ...sound, voucher: null }), undefined);
});

for (const [fault, [shown, demands, known]] of Object.entries(CASES)) {
  test(`unsound: ${fault}`, () => {
    assert.equal(faultOf(shown, demands, known === undefined ? [] : [known]), fault);
  });
}

test('without a payout address no channel is sound', () => {
  assert.equal(faultOf(sound, { ...DEMANDS, payout: undefined }), 'payee');
});

test('the ceiling rises within an epoch of a channel, and in no other', () => {
  assert.equal(faultOf(channelWith(5n), DEMANDS, [sound]), undefined);
  assert.equal(faultOf(channelWith(6n), DEMANDS, [sound]), undefined);
  assert.equal(faultOf(channelWith(4n, { epoch: 1 }), DEMANDS, [sound]), undefined);
  assert.equal(
    faultOf(channelWith(4n, { terms: termsOf({ salt: 2n }) }), DEMANDS, [sound]),
    undefined,
  );
});
