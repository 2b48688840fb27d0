/** Shows what is about to be signed and asks, where somebody sits in front of it. @module */

import { createInterface } from 'node:readline/promises';
import { isTerminal, outputLine } from '../../core/node/terminal.ts';
import { refused } from './errors.ts';

export interface Consent {
  readonly json: boolean;
  /** Asked already, or a program that has decided. */
  readonly yes: boolean;
}

/** What is left to be shown: nothing when it was shown before the question. Throws `repository.refused` for a no. */
export async function consented(
  lines: readonly string[],
  question: string,
  { json, yes }: Consent,
): Promise<readonly string[]> {
  if (json || yes || !process.stdin.isTTY || !isTerminal()) return lines;
  for (const line of lines) outputLine(line);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await terminal.question(`\n${question} [y/N] `);
    if (/^y(?:es)?$/i.test(answer.trim())) return [];
  } finally {
    terminal.close();
  }
  throw refused('you said no: nothing was signed or written', 'say y when it is what you want');
}
