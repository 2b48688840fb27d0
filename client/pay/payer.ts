/**
 * Pays for exchanges from a channel: signs before each, looks at the bill behind each, and signs no more once a bill does not
 * hold. Spec: ton-settlement §4.3 "Client check", §4.4, §4.5; overview promise 4.
 * @module
 */

import { equalPublic, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { assert, hasCode, VeilError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import type { SealedRequest } from '../../protocol/sx/seal.ts';
import { announcedChannelJson } from '../../settlement/channel-terms.ts';
import { formatVoucher } from '../../settlement/voucher.ts';
import { VOUCHER_HEADER, type PaymentRequired } from '../../settlement/x402.ts';
import type { OpenedAnswer } from '../answer-opener.ts';
import { clientError } from '../errors.ts';
import { PAY_ATTEMPTS } from '../limits.ts';
import type { ChannelAccount } from './account.ts';
import { encodeBill } from './bill.ts';
import type { Books, GatewayView } from './books.ts';
import { demandOf, forgottenIn } from './demand.ts';
import { judge, type Answered } from './judge.ts';
import type { Settlement } from './line.ts';
import { Recount, type CountTokens } from './recount.ts';

/** Tells a gateway about the channel. False when it does not take it. */
export type Announce = (channel: JsonObject, signal: AbortSignal) => Promise<boolean>;

/** An answer whose bill does not hold. The answer was complete and verified, and the app has it. */
export interface PayFault {
  readonly faults: readonly string[];
  /** For `veilgate receipt verify`: no content. Undefined where there was no receipt that verified. */
  readonly bill: Uint8Array | undefined;
  /** Where it was saved, where it was. */
  readonly savedAs: string | undefined;
}

export interface PayerOptions {
  readonly account: ChannelAccount;
  readonly clock: Clock;
  readonly countTokens?: CountTokens | undefined;
  readonly onFault?: ((fault: PayFault) => void) | undefined;
}

/** What an exchange gives a payer to read along. */
export type SendPaid = (
  headers: Readonly<Record<string, string>>,
  recount: Recount,
) => Promise<OpenedAnswer>;

/** Runs one sealed request as often as paying for it takes. */
export interface ExchangePayer {
  pay(request: PaidRequest, send: SendPaid, signal: AbortSignal): Promise<OpenedAnswer>;
}

export interface PaidRequest {
  readonly sealed: SealedRequest;
  readonly body: Uint8Array;
  readonly choices: number;
}

const SERVER_ERROR = 500;

/** Refusals before any worker was asked. */
const NEVER_RAN: readonly string[] = [
  'sx.key_unknown',
  'sx.no_recipient',
  'sx.busy',
  'sx.price',
  'sx.refused',
  'sx.unsupported',
];

export class Payer {
  readonly #options: PayerOptions;

  constructor(options: PayerOptions) {
    this.#options = options;
  }

  /** What `payerRef` is made from. */
  get id(): Bytes<32> {
    return this.#options.account.keys.channel;
  }

  /** For the exchanges of one session. */
  through(books: Books, announce: Announce): ExchangePayer {
    return new SessionPayer(this.#options, { books, announce });
  }

  close(): Promise<void> {
    return this.#options.account.close();
  }
}

class SessionPayer implements ExchangePayer {
  readonly #options: PayerOptions;
  readonly #account: ChannelAccount;
  readonly #via: { readonly books: Books; readonly announce: Announce };

  constructor(options: PayerOptions, via: { readonly books: Books; readonly announce: Announce }) {
    this.#options = options;
    this.#account = options.account;
    this.#via = via;
  }

  async pay(request: PaidRequest, send: SendPaid, signal: AbortSignal): Promise<OpenedAnswer> {
    const known = await this.#via.books.gatewayView(signal);
    this.#assertPayee(known);
    for (let attempt = 1; ; attempt++) {
      const paid = await this.#attempt(request, send, known);
      if (paid.outcome === 'answered') return paid.answer;
      if (attempt === PAY_ATTEMPTS) throw paid.error;
      await this.#meet(paid, signal);
    }
  }

  /** No voucher leaves for a gateway that could not be its payee: it would only learn of the channel. */
  #assertPayee({ settlement: { payee } }: GatewayView): void {
    const { terms } = this.#account.keys;
    const isOurs =
      payee !== null &&
      payee.network === terms.network &&
      payee.address === terms.payee &&
      equalPublic(payee.key, terms.payeeKey);
    if (!isOurs) throw clientError('client.pay_foreign');
  }

  async #attempt(request: PaidRequest, send: SendPaid, known: GatewayView): Promise<Attempt> {
    const { msgId, exchange } = request.sealed;
    const { body, choices } = request;
    const voucher = await this.#account.authorise(msgId, exchange.prelude.maxAmount);
    const recount = new Recount({ body, choices, countTokens: this.#options.countTokens });
    let answer: OpenedAnswer;
    try {
      answer = await send({ [VOUCHER_HEADER]: formatVoucher(voucher) }, recount);
    } catch (error) {
      const demand = demandOf(error);
      if (isReceiptRefused(error)) await this.#stop(msgId, ['receipt_refused'], undefined);
      else if (demand === undefined && !neverRan(error)) this.#account.stranded(msgId);
      else this.#account.refused(msgId);
      if (demand === undefined || !(error instanceof VeilError)) throw error;
      return { outcome: 'demanded', demand, error };
    }
    const { receipt, ledger } = answer;
    try {
      // Every request asks for one, and the reader refuses an answer without.
      assert(receipt !== undefined, 'a paid answer has a receipt');
      const bounds = recount.bounds();
      const found = { known, request, voucher, receipt, ledger, recount: bounds };
      const settlement = await this.#account.during(this.#judge(found));
      return { outcome: 'answered', answer: { ...answer, settlement } };
    } catch (error) {
      // Whatever it cost, nobody has looked: it counts with all it could cost.
      this.#account.stranded(msgId);
      throw error;
    }
  }

  /** Makes another voucher worth trying, or throws why none is. */
  async #meet({ demand, error }: Demanded, signal: AbortSignal): Promise<void> {
    const { channel, terms } = this.#account.keys;
    if (demand.code === 'channel_unknown') {
      if (await this.#via.announce(announcedChannelJson({ channel, terms }), signal)) return;
      throw error;
    }
    if (demand.code !== 'insufficient_ceiling' && demand.code !== 'voucher_stale') throw error;
    const { epoch, ceiling, baseline } = this.#account;
    const view = { channel, payerKey: terms.payerKey, epoch, ceiling, baseline };
    const forgotten = forgottenIn(demand, view);
    if (forgotten === undefined) throw error;
    this.#account.adopt(forgotten);
  }

  /** The bill behind an answer that is complete. Undefined where it does not hold. */
  async #judge(answered: Answered): Promise<Settlement | undefined> {
    const { msgId } = answered.request.sealed;
    const { books } = this.#via;
    const { clock } = this.#options;
    const {
      line,
      faults,
      bill: found,
    } = await judge(answered, {
      account: this.#account,
      books,
      clock,
    });
    if (line === undefined || faults.length > 0) {
      await this.#stop(msgId, faults, encodeBill(found));
      return undefined;
    }
    this.#account.settled(msgId, line);
    const { amount, cum, n } = line.statement;
    const bill = (): Uint8Array => encodeBill(found);
    return { amount, cum, n, statement: line, receipt: answered.receipt, bill };
  }

  /** Whatever the disk says, nothing is signed from here on, and the app hears of it. */
  async #stop(
    msgId: Bytes<16>,
    faults: readonly string[],
    bill: Uint8Array | undefined,
  ): Promise<void> {
    const { memory } = this.#account.keys;
    const [halted, kept] = await Promise.allSettled([
      this.#account.halt(msgId, faults),
      bill === undefined ? undefined : memory.keepBill?.(msgId, bill),
    ]);
    const savedAs = kept.status === 'fulfilled' ? kept.value : undefined;
    this.#options.onFault?.({ faults, bill, savedAs });
    if (halted.status === 'rejected') throw halted.reason;
  }
}

type Attempt = { readonly outcome: 'answered'; readonly answer: OpenedAnswer } | Demanded;

interface Demanded {
  readonly outcome: 'demanded';
  readonly demand: PaymentRequired;
  readonly error: VeilError;
}

/** Somebody sent a receipt that is not the one of this answer, or none: nothing to pay for blindly again. */
function isReceiptRefused(error: unknown): boolean {
  return hasCode(error, 'sx.receipt') || hasCode(error, 'sx.receipt_missing');
}

/** A gateway that failed may have asked a worker before; one that refused has not. */
function neverRan(error: unknown): boolean {
  if (hasCode(error, 'client.gateway_refused')) {
    const { refusedStatus } = error.facts;
    return typeof refusedStatus === 'number' && refusedStatus < SERVER_ERROR;
  }
  return NEVER_RAN.some((code) => hasCode(error, code));
}
