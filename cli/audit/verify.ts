/**
 * Is this log what was written: every line, its place, and, when somebody remembers one, an entry that must be in it.
 * Spec: docs/audit.md §2.
 * @module
 */

import { basename } from 'node:path';
import type { ChainHead } from '../../core/node/chained-line.ts';
import { jsonLine, paint } from '../../core/node/terminal.ts';
import { labelled, paragraph, printable } from '../attest/text.ts';
import { AUDIT_FORMAT, EXIT, type AuditIo } from './io.ts';
import { LogWalk, logSource, type LogSource, type ReadEntry } from './log-source.ts';

export interface VerifyOptions {
  /** An entry that must be in the log. */
  readonly head?: ChainHead;
  /** The entry that the first one must follow. */
  readonly from?: ChainHead;
  readonly json?: true;
}

export interface Finding {
  readonly file: string;
  /** Null: of the log as a whole. */
  readonly line: number | null;
  readonly code: string;
  readonly text: string;
}

export interface Verified {
  readonly path: string;
  readonly files: number;
  readonly entries: number;
  readonly first: Instant | null;
  readonly last: Instant | null;
  readonly head: ChainHead | null;
  /** The first ones. */
  readonly findings: readonly Finding[];
  readonly findingsMore: number;
}

interface Instant {
  readonly seq: number;
  readonly time: string;
}

const FINDINGS_SHOWN_MAX = 20;
const PROGRESS_FROM_BYTES = 16_777_216;
const LABEL_COLUMN = 10;

/** Throws `audit.unreadable`. */
export function runVerify(path: string, options: VerifyOptions, io: AuditIo): number {
  const source = logSource(path, options.from);
  const verified = verifyLog(source, options, io);
  const isSound = verified.findings.length === 0;
  const status = isSound ? EXIT.ok : EXIT.findings;
  if (options.json === true) {
    const { path: log, ...rest } = verified;
    io.output(jsonLine({ format: AUDIT_FORMAT, command: 'verify', exit: status, log, ...rest }));
    return status;
  }
  for (const line of linesOf(verified, source, options, io)) io.output(line);
  return status;
}

/** `visit` sees every line too. */
export function verifyLog(
  source: LogSource,
  { head }: Pick<VerifyOptions, 'head'>,
  io: Pick<AuditIo, 'progress'>,
  visit?: (entry: ReadEntry) => void,
): Verified {
  const findings: Finding[] = [];
  let [entries, more] = [0, 0];
  let first: Instant | null = null;
  let last: Instant | null = null;
  let atHead: string | undefined;
  const note = (finding: Finding): void => {
    if (findings.length < FINDINGS_SHOWN_MAX) findings.push(finding);
    else more++;
  };
  using walk = new LogWalk(source, (entry) => {
    const { line, fault, file, lineNumber } = entry;
    visit?.(entry);
    if (fault !== undefined) note({ file, line: lineNumber, ...fault });
    if (fault?.code !== 'torn') entries++;
    if (line === undefined) return;
    const { seq, time, hash } = line;
    first ??= { seq, time };
    last = { seq, time };
    if (seq === head?.seq && fault === undefined) atHead = hash;
  });
  walk.read(progressOf(walk.bytes(), () => entries, io));
  walk.end();
  io.progress('');
  if (head !== undefined && atHead !== head.hash) {
    note({ file: source.path, line: null, code: 'head', text: headText(head, atHead, last) });
  }
  const { files, head: reached } = walk;
  const summary = { path: source.path, files, entries, first, last, head: reached ?? null };
  return { ...summary, findings, findingsMore: more };
}

function headText(wanted: ChainHead, found: string | undefined, last: Instant | null): string {
  if (found !== undefined) {
    return `entry ${wanted.seq} is another one than the one remembered: another chain, or made anew`;
  }
  const lastSeq = last?.seq ?? 0;
  return lastSeq < wanted.seq
    ? `ends with entry ${lastSeq}, and entry ${wanted.seq} was in it: the end was cut off`
    : `has no sound entry ${wanted.seq}, which was in it`;
}

function progressOf(
  total: number,
  entries: () => number,
  io: Pick<AuditIo, 'progress'>,
): ((bytes: number) => void) | undefined {
  if (total < PROGRESS_FROM_BYTES) return undefined;
  let [done, shown] = [0, -1];
  return (bytes) => {
    done += bytes;
    const percent = Math.floor((100 * done) / total);
    if (percent === shown) return;
    shown = percent;
    io.progress(`${String(percent).padStart(3)} %  ${entries().toLocaleString('en')} entries`);
  };
}

function linesOf(
  verified: Verified,
  source: LogSource,
  { head, from }: VerifyOptions,
  { page }: AuditIo,
): readonly string[] {
  const { path, files, entries, first, last, findings, findingsMore } = verified;
  const isSound = findings.length === 0;
  const word = isSound ? paint('green', 'SOUND') : paint('red', 'BROKEN');
  const row = (label: string, text: string) => labelled(`  ${label}`, text, page, LABEL_COLUMN + 2);
  const places = findings.map((finding) => ({ ...finding, place: placeOf(finding) }));
  const width = Math.max(...places.map(({ place }) => place.length), 0) + 4;
  return [
    `${word}  ${printable(path)}`,
    ...row(
      'entries',
      `${entries.toLocaleString('en')} in ${files} ${files === 1 ? 'file' : 'files'}`,
    ),
    ...(first === null ? [] : row('first', `${first.seq}  ${first.time}`)),
    ...(last === null ? [] : row('last', `${last.seq}  ${last.time}`)),
    ...(verified.head === null || !isSound ? [] : row('head', headOf(verified.head))),
    ...places.flatMap(({ place, text }) =>
      page.rows === 'whole' ? [`  ${place}  ${text}`] : labelled(`  ${place}`, text, page, width),
    ),
    ...(findingsMore > 0 ? [`  and ${findingsMore} more`] : []),
    ...remarks({ isSound, isMiddle: source.origin === 'anywhere', head, from }).flatMap((text) =>
      paragraph(text, page, '  '),
    ),
  ];
}

function placeOf({ file, line }: Finding): string {
  return printable(line === null ? file : `${basename(file)}:${line}`);
}

/** As `--head` takes it. */
export function headOf({ seq, hash }: ChainHead): string {
  return `${seq}:${hash}`;
}

function remarks(about: {
  readonly isSound: boolean;
  readonly isMiddle: boolean;
  readonly head: ChainHead | undefined;
  readonly from: ChainHead | undefined;
}): readonly string[] {
  const { isSound, isMiddle, head, from } = about;
  return [
    ...(isMiddle
      ? ['It begins in the middle of a chain: name the folder, or the entry before it with --from.']
      : []),
    ...(from === undefined ? [] : [`It follows entry ${from.seq}.`]),
    ...(isSound && head !== undefined ? [`Entry ${head.seq} is the one remembered.`] : []),
    ...(isSound && head === undefined
      ? ['That its end was not cut off only a head can show that was kept elsewhere: --head.']
      : []),
  ];
}
