/**
 * What was taken away, as checks: is the list known and fresh, and does it name the policy, the machine, what it measured or
 * its keys. Rules, images and exceptions are asked about where they are used.
 * Spec: gpu-and-policy §5.4; docs/publication.md §3.
 * @module
 */

import { toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { workerIdOf } from '../card.ts';
import { ehbpKidOf, kidOf, statementHash } from '../statement.ts';
import { passedCheck } from '../shared-checks.ts';
import type { Check } from '../verdict.ts';
import type { PolicyInput } from './subject.ts';
import { demanded, skipped, waived } from './rule-check.ts';
import {
  NO_REVOCATIONS,
  type Revocable,
  type RevocationKnowledge,
  type Revocations,
} from './revocations.ts';

export const REVOCATION_CHECK_IDS = [
  /** Somebody said lately that nothing newer was revoked. */
  'revocation.fresh',
  'revocation.policy',
  /** PPID or CHIP_ID. */
  'revocation.cpu',
  'revocation.measurement',
  /** The owner, by worker id. */
  'revocation.key',
  /** One key of one statement. */
  'revocation.kid',
] as const;

export function listOf(knowledge: RevocationKnowledge): Revocations {
  return 'waived' in knowledge ? NO_REVOCATIONS : knowledge.list;
}

/** When the verdict has to be asked for anew. */
export function freshUntil(knowledge: RevocationKnowledge): number {
  if ('waived' in knowledge || !('untilMs' in knowledge.freshness)) return Infinity;
  return knowledge.freshness.untilMs;
}

/** Passes too where nobody knows a list: `revocation.fresh` says so, once. */
export function notRevoked(id: string, list: Revocations, facts: readonly Revocable[]): Check {
  for (const { kind, value } of facts) {
    const entry = list.find(kind, value);
    if (entry === undefined) continue;
    const got = `${kind} ${value} was revoked by ${entry.by}: ${entry.reason}`;
    return { id, outcome: 'fail', want: 'not revoked', got };
  }
  return passedCheck(id);
}

/** What a revocation can name before any rule is looked at. */
export interface GeneralFacts {
  readonly policy: readonly Revocable[];
  readonly cpu: readonly Revocable[];
  readonly measurement: readonly Revocable[];
  readonly key: readonly Revocable[];
  readonly kid: readonly Revocable[];
}

export function generalFacts({ policy, finding, subject }: PolicyInput): GeneralFacts {
  const ids = finding.platform?.ids ?? {};
  const cpus = [ids['ppid'], ids['chipId']].filter((id) => id !== undefined);
  return {
    policy: [{ kind: 'policy', value: `sha256:${toHex(policy.digest)}` }],
    cpu: cpus.map((value) => ({ kind: 'cpu', value })),
    measurement: finding.measurements.map((value) => ({ kind: 'measurement', value })),
    key:
      'because' in subject ? [] : [{ kind: 'key', value: toHex(workerIdOf(subject.card.owner)) }],
    kid: 'because' in subject ? [] : kidsOf(subject).map((value) => ({ kind: 'kid', value })),
  };
}

/** Of every key that a statement has to seal to. */
function kidsOf({
  statement,
  statementBytes,
}: Exclude<PolicyInput['subject'], { because: string }>): readonly string[] {
  const { hpke, ehbp } = statement.keys;
  const hash = statementHash(statementBytes);
  const kids = [kidOf(hash, hpke.kem, hpke.pk)];
  if (ehbp !== undefined) kids.push(ehbpKidOf(hash, ehbp.pk));
  return kids.map(toHex);
}

export function revocationChecks(input: PolicyInput, facts: GeneralFacts): readonly Check[] {
  const { finding, subject, revocations } = input;
  const list = listOf(revocations);
  const genuine = 'because' in finding.reportData ? finding.reportData.because : undefined;
  const known = 'because' in subject ? subject.because : undefined;
  const unless = (because: string | undefined, id: string, named: readonly Revocable[]): Check =>
    because === undefined ? notRevoked(id, list, named) : skipped(id, because);
  return [
    freshCheck(input),
    notRevoked('revocation.policy', list, facts.policy),
    unless(genuine, 'revocation.cpu', facts.cpu),
    unless(genuine, 'revocation.measurement', facts.measurement),
    unless(known, 'revocation.key', facts.key),
    unless(known, 'revocation.kid', facts.kid),
  ];
}

export function freshCheck({
  policy,
  revocations,
  nowMs,
}: Pick<PolicyInput, 'policy' | 'revocations' | 'nowMs'>): Check {
  const id = 'revocation.fresh';
  const rule = policy.document.limits.revocation_age;
  const at = policy.at('limits', 'revocation_age');
  if ('any' in rule) return waived(id, at, rule.note);
  if ('waived' in revocations) return waived(id, revocations.by, revocations.waived);
  const { freshness } = revocations;
  if ('waived' in freshness) return waived(id, freshness.by, freshness.waived);
  if ('judged' in freshness) return waived(id, freshness.by, 'asked again for each request');
  if ('stale' in freshness) {
    return demanded(id, false, { at, want: 'fresh word on revocations', got: freshness.stale });
  }
  return demanded(id, nowMs < freshness.untilMs, {
    at,
    want: () =>
      `word on revocations before ${formatInstant(Math.floor(freshness.untilMs / 1000) * 1000)}`,
    got: () => formatInstant(nowMs),
  });
}
