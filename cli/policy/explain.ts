/**
 * `veilgate policy explain EVIDENCE --policy PATH`: what each rule says of a worker, the nearest first, and the smallest
 * change that would admit it. Exit status: 0 admitted, 1 denied, 2 wrong usage, 3 something cannot be read.
 * Spec: gpu-and-policy §5.5.
 * @module
 */

import type { Command } from 'commander';
import { toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { policyRef, type CompiledPolicy } from '../../attestation/policy/compile.ts';
import { knownTuples } from '../../attestation/policy/remedy/known.ts';
import { remedyFor, type Remedy } from '../../attestation/policy/remedy.ts';
import { explainedChecks } from '../attest/explain.ts';
import type { AttestIo } from '../attest/gather.ts';
import type { Judgement, Question } from '../attest/judge.ts';
import { addAttestOptions, type AttestOptions } from '../attest/request.ts';
import { unreadableLines } from '../attest/summary.ts';
import type { Page } from '../attest/text.ts';
import { cliError } from '../errors.ts';
import {
  EXIT,
  jsonAnswer,
  respond,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from './answer.ts';
import { COMMAND_IO, judgeEvidence, rulingOf } from './evidence.ts';
import { explainedLines, nearestRule, type Explained } from './explain-text.ts';
import { pathText } from './edit-text.ts';
import { readPolicy } from './read-policy.ts';

export interface ExplainOptions extends AttestOptions {
  readonly candidate?: string;
  readonly rule?: string;
  readonly allRules?: true;
}

export function registerExplainCommand(parent: Command): void {
  const command = parent
    .command('explain')
    .description('say why evidence is admitted or denied, and what would have to change');
  addAttestOptions(command)
    .option('--candidate <path>', 'a policy that is to come: would it admit?')
    .option('--rule <id>', 'this rule, with every check')
    .option('--all-rules', 'every rule, with every check')
    .action((input: string, options: ExplainOptions) => {
      const question = { command: 'explain', json: options.json === true };
      return respond(question, (page) =>
        explainAnswer(question, { input, options, io: COMMAND_IO, page }),
      );
    });
}

export interface ExplainRequest {
  readonly input: string;
  readonly options: ExplainOptions;
  readonly io: AttestIo;
  readonly page: Page;
}

export async function explainAnswer(
  question: PolicyQuestion,
  { input, options, io, page }: ExplainRequest,
): Promise<PolicyAnswer> {
  if (options.policy === undefined) throw cliError('cli.option', '--policy is needed');
  const policy = readPolicy(options.policy);
  const candidate = options.candidate === undefined ? undefined : readPolicy(options.candidate);
  assertRule(policy, options.rule);
  const { policy: _, reportData: __, json: ___, ...evidenceOptions } = options;
  const asked = { inputs: [input], options: evidenceOptions, policy };
  const judged = await judgeEvidence(asked, io);
  const explained = judged.judgements.map((judgement): Explained => {
    const ruling = rulingOf(judgement, judged.question, policy);
    const answering = answeringQuestion(judgement, judged.question);
    return {
      judgement,
      policy,
      ruling,
      remedy: remedyFor(rulingOf(judgement, answering, policy).input, options.rule),
      ...(candidate === undefined
        ? {}
        : {
            candidate: {
              policy: candidate,
              ruling: rulingOf(judgement, answering, candidate),
            },
          }),
    };
  });
  const isDenied = explained.some(({ ruling }) => !ruling.isAdmitted);
  const status = isDenied
    ? EXIT.findings
    : judged.unreadable.length > 0
      ? EXIT.unreadable
      : EXIT.ok;
  if (question.json) {
    return jsonAnswer(question, status, {
      at: formatInstant(judged.question.nowMs),
      policy: policyJson(policy),
      evidence: explained.map((each) => explainedJson(each, options.rule)),
      unreadable: judged.unreadable,
    });
  }
  const blocks = [
    ...explained.map((each) => explainedLines(each, options, page)),
    ...judged.unreadable.map((each) => unreadableLines(each, page)),
  ];
  return textAnswer(
    status,
    blocks.flatMap((lines, at) => (at === 0 ? lines : ['', ...lines])),
  );
}

/**
 * Whoever looks at captured evidence seldom has the challenge it answered. That is said as a failed check, and is no
 * reason to suggest a policy that asks for none.
 */
function answeringQuestion({ statement }: Judgement, question: Question): Question {
  if (question.challenge !== undefined || statement === undefined) return question;
  return { ...question, challenge: statement.nonce };
}

function assertRule({ document }: CompiledPolicy, rule: string | undefined): void {
  if (rule === undefined || document.rules.some(({ id }) => id === rule)) return;
  const names = document.rules.map(({ id }) => id).join(', ');
  throw cliError('cli.option', `--rule: this policy has ${names === '' ? 'no rules' : names}`);
}

export function policyJson(policy: CompiledPolicy): object {
  const { name, serial, digest } = policyRef(policy);
  return { name, serial, digest: `sha256:${toHex(digest)}` };
}

function explainedJson(explained: Explained, only: string | undefined): object {
  const { judgement, ruling, remedy, policy, candidate } = explained;
  const { verdict, common, rules, facts } = ruling;
  return {
    name: judgement.subject.name,
    tee: judgement.machine.tee,
    decision: ruling.isAdmitted ? 'admitted' : 'denied',
    nearest: nearestRule(ruling, only)?.rule ?? null,
    image: verdict.image ?? null,
    shape: verdict.shape ?? null,
    model: verdict.model ?? null,
    simulated: verdict.simulated,
    platform: verdict.platform?.ids ?? null,
    common,
    rules: rules.map(({ rule, image, shape, checks }) => ({
      rule,
      image: image ?? null,
      shape: shape ?? null,
      checks,
    })),
    remedy: remedyJson(remedy, policy),
    advice: explainedChecks(judgement)
      .filter(({ explanation }) => explanation.mender !== 'policy')
      .map(({ id, explanation: { mender, fix }, advice }) => ({ id, mender, do: advice ?? fix })),
    known: facts === undefined ? [] : knownTuples(facts, policy),
    candidate:
      candidate === undefined
        ? null
        : {
            policy: policyJson(candidate.policy),
            decision: candidate.ruling.isAdmitted ? 'admitted' : 'denied',
            rule: candidate.ruling.verdict.rule ?? null,
            image: candidate.ruling.verdict.image ?? null,
            known: facts === undefined ? [] : knownTuples(facts, candidate.policy),
          },
  };
}

function remedyJson(remedy: Remedy, policy: CompiledPolicy): object {
  if (remedy.outcome !== 'edits') return remedy;
  return {
    outcome: remedy.outcome,
    rule: remedy.rule,
    edits: remedy.edits.map(({ action, path, value, checks, weakens }) => ({
      action,
      path: path.map(String),
      name: pathText(policy, path),
      at: policy.at(...path),
      value,
      checks,
      weakens: weakens ?? null,
    })),
  };
}
