/**
 * One request's way through the ledger: what it can cost is reserved before any worker hears of it, what the receipt says
 * is settled before FINAL leaves, and what nobody is owed for is let go. Spec: ton-settlement §4.2, §4.11; overview "Once
 * only".
 * @module
 */

import { equalPublic, fixed, toHex, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { codeOf } from '../../core/node/log.ts';
import type { SignedReceipt } from '../../protocol/receipt.ts';
import type { ClearRequest } from '../../protocol/sx/clear.ts';
import { isMetered } from '../../protocol/sx/prelude.ts';
import { forbiddenBy, hasCeiling } from '../../settlement/pass.ts';
import type {
  Account as LedgerAccount,
  AdmissionCode,
  Ledger,
  RequestState,
  Reserve,
  VoucherOutcome,
} from '../../settlement/ledger/ledger.ts';
import { amount, assetOfCode, NOTHING, type Amount, type Asset } from '../../settlement/money.ts';
import { ceilingOf } from '../../settlement/price.ts';
import { tokensAtFirst } from '../../settlement/steps.ts';
import type { VerifiedVoucher } from '../../settlement/voucher.ts';
import type { Account, Means } from '../accounts.ts';
import { gatewayError } from '../errors.ts';
import type { GatewayLog } from '../events.ts';
import { ACCOUNTS_OPENED_MAX, RESERVATION_SKEW_MS } from '../limits.ts';
import type { PolicyDesk } from '../policy/desk.ts';
import type { LiveWorker } from '../workers/registry.ts';
import { paymentError } from './errors.ts';

export interface CashierOptions {
  readonly ledger: Ledger;
  readonly desk: PolicyDesk;
  readonly clock: Clock;
  readonly feeBps: number;
  readonly log: GatewayLog;
  /** After it is durable. */
  readonly onSettled?: (worker: LiveWorker, receipt: SignedReceipt) => void;
}

/** What a payer is told beside the code, so that the next request fits. */
export interface PaymentRefusal {
  readonly code: AdmissionCode;
  readonly need: Amount;
  readonly asset: Asset;
  /** As it stands after the voucher was taken. */
  readonly account: LedgerAccount | undefined;
}

export type Reserved =
  | { readonly outcome: 'reserved'; readonly account: Bytes<32>; readonly held: Amount }
  | { readonly outcome: 'replayed'; readonly request: RequestState }
  | { readonly outcome: 'refused'; readonly refusal: PaymentRefusal };

const ANYBODY: Bytes<32> = fixed(new Uint8Array(32), 32);
const FREE_ASSET: Asset = 'TON';
const BALANCE_ASSET: Asset = 'TON';
const MS_PER_S = 1000;

export class Cashier {
  readonly #options: CashierOptions;
  readonly #opened = new Set<string>();
  readonly #running = new Set<string>();
  readonly #raises = new Map<string, Set<() => void>>();
  #isHalted = false;
  readonly #watchers = new Set<() => void>();

  constructor(options: CashierOptions) {
    this.#options = options;
  }

  get ledger(): Ledger {
    return this.#options.ledger;
  }

  /** Nothing is admitted any more: what runs may end. */
  halt(): void {
    this.#isHalted = true;
  }

  find(requestId: Bytes<16>): Promise<RequestState | undefined> {
    return this.#options.ledger.findRequest(requestId);
  }

  /** Of a channel only where it was announced; of an API key's balance it is opened. */
  async accountOf(account: Account): Promise<LedgerAccount | undefined> {
    const id = await this.#open(account, BALANCE_ASSET);
    return this.#options.ledger.findAccount(id);
  }

  /**
   * Durable when it resolves. Throws `payment.*` for what no other account would change, `ledger.busy`, `ledger.store`.
   */
  async reserve(
    account: Account,
    { prelude }: ClearRequest,
    workers: readonly LiveWorker[],
  ): Promise<Reserved> {
    const { ledger, clock, feeBps } = this.#options;
    if (this.#isHalted) throw gatewayError('gateway.settlement', 'halted');
    const nowMs = clock();
    const asset = assetOfCode(prelude.asset);
    const payable = workers.filter(({ key }) => key.prices.asset === asset);
    if (asset === undefined || payable.length === 0) {
      throw paymentError('payment.asset_unsupported');
    }
    const { means } = account;
    const need = needOf(payable, boundsOf(prelude, means));
    const id = await this.#open(account, asset);
    // A cap is on the whole request, also where it is reserved for in steps.
    const most = needOf(payable, prelude);
    if (means.kind === 'channel') assertAllowed(means, payable, { nowMs, need: most });
    const lastsMs = Math.max(prelude.ttlS * MS_PER_S, prelude.deadlineMs);
    const outcome = await ledger.reserve({
      requestId: prelude.msgId,
      account: id,
      // Whoever pays nothing has one account for all assets.
      asset: means.kind === 'none' ? FREE_ASSET : asset,
      need,
      ...(means.kind === 'channel' ? { voucher: means.voucher } : {}),
      ...soleOf(means),
      workers: payable.map(({ key }) => key.workerId),
      feeBps,
      // A card promises its prices for as long as its statement lives.
      quoteValidUntilMs: Math.min(...payable.map(({ key }) => key.expiresAtMs)),
      nowMs,
      expiresMs: prelude.issuedAtMs + lastsMs + RESERVATION_SKEW_MS,
    });
    if (outcome.outcome === 'refused') {
      const { code, account: standing } = outcome;
      return { outcome: 'refused', refusal: { code, need, asset, account: standing } };
    }
    if (outcome.outcome === 'replayed') return outcome;
    this.#running.add(toHex(prelude.msgId));
    return { outcome: 'reserved', account: id, held: need };
  }

  /** What is held now; undefined when the account does not cover more. Throws `ledger.*`. */
  async extend(requestId: Bytes<16>, need: Amount, means: Means): Promise<Amount | undefined> {
    const extended = await this.#options.ledger.extend({ requestId, need, ...soleOf(means) });
    return extended.outcome === 'extended' ? extended.need : undefined;
  }

  /** Kept whatever it is for. Whoever waits for more on this channel hears of it. */
  async raise(voucher: VerifiedVoucher): Promise<VoucherOutcome> {
    const accepted = await this.#options.ledger.acceptVoucher(voucher);
    if (accepted.outcome === 'accepted') {
      for (const hear of this.#raises.get(toHex(voucher.channel)) ?? []) hear();
    }
    return accepted;
  }

  /** Until the returned function is called. */
  onVoucher(channel: Bytes<32>, hear: () => void): () => void {
    const name = toHex(channel);
    const hearers = this.#raises.get(name) ?? new Set();
    this.#raises.set(name, hearers.add(hear));
    return () => {
      hearers.delete(hear);
      if (hearers.size === 0) this.#raises.delete(name);
    };
  }

  /** The ledger line, once it is durable. Throws `gateway.settlement`, `ledger.*`: then FINAL must not leave. */
  async settle(worker: LiveWorker, receipt: SignedReceipt): Promise<Bytes<230>> {
    const { ledger, desk, clock, log, onSettled } = this.#options;
    const { requestId, workerId } = receipt.receipt;
    const policyDigest = desk.policyFor(workerId).digest;
    const settled = await ledger.settle({ receipt, policyDigest, nowMs: clock() });
    if (settled.outcome === 'refused') throw gatewayError('gateway.settlement', settled.code);
    this.#end(requestId);
    if (settled.clamped) {
      log.event('settlement.clamped', { requestId: toHex(requestId), workerId: toHex(workerId) });
    }
    onSettled?.(worker, receipt);
    for (const wake of this.#watchers) wake();
    return settled.statement;
  }

  /** Nobody is owed. In the background: until it is written the money is only held for longer. */
  release(requestId: Bytes<16>): void {
    const { ledger, log } = this.#options;
    ledger
      .release(requestId)
      .catch((error: unknown) => log.event('settlement.failed', { code: codeOf(error) }))
      .finally(() => this.#end(requestId));
  }

  /** Its receipt could not be had now: recovery asks again. */
  leave(requestId: Bytes<16>): void {
    this.#end(requestId);
  }

  isRunning(requestId: Bytes<16>): boolean {
    return this.#running.has(toHex(requestId));
  }

  /** Resolves with the next settlement, or when `signal` fires. */
  nextSettlement(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#watchers.delete(wake);
        resolve();
      };
      this.#watchers.add(wake);
      if (signal.aborted) wake();
      else signal.addEventListener('abort', wake, { once: true });
    });
  }

  #end(requestId: Bytes<16>): void {
    this.#running.delete(toHex(requestId));
  }

  /** API keys have an account from their first request on; a channel has to be announced. */
  async #open({ payer, means }: Account, asset: Asset): Promise<Bytes<32>> {
    const id = payer ?? ANYBODY;
    if (means.kind === 'channel') return id;
    const terms =
      means.kind === 'none' ? ({ kind: 'none', asset: FREE_ASSET } as const) : { ...means, asset };
    const name = toHex(id);
    if (this.#opened.has(name)) return id;
    const opened = await this.#options.ledger.openAccount({ ...terms, id });
    if (opened.outcome === 'refused') throw paymentError('payment.account_differs');
    if (this.#opened.size >= ACCOUNTS_OPENED_MAX) this.#opened.clear();
    this.#opened.add(name);
    return id;
  }
}

/** A token is paid from its voucher alone: by the time its request is here, its channel may have signed more for others. */
function soleOf(means: Means): Pick<Reserve, 'sole'> {
  if (means.kind !== 'channel' || !hasCeiling(means.caveats)) return {};
  const { epoch, ceiling } = means.voucher;
  return { sole: { epoch, ceiling } };
}

/** A token may name models, a cap, an end. */
function assertAllowed(
  { caveats, voucher }: Extract<Means, { kind: 'channel' }>,
  workers: readonly LiveWorker[],
  use: { readonly nowMs: number; readonly need: Amount },
): void {
  for (const { key } of workers) {
    const { epoch, ceiling } = voucher;
    const facts = { ...use, model: key.model.id, epoch, ceiling };
    const [forbids] = forbiddenBy(caveats, facts);
    if (forbids !== undefined) throw paymentError('payment.bearer_forbids', forbids);
  }
}

/** What does not tell how far it is, is reserved for in full. */
function boundsOf(prelude: ClearRequest['prelude'], means: Means): Bounds {
  const { maxOutput, flags } = prelude;
  if (means.kind !== 'channel' || means.chunkTokens === undefined || !isMetered(flags))
    return prelude;
  return { ...prelude, maxOutput: Math.min(maxOutput, tokensAtFirst(means.chunkTokens)) };
}

type Bounds = Pick<ClearRequest['prelude'], 'maxPrompt' | 'maxOutput' | 'maxAmount'>;

/** The dearest recipient at the declared bounds, and never more than the payer allowed: the worker enforces both. */
function needOf(
  workers: readonly LiveWorker[],
  { maxPrompt, maxOutput, maxAmount }: Bounds,
): Amount {
  const dearest = workers
    .map(({ key }) => ceilingOf(key.prices, maxPrompt, maxOutput))
    .reduce((most, ceiling) => (ceiling > most ? ceiling : most), 0n);
  const need = dearest < maxAmount ? dearest : maxAmount;
  return need === 0n ? NOTHING : amount(need);
}

/** Whether a request's settlement is this account's to see. */
export function isOfAccount(request: RequestState, { payer }: Account): boolean {
  const id = payer ?? ANYBODY;
  if (request.state === 'settled') return equalPublic(request.entry.account, id);
  return equalPublic(request.reservation.account, id);
}
