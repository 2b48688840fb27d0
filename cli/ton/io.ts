/** What a command that moves coins has around it, and how it answers. @module */

import { createInterface } from 'node:readline/promises';
import { systemClock, type Clock } from '../../core/clock.ts';
import { VeilError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import {
  errorLine,
  isTerminal,
  jsonLine,
  outputLine,
  printable,
  terminalColumns,
} from '../../core/node/terminal.ts';
import { adviceOn } from './advice.ts';
import { wrapped } from './money-text.ts';

export interface MoneyIo {
  /** What is happening, for a person; programs are told nothing before the end. */
  readonly say: (line: string) => void;
  /** What is asked for before the end, such as a link to pay by. */
  readonly show: (line: string) => void;
  /** Undefined where nobody is there to answer. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
  readonly now: Clock;
  readonly signal: AbortSignal;
  /** Between two looks at chain or gateway; each has its own where this is absent. */
  readonly pollMs?: number;
}

export interface Answer {
  readonly json: JsonObject;
  readonly lines: readonly string[];
  /** Something is not as it should be. */
  readonly isTroubled?: boolean;
}

export interface AnswerOptions {
  readonly json?: true;
}

/** Runs a command on the terminal. Exit status 1 when its answer is that something is wrong. */
export async function answer(
  { json }: AnswerOptions,
  run: (io: MoneyIo) => Promise<Answer>,
): Promise<void> {
  const isPerson = json !== true && process.stdin.isTTY && isTerminal();
  try {
    const done = await run({
      say: json === true ? () => undefined : errorLine,
      show: json === true ? errorLine : outputLine,
      ask: isPerson ? askTerminal : undefined,
      now: systemClock,
      signal: new AbortController().signal,
    });
    for (const line of json === true ? [jsonLine(done.json)] : done.lines) outputLine(line);
    if (done.isTroubled === true) process.exitCode = 1;
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    sayFailure(error, json === true);
    process.exitCode = 1;
  }
}

function sayFailure(error: VeilError, isJson: boolean): void {
  const advice = adviceOn(error);
  const { code, message } = error;
  if (isJson) {
    outputLine(jsonLine({ error: { code, message, ...(advice === undefined ? {} : { advice }) } }));
    return;
  }
  errorLine(printable(`veilgate: ${message}`));
  if (advice === undefined) return;
  for (const line of wrapped(advice, terminalColumns() - INDENT.length)) errorLine(INDENT + line);
}

const INDENT = '  ';

async function askTerminal(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return (await terminal.question(question)).trim();
  } catch {
    // Ctrl-D and Ctrl-C end the line, and say no.
    return '';
  } finally {
    terminal.close();
  }
}
