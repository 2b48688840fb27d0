/**
 * A compiled policy against what one worker proved. Every rule is judged in full; the worker needs one rule in which
 * everything holds. Without one, the nearest rule is reported: fewest failures, first in the file on a tie.
 * Spec: gpu-and-policy §5.3.
 * @module
 */

import { equalPublic, toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import type { Card } from '../card.ts';
import type { Statement } from '../statement.ts';
import type { Tee, TeeFinding } from '../tee.ts';
import type { Check } from '../verdict.ts';
import type { CompiledPolicy } from './compile.ts';
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
  /** There is at least one rule. */
  'policy.rule',
] as const;

/** Of one rule, before those of its `cpu` section. */
export const RULE_CHECK_IDS = [
  /** The rule is about this kind of machine. */
  'cpu.tee',
  /** The card's model is one the rule lists. */
  'workload.model',
  /** The weights in the statement are those the policy has for that model. */
  'workload.weights',
  /** Image and configuration in the statement are those of an image the rule lists. */
  'workload.image',
  'workload.imageExpires',
] as const;

const CLOCK_SKEW_MS = 60_000;
const NEVER = Number.POSITIVE_INFINITY;

export interface PolicyInput {
  readonly policy: CompiledPolicy;
  readonly tee: Tee;
  readonly finding: TeeFinding;
  /** Both, or the failed check because of which there is nothing to judge. */
  readonly subject:
    | { readonly statement: Statement; readonly card: Card }
    | { readonly because: string };
  readonly nowMs: number;
}

export interface PolicyFinding {
  readonly checks: readonly Check[];
  /** The rule that admits, or the nearest one. */
  readonly rule?: string;
  readonly image?: string;
  readonly shape?: string;
  /** Earliest expiry of what the policy grants here. */
  readonly validUntilMs: number;
}

export function evaluatePolicy(input: PolicyInput): PolicyFinding {
  const { document } = input.policy;
  const general = generalChecks(input);
  const judged = document.rules.map((_, index) => judgeRule(input, index));
  const best = nearest(judged);
  if (best === undefined) {
    const ids = [...RULE_CHECK_IDS, ...input.tee.ruleCheckIds];
    return {
      checks: [...general, ...ids.map((id) => skipped(id, 'policy.rule'))],
      validUntilMs: 0,
    };
  }
  const { checks, validUntilMs, ...names } = best;
  return {
    ...names,
    checks: [...general, ...checks],
    validUntilMs: Math.min(validUntilMs, generalExpiry(input)),
  };
}

function nearest(judged: readonly JudgedRule[]): JudgedRule | undefined {
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

function generalExpiry({ policy, subject, nowMs }: PolicyInput): number {
  const { expires, limits } = policy.document;
  const evidenceEnds =
    'because' in subject ? 0 : subject.statement.iat * 1000 + limits.evidence_age;
  return Math.min(expires, evidenceEnds, nowMs + limits.reattest_every);
}

function generalChecks({ policy, subject, finding, nowMs }: PolicyInput): readonly Check[] {
  const { document } = policy;
  const { issued, expires, limits, rules } = document;
  const at = formatInstant(nowMs);
  return [
    demanded('policy.issued', issued <= nowMs + CLOCK_SKEW_MS, {
      at: policy.at('issued'),
      want: `a clock past ${formatInstant(issued)}`,
      got: at,
    }),
    demanded('policy.expires', nowMs < expires, {
      at: policy.at('expires'),
      want: `a clock before ${formatInstant(expires)}`,
      got: at,
    }),
    'because' in subject
      ? skipped('policy.evidenceAge', subject.because)
      : demanded('policy.evidenceAge', nowMs < subject.statement.iat * 1000 + limits.evidence_age, {
          at: policy.at('limits', 'evidence_age'),
          want: `evidence younger than ${limits.evidence_age / 1000} s`,
          got: `${Math.floor(nowMs / 1000) - subject.statement.iat} s`,
        }),
    simulatedCheck(policy, finding),
    demanded('policy.rule', rules.length > 0, {
      at: policy.at('rules'),
      want: 'a rule',
      got: listText([]),
    }),
  ];
}

/** The verifier trusts no root that the policy does not name; this says so where a reader looks for it. */
function simulatedCheck(policy: CompiledPolicy, finding: TeeFinding): Check {
  const id = 'policy.simulated';
  if ('because' in finding.reportData) return skipped(id, finding.reportData.because);
  if (!finding.simulated) return { id, outcome: 'pass' };
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

interface JudgedRule {
  readonly checks: readonly Check[];
  readonly rule: string;
  readonly image?: string;
  readonly shape?: string;
  readonly validUntilMs: number;
}

function judgeRule(input: PolicyInput, index: number): JudgedRule {
  const { policy, finding, subject, nowMs } = input;
  const name = policy.document.rules[index]?.id ?? '';
  if ('because' in subject) {
    const cpu = finding.judge({ policy, rule: index, image: { because: subject.because }, nowMs });
    const unknown = RULE_CHECK_IDS.map((id) => skipped(id, subject.because));
    return { checks: [...unknown, ...cpu.checks], rule: name, validUntilMs: 0 };
  }
  const workload = workloadChecks(policy, index, subject, nowMs);
  const kind = teeCheck(input, index);
  const cpu =
    kind.outcome === 'pass'
      ? finding.judge({ policy, rule: index, image: workload.image, nowMs })
      : { checks: input.tee.ruleCheckIds.map((id) => skipped(id, kind.id)), validUntilMs: 0 };
  const image =
    typeof workload.image === 'number' ? policy.document.images[workload.image] : undefined;
  return {
    checks: [kind, ...workload.checks, ...cpu.checks],
    rule: name,
    ...(image === undefined ? {} : { image: image.name }),
    ...('shape' in cpu ? { shape: cpu.shape } : {}),
    validUntilMs: Math.min(image?.expires ?? 0, cpu.validUntilMs),
  };
}

function teeCheck({ policy, tee }: PolicyInput, index: number): Check {
  const want = policy.document.rules[index]?.cpu.tee ?? 'none';
  return demanded('cpu.tee', want === tee.name, {
    at: policy.at('rules', index, 'cpu', 'tee'),
    want,
    got: tee.name,
  });
}

function workloadChecks(
  policy: CompiledPolicy,
  index: number,
  { statement, card }: { readonly statement: Statement; readonly card: Card },
  nowMs: number,
): { readonly checks: readonly Check[]; readonly image: number | { readonly because: string } } {
  const image = imageCheck(policy, index, statement);
  return {
    checks: [
      ...modelChecks(policy, index, { statement, card }),
      image.check,
      imageExpiryCheck(policy, image.index, nowMs),
    ],
    image: image.index ?? { because: 'workload.image' },
  };
}

function modelChecks(
  policy: CompiledPolicy,
  index: number,
  { statement, card }: { readonly statement: Statement; readonly card: Card },
): readonly Check[] {
  const { rules, models } = policy.document;
  const listed = rules[index]?.models ?? [];
  const model = demanded('workload.model', listed.includes(card.model.id), {
    at: policy.at('rules', index, 'models'),
    want: listText(listed),
    got: card.model.id,
  });
  const known = models.findIndex(({ id }) => id === card.model.id);
  const weights = models[known]?.weights;
  if (weights === undefined) return [model, skipped('workload.weights', model.id)];
  return [
    model,
    demanded('workload.weights', equalPublic(weights, statement.workload.model), {
      at: policy.at('models', known, 'weights'),
      want: `sha256:${toHex(weights)}`,
      got: `sha256:${toHex(statement.workload.model)}`,
    }),
  ];
}

function imageCheck(
  policy: CompiledPolicy,
  index: number,
  { workload }: Statement,
): { readonly check: Check; readonly index?: number } {
  const { rules, images } = policy.document;
  const listed = rules[index]?.images ?? [];
  const found = images.findIndex(
    (image) =>
      listed.includes(image.name) &&
      equalPublic(image.workload.image, workload.image) &&
      equalPublic(image.workload.config, workload.config),
  );
  if (found >= 0) return { check: { id: 'workload.image', outcome: 'pass' }, index: found };
  const got = `image sha256:${toHex(workload.image)}, config sha256:${toHex(workload.config)}`;
  return {
    check: demanded('workload.image', false, {
      at: policy.at('rules', index, 'images'),
      want: listText(listed),
      got,
    }),
  };
}

function imageExpiryCheck(policy: CompiledPolicy, index: number | undefined, nowMs: number): Check {
  const id = 'workload.imageExpires';
  const image = index === undefined ? undefined : policy.document.images[index];
  if (index === undefined || image === undefined) return skipped(id, 'workload.image');
  return demanded(id, nowMs < image.expires, {
    at: policy.at('images', index, 'expires'),
    want: `a clock before ${formatInstant(image.expires)}`,
    got: formatInstant(nowMs),
  });
}
