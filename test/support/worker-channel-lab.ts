/** A settler that pays workers through channels: what they earn, what they are shown, what they cash in. @module */

import assert from 'node:assert/strict';
import { Address, beginCell, external, storeMessage } from '@ton/core';
import { ed25519PublicKey } from '#primitives';
import type { Bytes } from '../../core/bytes.ts';
import { hasCode } from '../../core/errors.ts';
import { amount } from '../../settlement/money.ts';
import type { SettlerPolicy } from '../../settlement/settler/policy.ts';
import { addressOfId } from '../../settlement/ton/channels/place.ts';
import { readChannel, type ReadChannel } from '../../settlement/ton/channels/read.ts';
import { claimExternalBody } from '../../settlement/ton/contracts/pay-channel.ts';
import { signVoucher, verifyVoucher, type Voucher } from '../../settlement/voucher.ts';
import { NOW_MS, POLICY, receiptOf, reserveOf, WORKER } from './ledger-lab.ts';
import { OWNER, PAYER_SEED, TON, type PaidChannel, type SettlerLab } from './settler-lab.ts';

export const DEPOSIT = 2n * TON;
export const RESERVE = TON;
const NEVER_MS = 1_000_000_000_000_000;

/** Of transfers only those of a TON and more, unless a test says otherwise. */
export function channelPolicy(change: Partial<SettlerPolicy> = {}): Partial<SettlerPolicy> {
  return {
    roundMs: 3_600_000,
    anchor: 'off',
    settleMs: 0,
    workerChannels: { deposit: amount(DEPOSIT), reserve: amount(RESERVE), max: 10 },
    payouts: { amount: amount(TON), ageMs: NEVER_MS, agedAmount: amount(1n) },
    ...change,
  };
}

export async function fill(lab: SettlerLab, nanoton: bigint): Promise<void> {
  await lab.devnet.faucet(Address.parse(lab.treasury.address), nanoton);
}

/** The worker's part is five hundredths less. */
export async function earn(
  lab: SettlerLab,
  { channel }: PaidChannel,
  cost: bigint,
  workerId: Bytes<32> = WORKER,
): Promise<void> {
  const account = await lab.ledger.findAccount(channel);
  assert.ok(account);
  const ceiling = amount(account.charged + cost);
  const signed = signVoucher(PAYER_SEED, { channel, epoch: 0, ceiling });
  const voucher = verifyVoucher(signed, ed25519PublicKey(PAYER_SEED));
  assert.ok(voucher);
  const request = reserveOf(channel, cost, { voucher, workers: [workerId] });
  const reserved = await lab.ledger.reserve(request);
  assert.equal(reserved.outcome === 'refused' ? reserved.code : reserved.outcome, 'reserved');
  const receipt = receiptOf(request.requestId, cost, { workerId });
  const settled = await lab.ledger.settle({ receipt, policyDigest: POLICY, nowMs: NOW_MS + 1 });
  assert.equal(settled.outcome, 'settled');
}

export function show(lab: SettlerLab, workerId = WORKER, destination = OWNER) {
  return lab.settler.showWorkerChannel({ workerId, destination });
}

/** Undefined: nothing is there. */
export async function holds(
  lab: SettlerLab,
  channel: Bytes<32> | undefined,
): Promise<ReadChannel | undefined> {
  if (channel === undefined) return undefined;
  const reading = await readChannel(lab.chain, channel);
  return reading.outcome === 'read' ? reading : undefined;
}

export function channelsOf(lab: SettlerLab) {
  return lab.settler.status().workerChannels.shown;
}

/** As its owner would. False when the contract does not take it: nothing new, or too little. */
export async function cashIn(lab: SettlerLab, voucher: Voucher): Promise<boolean> {
  const state = await holds(lab, voucher.channel);
  if (state === undefined) return false;
  const most = state.deposited - state.refunded;
  const { epoch, ceiling, signature: voucherSignature } = voucher;
  const charged = ceiling < most ? ceiling : most;
  const claim = { epoch, ceiling, charged, voucherSignature, ends: 'open' as const };
  const to = addressOfId(voucher.channel);
  const message = external({ to, body: claimExternalBody(claim) });
  try {
    await lab.chain.send(beginCell().store(storeMessage(message)).endCell());
    return true;
  } catch (error) {
    if (!hasCode(error, 'ton.not_accepted')) throw error;
    return false;
  }
}
