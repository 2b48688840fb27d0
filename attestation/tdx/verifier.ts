/**
 * Intel TDX behind the interface of all TEEs: authenticity and what no policy can allow are judged once per evidence,
 * a policy's rules on the facts that come out. Spec: gpu-and-policy §4.4, §5.3 (2, 3); tdx §5.
 * @module
 */

import { isZero, toHex } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { skipped } from '../policy/rule-check.ts';
import { STATUS_WORDS } from '../policy/schema.ts';
import { TDX_RULE_CHECK_IDS, judgeTdxRule } from '../policy/tdx-rule.ts';
import type { RuleFinding, Tee, TeeFinding, TeeInput } from '../tee.ts';
import type { Unchecked } from '../unchecked.ts';
import type { Check } from '../verdict.ts';
import { TDX_CHECK_IDS, type TdxCheckId } from './check-list.ts';
import type { TdReport } from './quote.ts';
import { INTEL_ROOT } from './roots.ts';
import { baselineTdxPolicy, type TdxPolicy } from './td-policy.ts';
import { verifyTdx, type TdxResult } from './verify.ts';

const BY_RULES: Unchecked = { unchecked: 'judged by the rules of the policy' };

/** What holds for every rule. The rest is left to the rules, which have a required member for each. */
const INVARIANTS: TdxPolicy = {
  ...baselineTdxPolicy({ reportData: BY_RULES, measurements: BY_RULES }),
  acceptedTcbStatuses: Object.values(STATUS_WORDS),
  debug: 'refuse',
  septVeDisable: 'require',
  serviceTd: 'zero',
};

/** The statement's and the rules' business; listed there, so not listed a second time as waived here. */
const JUDGED_ELSEWHERE: ReadonlySet<string> = new Set<TdxCheckId>([
  'policy.tcbStatus',
  'policy.tcbStatus.current',
  'policy.advisories',
  'policy.minTcbEvaluationDataNumber',
  'policy.minTeeTcbSvn',
  'policy.tdAttributes',
  'policy.xfam',
  'policy.mrSeam',
  'policy.mrTd',
  'policy.measurements',
  'policy.reportData',
  'policy.allowedPlatforms',
  'policy.deniedPlatforms',
]);

export const tdx: Tee = {
  name: 'tdx',
  checkIds: TDX_CHECK_IDS.filter((id) => !JUDGED_ELSEWHERE.has(id)),
  ruleCheckIds: TDX_RULE_CHECK_IDS,
  verify,
};

function verify({ evidence, nowMs, simulatedRoots, caches }: TeeInput): TeeFinding {
  assert(evidence.tee === 'tdx', 'evidence of another kind of machine');
  const result = verifyTdx({
    quote: evidence.quote,
    collateral: evidence.endorsements,
    nowMs,
    policy: INVARIANTS,
    roots: [INTEL_ROOT, ...simulatedRoots.map((sha256) => ({ sha256, simulated: true }))],
    ...(caches.tdx === undefined ? {} : { cache: caches.tdx }),
  });
  const facts = genuineFacts(result);
  const because = firstFailed(result.checks);
  return {
    checks: result.checks.filter(({ id }) => !JUDGED_ELSEWHERE.has(id)),
    warnings: result.warnings,
    reportData: facts?.td.reportData ?? { because },
    ...(facts === undefined
      ? {}
      : {
          platform: { tee: 'tdx', ids: identity(facts.platform) },
          tcbStatus: facts.tcb.status,
          facts: { tee: 'tdx', tdx: facts },
        }),
    measurements: facts === undefined ? [] : measurementsOf(facts.td),
    simulated: result.simulated,
    validUntilMs: result.validUntilMs,
    judge: (question): RuleFinding =>
      facts === undefined
        ? {
            checks: TDX_RULE_CHECK_IDS.map((id) => skipped(id, because)),
            validUntilMs: 0,
            advisories: [],
          }
        : judgeTdxRule(facts, question),
  };
}

/** The quote's claims count only when it is genuine. */
function genuineFacts({ authentic, quote, tcb, platform }: TdxResult) {
  if (!authentic || quote === undefined || tcb === undefined || platform === undefined) {
    return undefined;
  }
  return { td: quote.td, tcb, platform };
}

function measurementsOf({ mrTd, rtmr }: TdReport): readonly string[] {
  return [mrTd, ...rtmr].filter((register) => !isZero(register)).map(toHex);
}

function firstFailed(checks: readonly Check[]): string {
  return checks.find(({ outcome }) => outcome === 'fail')?.id ?? 'quote.format';
}

function identity(platform: NonNullable<TdxResult['platform']>): Readonly<Record<string, string>> {
  return {
    ppid: platform.ppid,
    fmspc: platform.fmspc,
    pckSerial: platform.pckSerial,
    ...(platform.platformInstanceId === undefined
      ? {}
      : { platformInstanceId: platform.platformInstanceId }),
  };
}
