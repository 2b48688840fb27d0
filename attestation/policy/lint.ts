/**
 * What is probably wrong with a policy that loads, and all that is wrong with one that does not: for people, before it is
 * signed. Decides nothing. Spec: gpu-and-policy §5.5 ("lint"); the ids are `LINT_KINDS`.
 * @module
 */

import { VeilError } from '../../core/errors.ts';
import { compilePolicyFiles, type CompiledPolicy } from './compile.ts';
import { lintEntries } from './lint/entries.ts';
import {
  BLOCKING,
  finding,
  LINT_KINDS,
  type LintFinding,
  type LintId,
  type LintSubject,
} from './lint/finding.ts';
import { lintFloors } from './lint/floors.ts';
import { lintGateways } from './lint/gateways.ts';
import { lintRule } from './lint/rules.ts';
import { lintTimes } from './lint/times.ts';
import { lintWaivers } from './lint/waivers.ts';
import { problemsOf } from './problems/problems.ts';
import type { PolicyFile } from './sources.ts';

export interface LintResult {
  readonly findings: readonly LintFinding[];
  /** Absent when it does not load. */
  readonly policy?: CompiledPolicy;
}

/** From what people wrote. Throws nothing that is about the policy. */
export function lintPolicyFiles(files: readonly PolicyFile[], nowMs: number): LintResult {
  try {
    const policy = compilePolicyFiles(files);
    return { policy, findings: lintPolicy(policy, nowMs) };
  } catch (error) {
    const id = error instanceof VeilError ? LOAD[error.code] : undefined;
    if (!(error instanceof VeilError) || id === undefined) throw error;
    const [main] = files;
    const problems = problemsOf(error) ?? [
      { at: main?.name ?? 'policy', message: error.message.replace(/^[a-z.]+: /, '') },
    ];
    return { findings: problems.map((problem) => finding(id, problem)) };
  }
}

const LOAD: Readonly<Record<string, LintId>> = {
  'policy.size': 'load.size',
  'policy.syntax': 'load.syntax',
  'policy.schema': 'load.schema',
  'policy.inconsistent': 'load.inconsistent',
};

const LEVELS = ['error', 'warning', 'note'] as const;

/** Errors first, then in the order of the document. */
export function lintPolicy(policy: CompiledPolicy, nowMs: number): readonly LintFinding[] {
  const subject: LintSubject = { policy, nowMs };
  const { rules } = policy.document;
  const byRule = rules.map((_, index) => lintRule(subject, index));
  const findings = [
    ...lintTimes(subject),
    ...nobodyFindings(subject, byRule),
    ...byRule.flat(),
    ...rules.flatMap((_, index) => lintFloors(subject, index)),
    ...lintEntries(subject),
    ...lintWaivers(subject),
    ...lintGateways(subject),
  ];
  return LEVELS.flatMap((level) => findings.filter(({ id }) => LINT_KINDS[id].level === level));
}

/** The quietest way to lock a fleet out. */
function nobodyFindings(
  { policy }: LintSubject,
  byRule: readonly (readonly LintFinding[])[],
): readonly LintFinding[] {
  const isBlocked = (findings: readonly LintFinding[]): boolean =>
    findings.some(({ id }) => BLOCKING.includes(id));
  if (!byRule.every(isBlocked)) return [];
  const message =
    byRule.length === 0
      ? 'the policy admits nobody: it has no rule'
      : 'the policy admits nobody: every rule refuses everybody';
  return [finding('policy.nobody', { at: policy.at('rules'), message })];
}
