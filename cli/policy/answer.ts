/**
 * How each `veilgate policy` command ends: lines, an exit status, and never a stack trace. A policy that cannot be used is
 * an answer (1); a file that cannot be read is none (3).
 * @module
 */

import { VeilError } from '../../core/errors.ts';
import {
  errorLine,
  isTerminal,
  jsonLine,
  outputLine,
  terminalColumns,
} from '../../core/node/terminal.ts';
import { printable, type Page } from '../attest/text.ts';

export const EXIT = { ok: 0, findings: 1, usage: 2, unreadable: 3 } as const;
export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

export const REPORT_FORMAT = 'veilgate.policy-report/1';

export interface PolicyAnswer {
  readonly status: ExitStatus;
  /** For standard output. */
  readonly output: readonly string[];
  /** For standard error. */
  readonly errors: readonly string[];
}

export interface PolicyQuestion {
  /** The word: `lint`. */
  readonly command: string;
  readonly json: boolean;
}

/** One object on one line; `exit` and `command` are in each. */
export function jsonAnswer(
  { command }: PolicyQuestion,
  status: ExitStatus,
  members: object,
): PolicyAnswer {
  const report = { format: REPORT_FORMAT, command, exit: status, ...members };
  return { status, output: [jsonLine(report)], errors: [] };
}

export function textAnswer(status: ExitStatus, output: readonly string[]): PolicyAnswer {
  return { status, output, errors: [] };
}

/** Whatever it throws becomes an answer. */
export async function answered(
  question: PolicyQuestion,
  answer: () => PolicyAnswer | Promise<PolicyAnswer>,
): Promise<PolicyAnswer> {
  try {
    return await answer();
  } catch (error) {
    return failure(question, error);
  }
}

/** The action of a sub-command: answers, writes, sets the exit status. */
export async function respond(
  question: PolicyQuestion,
  answer: (page: Page) => PolicyAnswer | Promise<PolicyAnswer>,
): Promise<void> {
  const page = { columns: terminalColumns(), rows: isTerminal() ? 'wrapped' : 'whole' } as const;
  const { status, output, errors } = await answered(question, () => answer(page));
  for (const line of output) outputLine(line);
  for (const line of errors) errorLine(line);
  process.exitCode = status;
}

function failure(question: PolicyQuestion, error: unknown): PolicyAnswer {
  const code = error instanceof VeilError ? error.code : 'internal.invariant';
  const message = messageOf(error);
  const status = statusOf(code);
  // A policy with mistakes has a line for each.
  const errors = `veilgate: ${message}`.split('\n').map(printable);
  if (!question.json) return { status, output: [], errors };
  const { output } = jsonAnswer(question, status, { error: { code, message } });
  return { status, output, errors };
}

/** What was read and is not accepted; everything else could not be read. */
const FINDINGS = ['policy.', 'publication.', 'repository.refused', 'repository.changed'] as const;

const WRONG_USAGE = ['cli.option', 'attest.option', 'client.option', 'client.insecure_url'];

function statusOf(code: string): ExitStatus {
  if (WRONG_USAGE.includes(code)) return EXIT.usage;
  const isAnswer = FINDINGS.some((area) => code.startsWith(area));
  return isAnswer ? EXIT.findings : EXIT.unreadable;
}

/** Only our own messages are known to be free of what they are about; a bare code gets its public text. */
function messageOf(error: unknown): string {
  if (!(error instanceof VeilError)) return 'internal.invariant';
  const { message, code, spec } = error;
  return message === code ? `${code}: ${spec.public}` : message;
}
