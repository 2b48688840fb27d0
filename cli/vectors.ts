/**
 * `veilgate vectors MANIFEST [--json]`: judges every case of a vector manifest and prints what it found, one line per
 * case. It never compares with what the manifest expects; that is the reader's part. Exit status: 0 every case was
 * judged or is of a kind this program does not know, 1 a case or the manifest could not be read, 2 wrong usage.
 * @module
 */

import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, normalize, relative, sep } from 'node:path';
import type { Command } from 'commander';
import { ZodError } from 'zod';
import { printableText } from '../attestation/tdx/event-log/printable.ts';
import { VeilError } from '../core/errors.ts';
import { jsonLine, outputLine, paint } from '../core/node/terminal.ts';
import type { ReadCaseFile, VectorOutcome } from './vectors/kind.ts';
import { VECTOR_KINDS } from './vectors/kinds.ts';
import { parseManifest, vectorsError, type ManifestCase } from './vectors/manifest.ts';

const CASE_FILE_MAX_BYTES = 64 * 1024 * 1024;

export interface VectorLine extends Omit<VectorOutcome, 'verdict'> {
  readonly id: string;
  readonly verdict: VectorOutcome['verdict'] | 'unsupported' | 'error';
  readonly ms: number;
  /** Why there is no verdict. */
  readonly note?: string;
}

export interface VectorsSummary {
  readonly judged: number;
  readonly unsupported: number;
  readonly errors: number;
}

/** Runs one case after the other; a case that cannot be run is a line with verdict `error`. Throws `vectors.manifest`. */
export function runVectors(
  manifestPath: string,
  write: (line: VectorLine) => void,
): VectorsSummary {
  const cases = parseManifest(readBounded(manifestPath));
  const folder = dirname(manifestPath);
  const readers = {
    folder: fileReader([folder]),
    'folder-or-parent': fileReader([folder, join(folder, '..')]),
  };
  let [judged, unsupported, errors] = [0, 0, 0];
  for (const one of cases) {
    const line = runCase(one, readers[one.root]);
    if (line.verdict === 'error') errors++;
    else if (line.verdict === 'unsupported') unsupported++;
    else judged++;
    write(line);
  }
  return { judged, unsupported, errors };
}

const NOTHING = {
  failing: [],
  warnings: [],
  authentic: null,
  tcb: null,
  fields: null,
} as const;

function runCase({ id, kind, entry }: ManifestCase, readFile: ReadCaseFile): VectorLine {
  const runner = VECTOR_KINDS.find((candidate) => candidate.name === kind);
  if (runner === undefined) {
    const note = `kind ${kind} is not known to this version`;
    return { id, verdict: 'unsupported', ...NOTHING, ms: 0, note };
  }
  const startedMs = performance.now();
  const spent = (): number => Math.round((performance.now() - startedMs) * 1000) / 1000;
  try {
    const outcome = runner.run(entry, readFile);
    return { id, ...outcome, ms: spent() };
  } catch (error) {
    return { id, verdict: 'error', ...NOTHING, ms: spent(), note: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof VeilError) return error.message;
  if (error instanceof ZodError) {
    const paths = error.issues.map((issue) => issue.path.join('.') || 'case');
    return `not of the kind's form: ${paths.join(', ')}`;
  }
  return error instanceof Error ? error.message : 'unknown failure';
}

/** Paths of a manifest stay below its folders, where links lead too; the first that has the file counts. */
function fileReader(folders: readonly string[]): ReadCaseFile {
  return (path) => {
    if (leaves(normalize(path))) throw outside();
    const places = folders.map((folder) => join(folder, path));
    const place = places.find((one) => existsSync(one));
    if (place === undefined) throw vectorsError('vectors.file', `cannot read ${path}`);
    const real = realpathSync(place);
    if (folders.every((folder) => leaves(relative(realpathSync(folder), real)))) throw outside();
    // A device or a pipe has no size that a bound could be compared with.
    if (!statSync(real).isFile()) throw vectorsError('vectors.file', `${path} is not a file`);
    return readBounded(real);
  };
}

function leaves(path: string): boolean {
  return path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path);
}

function outside(): VeilError {
  return vectorsError('vectors.file', 'a path outside the manifest folder');
}

function readBounded(path: string): Uint8Array {
  try {
    if (statSync(path).size > CASE_FILE_MAX_BYTES) throw vectorsError('vectors.file', 'too large');
    return new Uint8Array(readFileSync(path));
  } catch (cause) {
    if (cause instanceof VeilError) throw cause;
    throw vectorsError('vectors.file', `cannot read ${path}`, { cause });
  }
}

export function registerVectorsCommand(program: Command): void {
  program
    .command('vectors')
    .description('judge every case of a test vector manifest, without looking at what it expects')
    .argument('<manifest>', 'path of manifest.json')
    .option('--json', 'one JSON object per line')
    .action((manifest: string, options: { readonly json?: boolean }) => {
      const asJson = options.json === true;
      const summary = runVectors(manifest, (line) =>
        outputLine(asJson ? jsonLine(line) : tableRow(line)),
      );
      if (!asJson) {
        const { judged, unsupported, errors } = summary;
        outputLine(`${judged} judged, ${unsupported} of unknown kinds, ${errors} unreadable`);
      }
      if (summary.errors > 0) process.exitCode = 1;
    });
}

const ID_COLUMN = 40;
const VERDICT_COLUMN = 12;
const TEXT_MAX_CHARS = 1024;
const COLOURS = {
  accept: 'green',
  match: 'green',
  mismatch: 'yellow',
  reject: 'yellow',
  unsupported: 'dim',
  error: 'red',
} as const;

function tableRow(line: VectorLine): string {
  const status = line.tcb?.['status'];
  const details = [
    ...(typeof status === 'string' ? [status] : []),
    ...line.failing,
    ...line.warnings.map((warning) => `(${warning})`),
    ...(line.note === undefined ? [] : [line.note]),
  ];
  const verdict = paint(COLOURS[line.verdict], line.verdict.padEnd(VERDICT_COLUMN));
  // Names and paths are the manifest's own words.
  const [id, said] = [line.id, details.join(' ')].map((text) =>
    printableText(text, TEXT_MAX_CHARS),
  );
  return `${(id ?? '').padEnd(ID_COLUMN)} ${verdict} ${said ?? ''}`;
}
