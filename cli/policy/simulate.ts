/**
 * `veilgate policy simulate PATH --live URL`: who would newly be denied or admitted, before anybody is. Asks a running gateway
 * what it shows to everybody, and changes nothing. Exit status: 0 nobody, 1 somebody, 2 wrong usage, 3 something cannot be
 * read. Spec: gpu-and-policy §5.5.
 *
 * What a gateway shows are the workers it admits, at most 64 of each model. The challenge a statement answers is taken as
 * the gateway's; what was revoked is not asked; `policy.issued` is left out, because a policy that is to come has not begun.
 * @module
 */

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { EvidenceBundle } from '../../attestation/evidence.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { rehearse } from '../../attestation/policy/rehearse.ts';
import { newCaches } from '../../attestation/tees.ts';
import type { AppraisalCaches } from '../../attestation/tee.ts';
import type { Check } from '../../attestation/verdict.ts';
import { toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { paint, type Colour } from '../../core/node/terminal.ts';
import type { AttestIo } from '../attest/gather.ts';
import { bundleOfSubject, type Judgement } from '../attest/judge.ts';
import { instantOption } from '../attest/request.ts';
import { unreadableLines } from '../attest/summary.ts';
import { labelled, type Page } from '../attest/text.ts';
import { cliError } from '../errors.ts';
import {
  EXIT,
  jsonAnswer,
  respond,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from './answer.ts';
import { checkLines } from './check-text.ts';
import { policyName } from './compile.ts';
import { COMMAND_IO, judgeEvidence } from './evidence.ts';
import { policyJson } from './explain.ts';
import { judgeFixture } from './fixture.ts';
import { readPolicy } from './read-policy.ts';

export interface SimulateOptions {
  readonly live?: string;
  readonly evidence?: string;
  readonly candidate?: string;
  readonly aud?: string;
  readonly model?: string;
  readonly at?: number;
  readonly json?: true;
}

export function registerSimulateCommand(parent: Command): void {
  parent
    .command('simulate')
    .description('say who would newly be denied or admitted')
    .argument('<path>', 'the policy: a file, or a directory with policy.yaml')
    .option('--live <url>', 'the workers that this gateway shows, against what it decided')
    .option('--evidence <path>', 'captured evidence: a file, or a directory of files')
    .option('--candidate <path>', 'compare this policy with <path>, not <path> with the gateway')
    .option('--aud <identity>', 'the identity that the gateway must have (gw1.…)')
    .option('--model <name>', 'gateway: only the workers of this model')
    .option(
      '--at <instant>',
      'judge as of this instant (RFC 3339, UTC) instead of now; captured evidence as of when it was made',
      instantOption,
    )
    .option('--json', 'one line of JSON')
    .action((path: string, options: SimulateOptions) => {
      const question = { command: 'simulate', json: options.json === true };
      return respond(question, (page) =>
        simulateAnswer(question, { path, options, io: COMMAND_IO, page }),
      );
    });
}

export interface SimulateRequest {
  readonly path: string;
  readonly options: SimulateOptions;
  readonly io: AttestIo;
  readonly page: Page;
}

export async function simulateAnswer(
  question: PolicyQuestion,
  { path, options, io, page }: SimulateRequest,
): Promise<PolicyAnswer> {
  const inputs = inputsOf(options);
  const policy = readPolicy(path);
  const candidate = options.candidate === undefined ? undefined : readPolicy(options.candidate);
  const { aud, model, at } = options;
  const judged = await judgeEvidence(
    {
      inputs,
      roots: policy,
      options: {
        // Whatever is missing is missing for both policies.
        offline: true,
        ...(aud === undefined ? {} : { aud }),
        ...(model === undefined ? {} : { model }),
        ...(at === undefined ? {} : { at }),
      },
    },
    io,
  );
  const caches = newCaches();
  const nowMs = judged.question.nowMs;
  const outcomes = judged.judgements.map((judgement) =>
    outcomeOf(judgement, { policy, candidate, nowMs, caches, isLive: options.live !== undefined }),
  );
  const isChanged = outcomes.some(({ change }) => CHANGES.has(change));
  const status = isChanged
    ? EXIT.findings
    : judged.unreadable.length > 0
      ? EXIT.unreadable
      : EXIT.ok;
  if (question.json) {
    return jsonAnswer(question, status, {
      policy: policyJson(policy),
      candidate: candidate === undefined ? null : policyJson(candidate),
      workers: outcomes.map(({ failed, ...outcome }) => ({ ...outcome, failing: failed })),
      unreadable: judged.unreadable,
    });
  }
  const then = policyName(candidate ?? policy);
  return textAnswer(status, [
    ...outcomes
      .filter(({ change }) => CHANGES.has(change))
      .flatMap((outcome) => outcomeLines(outcome, page)),
    ...judged.unreadable.flatMap((each) => unreadableLines(each, page)),
    ...labelled('', `under ${then}: ${countsText(outcomes)}`, page, 0),
  ]);
}

/** Exactly one source. Throws `cli.option`, `cli.file`. */
function inputsOf({ live, evidence }: SimulateOptions): readonly string[] {
  if ((live === undefined) === (evidence === undefined)) {
    throw cliError('cli.option', 'want either --live or --evidence');
  }
  if (live !== undefined) {
    if (/^https?:\/\//i.test(live)) return [live];
    throw cliError('cli.option', '--live wants the URL of a gateway');
  }
  const path = evidence ?? '';
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [path];
  const names = readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.json'))
    .map(({ name }) => join(path, name))
    .sort();
  if (names.length === 0) throw cliError('cli.file', `${path} holds no *.json`);
  return names;
}

type Change = 'still admitted' | 'still denied' | 'newly denied' | 'newly admitted';

const CHANGES: ReadonlySet<Change> = new Set(['newly denied', 'newly admitted']);

interface Decision {
  /** `production#42`. */
  readonly by: string;
  /** Hex; null where a gateway does not say. */
  readonly digest: string | null;
  readonly decision: 'admitted' | 'denied';
}

interface Outcome {
  readonly name: string;
  readonly change: Change;
  readonly before: Decision;
  readonly after: Decision;
  readonly at: string;
  readonly rule: string | null;
  readonly failed: readonly Check[];
}

interface Simulation {
  readonly policy: CompiledPolicy;
  readonly candidate: CompiledPolicy | undefined;
  readonly nowMs: number;
  readonly caches: AppraisalCaches;
  readonly isLive: boolean;
}

interface Ruled {
  readonly decision: 'admitted' | 'denied';
  readonly rule?: string;
  readonly failed: readonly Check[];
}

function outcomeOf(judgement: Judgement, simulation: Simulation): Outcome {
  const { policy, candidate, nowMs, isLive } = simulation;
  const { subject, statement } = judgement;
  const evidence = bundleOfSubject(subject);
  if (evidence === undefined) {
    throw cliError('cli.option', `${subject.name} is bare evidence of a machine: want a bundle`);
  }
  const under = (by: CompiledPolicy): Ruled =>
    isLive
      ? liveRuling(judgement, { ...simulation, evidence, policy: by })
      : capturedRuling({ ...simulation, evidence, policy: by });
  const ruled = under(candidate ?? policy);
  const before = beforeOf(judgement, candidate === undefined ? undefined : { policy, under });
  const judge = candidate ?? policy;
  const after = {
    by: policyName(judge),
    digest: toHex(judge.digest),
    decision: ruled.decision,
  };
  return {
    name: subject.name,
    change: changeOf(before.decision, after.decision),
    before,
    after,
    at: formatInstant(isLive || statement === undefined ? nowMs : statement.iat * 1000),
    rule: ruled.rule ?? null,
    failed: ruled.failed,
  };
}

type Asked = Pick<Simulation, 'policy' | 'nowMs' | 'caches'> & {
  readonly evidence: EvidenceBundle;
};

function liveRuling(
  { subject, statement }: Judgement,
  { policy, nowMs, caches, evidence }: Asked,
): Ruled {
  const aud = subject.gateway?.aud;
  const circumstances = {
    at: nowMs,
    ...(aud === undefined ? {} : { aud }),
    ...(statement === undefined ? {} : { challenge: statement.nonce }),
  };
  const ruling = judgeFixture(circumstances, { evidence, policy, caches, countsIssued: false });
  const { decision, failing, rule, appraisal } = ruling;
  return {
    decision,
    ...(rule === undefined ? {} : { rule }),
    failed: appraisal.verdict.checks.filter(
      ({ id, outcome }) => outcome === 'fail' && failing.includes(id),
    ),
  };
}

/** The evidence as of when it was made, the policy as of now. */
function capturedRuling(asked: Asked): Ruled {
  const rehearsal = rehearse(asked);
  if (rehearsal.outcome === 'unjudged') {
    const { because } = rehearsal;
    const check = { id: 'evidence', outcome: 'fail', want: 'evidence', got: because } as const;
    return { decision: 'denied', failed: [check] };
  }
  const counted = rehearsal.failing.filter(({ id }) => id !== 'policy.issued');
  return {
    decision: counted.length === 0 ? 'admitted' : 'denied',
    ...(rehearsal.rule === undefined ? {} : { rule: rehearsal.rule }),
    failed: counted.filter(({ outcome }) => outcome === 'fail'),
  };
}

/** What is compared with: the policy that is in force, or what the gateway says it decided. */
function beforeOf(
  { subject }: Judgement,
  current: { policy: CompiledPolicy; under: (by: CompiledPolicy) => Ruled } | undefined,
): Decision {
  if (current !== undefined) {
    return {
      by: policyName(current.policy),
      digest: toHex(current.policy.digest),
      decision: current.under(current.policy).decision,
    };
  }
  const { claimed, gateway } = subject;
  if (claimed !== undefined) {
    const { name, serial, digest } = claimed.policy;
    return { by: `${name}#${serial}`, digest, decision: claimed.decision };
  }
  // A gateway shows nobody whom it denies.
  if (gateway !== undefined) return { by: 'its gateway', digest: null, decision: 'admitted' };
  throw cliError(
    'cli.option',
    `${subject.name} comes without a verdict: name the policy to compare with --candidate`,
  );
}

function changeOf(before: Decision['decision'], after: Decision['decision']): Change {
  if (before === after) return before === 'admitted' ? 'still admitted' : 'still denied';
  return after === 'denied' ? 'newly denied' : 'newly admitted';
}

const COLOURS = {
  'newly denied': 'red',
  'newly admitted': 'yellow',
  'still admitted': 'green',
  'still denied': 'dim',
} as const satisfies Readonly<Record<Change, Colour>>;

function outcomeLines(
  { name, change, before, after, rule, failed, at }: Outcome,
  page: Page,
): readonly string[] {
  const word = change.toUpperCase();
  const [first = '', ...rest] = labelled(`${word}  `, name, page, word.length + 2);
  const by =
    rule === null ? '' : `, ${after.decision === 'admitted' ? 'rule' : 'nearest rule'} ${rule}`;
  return [
    paint(COLOURS[change], word) + first.slice(word.length),
    ...rest,
    ...labelled(
      '  ',
      `${before.decision} by ${byText(before, after)}, ${after.decision} by ${byText(after, before)}${by}; evidence as of ${at}`,
      page,
      2,
    ),
    ...(change === 'newly denied' ? failed.flatMap((check) => checkLines(check, page)) : []),
    '',
  ];
}

const DIGEST_SHOWN_CHARS = 16;

/** Two contents under one number are told apart by their digests: one of them needs another number. */
function byText({ by, digest }: Decision, other: Decision): string {
  if (by !== other.by || digest === null || digest === other.digest) return by;
  return `${by} (sha256:${digest.slice(0, DIGEST_SHOWN_CHARS)}…)`;
}

function countsText(outcomes: readonly Outcome[]): string {
  const words: readonly Change[] = [
    'newly denied',
    'newly admitted',
    'still admitted',
    'still denied',
  ];
  const counts = words.map(
    (word) => `${outcomes.filter(({ change }) => change === word).length} ${word}`,
  );
  const all = outcomes.length === 1 ? '1 worker' : `${outcomes.length} workers`;
  return `${all}: ${counts.join(', ')}`;
}
