/** What an entry of an audit log says of numbered documents. @module */

import { z } from 'zod';
import type { ReadEntry } from './log-source.ts';
import type { Sighting } from './sightings.ts';

const NUMBER = z.int().min(1);

/** Looser than what is written today: another version may say more about a document, and is compared all the same. */
const ENTRY = z.discriminatedUnion('kind', [
  z.looseObject({
    kind: z.literal('root.accepted'),
    name: z.string(),
    version: NUMBER,
    digest: z.string(),
  }),
  z.looseObject({
    kind: z.literal('release.accepted'),
    name: z.string(),
    number: NUMBER,
    digest: z.string(),
    serial: NUMBER,
    policy: z.string(),
    candidateSerial: NUMBER.optional(),
    candidatePolicy: z.string().optional(),
  }),
  z.looseObject({
    kind: z.literal('revocations.accepted'),
    name: z.string(),
    number: NUMBER,
    digest: z.string(),
  }),
  z.looseObject({
    kind: z.literal('publication.equivocation'),
    name: z.string(),
    document: z.string(),
    number: NUMBER,
    accepted: z.string(),
    offered: z.string(),
  }),
]);
const KINDS: ReadonlySet<unknown> = new Set(
  ENTRY.options.flatMap(({ shape }) => [...shape.kind.values]),
);

/** Undefined for an entry that should say it and does not. */
export function sightingsOf({
  line,
  file,
  lineNumber,
}: ReadEntry): readonly Sighting[] | undefined {
  if (line === undefined || !KINDS.has(line.entry['kind'])) return [];
  const { data } = ENTRY.safeParse(line.entry);
  return data === undefined ? undefined : seenIn(data, line.time, `${file}:${lineNumber}`);
}

function seenIn(entry: z.output<typeof ENTRY>, at: string, where: string): readonly Sighting[] {
  const seen = (
    document: string,
    number: number,
    digest: string,
    how: Sighting['how'] = 'accepted',
  ): Sighting => ({ document, name: entry.name, number, digest, how, at, where });
  if (entry.kind === 'root.accepted') return [seen('root', entry.version, entry.digest)];
  if (entry.kind === 'revocations.accepted') {
    return [seen('revocations', entry.number, entry.digest)];
  }
  if (entry.kind === 'publication.equivocation') {
    const { document, number, accepted, offered } = entry;
    return [seen(document, number, accepted), seen(document, number, offered, 'offered')];
  }
  const { number, digest, serial, policy, candidateSerial, candidatePolicy } = entry;
  const now = [seen('release', number, digest), seen('policy', serial, policy)];
  if (candidateSerial === undefined || candidatePolicy === undefined) return now;
  return [...now, seen('policy', candidateSerial, candidatePolicy)];
}
