/**
 * What a client has accepted of a published policy, as a file: which numbers, with which digests, and when. Two such
 * files, or one and a gateway's audit log, show whether everybody was given the same documents. Nothing in it is
 * signed: it is the word of whoever kept it. Spec: docs/publication.md §3.
 * @module
 */

import { z } from 'zod';
import { defineErrors } from '../../core/errors.ts';
import { canonicalJson, parseStrictJson } from '../../core/json.ts';
import { parseInstant } from '../../core/clock.ts';
import { NAME } from '../policy/fields.ts';

export const policyMemoryError = defineErrors({
  'policy_memory.malformed': {
    status: 400,
    recovery: 'fix_request',
    public: 'The memory of a policy cannot be read.',
  },
});

export const POLICY_MEMORY_FORMAT = 'veilgate.policy-memory/1';
export const POLICY_MEMORY_MAX_BYTES = 8_388_608;
const ACCEPTED_MAX = 32_768;
const INSTANT_MAX_CHARS = 24;

const SCHEMA = z.strictObject({
  format: z.literal(POLICY_MEMORY_FORMAT),
  /** The published policy's name. */
  policy: NAME,
  accepted: z
    .array(
      z.strictObject({
        document: z.enum(['root', 'release', 'revocations']),
        /** The version of a root. */
        number: z.int().min(1),
        /** Of the document's payload. */
        digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
        at: z
          .string()
          .max(INSTANT_MAX_CHARS)
          .refine((text) => parseInstant(text) !== undefined, 'want an instant'),
      }),
    )
    .max(ACCEPTED_MAX),
});

export type PolicyMemory = z.output<typeof SCHEMA>;

/** Throws `json.*`, `policy_memory.malformed`, which name the member and never echo its value. */
export function parsePolicyMemory(bytes: Uint8Array): PolicyMemory {
  const { value } = parseStrictJson(bytes, {
    maxBytes: POLICY_MEMORY_MAX_BYTES,
    numbers: 'integers',
  });
  const decoded = SCHEMA.safeParse(value);
  if (decoded.success) return decoded.data;
  const path = decoded.error.issues[0]?.path.map(String).join('.') ?? '';
  throw policyMemoryError('policy_memory.malformed', path === '' ? 'the document' : path);
}

/** Canonical JSON. */
export function encodePolicyMemory(memory: PolicyMemory): string {
  return canonicalJson(memory);
}
