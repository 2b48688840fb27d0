/** When a channel is claimed: one reason at a time. Spec: ton-settlement §4.10. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Account } from '../../../settlement/ledger/ledger.ts';
import { amount } from '../../../settlement/money.ts';
import {
  claimableOf,
  claimReason,
  type ClaimMoment,
} from '../../../settlement/settler/claim-cadence.ts';
import { SETTLER_POLICY } from '../../../settlement/settler/policy.ts';
import { seed } from '../../support/settler-lab.ts';
import { fixed } from '../../../core/bytes.ts';

const TON = 1_000_000_000n;
const MINUTE_MS = 60_000;
const DAY_MS = 1440 * MINUTE_MS;
const NOW_MS = 1_800_000_000_000;

function account(change: Partial<Record<'charged' | 'claimed' | 'ceiling' | 'refunded', bigint>>) {
  const { charged = 0n, claimed = 0n, ceiling = 100n * TON, refunded = 0n } = change;
  const whole: Account = {
    id: seed(1),
    kind: 'channel',
    asset: 'TON',
    payerKey: seed(2),
    epoch: 0,
    deposited: amount(100n * TON),
    refunded: amount(refunded),
    withdrawing: amount(0n),
    claimed: amount(claimed),
    ceiling: amount(ceiling),
    voucherSignature: fixed(new Uint8Array(64), 64),
    charged: amount(charged),
    reserved: amount(0n),
    n: 0n,
    standing: 'good',
    isClosing: false,
    blockSeqno: 1,
  };
  return whole;
}

function moment(change: Partial<ClaimMoment['channel']> = {}): ClaimMoment {
  const quiet = { sinceMs: NOW_MS, sentMs: undefined, unlockAtS: 0, witnesses: 2 };
  const channel = { ...quiet, status: 'open' as const, ...change };
  return { channel, policy: SETTLER_POLICY.claims, nowMs: NOW_MS };
}

test('what can be claimed is charged, promised and still there', () => {
  assert.equal(claimableOf(account({ charged: 5n, claimed: 2n })), 3n);
  assert.equal(claimableOf(account({ charged: 5n, claimed: 2n, ceiling: 4n })), 2n);
  assert.equal(claimableOf(account({ charged: 50n * TON, refunded: 60n * TON })), 40n * TON);
  assert.equal(claimableOf(account({ charged: 5n, claimed: 2n, ceiling: 0n })), 0n);
  assert.equal(claimableOf({ ...account({ charged: 5n }), voucherSignature: undefined }), 0n);
});

test('from one TON on, at once', () => {
  assert.equal(claimReason(account({ charged: TON - 1n }), moment()), undefined);
  assert.equal(claimReason(account({ charged: TON }), moment()), 'amount');
});

test('after a day, from fifty times the fee on', () => {
  const aged = moment({ sinceMs: NOW_MS - DAY_MS });
  const young = moment({ sinceMs: NOW_MS - DAY_MS + 1 });
  assert.equal(claimReason(account({ charged: 220_000_000n }), aged), 'age');
  assert.equal(claimReason(account({ charged: 219_999_999n }), aged), undefined);
  assert.equal(claimReason(account({ charged: 220_000_000n }), young), undefined);
});

test('when four fifths of what is there are used', () => {
  const left = (charged: bigint) => account({ charged, claimed: 0n, refunded: 99n * TON });
  assert.equal(claimReason(left(800_000_000n), moment()), 'utilisation');
  assert.equal(claimReason(left(799_999_999n), moment()), undefined);
});

test('at half the ramp, while one provider tells the channel and it never paid', () => {
  const half = account({ charged: 100_000_000n });
  assert.equal(claimReason(half, moment({ witnesses: 1 })), 'ramp');
  assert.equal(claimReason(half, moment({ witnesses: 2 })), undefined);
  const paid = account({ charged: 200_000_000n, claimed: 100_000_000n });
  assert.equal(claimReason(paid, moment({ witnesses: 1 })), undefined);
  const less = account({ charged: 99_999_999n });
  assert.equal(claimReason(less, moment({ witnesses: 1 })), undefined);
});

test('when the payer withdraws, whatever pays for its gas', () => {
  const closing = moment({ status: 'closing' });
  assert.equal(claimReason(account({ charged: 20_000_000n }), closing), 'closing');
  assert.equal(claimReason(account({ charged: 19_999_999n }), closing), undefined);
});

test('by agreement, even with nothing to claim', () => {
  assert.equal(claimReason({ ...account({}), isClosing: true }, moment()), 'final');
});

test('no channel is claimed twice in ten minutes, unless it unlocks before', () => {
  const due = account({ charged: 5n * TON });
  const sentMs = NOW_MS - 10 * MINUTE_MS;
  assert.equal(claimReason(due, moment({ sentMs: sentMs + 1 })), undefined);
  assert.equal(claimReason(due, moment({ sentMs })), 'amount');
  const closing = { status: 'closing' as const, sentMs: NOW_MS - MINUTE_MS };
  const inMinutes = (minutes: number) => NOW_MS / 1000 + 60 * minutes;
  assert.equal(claimReason(due, moment({ ...closing, unlockAtS: inMinutes(60) })), undefined);
  assert.equal(claimReason(due, moment({ ...closing, unlockAtS: inMinutes(4) })), 'closing');
});
