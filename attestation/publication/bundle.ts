/**
 * The bundle: one compiled policy, and where its members stood in the sources. Its serial, name and period are those of the
 * policy. Spec: docs/publication.md §2 "Bundle".
 * @module
 */

import { z } from 'zod';
import { utf8 } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import type { Json } from '../../core/json.ts';
import { restorePolicy, type CompiledPolicy } from '../policy/compile.ts';
import type { LineTable } from '../policy/lines.ts';
import { publicationError } from './errors.ts';
import {
  BUNDLE_MAX_BYTES,
  LINES_MAX,
  LINE_FILES_MAX,
  LINE_FILE_MAX_CHARS,
  LINE_MAX,
  LINE_PATH_MAX_CHARS,
} from './limits.ts';
import { decodeWith, encodePayload, readJson } from './payload.ts';
import type { DocumentFormat } from './verified.ts';

export const BUNDLE_FORMAT = 'veilgate.bundle/1';

export interface Bundle {
  readonly policy: CompiledPolicy;
}

const SCHEMA = z.strictObject({
  format: z.literal(BUNDLE_FORMAT),
  /** Judged by the schema of policies. */
  policy: z.custom<Json>((value) => typeof value === 'object' && value !== null, 'want an object'),
  lines: z.strictObject({
    files: z.array(z.string().min(1).max(LINE_FILE_MAX_CHARS)).max(LINE_FILES_MAX),
    at: z
      .array(
        z.tuple([
          z.string().max(LINE_PATH_MAX_CHARS),
          z
            .int()
            .min(0)
            .max(LINE_FILES_MAX - 1),
          z.int().min(1).max(LINE_MAX),
        ]),
      )
      .max(LINES_MAX),
  }),
});

export const BUNDLE: DocumentFormat<Bundle> = {
  kind: 'bundle',
  role: 'policy',
  decode: decodeBundle,
  policyOf: ({ policy }) => policy.document.name,
};

/** Form and sense, without the clock. Throws `publication.malformed`, `publication.bundle_policy`. */
export function decodeBundle(value: Json): Bundle {
  const { policy, lines } = decodeWith(SCHEMA, value);
  return { policy: restored(policy, lines) };
}

function restored(value: Json, lines: LineTable): CompiledPolicy {
  try {
    return restorePolicy(value, lines);
  } catch (cause) {
    if (!(cause instanceof VeilError) || cause.code === 'internal.invariant') throw cause;
    throw publicationError('publication.bundle_policy', cause.code, { cause });
  }
}

/** Canonical payload. Throws `publication.malformed` for what no reader would take. */
export function encodeBundle({ canonical, lines }: CompiledPolicy): Uint8Array {
  const policy = readJson(utf8(canonical), { maxBytes: BUNDLE_MAX_BYTES, numbers: 'integers' });
  const value: Json = {
    format: BUNDLE_FORMAT,
    policy,
    lines: { files: lines.files, at: lines.at },
  };
  decodeBundle(value);
  return encodePayload(value);
}
