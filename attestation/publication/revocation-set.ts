/**
 * The revocations of one verified list, ready to be asked at every request: two look-ups, nothing made when there is no
 * entry. Spec: docs/publication.md §2 "Revocations".
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { RevocationKind, Revocations } from '../policy/revocations.ts';
import type { DatedRevocation, RevocationList } from './revocations.ts';
import { assertVerified, type Verified } from './verified.ts';

export class RevocationSet implements Revocations {
  /** Where no list is published or none has been accepted. Whether that admits anybody is for `freshness` to say. */
  static readonly NONE: RevocationSet = new RevocationSet(undefined);

  readonly #byKind = new Map<RevocationKind, Map<string, DatedRevocation>>();
  /** 0 without a list. */
  readonly number: number;
  readonly digest: Bytes<32> | undefined;

  private constructor(list: Verified<RevocationList> | undefined) {
    this.number = list?.payload.number ?? 0;
    this.digest = list?.digest;
    for (const entry of list?.payload.entries ?? []) {
      const ofKind = this.#byKind.get(entry.kind) ?? new Map<string, DatedRevocation>();
      this.#byKind.set(entry.kind, ofKind.set(entry.value, entry));
    }
  }

  static of(list: Verified<RevocationList>): RevocationSet {
    assertVerified(list);
    return new RevocationSet(list);
  }

  get isEmpty(): boolean {
    return this.#byKind.size === 0;
  }

  /** `value` in the one form that lists have: lower-case hex where it is hex. Another form is never found. */
  find(kind: RevocationKind, value: string): DatedRevocation | undefined {
    return this.#byKind.get(kind)?.get(value);
  }
}
