/**
 * Who pays for a request, by its headers: a voucher of a payment channel and a pass for it, both as one token, or an API key.
 * They are verified before anything of the body is read. A voucher alone shows nothing: claims publish it.
 * Spec: ton-settlement §4.4, §4.5.
 * @module
 */

import type { IncomingHttpHeaders } from 'node:http';
import { toHex, type Bytes } from '../../core/bytes.ts';
import { ExpiringCache } from '../../core/cache.ts';
import type { Clock } from '../../core/clock.ts';
import type { Ledger, Account as LedgerAccount } from '../../settlement/ledger/ledger.ts';
import {
  endOf,
  formatPass,
  hasCeiling,
  isPassSigned,
  parsePassUnverified,
  type Pass,
} from '../../settlement/pass.ts';
import { parseTokenUnverified } from '../../settlement/token.ts';
import {
  parseVoucherTextUnverified,
  verifyVoucher,
  type VerifiedVoucher,
  type Voucher,
} from '../../settlement/voucher.ts';
import {
  CHUNK_HEADER,
  parsePaymentSignatureUnverified,
  PASS_HEADER,
  PAYMENT_SIGNATURE_HEADER,
  VOUCHER_HEADER,
} from '../../settlement/x402.ts';
import type { Account, Accounts } from '../accounts.ts';
import { gatewayError } from '../errors.ts';
import { ACCOUNT_STATES_MAX, CHUNK_TOKENS_MAX, PASS_LIFETIME_MAX_MS } from '../limits.ts';
import { paymentError } from './errors.ts';

const BEARER_TOKEN = /^Bearer (vgv1\.[\x21-\x7e]{1,2048})$/i;
const KEY_ID_BYTES = 8;
/** What comes with every request is verified once a minute. */
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
  /** Channels and whole passes: what was verified holds for no other caveats. */
  readonly #passes = new ExpiringCache<true>(ACCOUNT_STATES_MAX);

  constructor(options: PayersOptions) {
    this.#options = options;
  }

  /** Throws `gateway.unauthorized`, `payment.*`, `settlement.artefact`. */
  async identify(headers: IncomingHttpHeaders): Promise<Account> {
    const shown = shownPayment(headers);
    if (shown === undefined) return this.#options.accounts.authenticate(headers.authorization);
    if (!this.#options.takesChannels) throw paymentError('payment.channel_unknown');
    const chunk = chunkOf(headers);
    const voucher = await this.#verify(shown.voucher);
    if (shown.pass === undefined) throw paymentError('payment.pass_invalid', 'missing');
    await this.#assertPass(shown.pass, voucher);
    const { caveats } = shown.pass;
    return channelAccount(voucher.channel, { kind: 'channel', voucher, caveats, ...chunk });
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

  /** Here and not with a request only: what has ended reads nothing either. */
  async #assertPass(
    pass: Pass,
    { channel, payerKey, epoch, ceiling }: VerifiedVoucher,
  ): Promise<void> {
    const nowMs = this.#options.clock();
    const name = `${toHex(channel)} ${formatPass(pass)}`;
    if (this.#passes.get(name, nowMs) === undefined) {
      if (!isPassSigned(pass, channel, payerKey))
        throw paymentError('payment.pass_invalid', 'signature');
      this.#passes.set(name, true, nowMs + KNOWN_FOR_MS);
    }
    const endMs = endOf(pass.caveats);
    if (endMs < nowMs) throw paymentError('payment.pass_invalid', 'over');
    if (endMs > nowMs + PASS_LIFETIME_MAX_MS)
      throw paymentError('payment.pass_invalid', 'too long');
    if (!hasCeiling(pass.caveats)) return;
    const isOther = pass.caveats.some(
      (caveat) => caveat.kind === 'ceiling' && (caveat.epoch !== epoch || caveat.ceiling < ceiling),
    );
    if (isOther) throw paymentError('payment.bearer_forbids', 'ceiling');
    // A token has ended once its channel has signed more: another token, or an app that pays by itself. Said again when its
    // request is reserved for: that may be later.
    const held = await this.#account(channel);
    if (held.epoch !== epoch) throw paymentError('payment.epoch_mismatch');
    if (held.ceiling > ceiling) throw paymentError('payment.voucher_stale');
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

interface Shown {
  readonly voucher: Voucher;
  readonly pass: Pass | undefined;
}

/** The compact headers before the standard one, and both before a token. Checks no signature. */
function shownPayment(headers: IncomingHttpHeaders): Shown | undefined {
  const { [VOUCHER_HEADER]: compact, [PASS_HEADER]: pass } = headers;
  if (typeof compact === 'string') {
    const voucher = parseVoucherTextUnverified(compact);
    return { voucher, pass: typeof pass === 'string' ? parsePassUnverified(pass) : undefined };
  }
  const standard = headers[PAYMENT_SIGNATURE_HEADER];
  if (typeof standard === 'string') return parsePaymentSignatureUnverified(standard);
  const token = BEARER_TOKEN.exec(headers.authorization ?? '')?.[1];
  return token === undefined ? undefined : parseTokenUnverified(token);
}
