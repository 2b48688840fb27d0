/**
 * What an audit log may hold: every kind of entry and every member of it, with a bound on each. Ids, numbers, digests,
 * codes and closed words; never content. Spec: docs/audit.md §3; STYLE §7.
 * @module
 */

import { z } from 'zod';
import { CUT_ENTRY, DROPPED_ENTRY } from '../core/node/chained-log.ts';

const ID_MAX_CHARS = 200;
const WORD_MAX_CHARS = 40;
const VALUE_MAX_CHARS = 140;
/** Of one list of revocations; the others are counted. */
export const ADDED_MAX = 32;

const ID_FORM = /^[\x21-\x7e]*$/;
const ID = z.string().max(ID_MAX_CHARS).regex(ID_FORM);
const WORD = z
  .string()
  .max(WORD_MAX_CHARS)
  .regex(/^[a-z][a-z0-9_-]*$/);
const COUNT = z.int().min(0);
const NUMBER = z.int().min(1);
const DIGEST = z.string().regex(/^sha256:[0-9a-f]{64}$/);

/** The numbered documents of a published policy. Spec: docs/publication.md §2. */
export const NUMBERED_DOCUMENTS = ['root', 'release', 'revocations'] as const;
const NUMBERED = z.enum(NUMBERED_DOCUMENTS);
const DOCUMENT = z.enum([...NUMBERED_DOCUMENTS, 'bundle', 'timestamp']);

/** `name`: of the published policy that a document belongs to. `policy`: digest of the one that judged. */
export const AUDIT_ENTRY = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('gateway.started'), aud: ID }),
  z.strictObject({
    kind: z.literal('root.accepted'),
    name: ID,
    version: NUMBER,
    digest: DIGEST,
  }),
  z.strictObject({
    kind: z.literal('release.accepted'),
    name: ID,
    number: NUMBER,
    digest: DIGEST,
    serial: NUMBER,
    policy: DIGEST,
    candidateSerial: NUMBER.exactOptional(),
    candidatePolicy: DIGEST.exactOptional(),
    share: COUNT.max(100).exactOptional(),
  }),
  z.strictObject({
    kind: z.literal('revocations.accepted'),
    name: ID,
    number: NUMBER,
    digest: DIGEST,
    added: z
      .array(z.strictObject({ kind: WORD, value: z.string().max(VALUE_MAX_CHARS).regex(ID_FORM) }))
      .max(ADDED_MAX),
    /** Of entries added that are not listed. */
    addedMore: COUNT,
  }),
  z.strictObject({
    kind: z.literal('publication.refused'),
    document: DOCUMENT,
    code: ID,
    digest: DIGEST.exactOptional(),
  }),
  z.strictObject({ kind: z.literal('publication.refused_more'), count: NUMBER }),
  /** People signed two contents under one number. */
  z.strictObject({
    kind: z.literal('publication.equivocation'),
    name: ID,
    document: NUMBERED,
    number: NUMBER,
    accepted: DIGEST,
    offered: DIGEST,
  }),
  z.strictObject({
    kind: z.literal('worker.admitted'),
    workerId: ID,
    kid: ID,
    model: ID,
    rule: ID.exactOptional(),
    image: ID.exactOptional(),
    policy: DIGEST,
    simulated: z.boolean(),
  }),
  z.strictObject({
    kind: z.literal('worker.denied'),
    workerId: ID.exactOptional(),
    check: ID,
    policy: DIGEST,
  }),
  z.strictObject({ kind: z.literal('worker.denied_more'), count: NUMBER }),
  z.strictObject({
    kind: z.literal('worker.removed'),
    workerId: ID,
    kid: ID,
    reason: WORD,
  }),
  /** Only when something came out differently than before. */
  z.strictObject({
    kind: z.literal('worker.rejudged'),
    workerId: ID,
    kid: ID,
    outcome: z.enum(['kept', 'denied']),
    check: ID.exactOptional(),
    rule: ID.exactOptional(),
    image: ID.exactOptional(),
    policy: DIGEST,
  }),
  // Of the log about itself.
  z.strictObject({
    kind: z.literal(CUT_ENTRY),
    bytes: NUMBER,
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
  }),
  z.strictObject({ kind: z.literal(DROPPED_ENTRY), count: NUMBER }),
]);

export type AuditEntry = z.output<typeof AUDIT_ENTRY>;
export type AuditEntryOf<Kind extends AuditEntry['kind']> = Extract<
  AuditEntry,
  { readonly kind: Kind }
>;
export const AUDIT_KINDS: readonly AuditEntry['kind'][] = AUDIT_ENTRY.options.flatMap(
  ({ shape }) => [...shape.kind.values],
);

const UNPRINTABLE = '(unprintable)';

/** What is no id is replaced, as in the gateway's own log: it was not ours to begin with. */
export function idText(text: string): string {
  return ID.safeParse(text).success ? text : UNPRINTABLE;
}

export function valueText(text: string): string {
  return text.length <= VALUE_MAX_CHARS && ID_FORM.test(text) ? text : UNPRINTABLE;
}

export function wordText(text: string): string {
  return WORD.safeParse(text).success ? text : 'other';
}
