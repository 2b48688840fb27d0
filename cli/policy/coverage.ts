/**
 * Which checks of a policy no fixture fails alone: a check that nobody ever saw failing may have been written so that it
 * never does. Checks that cannot fail alone under this policy are named with the reason.
 * @module
 */

import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { POLICY_CHECK_IDS } from '../../attestation/policy/evaluate.ts';
import { RULE_CHECK_IDS } from '../../attestation/policy/judge-rule.ts';
import { TEES } from '../../attestation/tees.ts';
import type { FixtureRuling } from './fixture.ts';

export interface Coverage {
  readonly covered: readonly string[];
  readonly missing: readonly string[];
  /** Cannot fail alone. */
  readonly exempt: readonly { readonly id: string; readonly why: string }[];
}

/** `rulings`: of the fixtures that are as expected. */
export function coverageOf(policy: CompiledPolicy, rulings: readonly FixtureRuling[]): Coverage {
  const alone = new Set(
    rulings.flatMap(({ failing: [id, ...others] }) =>
      id === undefined || others.length > 0 ? [] : [id],
    ),
  );
  const kinds = new Set(policy.document.rules.map(({ cpu }) => cpu.tee));
  const tees = TEES.filter(({ name }) => kinds.has(name));
  const ids = [
    ...new Set([
      ...POLICY_CHECK_IDS,
      ...RULE_CHECK_IDS,
      ...tees.flatMap(({ ruleCheckIds }) => ruleCheckIds),
    ]),
  ];
  const off = switchedOff(rulings);
  const whyOf = (id: string): string | undefined => {
    if (alone.has(id)) return undefined;
    return whyNever(id, policy) ?? (off.has(id) ? 'switched off in every rule' : undefined);
  };
  return {
    covered: ids.filter((id) => alone.has(id)),
    missing: ids.filter((id) => !alone.has(id) && whyOf(id) === undefined),
    exempt: ids.flatMap((id) => {
      const why = whyOf(id);
      return why === undefined ? [] : [{ id, why }];
    }),
  };
}

function whyNever(id: string, { document: { rules } }: CompiledPolicy): string | undefined {
  if (id === 'policy.rule' && rules.length > 0) return 'this policy has rules, whatever comes';
  if (id === 'policy.simulated') {
    return 'a root that the policy does not name fails as pck.root or chain.root';
  }
  if (id === 'cpu.tee' && TEES.every(({ name }) => rules.some(({ cpu }) => cpu.tee === name))) {
    return 'this policy has a rule for each kind of machine';
  }
  if (id === 'gpu.evidence' && rules.every(({ gpu }) => gpu === 'none')) {
    return 'no rule demands a GPU';
  }
  if (id === 'cpu.tcbFloor') return 'cpu.launchTcb asks for the same floor and fails with it';
  return undefined;
}

/** Waived wherever a rule got as far as asking. */
function switchedOff(rulings: readonly FixtureRuling[]): ReadonlySet<string> {
  const checks = rulings.flatMap(({ appraisal: { common, rules } }) => [
    ...common,
    ...rules.flatMap((rule) => rule.checks),
  ]);
  const asked = checks.filter(({ outcome }) => outcome !== 'skipped');
  const judged = new Set(asked.filter(({ outcome }) => outcome !== 'waived').map(({ id }) => id));
  return new Set(asked.map(({ id }) => id).filter((id) => !judged.has(id)));
}
