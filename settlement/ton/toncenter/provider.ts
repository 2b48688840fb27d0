/**
 * One toncenter: asked with bounds in time and size, again after a pause when that can help, and only while it is of the
 * right network. What it says is decoded by whoever asked. Spec: ton-settlement §6; RFC 9110 §10.2.3 (Retry-After).
 * @module
 */

import { randomBytes } from '#primitives';
import type { z } from 'zod';
import { utf8 } from '../../../core/bytes.ts';
import type { Clock } from '../../../core/clock.ts';
import { hasCode, VeilError } from '../../../core/errors.ts';
import { parseJson } from '../../../core/json.ts';
import {
  createPinnedPool,
  fetchBytes,
  type FetchedBytes,
  type HttpPool,
} from '../../../core/node/http-client.ts';
import { pause } from '../../../core/node/lifecycle.ts';
import type { ProviderHealth } from '../chain.ts';
import { tonError } from '../errors.ts';
import {
  ANSWER_MAX_BYTES,
  ATTEMPTS_MAX,
  BACKOFF_FIRST_MS,
  BACKOFF_MAX_MS,
  CONNECT_TIMEOUT_MS,
  CONNECTIONS_PER_PROVIDER,
  NETWORK_CHECK_EVERY_MS,
  REQUEST_TIMEOUT_MS,
  RETRY_AFTER_MAX_MS,
} from '../limits.ts';
import type { TonNetwork } from '../network.ts';
import { decodeWith, ENVELOPE, MASTERCHAIN_INFO, refusalOf } from './decode.ts';

export interface ProviderOptions {
  /** For reports: a host name, say. */
  readonly name: string;
  /** `https://…/api/v2/jsonRPC`; clear text for loopback only. */
  readonly url: string;
  readonly apiKey?: string;
}

export class Provider {
  readonly name: string;
  readonly #pool: HttpPool;
  readonly #path: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #network: TonNetwork;
  readonly #now: Clock;
  #notBeforeMs = 0;
  #networkSeenMs = -Infinity;
  #isExcluded = false;
  #failing: string | undefined;
  #contradictions = 0;

  /** Throws `ton.config`, `http.origin`. */
  constructor(options: ProviderOptions, network: TonNetwork, now: Clock) {
    if (!URL.canParse(options.url)) throw tonError('ton.config', `${options.name}: not a URL`);
    const url = new URL(options.url);
    if (url.search !== '' || url.hash !== '')
      throw tonError('ton.config', `${options.name}: a query in the URL`);
    this.name = options.name;
    this.#pool = createPinnedPool({
      origin: url.origin,
      trust: { kind: url.protocol === 'http:' ? 'loopback' : 'webpki' },
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      connectionsMax: CONNECTIONS_PER_PROVIDER,
    });
    this.#path = url.pathname;
    this.#headers = options.apiKey === undefined ? {} : { 'x-api-key': options.apiKey };
    this.#network = network;
    this.#now = now;
  }

  health(): ProviderHealth {
    return {
      name: this.name,
      failing: this.#failing,
      contradictions: this.#contradictions,
      isExcluded: this.#isExcluded,
    };
  }

  get isExcluded(): boolean {
    return this.#isExcluded;
  }

  contradicted(): void {
    this.#contradictions++;
  }

  /** The `result`, not decoded. Throws `ton.network`, `ton.not_accepted`, and a `ton.*` for having no answer. */
  async call(method: string, params: object, signal: AbortSignal): Promise<unknown> {
    try {
      await this.#assertNetwork(signal);
      const result = await this.#withRetries(method, params, signal);
      this.#failing = undefined;
      return result;
    } catch (error) {
      if (!hasCode(error, 'ton.not_accepted') && !signal.aborted) {
        this.#failing = error instanceof VeilError ? error.code : 'unknown';
      }
      throw error;
    }
  }

  /** Asked again now and then: an address may lead elsewhere tomorrow. */
  async #assertNetwork(signal: AbortSignal): Promise<void> {
    if (this.#isExcluded) throw tonError('ton.network', this.name);
    if (this.#now() - this.#networkSeenMs < NETWORK_CHECK_EVERY_MS) return;
    const info = decodeWith(
      MASTERCHAIN_INFO,
      await this.#withRetries('getMasterchainInfo', {}, signal),
      'masterchain info',
    );
    const { rootHash, fileHash } = this.#network.zeroState;
    if (info.init.root_hash !== rootHash || info.init.file_hash !== fileHash) {
      this.#isExcluded = true;
      throw tonError('ton.network', `${this.name} is not of ${this.#network.name}`);
    }
    this.#networkSeenMs = this.#now();
  }

  async #withRetries(method: string, params: object, signal: AbortSignal): Promise<unknown> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#once(method, params, signal);
      } catch (error) {
        if (attempt >= ATTEMPTS_MAX || !mayHelp(error) || signal.aborted) throw error;
      }
      await pause(backoffMs(attempt), signal);
    }
  }

  async #once(method: string, params: object, signal: AbortSignal): Promise<unknown> {
    const waitMs = this.#notBeforeMs - this.#now();
    if (waitMs > 0 && !(await pause(waitMs, signal))) throw tonError('ton.rate_limited', this.name);
    const answer = await this.#post({ id: '1', jsonrpc: '2.0', method, params }, signal);
    // Before reading it: whoever stands in front of a provider says this to people, in HTML.
    if (answer.status === 429) {
      this.#notBeforeMs = this.#now() + retryAfterMs(answer);
      throw tonError('ton.rate_limited', this.name);
    }
    const envelope = this.#envelope(answer);
    if (envelope.ok) return envelope.result;
    const refusal = method === 'sendBoc' ? refusalOf(envelope.error) : undefined;
    // Its words stay out: they may quote what was sent.
    throw refusal ?? this.#failure(answer);
  }

  #envelope(answer: FetchedBytes): z.output<typeof ENVELOPE> {
    try {
      return ENVELOPE.parse(parseJson(answer.body, ANSWER_MAX_BYTES));
    } catch {
      // Neither the text nor what is wrong with it is worth more than where it came from.
      throw answer.status === 200
        ? tonError('ton.answer', `${this.name}: not an answer`)
        : this.#failure(answer);
    }
  }

  #failure({ status }: FetchedBytes): VeilError {
    return tonError('ton.provider', `${this.name}: status ${status}`, { facts: { status } });
  }

  async #post(call: object, signal: AbortSignal): Promise<FetchedBytes> {
    try {
      return await fetchBytes(this.#pool, {
        method: 'POST',
        path: this.#path,
        headers: { ...this.#headers, 'content-type': 'application/json' },
        body: utf8(JSON.stringify(call)),
        maxBytes: ANSWER_MAX_BYTES,
        timeoutMs: REQUEST_TIMEOUT_MS,
        signal,
      });
    } catch (cause) {
      const code = cause instanceof VeilError ? cause.code : 'unknown';
      throw tonError('ton.provider', `${this.name}: ${code}`, { cause });
    }
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

/** A refusal stays one, and a status of ours (4xx) is our mistake. */
function mayHelp(error: unknown): boolean {
  if (hasCode(error, 'ton.rate_limited')) return true;
  if (!hasCode(error, 'ton.provider')) return hasCode(error, 'ton.answer');
  const { status } = error.facts;
  return typeof status !== 'number' || status >= 500;
}

function backoffMs(attempt: number): number {
  const fullMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (attempt - 1));
  // Many that failed together do not come back together.
  const spread = (randomBytes(1)[0] ?? 0) / 255;
  return Math.ceil((fullMs * (1 + spread)) / 2);
}

const MS_PER_S = 1000;

function retryAfterMs({ headers }: FetchedBytes): number {
  const text = headers['retry-after'];
  const seconds = typeof text === 'string' && /^\d{1,6}$/.test(text) ? Number(text) : 0;
  return Math.min(RETRY_AFTER_MAX_MS, seconds * MS_PER_S);
}
