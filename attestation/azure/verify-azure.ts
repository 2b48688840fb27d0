/**
 * An Azure confidential machine: hardware report, runtime data, quote of the vTPM, registers, policy and one instant in; a
 * complete list of checks out. The hardware report proves a paravisor and the key of its vTPM, the quote proves the guest.
 * Pure and synchronous; evidence of any content and size ends in a result, never in an exception. docs/azure.md says
 * what an accepted result is worth.
 * Spec: Microsoft, "Confidential VM guest attestation design"; sev-snp.md §5, tdx.md §8.
 * @module
 */

import { assert } from '../../core/errors.ts';
import type { SnpAnchor } from '../snp/anchors.ts';
import type { SnpEndorsements } from '../snp/endorsements.ts';
import type { SnpPolicy } from '../snp/guest-policy.ts';
import { verifySnp, type SnpResult } from '../snp/verify.ts';
import type { TdxCollateral } from '../tdx/collateral.ts';
import type { TrustRoot } from '../tdx/roots.ts';
import type { TdxPolicy } from '../tdx/td-policy.ts';
import { verifyTdx, type TdxResult } from '../tdx/verify.ts';
import type { Unchecked } from '../unchecked.ts';
import type { Check, Warning } from '../verdict.ts';
import { AZURE_AUTHENTICITY_CHECKS, AZURE_POLICY_CHECKS, azureCheckSheet } from './check-list.ts';
import {
  judgeClaims,
  judgeHardware,
  judgeHcl,
  judgeKey,
  type AzureHardware,
} from './hardware-checks.ts';
import type { HclClaims } from './hcl.ts';
import { judgeParavisor, judgeTuple, judgeUserData } from './policy-checks.ts';
import { judgeQuote, judgeRegisters, judgeSignature } from './quote-checks.ts';
import type { TpmQuote } from './tpm-quote.ts';
import type { AzurePolicy, PcrValues } from './vtpm-policy.ts';
import { readVtpm } from './vtpm-read.ts';

export type { AzureHardware } from './hardware-checks.ts';
export type { AzurePolicy, PcrTuple, PcrValues } from './vtpm-policy.ts';

/** As `tpm2_quote -m` and `-s` write them. */
export interface TpmEvidence {
  /** TPMS_ATTEST. */
  readonly quote: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
}

export interface VtpmInput {
  readonly hardware: AzureHardware;
  /** The paravisor's blob, NV index 0x01400001. */
  readonly blob: Uint8Array;
  readonly tpm: TpmEvidence;
  /** What the registers are said to hold; the quote has their digest only. */
  readonly pcrs: PcrValues;
  /** What this verifier asked to have in the quote: 16 to 64 bytes that nobody could foresee. */
  readonly nonce: Uint8Array;
  readonly policy: AzurePolicy;
}

export interface VtpmResult {
  /** Fixed order, always complete: every id of `AZURE_CHECK_IDS` once. */
  readonly checks: readonly Check[];
  /** Hardware report and quote are genuine and belong together; says nothing about the policy. */
  readonly authentic: boolean;
  /** `authentic`, the hardware's policy accepts it, and no policy check here failed or was skipped. */
  readonly accepted: boolean;
  /** The quote's own claims. Only worth anything when `authentic`. */
  readonly quote?: TpmQuote;
  /** Only worth anything when `authentic`. */
  readonly claims?: HclClaims;
  /** The policy's tuple that the registers match; absent when they were waived or none matches. */
  readonly image?: string;
}

/**
 * The vTPM's part, for either kind of hardware. Does not verify the hardware report: its result comes in, and its
 * report data is what everything here hangs on.
 */
export function verifyAzureVtpm({
  hardware,
  blob,
  tpm,
  pcrs,
  nonce,
  policy,
}: VtpmInput): VtpmResult {
  const sheet = azureCheckSheet();
  const reading = readVtpm({ ...tpm, blob, pcrs });
  judgeHardware(hardware, sheet);
  const hcl = judgeHcl(reading, hardware, sheet);
  const claims = judgeClaims(hcl, sheet);
  const key = judgeKey(claims, sheet);
  const quote = judgeQuote(reading, nonce, sheet);
  judgeSignature(reading, key, sheet);
  judgeRegisters(quote, reading.pcrs, sheet);
  judgeParavisor(hardware, policy, sheet);
  const image = judgeTuple(reading.pcrs, policy, sheet);
  judgeUserData(claims, policy, sheet);
  const authentic = sheet.firstBad(AZURE_AUTHENTICITY_CHECKS) === undefined;
  return {
    checks: sheet.close(),
    authentic,
    accepted: authentic && sheet.firstBad(AZURE_POLICY_CHECKS) === undefined,
    ...(quote === undefined ? {} : { quote }),
    ...(claims === undefined ? {} : { claims }),
    ...(image === undefined ? {} : { image }),
  };
}

export interface AzureResult<Hardware> {
  /** Those of the hardware, then those of the vTPM; each list complete and in its fixed order. */
  readonly checks: readonly Check[];
  readonly warnings: readonly Warning[];
  /** Hardware report and quote are genuine and belong together; says nothing about the policy. */
  readonly authentic: boolean;
  /** `authentic`, and no policy check of either list failed or was skipped. */
  readonly accepted: boolean;
  /** True when the hardware's chain ends in a development root. */
  readonly simulated: boolean;
  /** Earliest expiry of everything the hardware's part rests on, Unix ms. 0 when not authentic. */
  readonly validUntilMs: number;
  readonly hardware: Hardware;
  readonly vtpm: VtpmResult;
}

const BY_RUNTIME_DATA: Unchecked = { unchecked: 'judged as azure.runtimeData' };

type AzurePart = Omit<VtpmInput, 'hardware' | 'policy'>;

export interface AzureSnpInput extends AzurePart {
  readonly endorsements: SnpEndorsements;
  readonly policy: {
    /** What the report data must be follows from the blob. */
    readonly snp: Omit<SnpPolicy, 'reportData'>;
    readonly azure: AzurePolicy;
  };
  /** The one instant at which everything must be valid, Unix ms. */
  readonly nowMs: number;
  /** Absent: AMD's three roots alone. */
  readonly anchors?: readonly SnpAnchor[];
}

/** The whole machine, with SEV-SNP under the paravisor. Never throws on bad evidence. */
export function verifyAzureSnp(input: AzureSnpInput): AzureResult<SnpResult> {
  const { endorsements, policy, nowMs, anchors, blob } = input;
  const result = verifySnp({
    evidence: { form: 'azure-hcl', bytes: blob, endorsements },
    nowMs,
    policy: { ...policy.snp, reportData: BY_RUNTIME_DATA },
    ...(anchors === undefined ? {} : { anchors }),
  });
  const vtpm = verifyAzureVtpm({
    ...input,
    hardware: { tee: 'snp', result },
    policy: policy.azure,
  });
  return combined(result, vtpm);
}

export interface AzureTdxInput extends AzurePart {
  /** The TDX quote over the TDREPORT in the blob, from the metadata service. */
  readonly quote: Uint8Array;
  readonly collateral: TdxCollateral;
  readonly policy: {
    /** What the report data must be follows from the blob. */
    readonly tdx: Omit<TdxPolicy, 'reportData'>;
    readonly azure: AzurePolicy;
  };
  /** The one instant at which everything must be valid, Unix ms. */
  readonly nowMs: number;
  /** Absent: Intel's root alone. */
  readonly roots?: readonly TrustRoot[];
}

/** The whole machine, with TDX under the paravisor. Never throws on bad evidence. */
export function verifyAzureTdx(input: AzureTdxInput): AzureResult<TdxResult> {
  const { quote, collateral, policy, nowMs, roots } = input;
  const result = verifyTdx({
    quote,
    collateral,
    nowMs,
    policy: { ...policy.tdx, reportData: BY_RUNTIME_DATA },
    ...(roots === undefined ? {} : { roots }),
  });
  const vtpm = verifyAzureVtpm({
    ...input,
    hardware: { tee: 'tdx', result },
    policy: policy.azure,
  });
  return combined(result, vtpm);
}

function combined<Hardware extends SnpResult | TdxResult>(
  hardware: Hardware,
  vtpm: VtpmResult,
): AzureResult<Hardware> {
  const { authentic, accepted } = vtpm;
  assert(hardware.authentic || !authentic, 'an authentic machine on hardware that is not');
  assert(hardware.accepted || !accepted, 'an accepted machine on hardware that is not');
  return {
    checks: [...hardware.checks, ...vtpm.checks],
    warnings: hardware.warnings,
    authentic,
    accepted,
    simulated: hardware.simulated,
    validUntilMs: authentic ? hardware.validUntilMs : 0,
    hardware,
    vtpm,
  };
}
