/**
 * The entries of a log, the newest last. The chain is checked on the way: a line that was changed is shown and
 * marked, and the command ends like one that found something.
 * @module
 */

import { basename } from 'node:path';
import { pause } from '../../core/node/lifecycle.ts';
import { jsonLine, paint } from '../../core/node/terminal.ts';
import { printable } from '../attest/text.ts';
import { createFilter, type Filter } from './filter.ts';
import { AUDIT_FORMAT, EXIT, type AuditIo } from './io.ts';
import { LogWalk, logSource, type ReadEntry } from './log-source.ts';
import { rowsOf } from './rows.ts';

export interface ShowOptions extends Filter {
  /** The last so many. */
  readonly limit: number | undefined;
  readonly follow: boolean;
  readonly ids: 'short' | 'whole';
  readonly format: 'text' | 'json';
}

const LOOK_AGAIN_MS = 300;

/** Throws `audit.unreadable`. */
export async function runShow(path: string, options: ShowOptions, io: AuditIo): Promise<number> {
  const isWanted = createFilter(options);
  const kept = new Kept(options.limit);
  const write = (entry: ReadEntry): void => {
    for (const row of rowsOfEntry(entry, options, io)) io.output(row);
  };
  let [faults, isLive] = [0, false];
  using walk = new LogWalk(logSource(path), (entry) => {
    const { line, fault } = entry;
    if (fault !== undefined) faults++;
    // What was changed may have been changed to hide from the filter.
    if (fault === undefined && (line === undefined || !isWanted(line))) return;
    if (isLive || options.limit === undefined) write(entry);
    else kept.add(entry);
  });
  walk.read();
  if (!options.follow) walk.end();
  for (const entry of kept.entries()) write(entry);
  isLive = true;
  if (options.follow) {
    const enough = io.enough();
    while (await pause(LOOK_AGAIN_MS, enough)) walk.read();
  }
  if (faults === 0) return EXIT.ok;
  io.error(
    `veilgate: this log does not verify (${faults} ${faults === 1 ? 'finding' : 'findings'}): veilgate audit verify`,
  );
  return EXIT.findings;
}

/** The last `max`, without moving the others on each time. */
class Kept {
  readonly #max: number;
  readonly #entries: ReadEntry[] = [];
  #next = 0;

  constructor(max: number | undefined) {
    this.#max = max ?? 0;
  }

  add(entry: ReadEntry): void {
    if (this.#max === 0) return;
    this.#entries[this.#next] = entry;
    this.#next = (this.#next + 1) % this.#max;
  }

  entries(): readonly ReadEntry[] {
    return [...this.#entries.slice(this.#next), ...this.#entries.slice(0, this.#next)];
  }
}

function rowsOfEntry(
  entry: ReadEntry,
  { ids, format }: ShowOptions,
  { page }: AuditIo,
): readonly string[] {
  const { file, lineNumber, line, fault } = entry;
  if (format === 'json') {
    const head = { format: AUDIT_FORMAT, file, line: lineNumber, fault: fault ?? null };
    const { seq = null, time = null, prev = null, hash = null, entry: said = null } = line ?? {};
    return [jsonLine({ ...head, seq, time, entry: said, prev, hash })];
  }
  const shown = line === undefined ? [] : rowsOf(line, { page, ids });
  if (fault === undefined) return shown;
  const place = printable(`${basename(file)}:${lineNumber}`);
  return [...shown, `${paint('red', 'BROKEN')}  ${place} ${printable(fault.text)}`];
}
