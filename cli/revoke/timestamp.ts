/**
 * `veilgate revoke timestamp`: the online service without which gateways admit nobody: it says every 20 s what is the newest,
 * and at once when somebody published. One line per change, none per tick.
 * @module
 */

import type { Command } from 'commander';
import { formatInstant, systemClock } from '../../core/clock.ts';
import { untilSignal } from '../../core/node/lifecycle.ts';
import { errorLine, jsonLine, outputLine } from '../../core/node/terminal.ts';
import { printable } from '../attest/text.ts';
import { cliError } from '../errors.ts';
import {
  EXIT,
  jsonAnswer,
  respond,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from '../policy/answer.ts';
import { ROOT_OPTION } from '../publication/pinned-root.ts';
import { adviceFor } from '../publication/advice.ts';
import { refused } from '../publication/errors.ts';
import { readSigningKey } from '../publication/keys.ts';
import { parseSpan } from '../publication/lifetime.ts';
import { openRoot } from '../publication/root-report.ts';
import {
  runTimestampService,
  signTimestampOnce,
  TIMESTAMP_EVERY_MS,
  type TimestampReport,
} from '../publication/timestamp-service.ts';
import type { TimestamperOptions } from '../publication/timestamper.ts';

const EVERY_MAX_MS = 3_600_000;
const SECOND_MS = 1000;

interface TimestampOptions {
  readonly repo: string;
  readonly as: string;
  readonly every?: string;
  readonly memory?: string;
  readonly root?: string;
  readonly once?: true;
  readonly json?: true;
}

export function registerRevokeTimestampCommand(parent: Command): void {
  parent
    .command('timestamp')
    .description('keep saying what is the newest, until Ctrl-C')
    .requiredOption('--repo <dir>', 'the repository')
    .requiredOption('--as <keyfile>', 'a secret key of the role timestamp')
    .option('--every <time>', 'how often when nothing changes', '20s')
    .option(
      '--memory <file>',
      'what it has seen, so that nothing goes back (default: beside the key)',
    )
    .option(...ROOT_OPTION)
    .option('--once', 'one timestamp, and end')
    .option('--json', 'one line of JSON for each change')
    .action((options: TimestampOptions) => {
      const question = { command: 'revoke timestamp', json: options.json === true };
      return respond(question, () => timestampAnswer(question, options));
    });
}

async function timestampAnswer(
  question: PolicyQuestion,
  options: TimestampOptions,
): Promise<PolicyAnswer> {
  const key = readSigningKey(options.as);
  const everyMs =
    options.every === undefined ? TIMESTAMP_EVERY_MS : parseSpan('--every', options.every);
  if (everyMs > EVERY_MAX_MS) throw cliError('cli.option', '--every takes at most 1h');
  const service: TimestamperOptions = {
    directory: options.repo,
    secretKey: key.secretKey,
    memoryPath: options.memory ?? `${options.as}.seen`,
    ...(options.root === undefined ? {} : { pinnedRoot: openRoot(options.root).bytes }),
    now: systemClock,
  };
  if (options.once === true) return onceAnswer(question, service);
  const stop = new AbortController();
  const asked = untilSignal().then(() => stop.abort());
  const say = speaker(question, options.repo);
  await runTimestampService({ ...service, everyMs, signal: stop.signal, onTick: say });
  await asked;
  return textAnswer(EXIT.ok, []);
}

function onceAnswer(question: PolicyQuestion, service: TimestamperOptions): PolicyAnswer {
  const report = signTimestampOnce(service);
  const refusals = report.refused.map((it) => `${it.document} refused: ${it.code}: ${it.detail}`);
  if (report.outcome === 'unable') {
    throw refused(
      `readers would refuse this timestamp: ${report.refusal.code}: ${report.refusal.detail}`,
      adviceOf(report.refusal.code, service.directory),
    );
  }
  if (report.outcome !== 'signed') {
    throw refused(stateText(report), `veilgate policy status --repo ${service.directory}`);
  }
  const status = refusals.length === 0 ? EXIT.ok : EXIT.findings;
  if (question.json) {
    const at = formatInstant(report.timeMs);
    return jsonAnswer(question, status, { time: at, ...report.named, refused: report.refused });
  }
  return textAnswer(status, [stateText(report), ...refusals].map(printable));
}

function adviceOf(code: string, directory: string): string {
  return code === 'publication.threshold'
    ? 'name a key of the role timestamp with --as; the root says which: "veilgate policy root show"'
    : adviceFor({ code }, directory);
}

/** Says what differs from the last time: what is signed, and what stands in the way. */
function speaker(question: PolicyQuestion, directory: string): (report: TimestampReport) => void {
  let lastState = '';
  let lastProblems = '';
  return (report) => {
    const state = report.outcome === 'unchanged' ? lastState : stateText(report);
    const lines = problemLines(report, directory);
    const problems = report.outcome === 'failed' ? lastProblems : lines.join('\n');
    const isNews = state !== lastState || problems !== lastProblems;
    if (!isNews) return;
    const at = formatInstant(Math.floor(systemClock() / SECOND_MS) * SECOND_MS);
    if (question.json) outputLine(jsonLine({ at, ...report }));
    else {
      if (state !== lastState) outputLine(printable(`${at}  ${state}`));
      if (problems !== lastProblems) {
        for (const line of lines) errorLine(printable(`${at}  ${line}`));
        if (lines.length === 0) outputLine(`${at}  everything in the repository is believed again`);
      }
    }
    lastState = state;
    lastProblems = problems;
  };
}

function problemLines(report: TimestampReport, directory: string): readonly string[] {
  if (report.outcome === 'failed') return [];
  const refusals = report.refused.map(
    (it) =>
      `NOT BELIEVED: ${it.document}: ${it.code}: ${it.detail}; next: ${adviceFor(it, directory)}`,
  );
  if (report.outcome !== 'unable') return refusals;
  return [...refusals, `next: ${adviceOf(report.refusal.code, directory)}`];
}

/** The same text for the same state, whatever the time. */
function stateText(report: TimestampReport): string {
  switch (report.outcome) {
    case 'signed':
      return `signing release ${report.named.release}, revocations ${report.named.revocations}`;
    case 'waiting':
      return `waiting for ${report.missing.join(' and ')} to be published`;
    case 'unable':
      return `NOT SIGNING: ${report.refusal.code}: ${report.refusal.detail}`;
    case 'failed':
      return `NOT SIGNING: ${report.because}`;
    case 'later':
      return 'many changes at once: waiting for the clock';
    case 'unchanged':
  }
  return 'nothing new';
}
