/**
 * Evidence under a policy, for the commands that say more than a verdict: read as `veilgate attest` reads it, completed as
 * it completes it, and appraised with every rule in full.
 * @module
 */

import { appraiseRules, type AppraiseInput } from '../../attestation/appraise.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import type { JudgedRule } from '../../attestation/policy/judge-rule.ts';
import { holds } from '../../attestation/policy/rule-check.ts';
import type { TeeFacts } from '../../attestation/tee.ts';
import type { Check, Verdict } from '../../attestation/verdict.ts';
import { systemClock } from '../../core/clock.ts';
import { openCollateralSource } from '../attest/collateral-source.ts';
import { attestError } from '../attest/errors.ts';
import { gatherEvidence, readRoot, type AttestIo } from '../attest/gather.ts';
import { appraisalInputOf, asAsked, type Judgement, type Question } from '../attest/judge.ts';
import type { AttestOptions } from '../attest/request.ts';
import { judgeAll } from '../attest/run.ts';
import type { Subject, Unreadable } from '../attest/subject.ts';

/** What a command needs of the world. */
export const COMMAND_IO: AttestIo = {
  clock: systemClock,
  fetch: globalThis.fetch,
  stdin: process.stdin,
  openSource: openCollateralSource,
};

/** `policy` of the options is left to the command, which reads directories too. */
export type EvidenceOptions = Omit<AttestOptions, 'policy' | 'reportData' | 'json'>;

export interface EvidenceQuestion {
  /** Files, `-`, or the URL of a gateway. */
  readonly inputs: readonly string[];
  readonly options: EvidenceOptions;
  /** Judges the evidence; without one the baseline rules do. */
  readonly policy?: CompiledPolicy;
  /** Its development roots count, and no more of it: bare evidence of a machine is enough. */
  readonly roots?: CompiledPolicy;
}

export interface JudgedEvidence {
  readonly question: Question;
  readonly judgements: readonly Judgement[];
  readonly unreadable: readonly Unreadable[];
}

/** Throws coded errors: `cli.file`, `attest.*`, `client.*`. */
export async function judgeEvidence(
  { inputs, options, policy, roots }: EvidenceQuestion,
  io: AttestIo,
): Promise<JudgedEvidence> {
  const question: Question = {
    ...questionOf(options, policy, io),
    ...(roots?.document.roots === undefined
      ? {}
      : { simulatedRoots: roots.document.roots.map(({ simulated }) => simulated) }),
  };
  const subjects: Subject[] = [];
  const unreadable: Unreadable[] = [];
  for (const input of inputs) {
    const finds = await gatherEvidence({ input, options }, question, io);
    subjects.push(...finds.subjects);
    unreadable.push(...finds.unreadable);
  }
  const asked = { command: 'explain', options } as const;
  return { question, judgements: await judgeAll({ subjects, question }, asked, io), unreadable };
}

function questionOf(
  { at, aud, challenge, root }: EvidenceOptions,
  policy: CompiledPolicy | undefined,
  { clock }: AttestIo,
): Question {
  return {
    nowMs: at ?? clock(),
    ...(policy === undefined ? {} : { policy }),
    ...(aud === undefined ? {} : { aud }),
    ...(challenge === undefined ? {} : { challenge }),
    ...(root === undefined ? {} : { root: readRoot(root) }),
  };
}

/** What one policy says of one piece of evidence. */
export interface Ruling {
  readonly input: AppraiseInput;
  readonly verdict: Verdict;
  /** What no rule decides. */
  readonly common: readonly Check[];
  readonly rules: readonly JudgedRule[];
  readonly facts?: TeeFacts;
  readonly isAdmitted: boolean;
}

/** Throws `attest.option` for bare evidence of a machine: a policy judges statement and card too. */
export function rulingOf(judgement: Judgement, question: Question, policy: CompiledPolicy): Ruling {
  const input = appraisalInputOf(judgement, question, policy);
  const { subject } = judgement;
  if (input === undefined) {
    const what = `${subject.name} is bare evidence of a machine`;
    throw attestError(
      'attest.option',
      `${what}: a policy judges the worker’s statement and card too`,
    );
  }
  const { verdict, common, rules, facts } = appraiseRules(input);
  const checks = asAsked(verdict.checks, subject, question);
  return {
    input,
    verdict,
    common: asAsked(common, subject, question),
    rules,
    isAdmitted: checks.every(holds),
    ...(facts === undefined ? {} : { facts }),
  };
}
