/**
 * The smallest change of a policy that would admit given evidence, proven: the change is applied, the policy compiled, and
 * the evidence appraised again. Where nothing is proven nothing is suggested, and it is said why.
 * Spec: gpu-and-policy §5.5 (`explain`).
 * @module
 */

import { VeilError } from '../../core/errors.ts';
import { appraiseRules, type AppraiseInput, type RulesAppraisal } from '../appraise.ts';
import { newCaches } from '../tees.ts';
import type { Check } from '../verdict.ts';
import type { CompiledPolicy } from './compile.ts';
import { merged, withEdits, type PolicyEdit } from './remedy/edit.ts';
import { holds } from './rule-check.ts';
import { mendCheck, NO_POLICY_DECIDES } from './remedy/rule-mend.ts';

export interface Obstacle {
  readonly check: string;
  readonly why: string;
}

export type Remedy =
  | { readonly outcome: 'admitted' }
  | {
      readonly outcome: 'edits';
      /** The rule that admits then. */
      readonly rule: string;
      /** Each is needed: without it the evidence is still denied. */
      readonly edits: readonly PolicyEdit[];
      readonly policy: CompiledPolicy;
    }
  | { readonly outcome: 'none'; readonly rule?: string; readonly obstacles: readonly Obstacle[] };

/** Checks that were skipped come into view when what hid them is mended. */
const ROUNDS_MAX = 5;
/** Nearest first; a policy with more is searched no further. */
const RULES_MAX = 16;

/** Throws only for a policy that `compilePolicy` did not make. */
export function remedyFor(question: AppraiseInput, only?: string): Remedy {
  const input = { ...question, caches: question.caches ?? newCaches() };
  const appraisal = appraiseRules(input);
  if (isAdmitted(appraisal, only)) return { outcome: 'admitted' };
  const beyond = common(appraisal).filter((check) => !isPolicys(check));
  if (beyond.length > 0) {
    const obstacles = beyond.map(({ id }) => ({ check: id, why: whyBeyond(id, input.policy) }));
    return { outcome: 'none', obstacles };
  }
  const tried = candidates(appraisal, only).map((rule) => tryRule(input, rule, only));
  const proven = tried.filter((remedy) => remedy.outcome === 'edits');
  const [best] = proven.toSorted((a, b) => costOf(a.edits) - costOf(b.edits));
  const [nearest] = tried;
  return best ?? nearest ?? withoutRule(input, appraisal);
}

function isAdmitted({ verdict, rules, common: of }: RulesAppraisal, only?: string): boolean {
  if (only === undefined) return verdict.decision === 'admitted';
  const rule = rules.find((each) => each.rule === only);
  return rule !== undefined && [...of, ...rule.checks].every(holds);
}

function common(appraisal: RulesAppraisal): readonly Check[] {
  return appraisal.common.filter(({ outcome }) => outcome === 'fail');
}

/** Of checks before the rules: those that a member of the policy decides. */
function isPolicys({ id }: Check): boolean {
  if (id === 'statement.nonce' || id === 'policy.issued' || id === 'policy.expires') return true;
  return id === 'policy.evidenceAge' || id === 'policy.rule' || id.startsWith('revocation.');
}

const BEYOND: readonly (readonly [ids: RegExp, why: string])[] = [
  [/\.debug$/, 'the host reads everything in a debug guest: policies have no word to allow it'],
  [/^policy\./, 'policies have no word to allow it'],
  [/^gpu\./, 'GPU evidence is not verified yet, so nothing can admit it'],
  [/\.(freshness|signerValidity|validity)$/, 'newer collateral is needed, not another policy'],
  [/^statement\.(expired|notYetValid)$/, 'new evidence is needed, or the right instant (--at)'],
  [/^statement\.aud$/, 'it was made for another gateway'],
  [/^(pck\.revoked|chain\.revoked)$/, 'the vendor has revoked it'],
];

/** Authenticity and what every policy forbids. */
function whyBeyond(id: string, { document }: CompiledPolicy): string {
  if (/^(pck|chain)\.root$/.test(id)) {
    return document.development === true
      ? 'it ends in a root that is neither the vendor’s nor one of roots'
      : 'it ends in a root that is not the vendor’s, as a simulator’s does: no edit admits that in production';
  }
  return BEYOND.find(([ids]) => ids.test(id))?.[1] ?? NO_POLICY_DECIDES;
}

/** Indexes of the rules, nearest first. */
function candidates({ rules }: RulesAppraisal, only?: string): readonly number[] {
  const misses = (index: number): number =>
    rules[index]?.checks.filter((check) => !holds(check)).length ?? 0;
  return rules
    .map((_, index) => index)
    .filter((index) => only === undefined || rules[index]?.rule === only)
    .toSorted((a, b) => misses(a) - misses(b))
    .slice(0, RULES_MAX);
}

/** Fewer edits first; of as many, those that give away less. */
function costOf(edits: readonly PolicyEdit[]): number {
  const weakening = edits.filter(({ weakens }) => weakens !== undefined).length;
  return edits.length + weakening / (edits.length + 1);
}

function withoutRule(input: AppraiseInput, appraisal: RulesAppraisal): Remedy {
  const obstacles = common(appraisal).flatMap(({ id }) => {
    const mend = mendCheck(input, appraisal, { rule: 0, check: id });
    return 'hopeless' in mend ? [{ check: id, why: mend.hopeless }] : [];
  });
  return { outcome: 'none', obstacles };
}

function tryRule(input: AppraiseInput, rule: number, only?: string): Remedy {
  let edits: readonly PolicyEdit[] = [];
  let policy = input.policy;
  const name = policy.document.rules[rule]?.id ?? '';
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const now = { ...input, policy };
    const appraisal = appraiseRules(now);
    if (isAdmitted(appraisal, only ?? name)) {
      return { outcome: 'edits', rule: name, ...smallest(input, edits, name) };
    }
    const failing = [...common(appraisal), ...(appraisal.rules[rule]?.checks ?? [])].filter(
      ({ outcome }) => outcome === 'fail',
    );
    const mends = failing.map(({ id }) => mendCheck(now, appraisal, { rule, check: id }));
    const obstacles = mends.flatMap((mend) =>
      'hopeless' in mend ? [{ check: mend.check, why: mend.hopeless }] : [],
    );
    if (obstacles.length > 0) return { outcome: 'none', rule: name, obstacles };
    const next = merged(mends.flatMap((mend) => ('edits' in mend ? mend.edits : [])));
    // Paths of new edits count in the policy as it is by then, so they come after the old ones.
    edits = [...edits, ...next];
    const edited = compiled(input.policy, edits);
    if (next.length === 0 || 'why' in edited) {
      const why = 'why' in edited ? edited.why : 'no edit is known for it';
      const stuck = failing.map(({ id }) => ({ check: id, why }));
      return { outcome: 'none', rule: name, obstacles: stuck };
    }
    policy = edited.policy;
  }
  return { outcome: 'none', rule: name, obstacles: [{ check: 'policy.rule', why: 'too many' }] };
}

/** Leaves out, one by one, what is not needed. */
function smallest(
  input: AppraiseInput,
  edits: readonly PolicyEdit[],
  rule: string,
): { readonly edits: readonly PolicyEdit[]; readonly policy: CompiledPolicy } {
  let kept = edits;
  for (const each of edits) {
    const fewer = kept.filter((other) => other !== each);
    const edited = compiled(input.policy, fewer);
    if ('why' in edited) continue;
    if (isAdmitted(appraiseRules({ ...input, policy: edited.policy }), rule)) kept = fewer;
  }
  return { edits: kept, policy: withEdits(input.policy, kept) };
}

function compiled(
  policy: CompiledPolicy,
  edits: readonly PolicyEdit[],
): { readonly policy: CompiledPolicy } | { readonly why: string } {
  try {
    return { policy: withEdits(policy, edits) };
  } catch (error) {
    // Not every combination of edits is a policy; what is none is no suggestion.
    if (error instanceof VeilError && error.code.startsWith('policy.')) {
      return { why: 'the change would not be a valid policy' };
    }
    throw error;
  }
}
