/**
 * The manifests of the vector corpora: which cases there are and of which kind. Decoding keeps the id and the kind and
 * hands the rest of a case on untouched to its kind, without what the corpus expects.
 * @module
 */

import { z } from 'zod';
import { defineErrors, type ErrorSpec } from '../../core/errors.ts';
import { parseJson } from '../../core/json.ts';

const UNUSABLE: ErrorSpec = {
  status: 400,
  recovery: 'fix_request',
  public: 'The vectors cannot be read.',
};

export const vectorsError = defineErrors({
  'vectors.manifest': UNUSABLE,
  'vectors.case': UNUSABLE,
  'vectors.file': UNUSABLE,
});

export const MANIFEST_MAX_BYTES = 64 * 1024 * 1024;
const CASES_MAX = 100_000;

export interface ManifestCase {
  readonly id: string;
  readonly kind: string;
  /** Where its files lie: below the manifest's folder, or else below the folder around that one. */
  readonly root: 'folder' | 'folder-or-parent';
  /** The case without `expect`, `expect_measurement` and `observed`. */
  readonly entry: unknown;
}

const CASES = z.array(z.unknown()).max(CASES_MAX);
/** tdx: every case is a quote; its `kind` member says where the bytes come from, not what they are. */
const TDX_FORM = z.object({ format: z.literal(1), cases: CASES });
/** nvidia and those after it: every case names its kind. */
const KIND_PER_CASE_FORM = z.object({
  schemaVersion: z.literal(1),
  corpus: z.string(),
  cases: CASES,
});
/** sev-snp. */
const PLATFORM_FORM = z.object({
  schema: z.literal('veilgate-vectors/1'),
  platform: z.string(),
  cases: CASES,
});
/** Event logs beside the tdx quotes, in a folder of their own; paths start at the corpus. */
const LOGS_FORM = z.object({ format: z.literal(1), logs: CASES });
/** SEV-SNP launches and their digests. */
const LAUNCH_DIGEST_FORM = z.object({
  schema: z.literal('veilgate-launch-digest/1'),
  cases: CASES,
});

const ENTRY = z.looseObject({ id: z.string().optional(), kind: z.string().optional() });

/** Throws `vectors.manifest`, `json.*`. */
export function parseManifest(bytes: Uint8Array): readonly ManifestCase[] {
  const json = parseJson(bytes, MANIFEST_MAX_BYTES);
  const perCase = KIND_PER_CASE_FORM.safeParse(json);
  if (perCase.success) return casesOf(perCase.data.cases, undefined);
  const tdx = TDX_FORM.safeParse(json);
  if (tdx.success) return casesOf(tdx.data.cases, 'tdx');
  const platform = PLATFORM_FORM.safeParse(json);
  if (platform.success) return casesOf(platform.data.cases, platform.data.platform);
  const logs = LOGS_FORM.safeParse(json);
  if (logs.success) return casesOf(logs.data.logs, 'rtmr', 'folder-or-parent');
  const launches = LAUNCH_DIGEST_FORM.safeParse(json);
  if (launches.success) return casesOf(launches.data.cases, 'launch-digest');
  throw vectorsError('vectors.manifest', 'no known manifest form');
}

function casesOf(
  list: readonly unknown[],
  kind: string | undefined,
  root: ManifestCase['root'] = 'folder',
): readonly ManifestCase[] {
  return list.map((value, at) => {
    const decoded = ENTRY.safeParse(value);
    if (!decoded.success) return { id: `#${at}`, kind: kind ?? 'unknown', root, entry: undefined };
    const { expect: _expect, observed: _observed, ...rest } = decoded.data;
    const { expect_measurement: _measurement, ...entry } = rest;
    return { id: entry.id ?? `#${at}`, kind: kind ?? entry.kind ?? 'unknown', root, entry };
  });
}
