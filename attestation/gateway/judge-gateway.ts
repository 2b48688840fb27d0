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
import { generalChecks, nearest } from '../policy/evaluate.ts';
import { judgeRuleOfRole } from '../policy/judge-rule.ts';
import { freshCheck, freshUntil, listOf, notRevoked } from '../policy/revocation-checks.ts';
import type { Revocable, RevocationKnowledge } from '../policy/revocations.ts';
import { demanded, listText, skipped } from '../policy/rule-check.ts';
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
  const policy = gatewayRole(question.policy);
  const facts = revocableFacts(question);
  const general = wholeChecks(question, facts);
  const revocable = [...facts.policy, ...facts.cpu, ...facts.measurement, ...facts.key];
  const input = { ...question, policy, stated: question.statement };
  const best = nearest(
    policy.document.rules.map((_, index) =>
      judgeRuleOfRole(input, index, { checkIds: GATEWAY_RULE_CHECK_IDS, model: [], devices: [] }),
    ),
  );
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
