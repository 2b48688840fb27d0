/**
 * Claims: what both signed goes to the chain as a message that anybody may bring. Cumulative, so one more, one late or one
 * twice changes nothing; the chain's counter says when it is done. Spec: ton-settlement §4.8, §4.10, §4.11 (1), (2).
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import { hasCode } from '../../core/errors.ts';
import { signCharge } from '../charge.ts';
import type { Account } from '../ledger/ledger.ts';
import { amount } from '../money.ts';
import { claimMessage, claimTransfer } from '../ton/channels/claim.ts';
import { CHANNEL_FEES, type SignedClaim } from '../ton/contracts/pay-channel.ts';
import { claimableOf, claimReason, type ClaimReason } from './claim-cadence.ts';
import { troubledLast, type KnownChannel } from './channels.ts';
import type { Outbox } from './outbox.ts';
import type { SettlerParts } from './parts.ts';
import { syncChannel } from './sync.ts';

export interface ClaimParts extends SettlerParts {
  readonly outbox: Outbox;
}

export type ClaimOutcome =
  | { readonly outcome: 'sent'; readonly why: ClaimReason }
  | {
      readonly outcome: 'none';
      /** `refused`: the chain did not take it; the channel was read again. */
      readonly code: 'channel_unknown' | 'nothing_due' | 'refused';
    };

/** Those that are due. Throws as the chain does. */
export async function claimDue(parts: ClaimParts): Promise<void> {
  for (const channel of troubledLast(parts.channels.all(), 'unsentMs')) {
    if (parts.signal.aborted) return;
    const account = await parts.ledger.findAccount(channel.id);
    if (account === undefined || !isCurrent(channel)) continue;
    const moment = { channel, policy: parts.policy.claims, nowMs: parts.now() };
    const why = claimReason(account, moment);
    if (why === undefined) continue;
    try {
      await claim(parts, account, why);
    } catch (error) {
      parts.channels.change(channel.id, { unsentMs: parts.now() });
      throw error;
    }
  }
}

/** On what was not read since the start nothing is signed. */
function isCurrent({ readMs }: KnownChannel): boolean {
  return readMs !== undefined;
}

/** All that can be, whatever the cadence says. */
export async function claimNow(parts: ClaimParts, id: Bytes<32>): Promise<ClaimOutcome> {
  const account = await parts.ledger.findAccount(id);
  const channel = parts.channels.find(id);
  if (account === undefined || channel === undefined) {
    return { outcome: 'none', code: 'channel_unknown' };
  }
  const isEnough = claimableOf(account) >= CHANNEL_FEES.minExternal;
  if (!isCurrent(channel) || !(isEnough || account.isClosing)) {
    return { outcome: 'none', code: 'nothing_due' };
  }
  return await claim(parts, account, account.isClosing ? 'final' : 'asked');
}

async function claim(parts: ClaimParts, account: Account, why: ClaimReason): Promise<ClaimOutcome> {
  const { id: channel } = account;
  const signed = signedClaim(parts, account);
  if (signed === undefined) return { outcome: 'none', code: 'nothing_due' };
  // What pays less than its gas is carried by our wallet; only a final one is worth that.
  if (claimableOf(account) < CHANNEL_FEES.minExternal) {
    parts.outbox.want(
      `close ${account.epoch} ${channel.join(',')}`,
      claimTransfer(channel, signed),
    );
  } else if (!(await sendClaim(parts, channel, signed))) {
    return { outcome: 'none', code: 'refused' };
  }
  parts.channels.change(channel, { sentMs: parts.now(), unsentMs: undefined });
  parts.emit('settler.claim_sent', { channel, charged: amount(signed.charged), why });
  return { outcome: 'sent', why };
}

/** With `final` only where the ledger has closed the account, durably, before. */
function signedClaim({ settlementSeed }: ClaimParts, account: Account): SignedClaim | undefined {
  const { id: channel, epoch, ceiling, claimed, voucherSignature, isClosing } = account;
  if (voucherSignature === undefined || ceiling < claimed) return undefined;
  const charged = amount(claimed + claimableOf(account));
  const charge = { channel, epoch, charged, isFinal: isClosing };
  return {
    epoch,
    ends: isClosing ? 'final' : 'open',
    ceiling,
    charged,
    voucherSignature,
    chargeSignature: signCharge(settlementSeed, charge),
  };
}

/** False when the contract does not want it: then the channel is not as we think, and is read again. */
async function sendClaim(
  parts: ClaimParts,
  channel: Bytes<32>,
  signed: SignedClaim,
): Promise<boolean> {
  const { chain, emit, signal, channels, now } = parts;
  try {
    await chain.send(claimMessage(channel, signed), { signal });
    return true;
  } catch (error) {
    if (!hasCode(error, 'ton.not_accepted')) throw error;
    const exitCode = Number(error.facts['exitCode'] ?? 0);
    emit('settler.claim_refused', { channel, code: error.code, exitCode });
    channels.change(channel, { sentMs: now(), unsentMs: undefined });
    await syncChannel(parts, channel, signal);
    return false;
  }
}

export type CloseChannelOutcome =
  | { readonly outcome: 'closing' }
  | {
      readonly outcome: 'refused';
      readonly code:
        | 'channel_unknown'
        | 'requests_open'
        /** The payer has promised nothing in this epoch, and the contract closes on a voucher only. */
        | 'voucher_needed';
    };

/**
 * At the payer's request: what was charged is paid, and the rest goes back at once. From here on nothing is admitted until
 * the chain shows the next epoch. Who asks is the caller's to check.
 */
export async function closeChannel(parts: ClaimParts, id: Bytes<32>): Promise<CloseChannelOutcome> {
  const account = await parts.ledger.findAccount(id);
  if (account === undefined || parts.channels.find(id) === undefined) {
    return { outcome: 'refused', code: 'channel_unknown' };
  }
  if (account.voucherSignature === undefined || account.ceiling < account.claimed) {
    return { outcome: 'refused', code: 'voucher_needed' };
  }
  const closed = await parts.ledger.closeAccount(id);
  if (closed.outcome === 'refused') return closed;
  await claimNow(parts, id);
  return { outcome: 'closing' };
}
