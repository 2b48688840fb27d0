/**
 * What a kind of machine has to offer to an appraisal: is the quote genuine, what does it say, and how does one rule of
 * a policy judge it. Registry: tees.ts. Spec: overview "The house"; gpu-and-policy §5.3.
 * @module
 */

import type { Bytes } from '../core/bytes.ts';
import type { EvidenceBundle } from './evidence.ts';
import type { CompiledPolicy } from './policy/compile.ts';
import type { TdxRuleFacts } from './policy/tdx-rule.ts';
import type { Revocations } from './policy/revocations.ts';
import type { SignatureMemo } from './pki/signature.ts';
import type { SnpCache } from './snp/cache.ts';
import type { PolicySubject } from './snp/policy-checks.ts';
import type { TdxCache } from './tdx/cache.ts';
import type { Check, PlatformIdentity, TeeName, Warning } from './verdict.ts';

/** What appraisals may remember between each other; changes how long an answer takes and nothing else. */
export interface AppraisalCaches {
  readonly tdx?: TdxCache;
  readonly snp?: SnpCache;
  /** Needed for `verifyApart`. */
  readonly signatures?: SignatureMemo;
}

export interface TeeInput {
  readonly evidence: EvidenceBundle;
  readonly nowMs: number;
  /** SHA-256 of development root certificates that the policy names; whatever ends in one is simulated. */
  readonly simulatedRoots: readonly Bytes<32>[];
  readonly caches: AppraisalCaches;
}

export interface TeeFinding {
  /** Authenticity, and what no policy can allow (debug above all). One per id of `checkIds`, in that order. */
  readonly checks: readonly Check[];
  readonly warnings: readonly Warning[];
  /** Of a genuine quote, else the failed check because of which there is none. */
  readonly reportData: Bytes<64> | { readonly because: string };
  readonly platform?: PlatformIdentity;
  readonly tcbStatus?: string;
  /** Of a genuine quote, in hex: what a revocation of a measurement can name. Registers of zeros left out. */
  readonly measurements: readonly string[];
  readonly simulated: boolean;
  /** Earliest expiry of all collateral; 0 when nothing is genuine. */
  readonly validUntilMs: number;
  /** One per id of `ruleCheckIds`, in that order. */
  readonly judge: (question: RuleQuestion) => RuleFinding;
  /** What `judge` goes by, for whoever says what a policy would have to want. Of a genuine quote alone. */
  readonly facts?: TeeFacts;
}

export type TeeFacts =
  | { readonly tee: 'tdx'; readonly tdx: TdxRuleFacts }
  | { readonly tee: 'snp'; readonly snp: PolicySubject };

export interface RuleQuestion {
  readonly policy: CompiledPolicy;
  /** Index into `policy.document.rules`. */
  readonly rule: number;
  /** Index into `policy.document.images`, or the failed check because of which there is none. */
  readonly image: number | { readonly because: string };
  readonly nowMs: number;
  /** An exception that was taken back counts no more. */
  readonly revocations: Revocations;
}

export interface RuleFinding {
  readonly checks: readonly Check[];
  /** The matching tuple's label. */
  readonly shape?: string;
  /** Earliest expiry of the exceptions and registry entries used. */
  readonly validUntilMs: number;
  /** Names of the exceptions used. */
  readonly advisories: readonly string[];
}

export interface Tee {
  readonly name: TeeName;
  readonly checkIds: readonly string[];
  readonly ruleCheckIds: readonly string[];
  /** Pure; bad evidence ends in failed checks. */
  readonly verify: (input: TeeInput) => TeeFinding;
  /**
   * Does the costly arithmetic of `verify` away from the calling thread and leaves it in the caches. Decides nothing:
   * without it `verify` says the same and takes longer. Absent where verification costs little.
   */
  readonly verifyApart?: (input: TeeInput) => Promise<void>;
}
