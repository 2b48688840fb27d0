/**
 * Was everybody given the same? Logs of gateways and memories of clients side by side: one number of one document
 * with two contents means that people signed both, or that somebody's record is not true. Spec: docs/publication.md
 * §3; docs/audit.md §4.
 * @module
 */

import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { VeilError } from '../../core/errors.ts';
import { jsonLine, paint } from '../../core/node/terminal.ts';
import { systemCodeOf } from '../../core/node/private-files.ts';
import {
  POLICY_MEMORY_MAX_BYTES,
  parsePolicyMemory,
} from '../../attestation/publication/policy-memory.ts';
import { labelled, paragraph, printable } from '../attest/text.ts';
import { auditError } from './errors.ts';
import { AUDIT_FORMAT, EXIT, type AuditIo } from './io.ts';
import { sightingsOf } from './log-sightings.ts';
import { logSource } from './log-source.ts';
import { Sightings, type Split } from './sightings.ts';
import { verifyLog, type Finding } from './verify.ts';

export interface CompareOptions {
  readonly json?: true;
}

interface Source {
  readonly path: string;
  readonly kind: 'log' | 'memory';
  /** Numbered documents that it says something of. */
  readonly documents: number;
  /** Of a log: a record that was changed proves nothing. */
  readonly findings: readonly Finding[];
  /** Entries that should name a document and cannot be understood. */
  readonly notUnderstood: number;
}

/** Throws `audit.unreadable`, `policy_memory.malformed`, `json.*`. */
export function runCompare(paths: readonly string[], options: CompareOptions, io: AuditIo): number {
  const sightings = new Sightings();
  const sources = paths.map((path) =>
    isLog(path) ? readLog(path, sightings, io) : readMemory(path, sightings),
  );
  const splits = sightings.splits();
  const compared = sightings.seenTwice();
  const isClean =
    splits.length === 0 &&
    sources.every(({ findings, notUnderstood }) => findings.length + notUnderstood === 0);
  const status = isClean ? EXIT.ok : EXIT.findings;
  if (options.json === true) {
    const answer = { exit: status, compared, equivocations: splits, sources };
    io.output(jsonLine({ format: AUDIT_FORMAT, command: 'compare', ...answer }));
    return status;
  }
  const blocks = [
    ...splits.map((split) => splitLines(split, io)),
    ...sources.map((source) => sourceLines(source, io)).filter((lines) => lines.length > 0),
    summaryLines({ splits: splits.length, compared, sources, io }),
  ];
  for (const [at, lines] of blocks.entries()) {
    if (at > 0) io.output('');
    for (const line of lines) io.output(line);
  }
  return status;
}

const LOG_BEGINS = '{"entry":';

function isLog(path: string): boolean {
  if (path.endsWith('.log')) return true;
  try {
    if (statSync(path).isDirectory()) return true;
    const file = openSync(path, 'r');
    const bytes = new Uint8Array(LOG_BEGINS.length);
    try {
      return readSync(file, bytes) === 0 || String.fromCharCode(...bytes) === LOG_BEGINS;
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    throw auditError('audit.unreadable', `${path} (${systemCodeOf(cause)})`, { cause });
  }
}

function readLog(path: string, sightings: Sightings, io: AuditIo): Source {
  let [notUnderstood, documents] = [0, 0];
  const verified = verifyLog(logSource(path), {}, io, (entry) => {
    const seen = sightingsOf(entry);
    if (seen === undefined) notUnderstood++;
    else documents += seen.length;
    for (const sighting of seen ?? []) sightings.add(sighting, path);
  });
  return { path, kind: 'log', documents, findings: verified.findings, notUnderstood };
}

function readMemory(path: string, sightings: Sightings): Source {
  const { policy, accepted } = parsePolicyMemory(readBounded(path));
  for (const { document, number, digest, at } of accepted) {
    sightings.add(
      { document, name: policy, number, digest, at, how: 'accepted', where: path },
      path,
    );
  }
  const documents = accepted.length;
  return { path, kind: 'memory', documents, findings: [], notUnderstood: 0 };
}

function readBounded(path: string): Uint8Array {
  try {
    const found = statSync(path);
    if (!found.isFile() || found.size > POLICY_MEMORY_MAX_BYTES) {
      throw auditError('audit.unreadable', `${path} is no memory of a policy`);
    }
    return new Uint8Array(readFileSync(path));
  } catch (cause) {
    if (cause instanceof VeilError) throw cause;
    throw auditError('audit.unreadable', `${path} (${systemCodeOf(cause)})`, { cause });
  }
}

function splitLines(
  { document, name, number, contents }: Split,
  { page }: AuditIo,
): readonly string[] {
  const what = `${document} ${number} of ${printable(name)}`;
  return [
    `${paint('red', 'EQUIVOCATION')}  ${what}: ${contents.length} different contents`,
    ...contents.flatMap(({ digest, seen, seenMore }) => {
      const width = Math.max(...seen.map(({ where }) => printable(where).length)) + 6;
      return [
        `  ${printable(digest)}`,
        ...seen.flatMap(({ where, how, at }) =>
          labelled(`    ${printable(where)}`, `${how} ${at}`, page, width),
        ),
        ...(seenMore > 0 ? [`    and ${seenMore} more`] : []),
      ];
    }),
  ];
}

function sourceLines(source: Source, { page }: AuditIo): readonly string[] {
  const { path, findings, notUnderstood } = source;
  return [
    ...(findings.length === 0
      ? []
      : [
          `${paint('red', 'BROKEN')}  ${printable(path)}`,
          ...paragraph(
            `This log does not verify, so what it says proves little: veilgate audit verify`,
            page,
            '  ',
          ),
        ]),
    ...(notUnderstood === 0
      ? []
      : paragraph(`${path}: ${notUnderstood} entries about documents cannot be understood.`, page)),
  ];
}

function summaryLines(about: {
  readonly splits: number;
  readonly compared: number;
  readonly sources: readonly Source[];
  readonly io: AuditIo;
}): readonly string[] {
  const { splits, compared, sources, io } = about;
  const told = `${sources.length} ${sources.length === 1 ? 'record' : 'records'}, ${compared} documents in more than one of them`;
  if (splits > 0) {
    return paragraph(
      `${told}. Keep the files as they are: who signed two contents under one number can be seen from the signatures on both.`,
      io.page,
    );
  }
  if (compared === 0) {
    return [
      paint('yellow', 'NOTHING COMPARED'),
      ...paragraph(`${told}: none of them can be right or wrong by the others.`, io.page, '  '),
    ];
  }
  return [`${paint('green', 'THE SAME')}  ${told}`];
}
