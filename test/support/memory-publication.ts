/**
 * What a publisher has put out and a gateway passes on: every document sound and the newest, and signed word of that which
 * is as young as the clock, unless a test stops it. Spec: docs/publication.md §2, §5.
 * @module
 */

import { sha256 } from '#primitives';
import { fromUtf8, utf8, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { advance } from '../../attestation/publication/advance.ts';
import { parseEnvelope } from '../../attestation/publication/envelope.ts';
import { openPublication } from '../../attestation/publication/open.ts';
import { encodeState } from '../../attestation/publication/saved-state.ts';
import type { DatedRevocation } from '../../attestation/publication/revocations.ts';
import type { Release } from '../../attestation/publication/release.ts';
import {
  makeBundle,
  makeRelease,
  makeRevocations,
  makeRoot,
  makeTimestamp,
  named,
} from './publication.ts';

export interface StapleJson {
  readonly root: number;
  readonly release: unknown;
  readonly revocations: unknown;
  readonly timestamp: unknown;
}

export class MemoryPublication {
  readonly #clock: Clock;
  /** By their names. A test may put anything here. */
  readonly documents = new Map<string, Uint8Array>();
  /** Signs no word of its own any more. */
  frozen = false;
  rootVersion = 1;
  #release: Partial<Release> = { number: 0 };
  #revocations: { number: number; entries: readonly DatedRevocation[] } = {
    number: 0,
    entries: [],
  };

  constructor(clock: Clock, policy: CompiledPolicy) {
    this.#clock = clock;
    this.documents.set('root/1.json', makeRoot());
    this.publish(policy);
    this.revoke();
  }

  /** In force from now on; with `candidate` beside it. */
  publish(policy: CompiledPolicy, overrides: Partial<Release> = {}, by?: readonly string[]): void {
    this.#release = {
      number: (this.#release.number ?? 0) + 1,
      issuedMs: this.#clock(),
      current: named(policy),
      ...overrides,
    };
    this.addBundle(policy);
    this.documents.set('release.json', makeRelease(this.#release, by));
  }

  addBundle(policy: CompiledPolicy): void {
    this.documents.set(`bundles/${policy.document.serial}.json`, makeBundle(policy));
  }

  revoke(...entries: readonly DatedRevocation[]): void {
    this.#revocations = {
      number: this.#revocations.number + 1,
      entries: [...this.#revocations.entries, ...entries],
    };
    const issuedMs = this.#clock();
    this.documents.set('revocations.json', makeRevocations({ ...this.#revocations, issuedMs }));
  }

  document(name: string): Uint8Array | undefined {
    this.#stamp();
    return this.documents.get(name);
  }

  staple(): StapleJson {
    this.#stamp();
    return {
      root: this.rootVersion,
      release: this.#json('release.json'),
      revocations: this.#json('revocations.json'),
      timestamp: this.#json('timestamp.json'),
    };
  }

  /** As one file for offline use. */
  packed(): Uint8Array {
    this.#stamp();
    const nowMs = this.#clock();
    const blank = openPublication({ pinnedRoot: makeRoot(), nowMs });
    const bundles = new Map<number, Uint8Array>();
    for (const [name, bytes] of this.documents) {
      const serial = Number(/^bundles\/(\d+)\.json$/.exec(name)?.[1]);
      if (Number.isInteger(serial)) bundles.set(serial, bytes);
    }
    const offered = {
      release: this.#bytes('release.json'),
      revocations: this.#bytes('revocations.json'),
      timestamp: this.#bytes('timestamp.json'),
      bundles,
    };
    return encodeState(advance(blank, offered, nowMs).state);
  }

  /** Names what is published now, to the second. */
  #stamp(): void {
    if (this.frozen) return;
    const timeMs = Math.floor(this.#clock() / 1000) * 1000;
    const timestamp = makeTimestamp({
      timeMs,
      release: { number: this.#release.number ?? 0, digest: this.#digest('release') },
      revocations: { number: this.#revocations.number, digest: this.#digest('revocations') },
    });
    this.documents.set('timestamp.json', timestamp);
  }

  #digest(kind: 'release' | 'revocations'): Bytes<32> {
    return sha256(parseEnvelope(this.#bytes(`${kind}.json`), kind).payload);
  }

  #bytes(name: string): Uint8Array {
    return this.documents.get(name) ?? utf8('');
  }

  #json(name: string): unknown {
    return JSON.parse(fromUtf8(this.#bytes(name)));
  }
}
