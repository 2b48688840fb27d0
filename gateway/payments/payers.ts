/**
 * Who pays for a request, by its headers: a voucher of a payment channel, a voucher as bearer token, or an API key. A
 * voucher is verified before anything of the body is read. Spec: ton-settlement §4.4, §4.5.
 * @module
 */

import type { IncomingHttpHeaders } from 'node:http';
import { toHex, type Bytes } from '../../core/bytes.ts';
import { ExpiringCache } from '../../core/cache.ts';
import type { Clock } from '../../core/clock.ts';
import { isNarrowedFrom, parseBearerUnverified, type Bearer } from '../../settlement/bearer.ts';
import type { Ledger, Account as LedgerAccount } from '../../settlement/ledger/ledger.ts';
import {
  parseVoucherTextUnverified,
  verifyVoucher,
  type VerifiedVoucher,
  type Voucher,
} from '../../settlement/voucher.ts';
import { CHUNK_HEADER, parsePaymentSignatureUnverified } from '../../settlement/x402.ts';
import type { Account, Accounts } from '../accounts.ts';
import { gatewayError } from '../errors.ts';
import { ACCOUNT_STATES_MAX, CHUNK_TOKENS_MAX } from '../limits.ts';
import { paymentError } from './errors.ts';

const BEARER_TOKEN = /^Bearer (vgv1\.[\x21-\x7e]{1,2048})$/i;
const KEY_ID_BYTES = 8;
/** A token that comes with every request is verified once a minute. */
const KNOWN_FOR_MS = 60_000;

export interface PayersOptions {
  readonly accounts: Accounts;
  readonly ledger: Ledger;
  readonly clock: Clock;
  /** False: this gateway takes no channels, and whoever shows a voucher is told so. */
  readonly takesChannels: boolean;
}

export class Payers {
  readonly #options: PayersOptions;
  readonly #verified = new ExpiringCache<VerifiedVoucher>(ACCOUNT_STATES_MAX);

  constructor(options: PayersOptions) {
    this.#options = options;
  }

  /** Throws `gateway.unauthorized`, `payment.*`, `settlement.artefact`. */
  async identify(headers: IncomingHttpHeaders): Promise<Account> {
    const shown = shownVoucher(headers);
    if (shown === undefined) return this.#options.accounts.authenticate(headers.authorization);
    if (!this.#options.takesChannels) throw paymentError('payment.channel_unknown');
    const chunk = chunkOf(headers);
    if (shown.kind === 'narrowed') return this.#ofNarrowed(shown, chunk);
    const voucher = await this.#verify(shown.voucher);
    return channelAccount(voucher.channel, { kind: 'channel', voucher, caveats: [], ...chunk });
  }

  /** For a voucher that comes on its own: as often as requests, beside them. Throws `gateway.rate`, `gateway.concurrency`. */
  enterVoucher(account: Account): () => void {
    const { accounts, clock } = this.#options;
    return accounts.enter({ ...account, keyId: `${account.keyId} vouchers` }, clock());
  }

  async #verify(voucher: Voucher): Promise<VerifiedVoucher> {
    const nowMs = this.#options.clock();
    // Deterministic signatures: the same bytes were verified or they were not.
    const name = toHex(voucher.signature);
    const known = this.#verified.get(name, nowMs);
    if (known !== undefined && isSame(known, voucher)) return known;
    const { payerKey } = await this.#account(voucher.channel);
    const verified = payerKey === undefined ? undefined : verifyVoucher(voucher, payerKey);
    if (verified === undefined) throw paymentError('payment.voucher_bad_signature');
    this.#verified.set(name, verified, nowMs + KNOWN_FOR_MS);
    return verified;
  }

  async #ofNarrowed(bearer: Extract<Bearer, { kind: 'narrowed' }>, chunk: Chunk): Promise<Account> {
    const { terms, caveats } = bearer;
    const account = await this.#account(terms.channel);
    const { voucherSignature, epoch, ceiling } = account;
    if (terms.epoch !== epoch) throw paymentError('payment.epoch_mismatch');
    // The voucher it was narrowed from must be the one in force: an older one has gone with its signature.
    const isHeld = voucherSignature !== undefined && terms.ceiling === ceiling;
    if (!isHeld || !isNarrowedFrom(bearer, voucherSignature)) {
      throw paymentError('payment.voucher_bad_signature');
    }
    // Here and not with a request only: a token that has ended reads nothing either.
    const nowMs = this.#options.clock();
    if (caveats.some((caveat) => caveat.kind === 'expiry' && nowMs > caveat.notAfterMs)) {
      throw paymentError('payment.bearer_forbids', 'expiry');
    }
    return channelAccount(terms.channel, { kind: 'channel', caveats, ...chunk });
  }

  async #account(channel: Bytes<32>): Promise<LedgerAccount> {
    const account = await this.#options.ledger.findAccount(channel);
    if (account === undefined || account.kind !== 'channel') {
      throw paymentError('payment.channel_unknown');
    }
    return account;
  }
}

function channelAccount(channel: Bytes<32>, means: Account['means']): Account {
  const keyId = `channel_${toHex(channel.subarray(0, KEY_ID_BYTES))}`;
  return { keyId, payer: channel, means };
}

function isSame(one: Voucher, other: Voucher): boolean {
  return (
    one.epoch === other.epoch &&
    one.ceiling === other.ceiling &&
    toHex(one.channel) === toHex(other.channel)
  );
}

type Chunk = { readonly chunkTokens?: number };

/** `x-vg-chunk`. Anything but a sensible number is refused: whoever asks to pay in steps must not be reserved for in full. */
function chunkOf(headers: IncomingHttpHeaders): Chunk {
  const text = headers[CHUNK_HEADER];
  if (text === undefined) return {};
  const tokens = typeof text === 'string' && /^[1-9]\d{0,6}$/.test(text) ? Number(text) : 0;
  if (tokens < 1 || tokens > CHUNK_TOKENS_MAX) throw gatewayError('gateway.body', CHUNK_HEADER);
  return { chunkTokens: tokens };
}

/** The compact header before the standard one, and both before a token. Checks no signature. */
function shownVoucher(headers: IncomingHttpHeaders): Bearer | undefined {
  const compact = headers['x-vg-voucher'];
  if (typeof compact === 'string') {
    return { kind: 'whole', voucher: parseVoucherTextUnverified(compact) };
  }
  const standard = headers['payment-signature'];
  if (typeof standard === 'string') {
    return { kind: 'whole', voucher: parsePaymentSignatureUnverified(standard).voucher };
  }
  const token = BEARER_TOKEN.exec(headers.authorization ?? '')?.[1];
  return token === undefined ? undefined : parseBearerUnverified(token);
}
