/** A verdict as JSON for people and programs: everything in it is public. @module */

import { toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Verdict } from '../../attestation/verdict.ts';

export function verdictJson(verdict: Verdict): JsonObject {
  return {
    checks: verdict.checks.map((check) => ({ ...check })),
    warnings: verdict.warnings.map((warning) => ({ ...warning })),
    ...verdictSummary(verdict),
  };
}

/** Without the checks. */
export function verdictSummary(verdict: Verdict): JsonObject {
  const { policy, platform } = verdict;
  return {
    decision: verdict.decision,
    policy: { name: policy.name, serial: policy.serial, digest: toHex(policy.digest) },
    rule: verdict.rule ?? null,
    image: verdict.image ?? null,
    shape: verdict.shape ?? null,
    model: verdict.model ?? null,
    platform: platform === undefined ? null : { tee: platform.tee, ids: { ...platform.ids } },
    tcbStatus: verdict.tcbStatus ?? null,
    simulated: verdict.simulated,
    validUntil: verdict.validUntilMs > 0 ? formatInstant(verdict.validUntilMs) : null,
  };
}
