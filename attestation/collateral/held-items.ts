/**
 * Verified items in memory, bounded in number and bytes: what was not asked for longest goes first. Each knows when it
 * is due for a newer one. Spec: tdx §10 "Cache rules".
 * @module
 */

import { isCertificate } from './items.ts';
import type { Verified } from './judge.ts';
import {
  CERTIFICATE_REFRESH_MS,
  REFRESH_FLOOR_MS,
  REFRESH_MAX_MS,
  REFRESH_MIN_MS,
  UNUSED_MAX_MS,
} from './limits.ts';

export interface Held {
  readonly verified: Verified;
  readonly refreshAtMs: number;
  readonly usedAtMs: number;
  /** Refreshes that failed in a row. */
  readonly failures: number;
}

/**
 * A quarter of the remaining life, between twelve hours and a day; a short life is halved instead, so that there is time
 * left to try again. Certificates are left alone until their last month.
 */
export function refreshAtMs(verified: Verified, nowMs: number): number {
  const lifeMs = Math.max(0, verified.expiresAtMs - nowMs);
  if (isCertificate(verified.item)) {
    return nowMs + Math.max(REFRESH_MAX_MS, lifeMs - CERTIFICATE_REFRESH_MS);
  }
  const usualMs = Math.min(REFRESH_MAX_MS, Math.max(REFRESH_MIN_MS, lifeMs / 4));
  return nowMs + Math.max(REFRESH_FLOOR_MS, Math.min(usualMs, lifeMs / 2));
}

export interface HeldLimits {
  readonly itemsMax: number;
  readonly bytesMax: number;
}

export class HeldItems {
  readonly #limits: HeldLimits;
  /** Used longest ago first. */
  readonly #items = new Map<string, Held>();
  #bytes = 0;

  constructor(limits: HeldLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#items.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  values(): readonly Verified[] {
    return [...this.#items.values()].map(({ verified }) => verified);
  }

  /** Also past its end: the caller judges. */
  get(key: string): Verified | undefined {
    return this.#items.get(key)?.verified;
  }

  used(key: string, nowMs: number): void {
    const held = this.#items.get(key);
    if (held === undefined) return;
    this.#items.delete(key);
    this.#items.set(key, { ...held, usedAtMs: nowMs });
  }

  set(verified: Verified, nowMs: number): void {
    const { key } = verified;
    const usedAtMs = this.#items.get(key)?.usedAtMs ?? nowMs;
    this.delete(key);
    this.#items.set(key, {
      verified,
      refreshAtMs: refreshAtMs(verified, nowMs),
      usedAtMs,
      failures: 0,
    });
    this.#bytes += sizeOf(verified);
    for (const oldest of this.#items.keys()) {
      if (this.#items.size <= this.#limits.itemsMax && this.#bytes <= this.#limits.bytesMax) return;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const held = this.#items.get(key);
    if (held === undefined) return;
    this.#items.delete(key);
    this.#bytes -= sizeOf(held.verified);
  }

  /** A refresh failed: not again before `pauseMs` of the failures so far. */
  postpone(key: string, nowMs: number, pauseMs: (failures: number) => number): void {
    const held = this.#items.get(key);
    if (held === undefined) return;
    const failures = held.failures + 1;
    this.#items.set(key, {
      ...held,
      failures,
      refreshAtMs: nowMs + Math.max(REFRESH_FLOOR_MS, pauseMs(failures)),
    });
  }

  isDue(key: string, nowMs: number): boolean {
    const held = this.#items.get(key);
    return held !== undefined && held.refreshAtMs <= nowMs;
  }

  /** Drops what is past its end or unused for long, and answers with what is due. */
  due(nowMs: number): readonly Verified[] {
    for (const [key, { verified, usedAtMs }] of this.#items) {
      if (nowMs > verified.expiresAtMs || nowMs - usedAtMs > UNUSED_MAX_MS) this.delete(key);
    }
    return [...this.#items.values()]
      .filter((held) => held.refreshAtMs <= nowMs)
      .map(({ verified }) => verified);
  }

  /** Infinity when nothing is held. */
  nextDueMs(): number {
    return Math.min(Infinity, ...[...this.#items.values()].map((held) => held.refreshAtMs));
  }
}

/** Bytes and characters that the item keeps, and its set of revoked serials. */
function sizeOf({ raw, list }: Verified): number {
  return raw.body.length + raw.chain.length + (list === undefined ? 0 : list.revoked.size * 64);
}
