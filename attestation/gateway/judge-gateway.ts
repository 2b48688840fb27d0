/**
 * What a policy says about one gateway that proved itself: validity, revocations, and one rule of its own section in which
 * everything holds. Without one, the nearest rule is reported. Rules for workers are never looked at.
 * Spec: docs/attested-gateway.md "What is checked".
 * @module
 */

import { sha256 } from '#primitives';
import { toHex } from '../../core/bytes.ts';
import type { CompiledPolicy } from '../policy/compile.ts';
import { gatewayRole } from '../policy/gateway-role.ts';
import { generalChecks } from '../policy/evaluate.ts';
import { imageCheck, imageExpiryCheck, teeCheck, type JudgedRule } from '../policy/judge-rule.ts';
import { freshCheck, freshUntil, listOf, notRevoked } from '../policy/revocation-checks.ts';
import type { Revocable, RevocationKnowledge } from '../policy/revocations.ts';
import { demanded, holds, listText, skipped } from '../policy/rule-check.ts';
import type { Tee, TeeFinding } from '../tee.ts';
import type { Check } from '../verdict.ts';
import type { GatewayStatement } from './gateway-statement.ts';

/** Of the policy as a whole, in the order of the verdict. */
export const GATEWAY_POLICY_CHECK_IDS = [
  'policy.issued',
  'policy.expires',
  'policy.evidenceAge',
  'policy.simulated',
  'revocation.fresh',
  'revocation.policy',
  'revocation.cpu',
  'revocation.measurement',
  /** The gateway, by the hash of its identity. */
  'revocation.key',
  /** The policy has a section about gateways with a rule in it. */
  'policy.gateways',
] as const;

/** Of one rule, before those of its `cpu` section. */
export const GATEWAY_RULE_CHECK_IDS = [
  'cpu.tee',
  'workload.image',
  'workload.imageExpires',
  'revocation.rule',
  'revocation.image',
] as const;

export interface GatewayQuestion {
  readonly policy: CompiledPolicy;
  readonly tee: Tee;
  readonly finding: TeeFinding;
  /** Or the failed check because of which there is nothing to judge. */
  readonly statement: GatewayStatement | { readonly because: string };
  readonly revocations: RevocationKnowledge;
  readonly nowMs: number;
}

export interface GatewayRuling {
  readonly checks: readonly Check[];
  readonly rule?: string;
  readonly image?: string;
  readonly shape?: string;
  readonly revocable: readonly Revocable[];
  readonly validUntilMs: number;
}

export function judgeGateway(question: GatewayQuestion): GatewayRuling {
  const role = { ...question, policy: gatewayRole(question.policy) };
  const facts = revocableFacts(question);
  const general = wholeChecks(question, facts);
  const revocable = [...facts.policy, ...facts.cpu, ...facts.measurement, ...facts.key];
  const best = nearest(role.policy.document.rules.map((_, index) => judgeOne(role, index)));
  if (best === undefined) {
    const ids = [...GATEWAY_RULE_CHECK_IDS, ...question.tee.ruleCheckIds];
    const rest = ids.map((id) => skipped(id, 'policy.gateways'));
    return { checks: [...general, ...rest], revocable, validUntilMs: 0 };
  }
  const { checks, validUntilMs, revocable: ofRule, ...names } = best;
  return {
    ...names,
    checks: [...general, ...checks],
    revocable: [...revocable, ...ofRule],
    validUntilMs: Math.min(validUntilMs, endOf(question)),
  };
}

function endOf({ policy, statement, revocations, nowMs }: GatewayQuestion): number {
  const { expires, limits } = policy.document;
  if ('because' in statement) return 0;
  const fresh = 'any' in limits.revocation_age ? Infinity : freshUntil(revocations);
  const aged = statement.iat * 1000 + limits.evidence_age;
  return Math.min(expires, aged, fresh, nowMs + limits.reattest_every);
}

interface Facts {
  readonly policy: readonly Revocable[];
  readonly cpu: readonly Revocable[];
  readonly measurement: readonly Revocable[];
  readonly key: readonly Revocable[];
}

function revocableFacts({ policy, finding, statement }: GatewayQuestion): Facts {
  const ids = finding.platform?.ids ?? {};
  const cpus = [ids['ppid'], ids['chipId']].filter((id) => id !== undefined);
  const identity = 'because' in statement ? undefined : statement.keys.identity;
  return {
    policy: [{ kind: 'policy', value: `sha256:${toHex(policy.digest)}` }],
    cpu: cpus.map((value) => ({ kind: 'cpu', value })),
    measurement: finding.measurements.map((value) => ({ kind: 'measurement', value })),
    key: identity === undefined ? [] : [{ kind: 'key', value: toHex(sha256(identity)) }],
  };
}

function wholeChecks(question: GatewayQuestion, facts: Facts): readonly Check[] {
  const { policy, finding, statement, revocations, nowMs } = question;
  const list = listOf(revocations);
  const genuine = 'because' in finding.reportData ? finding.reportData.because : undefined;
  const known = 'because' in statement ? statement.because : undefined;
  const unless = (because: string | undefined, id: string, named: readonly Revocable[]): Check =>
    because === undefined ? notRevoked(id, list, named) : skipped(id, because);
  const { gateways } = policy.document;
  const at = gateways === undefined ? policy.at() : policy.at('gateways', 'rules');
  return [
    ...generalChecks({ policy, finding, stated: statement, nowMs }),
    freshCheck({ policy, revocations, nowMs }),
    notRevoked('revocation.policy', list, facts.policy),
    unless(genuine, 'revocation.cpu', facts.cpu),
    unless(genuine, 'revocation.measurement', facts.measurement),
    unless(known, 'revocation.key', facts.key),
    demanded('policy.gateways', (gateways?.rules ?? []).length > 0, {
      at,
      want: 'a rule for gateways',
      got: gateways === undefined ? 'none: the policy is about workers alone' : listText([]),
    }),
  ];
}

/** `policy` is the gateways' role of it. */
function judgeOne(question: GatewayQuestion, index: number): JudgedRule {
  const { policy, tee, finding, statement, nowMs } = question;
  const revocations = listOf(question.revocations);
  const name = policy.document.rules[index]?.id ?? '';
  if ('because' in statement) {
    const image = { because: statement.because };
    const cpu = finding.judge({ policy, rule: index, image, nowMs, revocations });
    const unknown = GATEWAY_RULE_CHECK_IDS.map((id) => skipped(id, statement.because));
    return { checks: [...unknown, ...cpu.checks], rule: name, revocable: [], validUntilMs: 0 };
  }
  const found = imageCheck(policy, index, statement);
  const image = found.index === undefined ? undefined : policy.document.images[found.index];
  const kind = teeCheck({ policy, tee }, index);
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
          checks: tee.ruleCheckIds.map((id) => skipped(id, kind.id)),
          validUntilMs: 0,
          advisories: [],
        };
  const ruleFact: Revocable = { kind: 'rule', value: name };
  const imageFacts: readonly Revocable[] =
    image === undefined ? [] : [{ kind: 'image', value: image.name }];
  return {
    checks: [
      kind,
      found.check,
      imageExpiryCheck(policy, found.index, nowMs),
      notRevoked('revocation.rule', revocations, [ruleFact]),
      image === undefined
        ? skipped('revocation.image', found.check.id)
        : notRevoked('revocation.image', revocations, imageFacts),
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

function nearest(judged: readonly JudgedRule[]): JudgedRule | undefined {
  const misses = ({ checks }: JudgedRule): number => checks.filter((one) => !holds(one)).length;
  return judged.toSorted((one, other) => misses(one) - misses(other))[0];
}
