/** Who saw which content of which numbered document, and where two contents go under one number. @module */

import { auditError } from './errors.ts';

export interface Sighting {
  /** `policy` is a compiled policy under its serial; the others are those of docs/publication.md. */
  readonly document: string;
  /** Of the published policy. */
  readonly name: string;
  readonly number: number;
  readonly digest: string;
  readonly how: 'accepted' | 'offered';
  readonly at: string;
  /** File, and line if it is a log. */
  readonly where: string;
}

export interface Split {
  readonly document: string;
  readonly name: string;
  readonly number: number;
  readonly contents: readonly Content[];
}

interface Content {
  readonly digest: string;
  /** The first of each record. */
  readonly seen: readonly Sighting[];
  readonly seenMore: number;
}

const DOCUMENTS_MAX = 1_000_000;
const CONTENTS_MAX = 64;
const SEEN_MAX = 16;

interface Seen {
  readonly sources: Set<string>;
  readonly sightings: Sighting[];
  more: number;
}

export class Sightings {
  /** Document, name and number; then digest. */
  readonly #documents = new Map<string, Map<string, Seen>>();

  /** Throws `audit.unreadable` for more than anybody publishes. */
  add(sighting: Sighting, source: string): void {
    const { document, name, number, digest } = sighting;
    const key = JSON.stringify([document, name, number]);
    const contents = this.#documents.get(key) ?? new Map<string, Seen>();
    const seen = contents.get(digest) ?? { sources: new Set(), sightings: [], more: 0 };
    if (seen.sources.has(source)) return;
    if (this.#documents.size >= DOCUMENTS_MAX || contents.size > CONTENTS_MAX) {
      throw auditError('audit.unreadable', `${source} names more documents than can be compared`);
    }
    seen.sources.add(source);
    if (seen.sightings.length < SEEN_MAX) seen.sightings.push(sighting);
    else seen.more++;
    contents.set(digest, seen);
    this.#documents.set(key, contents);
  }

  splits(): readonly Split[] {
    return [...this.#documents.values()]
      .filter((contents) => contents.size > 1)
      .flatMap((contents) => {
        const [first] = [...contents.values()].flatMap(({ sightings }) => sightings);
        if (first === undefined) return [];
        const { document, name, number } = first;
        return [{ document, name, number, contents: [...contents].map(contentOf) }];
      });
  }

  /** Documents that more than one record speaks of. */
  seenTwice(): number {
    return [...this.#documents.values()].filter(
      (contents) => new Set([...contents.values()].flatMap(({ sources }) => [...sources])).size > 1,
    ).length;
  }
}

function contentOf([digest, { sightings, more }]: readonly [string, Seen]): Content {
  return { digest, seen: sightings, seenMore: more };
}
