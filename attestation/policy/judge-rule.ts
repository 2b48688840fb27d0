/**
 * One rule of a policy against what one worker proved: kind of machine, model, image, what was revoked, GPU, and then the
 * rule's `cpu` section by the machine's own judge. A gateway's rule is judged here too, without model and GPU.
 * Spec: gpu-and-policy §5.3 (3, 4, 6).
 * @module
 */

import { equalPublic, toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { passedAt } from '../shared-checks.ts';
import type { Statement } from '../statement.ts';
import type { Check } from '../verdict.ts';
import type { CompiledPolicy } from './compile.ts';
import type { PolicyInput, Subject } from './subject.ts';
import { demanded, listText, skipped } from './rule-check.ts';
import { listOf, notRevoked } from './revocation-checks.ts';
import type { Revocable } from './revocations.ts';

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
  'revocation.rule',
  'revocation.image',
  /** The rule demands no GPU: until GPU evidence is verified, one that does admits nobody. */
  'gpu.evidence',
] as const;

export interface JudgedRule {
  readonly checks: readonly Check[];
  readonly rule: string;
  readonly image?: string;
  readonly shape?: string;
  /** What a revocation can name of this rule as it was used. */
  readonly revocable: readonly Revocable[];
  readonly validUntilMs: number;
}

/** `index`: of the rule in the document. */
export function judgeRule(input: PolicyInput, index: number): JudgedRule {
  const { policy, subject } = input;
  const stated = 'because' in subject ? subject : subject.statement;
  return judgeRuleOfRole({ ...input, stated }, index, {
    checkIds: RULE_CHECK_IDS,
    model: 'because' in subject ? [] : modelChecks(policy, index, subject),
    devices: [gpuCheck(policy, index)],
  });
}

/** What one party proved and states, worker or gateway. `policy`: its role of the policy. */
export interface RuleInput extends Omit<PolicyInput, 'subject'> {
  readonly stated: StatedWorkload | { readonly because: string };
}

/** What a rule asks of this role alone. */
export interface RoleChecks {
  /** All that a rule checks before its `cpu` section, in order: each is skipped where nothing is stated. */
  readonly checkIds: readonly string[];
  readonly model: readonly Check[];
  readonly devices: readonly Check[];
}

/** What every rule checks, whoever it is about, around what is asked of this role. */
export function judgeRuleOfRole(input: RuleInput, index: number, role: RoleChecks): JudgedRule {
  const { policy, finding, stated, nowMs } = input;
  const name = policy.document.rules[index]?.id ?? '';
  const revocations = listOf(input.revocations);
  if ('because' in stated) {
    const image = { because: stated.because };
    const cpu = finding.judge({ policy, rule: index, image, nowMs, revocations });
    const unknown = role.checkIds.map((id) => skipped(id, stated.because));
    return { checks: [...unknown, ...cpu.checks], rule: name, revocable: [], validUntilMs: 0 };
  }
  const found = imageCheck(policy, index, stated);
  const image = found.index === undefined ? undefined : policy.document.images[found.index];
  const kind = teeCheck(input, index);
  const cpu =
    kind.outcome === 'pass'
      ? finding.judge({
          policy,
          rule: index,
          image: found.index ?? { because: found.check.id },
          nowMs,
          revocations,
        })
      : {
          checks: input.tee.ruleCheckIds.map((id) => skipped(id, kind.id)),
          validUntilMs: 0,
          advisories: [],
        };
  const ruleFact: Revocable = { kind: 'rule', value: name };
  const imageFacts: readonly Revocable[] =
    image === undefined ? [] : [{ kind: 'image', value: image.name }];
  return {
    checks: [
      kind,
      ...role.model,
      found.check,
      imageExpiryCheck(policy, found.index, nowMs),
      notRevoked('revocation.rule', revocations, [ruleFact]),
      image === undefined
        ? skipped('revocation.image', found.check.id)
        : notRevoked('revocation.image', revocations, imageFacts),
      ...role.devices,
      ...cpu.checks,
    ],
    rule: name,
    ...(image === undefined ? {} : { image: image.name }),
    ...('shape' in cpu ? { shape: cpu.shape } : {}),
    revocable: [
      ruleFact,
      ...imageFacts,
      ...cpu.advisories.map((value): Revocable => ({ kind: 'advisory', value })),
    ],
    validUntilMs: Math.min(image?.expires ?? 0, cpu.validUntilMs),
  };
}

function teeCheck({ policy, tee }: RuleInput, index: number): Check {
  const want = policy.document.rules[index]?.cpu.tee ?? 'none';
  return demanded('cpu.tee', want === tee.name, {
    at: policy.at('rules', index, 'cpu', 'tee'),
    want,
    got: tee.name,
  });
}

function gpuCheck(policy: CompiledPolicy, index: number): Check {
  return demanded('gpu.evidence', policy.document.rules[index]?.gpu === 'none', {
    at: policy.at('rules', index, 'gpu'),
    want: 'evidence of nvidia GPUs',
    got: 'none: GPU evidence is not verified yet',
  });
}

function modelChecks(
  policy: CompiledPolicy,
  index: number,
  { statement, card }: Subject,
): readonly Check[] {
  const { rules, models } = policy.document;
  const listed = rules[index]?.models ?? [];
  const model = demanded('workload.model', listed.includes(card.model.id), {
    at: policy.at('rules', index, 'models'),
    want: () => listText(listed),
    got: card.model.id,
  });
  const known = models.findIndex(({ id }) => id === card.model.id);
  const weights = models[known]?.weights;
  if (weights === undefined) return [model, skipped('workload.weights', model.id)];
  return [
    model,
    demanded('workload.weights', equalPublic(weights, statement.workload.model), {
      at: policy.at('models', known, 'weights'),
      want: () => `sha256:${toHex(weights)}`,
      got: () => `sha256:${toHex(statement.workload.model)}`,
    }),
  ];
}

interface StatedWorkload {
  readonly workload: Pick<Statement['workload'], 'image' | 'config'>;
}

/** The pair of digests is unique among the images of a policy, so the first that has it is the one. */
function imageCheck(
  policy: CompiledPolicy,
  index: number,
  { workload }: StatedWorkload,
): { readonly check: Check; readonly index?: number } {
  const id = 'workload.image';
  const { rules, images } = policy.document;
  const listed = rules[index]?.images ?? [];
  const found = images.findIndex(
    (image) =>
      equalPublic(image.workload.image, workload.image) &&
      equalPublic(image.workload.config, workload.config) &&
      listed.includes(image.name),
  );
  if (found >= 0) {
    const at = policy.at('images', found, 'workload');
    return { check: passedAt(id, at), index: found };
  }
  const got = `image sha256:${toHex(workload.image)}, config sha256:${toHex(workload.config)}`;
  const at = policy.at('rules', index, 'images');
  return { check: demanded(id, false, { at, want: listText(listed), got }) };
}

function imageExpiryCheck(policy: CompiledPolicy, index: number | undefined, nowMs: number): Check {
  const id = 'workload.imageExpires';
  const image = index === undefined ? undefined : policy.document.images[index];
  if (index === undefined || image === undefined) return skipped(id, 'workload.image');
  return demanded(id, nowMs < image.expires, {
    at: policy.at('images', index, 'expires'),
    want: () => `a clock before ${formatInstant(image.expires)}`,
    got: () => formatInstant(nowMs),
  });
}
