/**
 * `veilgate worker claim`: sends the best voucher of each channel and waits for the watermark. Needs no key: the voucher is
 * enough, pays for itself, and pays nobody but the owner's payout address. Doing it again moves nothing.
 * @module
 */

import { toHex } from '../../core/bytes.ts';
import { jsonLine, paint } from '../../core/node/terminal.ts';
import { readEarnings } from '../../enclave-worker/earnings/sqlite.ts';
import type { KeptVoucher } from '../../enclave-worker/earnings/store.ts';
import { formatAmount } from '../../settlement/money.ts';
import { claimWorkerChannel, type ClaimOutcome } from '../../settlement/ton/worker-channel.ts';
import { parseVoucherUnverified } from '../../settlement/voucher.ts';
import { newestVouchers, shown } from './balance.ts';
import { EARNINGS_FORMAT, EXIT, type EarningsOptions, type WorkerIo } from './io.ts';
import { openChainOf } from './open-chain.ts';

const CLAIM_TIMEOUT_MS = 120_000;

/** Throws `earnings.store`, `file.private`, and as the chain. */
export async function runClaim(
  { dir, providers, format }: EarningsOptions,
  io: WorkerIo,
  signal: AbortSignal,
): Promise<number> {
  const vouchers = readEarnings(dir).flatMap((report) => report.vouchers);
  const done: { readonly channel: string; readonly claim: ClaimOutcome }[] = [];
  for (const { channel } of newestVouchers(vouchers)) {
    const name = toHex(channel);
    const own = vouchers.filter((voucher) => toHex(voucher.channel) === name);
    const claim = await claimOf(own, providers, signal);
    done.push({ channel: name, claim });
    if (format === 'text') io.output(`0:${name}  ${claimText(claim)}`);
  }
  const isAll = done.every(({ claim }) => ['claimed', 'nothing'].includes(claim.outcome));
  const exit = isAll ? EXIT.ok : EXIT.findings;
  if (format === 'json') {
    const claims = done.map(({ channel, claim }) => ({ channel, ...claimJson(claim) }));
    io.output(jsonLine({ format: EARNINGS_FORMAT, command: 'claim', exit, claims }));
  } else if (done.length === 0) {
    io.output('There is no voucher yet. A gateway that pays by transfers gives none.');
  }
  return exit;
}

async function claimOf(
  own: readonly KeptVoucher[],
  providers: readonly string[],
  signal: AbortSignal,
): Promise<ClaimOutcome> {
  const [first] = own;
  if (first === undefined) return { outcome: 'no_contract' };
  const chain = openChainOf(first.terms, providers);
  try {
    return await claimWorkerChannel({
      chain,
      terms: first.terms,
      vouchers: own.map(({ voucher }) => parseVoucherUnverified(voucher)),
      signal: AbortSignal.any([signal, AbortSignal.timeout(CLAIM_TIMEOUT_MS)]),
    });
  } finally {
    await chain.close();
  }
}

function ton(value: bigint): string {
  return `${formatAmount(shown(value), 'TON')} TON`;
}

function claimText(result: ClaimOutcome): string {
  switch (result.outcome) {
    case 'claimed': {
      const { moved, received, fee, isShort } = result.claim;
      const cost = fee === undefined ? '' : `, the transaction cost ${ton(fee)}`;
      const got = received === undefined ? '' : `, ${ton(received)} were paid out`;
      const rest = isShort ? paint('yellow', '; the channel held no more than that') : '';
      return `${paint('green', 'claimed')} ${ton(moved)}${cost}${got}${rest}`;
    }
    case 'nothing':
      return `nothing new: ${ton(result.claimed)} were claimed before`;
    case 'too_small':
      return paint(
        'yellow',
        `${ton(result.claimable)} could be claimed; the contract takes ${ton(result.minimum)} or more`,
      );
    case 'no_contract':
      return paint('yellow', 'there is no such contract on the chain');
    case 'no_voucher':
      return paint(
        'yellow',
        `the channel is in epoch ${result.epoch}, of which there is no voucher`,
      );
    default:
      return result satisfies never;
  }
}

/** Amounts in nanoTON, as text. */
function claimJson(result: ClaimOutcome): object {
  switch (result.outcome) {
    case 'claimed': {
      const { moved, claimed, received, fee, transaction, isShort } = result.claim;
      return {
        outcome: result.outcome,
        moved: String(moved),
        claimed: String(claimed),
        received: received?.toString() ?? null,
        fee: fee?.toString() ?? null,
        transaction: transaction ?? null,
        isShort,
      };
    }
    case 'nothing':
      return { outcome: result.outcome, claimed: String(result.claimed) };
    case 'too_small':
      return {
        outcome: result.outcome,
        claimable: String(result.claimable),
        minimum: String(result.minimum),
      };
    case 'no_contract':
    case 'no_voucher':
      return result;
    default:
      return result satisfies never;
  }
}
