/**
 * What must not be undone: the newest revocation list seen of every issuer, and the highest evaluation number of every
 * document of the store's own. A list or document below its floor is genuine and unexpired, and refused all the same:
 * somebody is showing the world from before a revocation. Floors rise by verified items only and are kept across restarts.
 *
 * Among lists the CRL number decides, and between equal numbers the date: Intel numbers all its lists 1. The floor of a
 * document ends with the document that raised it: which edition a document belongs to is not written in it, and a source
 * that once served the newest for the mandatory one must not shut that one out for a year.
 * Spec: RFC 5280 §5.2.3; tdx §10 "Cache rules".
 * @module
 */

import { z } from 'zod';
import { utf8 } from '../../core/bytes.ts';
import { parseJson } from '../../core/json.ts';
import { itemOfKey } from './items.ts';
import { compareRank, type Rank, type Verified } from './judge.ts';
import {
  DOCUMENT_FLOORS_MAX,
  EVALUATION_NUMBER_MAX,
  FLOORS_MAX_BYTES,
  LIST_FLOORS_MAX,
} from './limits.ts';

/** Also of a list that a verifier holds in its hands. */
export interface ListFloor {
  readonly number: bigint;
  readonly thisUpdateMs: number;
}

const MS_MAX = 8_640_000_000_000_000;
const SCHEMA = z.strictObject({
  version: z.literal(1),
  lists: z
    .array(
      z.strictObject({
        issuer: z.string().regex(/^[0-9a-f]{64}(?:\.[a-z]{1,16})?$/),
        number: z.string().regex(/^[0-9a-f]{1,40}$/),
        thisUpdateMs: z.int().min(0).max(MS_MAX),
      }),
    )
    .max(LIST_FLOORS_MAX),
  documents: z
    .array(
      z.strictObject({
        key: z.string().max(200),
        number: z.int().min(0).max(EVALUATION_NUMBER_MAX),
        untilMs: z.int().min(0).max(MS_MAX),
      }),
    )
    .max(DOCUMENT_FLOORS_MAX),
});

interface DocumentFloor {
  readonly number: bigint;
  /** The last instant at which it holds. */
  readonly untilMs: number;
}

export class Floors {
  readonly #lists = new Map<string, Rank>();
  readonly #documents = new Map<string, DocumentFloor>();

  /** Of the issuer's lists; see `listIssuerId`. */
  listFloor(issuerId: string): ListFloor | undefined {
    const floor = this.#lists.get(issuerId);
    return floor === undefined ? undefined : { number: floor.number, thisUpdateMs: floor.dateMs };
  }

  admits({ key, rank, list }: Verified, nowMs: number): boolean {
    if (list === undefined) return rank.number >= this.#documentFloor(key, nowMs);
    const floor = this.#lists.get(list.issuerId);
    return floor === undefined || compareRank(rank, floor) >= 0;
  }

  #documentFloor(key: string, nowMs: number): bigint {
    const floor = this.#documents.get(key);
    return floor === undefined || nowMs > floor.untilMs ? 0n : floor.number;
  }

  /** True when a floor rose or holds longer now, and should be saved. */
  raise({ key, rank, list, expiresAtMs }: Verified, nowMs: number): boolean {
    if (list !== undefined) {
      const floor = this.#lists.get(list.issuerId);
      if (floor !== undefined && compareRank(rank, floor) <= 0) return false;
      put(this.#lists, { key: list.issuerId, value: rank, max: LIST_FLOORS_MAX });
      return true;
    }
    const known = this.#documentFloor(key, nowMs);
    if (rank.number === 0n || rank.number < known) return false;
    const sameUntilMs = rank.number === known ? (this.#documents.get(key)?.untilMs ?? 0) : 0;
    if (expiresAtMs <= sameUntilMs) return false;
    const value = { number: rank.number, untilMs: expiresAtMs };
    put(this.#documents, { key, value, max: DOCUMENT_FLOORS_MAX });
    return true;
  }

  encode(): Uint8Array {
    const file: z.input<typeof SCHEMA> = {
      version: 1,
      lists: [...this.#lists].map(([issuer, { number, dateMs }]) => ({
        issuer,
        number: number.toString(16),
        thisUpdateMs: dateMs,
      })),
      documents: [...this.#documents].map(([key, { number, untilMs }]) => ({
        key,
        number: Number(number),
        untilMs,
      })),
    };
    return utf8(JSON.stringify(file));
  }

  /** Takes floors of an earlier run; what rose since stays. Throws `json.*`; false when malformed. */
  restore(bytes: Uint8Array): boolean {
    const decoded = SCHEMA.safeParse(parseJson(bytes, FLOORS_MAX_BYTES));
    if (!decoded.success) return false;
    for (const { issuer, number, thisUpdateMs } of decoded.data.lists) {
      const rank = { number: BigInt(`0x${number}`), dateMs: thisUpdateMs };
      const known = this.#lists.get(issuer);
      if (known === undefined || compareRank(rank, known) > 0) this.#lists.set(issuer, rank);
    }
    for (const { key, number, untilMs } of decoded.data.documents) {
      if (itemOfKey(key) === undefined || this.#documents.has(key)) continue;
      this.#documents.set(key, { number: BigInt(number), untilMs });
    }
    return true;
  }
}

/** What rose longest ago makes room: there are far fewer issuers and platform families than room. */
function put<Value>(
  map: Map<string, Value>,
  { key, value, max }: { readonly key: string; readonly value: Value; readonly max: number },
): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= max) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}

/** For a verifier that is shown a list: whether it may stand beside what this store has seen. */
export function isBelowFloor(list: ListFloor, floor: ListFloor | undefined): boolean {
  if (floor === undefined) return false;
  return (
    compareRank(
      { number: list.number, dateMs: list.thisUpdateMs },
      { number: floor.number, dateMs: floor.thisUpdateMs },
    ) < 0
  );
}
