/**
 * Captured evidence that policies are tried on: a folder of files as `veilgate attest` reads them. Nothing is fetched; what
 * cannot be judged under a policy is named and counts for nothing.
 * @module
 */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { VeilError } from '../../core/errors.ts';
import { SnpCache } from '../../attestation/snp/cache.ts';
import { TdxCache } from '../../attestation/tdx/cache.ts';
import type { EvidenceBundle } from '../../attestation/evidence.ts';
import type { AppraisalCaches } from '../../attestation/tee.ts';
import { bundleOf } from '../attest/judge.ts';
import { INPUT_MAX_BYTES, recognise } from '../attest/recognise.ts';
import { cliError } from '../errors.ts';
import { readBoundedFile } from '../measure/files.ts';

const FILES_MAX = 4096;
const TOTAL_MAX_BYTES = 256 * 1024 * 1024;
/** For people, beside the evidence. */
const IGNORED: readonly string[] = ['README.md', 'SOURCE.md'];

export interface CapturedWorker {
  /** A file, and where it holds several, the worker. */
  readonly name: string;
  readonly evidence: EvidenceBundle;
}

export interface Captured {
  readonly workers: readonly CapturedWorker[];
  /** With the reason. */
  readonly unreadable: readonly { readonly name: string; readonly reason: string }[];
  readonly caches: AppraisalCaches;
}

/** In the order of the names. Throws `cli.file`. */
export function readEvidenceFolder(folder: string): Captured {
  const workers: CapturedWorker[] = [];
  const unreadable: { name: string; reason: string }[] = [];
  let total = 0;
  for (const name of namesIn(folder)) {
    const bytes = readBoundedFile('evidence', join(folder, name), INPUT_MAX_BYTES);
    total += bytes.length;
    if (total > TOTAL_MAX_BYTES) {
      throw cliError('cli.file', `the evidence in ${folder} has over ${TOTAL_MAX_BYTES} bytes`);
    }
    try {
      const finds = recognise(name, bytes);
      unreadable.push(...finds.unreadable);
      for (const { name: of, machine, statements } of finds.subjects) {
        if (statements === undefined) {
          unreadable.push({ name: of, reason: 'bare evidence of a machine: no policy judges it' });
        } else {
          workers.push({ name: of, evidence: bundleOf({ machine }, statements) });
        }
      }
    } catch (error) {
      if (!(error instanceof VeilError)) throw error;
      unreadable.push({ name, reason: error.message });
    }
  }
  return { workers, unreadable, caches: { tdx: new TdxCache(), snp: new SnpCache() } };
}

function namesIn(folder: string): readonly string[] {
  let entries;
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch (cause) {
    throw cliError('cli.file', `cannot list the evidence in ${folder}`, { cause });
  }
  const names = entries
    .filter(({ name }) => !name.startsWith('.') && !IGNORED.includes(name))
    .map((entry) => {
      if (entry.isFile()) return entry.name;
      throw cliError('cli.file', `${join(folder, entry.name)} is no plain file of evidence`);
    });
  if (names.length > FILES_MAX) {
    throw cliError('cli.file', `${folder} holds over ${FILES_MAX} files of evidence`);
  }
  return names.sort();
}
