/**
 * Who finds the endorsements that belong to a piece of evidence. Whatever it returns is untrusted: the verifier judges
 * endorsements by their signatures, not by who delivered them. Spec: overview "The house"; tdx.md §10; sev-snp.md §2.3.
 * @module
 */

import type { SnpEndorsements } from '../snp/endorsements.ts';
import type { TdxCollateral } from '../tdx/collateral.ts';
import type { TeeName } from '../verdict.ts';

export interface EndorsableEvidence {
  readonly tee: TeeName;
  /** TDX quote, SNP report. */
  readonly quote: Uint8Array;
  /** SNP: the certificate table that came from the host with the report. */
  readonly certificates?: Uint8Array;
  /** What came with the evidence already; used where it holds and is newer than what the endorser has. */
  readonly endorsements?: TdxCollateral | SnpEndorsements;
}

export interface Endorser {
  /** Throws `collateral.*`; `isRetry` of errors.ts tells whether another try can help. */
  endorse(
    evidence: EndorsableEvidence,
    signal: AbortSignal,
  ): Promise<TdxCollateral | SnpEndorsements>;
}
