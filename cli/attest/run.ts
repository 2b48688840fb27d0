/**
 * One request from evidence to answer: gathers, judges, writes. What cannot be judged is an answer too, with its own exit
 * status, and never a stack trace.
 * @module
 */

import { VeilError } from '../../core/errors.ts';
import { jsonLine } from '../../core/node/terminal.ts';
import { completed } from './complete.ts';
import { explainLines } from './explain.ts';
import { gather, type AttestIo, type Gathered } from './gather.ts';
import { inspectLines } from './inspect.ts';
import { judge, type Judgement } from './judge.ts';
import { answerJson, failureJson } from './json.ts';
import type { AttestCommand, AttestRequest } from './request.ts';
import { findingLines, headLines, unreadableLines } from './summary.ts';
import { printable, type Page } from './text.ts';

/** `inspect` decides nothing: it ends with 0 when there was something to show. */
export const EXIT = { accepted: 0, rejected: 1, usage: 2, unjudged: 3 } as const;

export interface AttestAnswer {
  readonly status: number;
  /** For standard output. */
  readonly output: readonly string[];
  /** For standard error. */
  readonly errors: readonly string[];
}

export async function runAttest(
  request: AttestRequest,
  io: AttestIo,
  page: Page,
): Promise<AttestAnswer> {
  const { command, options } = request;
  const isJson = options.json === true;
  try {
    const gathered = await gather(request, io);
    const judgements = await judgeAll(gathered, request, io);
    const status = statusOf(command, judgements, gathered);
    const { unreadable, question } = gathered;
    const { nowMs, policy } = question;
    const output = isJson
      ? [jsonLine(answerJson({ command, nowMs, policy, status, judgements, unreadable }))]
      : answerLines(command, { judgements, gathered, page });
    return { status, output, errors: [] };
  } catch (error) {
    return failure(request, error);
  }
}

/**
 * What cannot be decided because something is missing is completed, where that is possible, and judged again. `verify` asks
 * nobody about evidence that is refused already; the other two show the whole picture.
 */
export async function judgeAll(
  { subjects, question }: Pick<Gathered, 'subjects' | 'question'>,
  { command, options }: Pick<AttestRequest, 'command' | 'options'>,
  { clock, openSource }: AttestIo,
): Promise<readonly Judgement[]> {
  const judgements = subjects.map((subject) => judge(subject, question));
  // Vendors know nothing of development roots.
  const isDevelopment =
    question.root !== undefined ||
    question.simulatedRoots !== undefined ||
    question.policy?.document.development === true;
  const isOpen = ({ outcome, missing }: Judgement): boolean =>
    outcome === 'undecided' || (command !== 'verify' && missing.length > 0);
  if (!judgements.some(isOpen) || isDevelopment || openSource === undefined) return judgements;
  const aheadMs = question.nowMs - clock();
  const { offline } = options;
  const source = await openSource({
    clock: () => clock() + aheadMs,
    ...(offline === undefined ? {} : { offline }),
  });
  try {
    const done: Judgement[] = [];
    for (const judgement of judgements) {
      const { subject } = judgement;
      done.push(isOpen(judgement) ? judge(await completed(subject, source), question) : judgement);
    }
    return done;
  } finally {
    await source.close();
  }
}

/** The worst of all: whoever asks about ten workers must not be told that all is well with nine. */
function statusOf(
  command: AttestCommand,
  judgements: readonly Judgement[],
  { unreadable }: Gathered,
): number {
  if (command === 'inspect') return unreadable.length > 0 ? EXIT.unjudged : EXIT.accepted;
  if (judgements.some(({ outcome }) => outcome === 'rejected')) return EXIT.rejected;
  const isUnjudged = judgements.some(({ outcome }) => outcome === 'undecided');
  return isUnjudged || unreadable.length > 0 ? EXIT.unjudged : EXIT.accepted;
}

interface Written {
  readonly judgements: readonly Judgement[];
  readonly gathered: Gathered;
  readonly page: Page;
}

function answerLines(
  command: AttestCommand,
  { judgements, gathered, page }: Written,
): readonly string[] {
  const blocks = [
    ...judgements.map((judgement) => [
      ...headLines(judgement, page),
      ...bodyLines(command, judgement, page),
    ]),
    ...gathered.unreadable.map((one) => unreadableLines(one, page)),
  ];
  return blocks.flatMap((lines, at) => (at === 0 ? lines : ['', ...lines]));
}

function bodyLines(command: AttestCommand, judgement: Judgement, page: Page): readonly string[] {
  if (command === 'verify') return findingLines(judgement, page);
  return command === 'explain' ? explainLines(judgement, page) : inspectLines(judgement, page);
}

function failure({ command, options }: AttestRequest, error: unknown): AttestAnswer {
  const code = error instanceof VeilError ? error.code : 'internal.invariant';
  const message = messageOf(error);
  const status = WRONG_USAGE.includes(code) ? EXIT.usage : EXIT.unjudged;
  const output =
    options.json === true ? [jsonLine(failureJson(command, code, message, status))] : [];
  // A policy with mistakes has a line for each.
  return { status, output, errors: `veilgate: ${message}`.split('\n').map(printable) };
}

/** Only our own messages are known to be free of what they are about; a bare code gets its public text. */
function messageOf(error: unknown): string {
  if (!(error instanceof VeilError)) return 'internal.invariant';
  const { message, code, spec } = error;
  return message === code ? `${code}: ${spec.public}` : message;
}

const WRONG_USAGE = ['attest.option', 'client.option', 'client.insecure_url'];
