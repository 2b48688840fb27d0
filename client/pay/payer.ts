/**
 * Pays for exchanges from a channel: signs before each, looks at the bill behind each, and signs no more once a bill does not
 * hold. Spec: ton-settlement §4.3 "Client check", §4.4, §4.5; overview promise 4.
 * @module
 */

import { equalPublic, toHex, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { assert, hasCode, VeilError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import { isMetered } from '../../protocol/sx/prelude.ts';
import type { SealedRequest } from '../../protocol/sx/seal.ts';
import { announcedChannelJson } from '../../settlement/channel-terms.ts';
import { CHUNK_HEADER, paymentHeaders, type PaymentRequired } from '../../settlement/x402.ts';
import type { OnMeter, OpenedAnswer } from '../answer-opener.ts';
import { clientError } from '../errors.ts';
import { PAY_ATTEMPTS } from '../limits.ts';
import type { ChannelAccount } from './account.ts';
import { encodeBill } from './bill.ts';
import type { AskSettlement } from './ask.ts';
import type { Books, GatewayView, WorkerProof } from './books.ts';
import { demandOf, forgottenIn } from './demand.ts';
import { coveredAtFirst, Following } from './follow.ts';
import { Inquiry } from './inquiry.ts';
import { judge, meterBill, type Answered } from './judge.ts';
import type { Settlement } from './line.ts';
import type { Witness } from './lost.ts';
import type { RaiseVoucher } from './raise.ts';
import { METERED, Recount, type CountTokens } from './recount.ts';
import { stopPaying, type OnFault } from './stop-paying.ts';

/** Tells a gateway about the channel. False when it does not take it. */
export type Announce = (channel: JsonObject, signal: AbortSignal) => Promise<boolean>;

/** The ways to a gateway beside the exchange itself. */
export interface PayReach {
  readonly announce: Announce;
  readonly raise: RaiseVoucher;
  readonly askSettlement: AskSettlement;
}

/** No more is signed for an answer that goes on: the gateway ends it early, with `finish_reason` `length`. */
export interface HeldBack {
  /** As in `x-request-id`. */
  readonly requestId: string;
  /** `client.pay_limit`, what the gateway said to the voucher, `sx.meter`, or `client.pay_halted` for one that counts too much. */
  readonly reason: VeilError;
}

export type { PayFault } from './stop-paying.ts';

export interface PayerOptions {
  readonly account: ChannelAccount;
  readonly clock: Clock;
  readonly countTokens?: CountTokens | undefined;
  readonly onFault?: OnFault | undefined;
  readonly onHeldBack?: ((heldBack: HeldBack) => void) | undefined;
}

/** What goes with a request that is paid, and what of its answer the payer reads along. */
export interface PaidSending {
  readonly headers: Readonly<Record<string, string>>;
  readonly recount: Recount;
  readonly onMeter: OnMeter | undefined;
}

export type SendPaid = (sending: PaidSending) => Promise<OpenedAnswer>;

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
  'client.pay_pass',
  'client.pay_token',
  'sx.key_unknown',
  'sx.no_recipient',
  'sx.busy',
  'sx.price',
  'sx.refused',
  'sx.unsupported',
];

export class Payer {
  readonly #options: PayerOptions;
  readonly #inquiry: Inquiry;

  constructor(options: PayerOptions) {
    this.#options = options;
    const { account, clock, onFault } = options;
    this.#inquiry = new Inquiry({ account, clock, onFault });
  }

  /** What `payerRef` is made from. */
  get id(): Bytes<32> {
    return this.#options.account.keys.channel;
  }

  /** For the exchanges of one session. */
  through(books: Books, reach: PayReach): ExchangePayer {
    return new SessionPayer(this.#options, { books, inquiry: this.#inquiry, ...reach });
  }

  close(): Promise<void> {
    return this.#options.account.close();
  }
}

interface SessionVia extends PayReach {
  readonly books: Books;
  readonly inquiry: Inquiry;
}

class SessionPayer implements ExchangePayer {
  readonly #options: PayerOptions;
  readonly #account: ChannelAccount;
  readonly #via: SessionVia;

  constructor(options: PayerOptions, via: SessionVia) {
    this.#options = options;
    this.#account = options.account;
    this.#via = via;
  }

  async pay(request: PaidRequest, send: SendPaid, signal: AbortSignal): Promise<OpenedAnswer> {
    const known = await this.#via.books.gatewayView(signal);
    this.#assertPayee(known);
    for (let attempt = 1; ; attempt++) {
      await this.#via.inquiry.ask(this.#via, 'due');
      signal.throwIfAborted();
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
    const { body, choices, sealed } = request;
    const { prelude } = sealed.exchange;
    const chunkTokens = isMetered(prelude.flags) ? this.#account.chunkTokens : undefined;
    const covered =
      chunkTokens === undefined ? prelude.maxAmount : coveredAtFirst(sealed.exchange, chunkTokens);
    const witness = witnessOf(sealed, this.#via.books);
    const { maxAmount } = prelude;
    const voucher = await this.#account.authorise(sealed.msgId, maxAmount, covered, witness);
    const recount = new Recount({ body, choices, countTokens: this.#options.countTokens });
    const following =
      chunkTokens === undefined ? undefined : this.#follow(sealed, recount, chunkTokens);
    const sent = { known, request, voucher, following };
    let answer: OpenedAnswer;
    try {
      answer = await send({
        headers: {
          ...paymentHeaders({ voucher, pass: this.#account.pass }),
          ...(chunkTokens !== undefined && { [CHUNK_HEADER]: String(chunkTokens) }),
        },
        recount,
        onMeter: following && ((payload, key) => following.take(payload, key)),
      });
    } catch (error) {
      return this.#failed(sent, error);
    }
    return this.#answered(sent, answer, recount);
  }

  #follow(sealed: PaidRequest['sealed'], recount: Recount, chunkTokens: number): Following {
    const requestId = `sx_${toHex(sealed.msgId)}`;
    return new Following({
      account: this.#account,
      exchange: sealed.exchange,
      chunkTokens,
      recount,
      raise: this.#via.raise,
      onHeldBack: (reason) => this.#options.onHeldBack?.({ requestId, reason }),
    });
  }

  async #failed({ following, ...sent }: Sent, error: unknown): Promise<Attempt> {
    following?.end();
    const { msgId } = sent.request.sealed;
    const excess = following?.excess;
    const demand = demandOf(error);
    if (excess !== undefined) {
      const { clock } = this.#options;
      const parts = { account: this.#account, books: this.#via.books, clock };
      await this.#stop(msgId, [METERED], encodeBill(meterBill({ ...sent, excess }, parts)));
    } else if (isReceiptRefused(error)) await this.#stop(msgId, ['receipt_refused'], undefined);
    else if (demand === undefined && !neverRan(error)) this.#account.stranded(msgId);
    else this.#account.refused(msgId);
    following?.assertSound();
    if (demand === undefined || !(error instanceof VeilError)) throw error;
    return { outcome: 'demanded', demand, error };
  }

  async #answered(
    { following, ...sent }: Sent,
    answer: OpenedAnswer,
    reading: Recount,
  ): Promise<Attempt> {
    const { receipt, ledger } = answer;
    try {
      following?.end();
      // Every request asks for one, and the reader refuses an answer without.
      assert(receipt !== undefined, 'a paid answer has a receipt');
      const recount = reading.bounds();
      const found = { ...sent, receipt, ledger, recount, excess: following?.excess };
      const settlement = await this.#account.during(this.#judge(found));
      following?.assertSound();
      return { outcome: 'answered', answer: { ...answer, settlement } };
    } catch (error) {
      // Whatever it cost, nobody has looked: it counts with all it could cost.
      this.#account.stranded(sent.request.sealed.msgId);
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
    if (forgotten !== undefined) return this.#account.adopt(forgotten);
    // What it had never seen may have arrived since, and is covered no more.
    const before = this.#account.accounted;
    await this.#via.inquiry.ask(this.#via, 'now');
    if (this.#account.accounted > before) return;
    // Of an answer that is paid as it goes the gateway knows first how far it is: by now this client does too.
    if (this.#account.chunkTokens === undefined || !this.#account.isBusy) throw error;
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

  /** Nothing is signed from here on, and the app hears of it. */
  #stop(msgId: Bytes<16>, faults: readonly string[], bill: Uint8Array | undefined): Promise<void> {
    const { onFault } = this.#options;
    return stopPaying(msgId, { faults, bill }, { account: this.#account, onFault });
  }
}

type Sent = Pick<Answered, 'known' | 'request' | 'voucher'> & {
  readonly following: Following | undefined;
};

type Attempt = { readonly outcome: 'answered'; readonly answer: OpenedAnswer } | Demanded;

interface Demanded {
  readonly outcome: 'demanded';
  readonly demand: PaymentRequired;
  readonly error: VeilError;
}

/** Keeps nothing of what was asked. */
function witnessOf({ exchange: { prelude, th, keys } }: SealedRequest, books: Books): Witness {
  const proofOf = (kid: Bytes<16>): WorkerProof | undefined => {
    const key = keys.find((each) => equalPublic(each.kid, kid));
    return key && books.proofOf(key);
  };
  return { prelude, th, keys, proofOf };
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
