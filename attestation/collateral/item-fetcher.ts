/**
 * Asks the sources for one item, in their order, until one answers with something that holds. A bad answer costs a
 * source that one item for a while; silence or a plea for patience costs it everything for a while.
 * Spec: tdx §10; sev-snp §8 "KDS client".
 * @module
 */

import { ExpiringCache } from '../../core/cache.ts';
import { hasCode, VeilError, type Facts } from '../../core/errors.ts';
import { collateralError, invalid, isRetry } from './errors.ts';
import type { OnCollateralEvent } from './events.ts';
import { BODY_MAX_BYTES, isLeaf, itemKey, type Item } from './items.ts';
import type { RawItem, Verified } from './judge.ts';
import {
  DISTRUSTED_MAX,
  FETCH_TIMEOUT_MS,
  NEGATIVE_MAX,
  NEGATIVE_TTL_MS,
  SILENCE_MS,
} from './limits.ts';
import type { FetchAnswer, FetchBytes, Ports } from './ports.ts';
import { retryAfterMs } from './retry-after.ts';
import type { Source, VendorRequest } from './source.ts';
import { backoffMs, SourceGate } from './source-gate.ts';

export interface ItemFetcherOptions {
  readonly ports: Pick<Ports, 'now' | 'pause' | 'random'>;
  readonly fetch: FetchBytes;
  /** In the order in which they are asked. */
  readonly sources: readonly Source[];
  readonly onEvent: OnCollateralEvent;
}

interface Asking {
  readonly item: Item;
  readonly key: string;
  readonly source: Source;
  readonly request: VendorRequest;
  readonly host: string;
  readonly signal: AbortSignal;
}

export class ItemFetcher {
  readonly #options: ItemFetcherOptions;
  readonly #gates = new Map<string, SourceGate>();
  /** What no source has, and since when we know. */
  readonly #absent = new ExpiringCache<number>(NEGATIVE_MAX);
  /** Failures in a row of a source with one item. */
  readonly #distrusted = new ExpiringCache<number>(DISTRUSTED_MAX);
  readonly #leftAlone = new ExpiringCache<number>(DISTRUSTED_MAX);

  constructor(options: ItemFetcherOptions) {
    this.#options = options;
  }

  /** `judge` throws `collateral.*` for an answer that is not worth keeping. */
  async fetch(
    item: Item,
    signal: AbortSignal,
    judge: (raw: RawItem) => Verified,
  ): Promise<Verified> {
    const key = itemKey(item);
    if (this.#isNoted(this.#absent, key)) throw notFound(item);
    let worst: VeilError | undefined;
    for (const source of this.#options.sources) {
      const request = source.request(item);
      if (request === undefined) continue;
      const asking = { item, key, source, request, host: hostOf(request), signal };
      try {
        return await this.#ask(asking, judge);
      } catch (error) {
        if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
        if (signal.aborted) throw error;
        worst = worse(worst, error);
        this.#report(asking, error);
      }
    }
    const failure = worst ?? notFound(item);
    if (hasCode(failure, 'collateral.not_found')) {
      const nowMs = this.#options.ports.now();
      this.#absent.set(key, nowMs, nowMs + NEGATIVE_TTL_MS);
    }
    throw failure;
  }

  async #ask(asking: Asking, judge: (raw: RawItem) => Verified): Promise<Verified> {
    const { item, key, source, host } = asking;
    const pair = `${host} ${key}`;
    if (this.#isNoted(this.#leftAlone, pair)) {
      throw collateralError('collateral.unavailable', `${host}: left alone after a bad answer`, {
        facts: { kind: item.kind, host, reason: 'left alone' },
      });
    }
    const answer = await this.#answer(asking);
    try {
      if (answer.status !== 200) throw refusedBy(asking, answer.status);
      const verified = judge(source.read(item, answer));
      this.#distrusted.delete(pair);
      return verified;
    } catch (error) {
      if (!hasCode(error, 'collateral.not_found')) this.#distrust(pair);
      throw error;
    }
  }

  #distrust(pair: string): void {
    const { now, random } = this.#options.ports;
    const failures = (this.#distrusted.get(pair, now()) ?? 0) + 1;
    const untilMs = now() + backoffMs(failures, random);
    // The count outlives the pause, so that the next failure makes a longer one.
    this.#distrusted.set(pair, failures, untilMs + DISTRUST_MEMORY_MS);
    this.#leftAlone.set(pair, now(), untilMs);
  }

  /** A note from later than now is from before the clock was put back, and would stand until it is that late again. */
  #isNoted(notes: ExpiringCache<number>, key: string): boolean {
    const nowMs = this.#options.ports.now();
    return (notes.get(key, nowMs) ?? Infinity) <= nowMs;
  }

  /** An answer of any status but those by which a host speaks for itself as a whole. */
  async #answer(asking: Asking): Promise<FetchAnswer> {
    const { item, request, signal, source } = asking;
    const gate = this.#gateOf(asking.host, source.spacingMs);
    return await gate.run(isLeaf(item) ? 'leaf' : 'shared', signal, async () => {
      const answer = await this.#send(asking, gate);
      if (answer.status !== 429 && answer.status !== 503) {
        gate.succeeded();
        return answer;
      }
      const code = answer.status === 429 ? 'collateral.rate_limited' : 'collateral.unavailable';
      const askedMs = retryAfterMs(answer.headers['retry-after'], this.#options.ports.now());
      gate.failed({ code, what: String(answer.status), askedMs });
      throw collateralError(code, `${answer.status} from ${request.origin}`, {
        facts: factsOf(asking, answer.status),
      });
    });
  }

  async #send(asking: Asking, gate: SourceGate): Promise<FetchAnswer> {
    const { item, request, signal } = asking;
    const { now } = this.#options.ports;
    const maxBytes = BODY_MAX_BYTES[item.kind];
    const startedMs = now();
    try {
      const answer = await this.#options.fetch({
        ...request,
        maxBytes,
        timeoutMs: FETCH_TIMEOUT_MS,
        signal,
      });
      if (answer.body.length > maxBytes) throw invalid(item.kind, 'size');
      return answer;
    } catch (cause) {
      if (!(cause instanceof VeilError) || cause.code === 'internal.invariant') throw cause;
      const isSize = cause.code === 'http.size' || cause.code === 'collateral.invalid';
      // A caller's leaving early is not the host's fault, and a large answer is one item's.
      const isSilent = !signal.aborted || now() - startedMs >= SILENCE_MS;
      if (isSilent && !isSize) gate.failed({ code: 'collateral.unavailable', what: cause.code });
      if (isSize) this.#distrust(`${asking.host} ${asking.key}`);
      throw isSize
        ? invalid(item.kind, 'size', cause)
        : collateralError('collateral.unavailable', `${asking.host}: ${cause.code}`, {
            facts: { ...factsOf(asking, 0), reason: cause.code },
            cause,
          });
    }
  }

  #gateOf(host: string, spacingMs: number): SourceGate {
    const known = this.#gates.get(host);
    if (known !== undefined) return known;
    const gate = new SourceGate({ host, spacingMs }, this.#options.ports);
    this.#gates.set(host, gate);
    return gate;
  }

  #report({ key, host }: Asking, error: VeilError): void {
    const { reason } = error.facts;
    // The host was not asked this time: its failure has been told already.
    if (NOT_ASKED.includes(reason)) return;
    const status = Number(error.facts['status'] ?? 0);
    if (reason === OLDER) this.#options.onEvent({ kind: 'refused_older', key, host });
    this.#options.onEvent({ kind: 'source_failed', key, host, code: error.code, status });
  }
}

/** The reason of a genuine answer from before what has been seen. */
export const OLDER = 'older';
/** By the gate, and by the memory of bad answers. */
const NOT_ASKED: readonly unknown[] = ['left alone', 'queue', 'turn', 'aborted'];
const DISTRUST_MEMORY_MS = 3_600_000;

function hostOf({ origin }: VendorRequest): string {
  return new URL(origin).host;
}

function factsOf({ item, host }: Asking, status: number): Facts {
  return { kind: item.kind, host, status };
}

/** 404: unknown platform or chip. 410: the evaluation number is withdrawn. Redirects lead nowhere. */
function refusedBy(asking: Asking, status: number): VeilError {
  const code = status === 404 || status === 410 ? 'collateral.not_found' : 'collateral.unavailable';
  return collateralError(code, `${status}`, { facts: factsOf(asking, status) });
}

function notFound(item: Item): VeilError {
  return collateralError('collateral.not_found', item.kind, { facts: { kind: item.kind } });
}

/** Among the failures of several sources, one that may pass says more than one that is final. */
function worse(known: VeilError | undefined, next: VeilError): VeilError {
  if (known === undefined) return next;
  return isRetry(known) || !isRetry(next) ? known : next;
}
