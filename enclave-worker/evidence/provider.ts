/**
 * What a worker asks of the machine it runs in: a fresh quote over 64 bytes, and what a verifier needs beside it.
 * Registry: providers.ts. Spec: tdx.md §8; overview "One binding".
 * @module
 */

import type { TdxCollateral } from '../../attestation/tdx/collateral.ts';
import type { Bytes } from '../../core/bytes.ts';

export interface CollectedEvidence {
  readonly quote: Uint8Array;
  readonly endorsements: TdxCollateral;
}

export interface EvidenceProvider {
  readonly name: string;
  /** True when no hardware stands behind the quotes. Verifiers find out on their own, from the root of the chain. */
  readonly simulated: boolean;
  /** One quote whose REPORTDATA is exactly `reportData`. May be called again and again, also concurrently. */
  collect(reportData: Bytes<64>, signal?: AbortSignal): Promise<CollectedEvidence>;
}
