/**
 * API keys and what each may do at once. A key is 32 random bytes shown once; what is kept is its SHA-256, so a stolen
 * database opens nothing. Spec: overview "Roles in one request".
 * @module
 */

import { randomBytes, sha256 } from '#primitives';
import { toBase64Url, toHex, utf8, type Bytes } from '../core/bytes.ts';
import { ExpiringCache } from '../core/cache.ts';
import type { Clock } from '../core/clock.ts';
import type { Caveat } from '../settlement/pass.ts';
import type { VerifiedVoucher } from '../settlement/voucher.ts';
import { gatewayError } from './errors.ts';
import { ACCOUNT_STATES_MAX, API_KEYS_MAX } from './limits.ts';
import type { RateStanding } from './rate-headers.ts';
import type { ApiKeyRecord, Store } from './store/store.ts';

export interface Account {
  /** What logs and limits call it; of a channel, the beginning of its id. */
  readonly keyId: string;
  /**
   * SHA-256 of the API key's text, or the id of the channel; undefined where the gateway serves without keys, and payers are
   * not compared.
   */
  readonly payer: Bytes<32> | undefined;
  readonly means: Means;
}

/** How an account pays. */
export type Means =
  /** It does not: only workers without prices serve it. */
  | { readonly kind: 'none' }
  /** From the balance that the operator keeps for it. */
  | { readonly kind: 'custodial' }
  | {
      readonly kind: 'channel';
      readonly voucher: VerifiedVoucher;
      /** Of the pass beside it. */
      readonly caveats: readonly Caveat[];
      /** Pay as you go, in steps of so many tokens of output; absent: everything is reserved before it begins. */
      readonly chunkTokens?: number;
    };

export interface AccountLimits {
  readonly concurrencyMax: number;
  readonly requestsPerMinute: number;
}

export interface Accounts {
  /** Of an `Authorization` header. Throws `gateway.unauthorized`. */
  authenticate(authorization: string | undefined): Account;
  /** What is left of its rate; changes nothing. */
  standing(account: Account, nowMs: number): RateStanding;
  /** Takes a slot until the returned function is called. Throws `gateway.rate`, `gateway.concurrency`. */
  enter(account: Account, nowMs: number): () => void;
}

const KEY_PATTERN = /^vg_[A-Za-z0-9_-]{43}$/;
const KEY_BYTES = 32;
const KEY_ID_BYTES = 8;
export const LABEL_MAX_CHARS = 64;

export interface CreatedApiKey {
  readonly keyId: string;
  /** Shown once, kept nowhere. */
  readonly apiKey: string;
}

/** Throws `gateway.busy` when there are too many. */
export function createApiKey(store: Store, label: string, nowMs: number): CreatedApiKey {
  if (store.listApiKeys().length >= API_KEYS_MAX) throw gatewayError('gateway.busy', 'API keys');
  const apiKey = `vg_${toBase64Url(randomBytes(KEY_BYTES))}`;
  const keyId = `key_${toHex(randomBytes(KEY_ID_BYTES))}`;
  store.insertApiKey({
    keyId,
    keyHash: keyHashOf(apiKey),
    label: label.slice(0, LABEL_MAX_CHARS),
    createdMs: nowMs,
    revokedMs: undefined,
  });
  return { keyId, apiKey };
}

export function keyHashOf(apiKey: string): Bytes<32> {
  return sha256(utf8(apiKey));
}

/** Without the hashes. */
export function listApiKeys(store: Store): readonly Omit<ApiKeyRecord, 'keyHash'>[] {
  return store.listApiKeys().map(({ keyId, label, createdMs, revokedMs }) => ({
    keyId,
    label,
    createdMs,
    revokedMs,
  }));
}

const ANONYMOUS: Account = { keyId: 'anonymous', payer: undefined, means: { kind: 'none' } };
const BEARER = /^Bearer ([\x21-\x7e]{1,256})$/i;
const KNOWN_FOR_MS = 5000;

interface AccountState {
  running: number;
  /** Token bucket: requests left, and when that was true. */
  left: number;
  atMs: number;
}

export interface AccountsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly limits: AccountLimits;
  /** `open`: no key is asked for; for one machine only. */
  readonly mode: 'keys' | 'open';
  /** Of whoever comes with an API key. */
  readonly means: 'none' | 'custodial';
}

export function createAccounts(options: AccountsOptions): Accounts {
  const { store, clock, limits, mode, means } = options;
  // A revoked key dies within seconds without a database read per request.
  const known = new ExpiringCache<Account>(ACCOUNT_STATES_MAX);
  const states = new Map<string, AccountState>();

  const lookUp = (apiKey: string): Account => {
    const payer = keyHashOf(apiKey);
    const name = toHex(payer);
    const nowMs = clock();
    const seen = known.get(name, nowMs);
    if (seen !== undefined) {
      return seen;
    }
    // The index compares digests of unknown preimages: its timing tells nothing about any key.
    const record = store.findApiKey(payer);
    if (record === undefined || record.revokedMs !== undefined) {
      throw gatewayError('gateway.unauthorized');
    }
    const account: Account = { keyId: record.keyId, payer, means: { kind: means } };
    known.set(name, account, nowMs + KNOWN_FOR_MS);
    return account;
  };

  return {
    authenticate: (authorization) => {
      if (mode === 'open') return ANONYMOUS;
      const apiKey = BEARER.exec(authorization ?? '')?.[1];
      if (apiKey === undefined || !KEY_PATTERN.test(apiKey)) {
        throw gatewayError('gateway.unauthorized');
      }
      return lookUp(apiKey);
    },
    standing: ({ keyId }, nowMs) => standingOf(states.get(keyId), limits, nowMs),
    enter: ({ keyId }, nowMs) => {
      const state = stateOf(states, keyId, limits, nowMs);
      refill(state, limits, nowMs);
      if (state.running >= limits.concurrencyMax) throw gatewayError('gateway.concurrency');
      if (state.left < 1) throw gatewayError('gateway.rate');
      state.left--;
      state.running++;
      return () => {
        state.running--;
      };
    },
  };
}

function stateOf(
  states: Map<string, AccountState>,
  keyId: string,
  limits: AccountLimits,
  nowMs: number,
): AccountState {
  const known = states.get(keyId);
  if (known !== undefined) return known;
  if (states.size >= ACCOUNT_STATES_MAX) forgetIdle(states);
  if (states.size >= ACCOUNT_STATES_MAX) throw gatewayError('gateway.busy', 'account states');
  const fresh = { running: 0, left: limits.requestsPerMinute, atMs: nowMs };
  states.set(keyId, fresh);
  return fresh;
}

/** Only who has nothing running: a slot that is forgotten could be taken twice. */
function forgetIdle(states: Map<string, AccountState>): void {
  for (const [keyId, state] of states) if (state.running === 0) states.delete(keyId);
}

const MS_PER_MINUTE = 60_000;

function refill(state: AccountState, limits: AccountLimits, nowMs: number): void {
  state.left = leftOf(state, limits, nowMs);
  state.atMs = nowMs;
}

function leftOf(state: AccountState, limits: AccountLimits, nowMs: number): number {
  const gained = ((nowMs - state.atMs) * limits.requestsPerMinute) / MS_PER_MINUTE;
  return Math.min(limits.requestsPerMinute, state.left + Math.max(0, gained));
}

function standingOf(
  state: AccountState | undefined,
  limits: AccountLimits,
  nowMs: number,
): RateStanding {
  const limit = limits.requestsPerMinute;
  const left = state === undefined ? limit : leftOf(state, limits, nowMs);
  const msFor = (requests: number): number =>
    Math.ceil((Math.max(0, requests) * MS_PER_MINUTE) / limit);
  return {
    limit,
    remaining: Math.floor(left),
    fullInMs: msFor(limit - left),
    nextInMs: msFor(1 - left),
  };
}
