/**
 * How a gateway in a TEE reaches its machine: the composition root hands this in, made of the same providers as a worker's.
 * Spec: docs/attested-gateway.md "Configuration".
 * @module
 */

import type { SnpEndorsements } from '../../attestation/snp/endorsements.ts';
import type { TdxCollateral } from '../../attestation/tdx/collateral.ts';
import type { TeeName } from '../../attestation/verdict.ts';
import type { Bytes } from '../../core/bytes.ts';

export interface OwnQuote {
  /** TDX quote, SNP report, over exactly the report data that was asked for. */
  readonly quote: Uint8Array;
  /** What a verifier needs beside it, to be stapled. */
  readonly endorsements: TdxCollateral | SnpEndorsements;
}

export interface QuoteSource {
  readonly tee: TeeName;
  /** No hardware stands behind the quotes. Verifiers find out on their own. */
  readonly simulated: boolean;
  /** May be called again and again. Throws `evidence.*`, `collateral.*`. */
  quote(reportData: Bytes<64>, signal: AbortSignal): Promise<OwnQuote>;
}
