/**
 * A compiled policy against what one worker proved. Every rule is judged in full; the worker needs one rule in which
 * everything holds. Without one, the nearest rule is reported: fewest failures, first in the file on a tie.
 * Spec: gpu-and-policy §5.3.
 * @module
 */

import { formatInstant } from '../../core/clock.ts';
import { passedCheck } from '../shared-checks.ts';
import type { TeeFinding } from '../tee.ts';
import type { Check } from '../verdict.ts';
import type { CompiledPolicy } from './compile.ts';
import { judgeRule, RULE_CHECK_IDS, type JudgedRule } from './judge-rule.ts';
import {
  freshUntil,
  generalFacts,
  REVOCATION_CHECK_IDS,
  revocationChecks,
} from './revocation-checks.ts';
import type { Revocable } from './revocations.ts';
import type { PolicyInput } from './subject.ts';
import { demanded, holds, listText, skipped, waived } from './rule-check.ts';

/** Of the policy as a whole, in the order of the verdict. */
export const POLICY_CHECK_IDS = [
  /** `issued` is not ahead of the clock. */
  'policy.issued',
  'policy.expires',
  /** `iat` + `limits.evidence_age` is not reached. */
  'policy.evidenceAge',
  /** Simulated machines only under a development policy that names their root. */
  'policy.simulated',
  ...REVOCATION_CHECK_IDS,
  /** There is at least one rule. */
  'policy.rule',
] as const;

const CLOCK_SKEW_MS = 60_000;
const NEVER = Number.POSITIVE_INFINITY;

export interface PolicyFinding {
  readonly checks: readonly Check[];
  /** The rule that admits, or the nearest one. */
  readonly rule?: string;
  readonly image?: string;
  readonly shape?: string;
  readonly revocable: readonly Revocable[];
  /** Earliest expiry of what the policy grants here. */
  readonly validUntilMs: number;
}

export function evaluatePolicy(input: PolicyInput): PolicyFinding {
  const facts = generalFacts(input);
  const { policy, cpu, measurement, key, kid } = facts;
  const general = [
    ...generalChecks({ ...input, stated: statedOf(input) }),
    ...revocationChecks(input, facts),
    ruleListCheck(input),
  ];
  const revocable = [...policy, ...cpu, ...measurement, ...key, ...kid];
  const best = nearest(judgeRules(input));
  if (best === undefined) {
    const ids = [...RULE_CHECK_IDS, ...input.tee.ruleCheckIds];
    return {
      checks: [...general, ...ids.map((id) => skipped(id, 'policy.rule'))],
      revocable,
      validUntilMs: 0,
    };
  }
  const { checks, validUntilMs, revocable: ofRule, ...names } = best;
  return {
    ...names,
    checks: [...general, ...checks],
    revocable: [...revocable, ...ofRule],
    validUntilMs: Math.min(validUntilMs, generalExpiry(input)),
  };
}

/** Every rule in full, in the order of the file. */
export function judgeRules(input: PolicyInput): readonly JudgedRule[] {
  return input.policy.document.rules.map((_, index) => judgeRule(input, index));
}

/** The first of those in which fewest checks fail; none fails in one that admits. */
export function nearest(judged: readonly JudgedRule[]): JudgedRule | undefined {
  let best: JudgedRule | undefined;
  let fewest = NEVER;
  for (const candidate of judged) {
    const misses = candidate.checks.filter((check) => !holds(check)).length;
    if (misses >= fewest) continue;
    best = candidate;
    fewest = misses;
  }
  return best;
}

function generalExpiry({ policy, subject, revocations, nowMs }: PolicyInput): number {
  const { expires, limits } = policy.document;
  const evidenceEnds =
    'because' in subject ? 0 : subject.statement.iat * 1000 + limits.evidence_age;
  const freshEnds = 'any' in limits.revocation_age ? NEVER : freshUntil(revocations);
  return Math.min(expires, evidenceEnds, freshEnds, nowMs + limits.reattest_every);
}

function statedOf({ subject }: PolicyInput): WholeInput['stated'] {
  return 'because' in subject ? subject : subject.statement;
}

interface WholeInput extends Pick<PolicyInput, 'policy' | 'finding' | 'nowMs'> {
  /** Or the failed check because of which there is none. */
  readonly stated: { readonly iat: number } | { readonly because: string };
}

/** What holds for workers and gateways alike, before anything is known to be revoked. */
export function generalChecks({ policy, finding, stated, nowMs }: WholeInput): readonly Check[] {
  const { issued, expires, limits } = policy.document;
  const now = (): string => formatInstant(nowMs);
  return [
    demanded('policy.issued', issued <= nowMs + CLOCK_SKEW_MS, {
      at: policy.at('issued'),
      want: () => `a clock past ${formatInstant(issued)}`,
      got: now,
    }),
    demanded('policy.expires', nowMs < expires, {
      at: policy.at('expires'),
      want: () => `a clock before ${formatInstant(expires)}`,
      got: now,
    }),
    'because' in stated
      ? skipped('policy.evidenceAge', stated.because)
      : demanded('policy.evidenceAge', nowMs < stated.iat * 1000 + limits.evidence_age, {
          at: policy.at('limits', 'evidence_age'),
          want: `evidence younger than ${limits.evidence_age / 1000} s`,
          got: `${Math.floor(nowMs / 1000) - stated.iat} s`,
        }),
    simulatedCheck(policy, finding),
  ];
}

function ruleListCheck({ policy }: PolicyInput): Check {
  return demanded('policy.rule', policy.document.rules.length > 0, {
    at: policy.at('rules'),
    want: 'a rule',
    got: listText([]),
  });
}

/** The verifier trusts no root that the policy does not name; this says so where a reader looks for it. */
function simulatedCheck(policy: CompiledPolicy, finding: TeeFinding): Check {
  const id = 'policy.simulated';
  if ('because' in finding.reportData) return skipped(id, finding.reportData.because);
  if (!finding.simulated) return passedCheck(id);
  const { development, roots } = policy.document;
  if (development === true && roots !== undefined) {
    return waived(id, policy.at('roots'), 'a simulated machine: protects nothing');
  }
  return demanded(id, false, {
    at: policy.at(),
    want: 'hardware',
    got: 'a development root',
  });
}
