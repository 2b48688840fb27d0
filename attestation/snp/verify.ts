/**
 * SEV-SNP report, endorsements, policy and one instant in; a complete list of checks out. Pure and synchronous: no
 * network, no clock, no environment. Evidence of any content and size ends in a result, never in an exception.
 * Spec: AMD SEV-SNP Firmware ABI (56860) §7.3; AMD VCEK Certificate and KDS Interface Specification (57230) §3.
 * @module
 */

import { assert } from '../../core/errors.ts';
import type { SignatureMemo } from '../pki/signature.ts';
import { AMD_ANCHORS, builtInByBytes, type SnpAnchor } from './anchors.ts';
import { judgeBinding } from './bind-checks.ts';
import { digestKey, type SnpCache } from './cache.ts';
import { judgeChain, type SnpChain } from './chain.ts';
import { SNP_AUTHENTICITY_CHECKS, SNP_POLICY_CHECKS, snpCheckSheet } from './check-list.ts';
import type { SnpPolicy } from './guest-policy.ts';
import { judgePolicy, skipPolicy, type PolicySubject } from './policy-checks.ts';
import { productOfCpuid, siliconLineOf } from './products.ts';
import { readSnpEvidence, readSnpSignature, type SnpEvidence, type SnpReading } from './read.ts';
import { judgeReport } from './report-checks.ts';
import type { SnpReport } from './report.ts';
import { endsMs, factsOf, hclOf, warningsOf, type SnpResult } from './result.ts';

export type { SnpEvidence } from './read.ts';
export type { SnpFacts, SnpResult } from './result.ts';

export interface SnpVerifyInput {
  readonly evidence: SnpEvidence;
  /** The one instant at which everything must be valid, Unix ms. */
  readonly nowMs: number;
  readonly policy: SnpPolicy;
  /** Absent: AMD's three roots alone. */
  readonly anchors?: readonly SnpAnchor[];
  /** Makes repeated verification faster and changes no answer. */
  readonly cache?: SnpCache;
  /** Answers that `verifySnpApart` has found; changes no answer either. */
  readonly memo?: SignatureMemo;
}

/** Never throws on bad evidence. */
export function verifySnp(input: SnpVerifyInput): SnpResult {
  const { nowMs, policy, cache, memo } = input;
  const anchors = input.anchors ?? AMD_ANCHORS;
  const sheet = snpCheckSheet();
  const reading = readSnpEvidence(input.evidence, { anchors, nowMs, cache });
  const report = judgeReport(reading, sheet);
  const chain = judgeChain(reading, { sheet, nowMs, anchors, policy });
  judgeBinding(report, reading, { sheet, chain, policy, memo });
  const subject = report === undefined ? undefined : subjectOf(report, reading);
  if (subject === undefined) {
    skipPolicy(sheet, sheet.firstBad(['hcl.format', 'report.length']) ?? 'report.length');
  } else {
    judgePolicy(subject, policy, sheet);
  }
  const authentic = sheet.firstBad(SNP_AUTHENTICITY_CHECKS) === undefined;
  const accepted = authentic && sheet.firstBad(SNP_POLICY_CHECKS) === undefined;
  if (authentic) assert(chain !== undefined && subject !== undefined, 'authentic parts');
  const extensions = subject?.extensions;
  if (authentic && cache !== undefined && chain !== undefined) remember(cache, chain, reading);
  return {
    checks: sheet.close(),
    warnings: warningsOf(report),
    authentic,
    accepted,
    ...(subject === undefined ? {} : { facts: factsOf(subject), subject }),
    ...(authentic && extensions !== undefined ? { owner: extensions.owner } : {}),
    ...hclOf(reading),
    simulated: chain?.anchor?.simulated ?? false,
    validUntilMs: authentic && chain !== undefined ? endsMs(chain, reading) : 0,
  };
}

/** Verifies the report's signature away from the calling thread; `verifySnp` with this memo then costs little. */
export async function verifySnpApart(
  { evidence, anchors, cache, nowMs }: SnpVerifyInput,
  memo: SignatureMemo,
): Promise<void> {
  const context = { anchors: anchors ?? AMD_ANCHORS, nowMs, cache };
  const { signed, vek } = readSnpSignature(evidence, context);
  const key = vek?.outcome === 'read' ? vek.value.certificate.publicKey : undefined;
  if (signed !== undefined && key !== undefined) await signed.verifyApart(key, memo);
}

function subjectOf(report: SnpReport, { vek }: SnpReading): PolicySubject {
  const read = vek?.outcome === 'read' ? vek.value.extensions : undefined;
  const extensions = read?.outcome === 'read' ? read.value : undefined;
  const { cpuid } = report;
  const product = cpuid === undefined ? extensions?.product : productOfCpuid(cpuid);
  return {
    report,
    product,
    line: product === undefined ? undefined : siliconLineOf(product, cpuid),
    extensions,
  };
}

/** Only after an authentic verification: nothing an attacker makes up takes room. */
function remember(cache: SnpCache, chain: SnpChain, { crl }: SnpReading): void {
  const { leaf, intermediate, root } = chain;
  cache.leaves.set(digestKey(leaf.certificate.sha256), leaf, leaf.certificate.notAfterMs);
  for (const authority of [intermediate, root]) {
    if (builtInByBytes(authority.der) !== undefined) continue;
    cache.authorities.set(digestKey(authority.sha256), authority, authority.notAfterMs);
  }
  if (crl?.outcome !== 'read') return;
  cache.crls.set(digestKey(crl.value.sha256), crl.value, crl.value.nextUpdateMs);
}
