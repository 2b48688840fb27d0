/**
 * AMD SEV-SNP behind the interface of all TEEs: authenticity and what no policy can allow are judged once per evidence,
 * a policy's rules on the facts that come out. Spec: gpu-and-policy §4.4, §5.3 (2, 3); sev-snp.md §3, §4.
 * @module
 */

import { toHex } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { SNP_RULE_CHECK_IDS, judgeSnpRule } from '../policy/snp-rule.ts';
import { skipped } from '../policy/rule-check.ts';
import type { RuleFinding, Tee, TeeFinding, TeeInput } from '../tee.ts';
import type { Unchecked } from '../unchecked.ts';
import type { Check } from '../verdict.ts';
import { AMD_ANCHORS } from './anchors.ts';
import { SNP_CHECK_IDS, SNP_POLICY_CHECKS, type SnpCheckId } from './check-list.ts';
import { baselineSnpPolicy, type SnpPolicy } from './guest-policy.ts';
import { tcbText } from './tcb.ts';
import { verifySnp, verifySnpApart, type SnpResult, type SnpVerifyInput } from './verify.ts';

const BY_RULES: Unchecked = { unchecked: 'judged by the rules of the policy' };

/** What holds for every rule. The rest is left to the rules, which have a required member for each. */
const INVARIANTS: SnpPolicy = {
  ...baselineSnpPolicy({ reportData: BY_RULES, measurements: BY_RULES }),
  vmpls: BY_RULES,
  unknownPlatformBits: BY_RULES,
};

const JUDGED_HERE: ReadonlySet<string> = new Set<SnpCheckId>([
  'policy.maskedChipId',
  'policy.guestPolicy.debug',
  'policy.guestPolicy.migrateMa',
]);

/** The statement's and the rules' business; listed there, so not listed a second time as waived here. */
const JUDGED_ELSEWHERE: ReadonlySet<string> = new Set(
  SNP_POLICY_CHECKS.filter((id) => !JUDGED_HERE.has(id)),
);

export const snp: Tee = {
  name: 'snp',
  checkIds: SNP_CHECK_IDS.filter((id) => !JUDGED_ELSEWHERE.has(id)),
  ruleCheckIds: SNP_RULE_CHECK_IDS,
  verify,
  verifyApart: async (input) => {
    const { signatures } = input.caches;
    if (signatures !== undefined) await verifySnpApart(verifyInputOf(input), signatures);
  },
};

function verifyInputOf({ evidence, nowMs, simulatedRoots, caches }: TeeInput): SnpVerifyInput {
  assert(evidence.tee === 'snp', 'evidence of another kind of machine');
  const { quote, endorsements } = evidence;
  return {
    evidence: { form: 'report', bytes: quote, endorsements },
    nowMs,
    policy: INVARIANTS,
    anchors: [...AMD_ANCHORS, ...simulatedRoots.map((sha256) => ({ sha256, simulated: true }))],
    ...(caches.snp === undefined ? {} : { cache: caches.snp }),
    ...(caches.signatures === undefined ? {} : { memo: caches.signatures }),
  };
}

function verify(input: TeeInput): TeeFinding {
  const result = verifySnp(verifyInputOf(input));
  const subject = result.authentic ? result.subject : undefined;
  const because = firstFailed(result.checks);
  return {
    checks: result.checks.filter(({ id }) => !JUDGED_ELSEWHERE.has(id)),
    warnings: result.warnings,
    reportData: subject?.report.reportData ?? { because },
    ...(subject === undefined
      ? {}
      : {
          platform: { tee: 'snp', ids: identity(result) },
          tcbStatus: statusText(result),
          facts: { tee: 'snp', snp: subject },
        }),
    measurements: subject === undefined ? [] : [toHex(subject.report.measurement)],
    simulated: result.simulated,
    validUntilMs: result.validUntilMs,
    judge: (question): RuleFinding =>
      subject === undefined
        ? {
            checks: SNP_RULE_CHECK_IDS.map((id) => skipped(id, because)),
            validUntilMs: 0,
            advisories: [],
          }
        : judgeSnpRule(subject, question),
  };
}

function firstFailed(checks: readonly Check[]): string {
  return checks.find(({ outcome }) => outcome === 'fail')?.id ?? 'report.length';
}

function identity({ owner, facts }: SnpResult): Readonly<Record<string, string>> {
  return {
    ...(facts?.siliconLine === undefined ? {} : { siliconLine: facts.siliconLine }),
    ...(owner?.kind === 'vcek' && facts !== undefined
      ? { chipId: toHex(facts.report.chipId) }
      : {}),
    ...(owner?.kind === 'vlek' ? { cspId: owner.cspId } : {}),
  };
}

/** AMD has no word for "up to date": the numbers themselves. */
function statusText({ facts }: SnpResult): string {
  return facts?.tcb === undefined ? 'unknown' : tcbText(facts.tcb.reported);
}
