/**
 * Chained logs of tests: a folder of their own, entries one after the other, and what a walk over the files finds.
 * @module
 */

import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHAIN_START, type ChainedLine } from '../../core/node/chained-line.ts';
import {
  ChainCheck,
  LineScanner,
  chainFiles,
  type ChainFault,
  type ChainOrigin,
} from '../../core/node/chained-log-reader.ts';
import {
  openChainedLog,
  type ChainedLog,
  type ChainedLogOptions,
} from '../../core/node/chained-log.ts';

export const LOG_START_MS = Date.parse('2026-06-15T12:00:00Z');

export interface LogFolder extends Disposable {
  /** Of the log: not made yet. */
  readonly path: string;
  readonly file: (number: number) => string;
  readonly open: (options?: Partial<ChainedLogOptions>) => ChainedLog;
}

export function logFolder(): LogFolder {
  const parent = mkdtempSync(join(tmpdir(), 'veilgate-log-'));
  const path = join(parent, 'log');
  let nowMs = LOG_START_MS;
  const clock = (): number => (nowMs += 1000);
  return {
    path,
    file: (number) => join(path, `test-${String(number).padStart(6, '0')}.log`),
    open: (options = {}) => openChainedLog({ folder: path, name: 'test', clock, ...options }),
    [Symbol.dispose]: () => rmSync(parent, { recursive: true, force: true }),
  };
}

export interface Walked {
  readonly lines: readonly ChainedLine[];
  readonly faults: readonly ChainFault['code'][];
}

/** Every file of the folder as one chain. */
export function walk(folder: string, origin: ChainOrigin = CHAIN_START): Walked {
  const check = new ChainCheck(origin);
  const lines: ChainedLine[] = [];
  const faults: ChainFault['code'][] = [];
  for (const { path } of chainFiles(folder)) {
    const file = openSync(path, 'r');
    try {
      const scanner = new LineScanner(file);
      scanner.scan((bytes) => {
        const { line, fault } = check.check(bytes);
        if (line !== undefined) lines.push(line);
        if (fault !== undefined) faults.push(fault.code);
      });
      if (scanner.tornBytes > 0) faults.push('torn');
    } finally {
      closeSync(file);
    }
  }
  return { lines, faults };
}
