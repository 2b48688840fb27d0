/**
 * What a worker asks of the machine it runs in: a fresh quote over 64 bytes, and whatever the machine hands over with
 * it. Registry: providers.ts. Spec: tdx.md §8; sev-snp.md §5; overview "One binding".
 * @module
 */

import type { SnpEndorsements } from '../../attestation/snp/endorsements.ts';
import type { TdxCollateral } from '../../attestation/tdx/collateral.ts';
import type { TeeName } from '../../attestation/verdict.ts';
import type { Bytes } from '../../core/bytes.ts';

/** Bounded in size, and the quote is over the report data that was asked for. Nothing else in it was checked. */
export interface CollectedEvidence {
  readonly tee: TeeName;
  /** TDX quote, SNP report. */
  readonly quote: Uint8Array;
  /** SNP: the certificate table of the GHCB as the host delivered it. */
  readonly certificates?: Uint8Array;
  readonly eventLog?: EventLog;
  /** Only simulators bring their own; for real machines an `Endorser` finds them. */
  readonly endorsements?: TdxCollateral | SnpEndorsements;
}

/** `ccel`: the content of the ACPI table. `dstack`: the JSON text of the guest agent. Written by the host's firmware. */
export interface EventLog {
  readonly kind: 'ccel' | 'dstack';
  readonly bytes: Uint8Array;
}

export interface EvidenceProvider {
  readonly name: string;
  readonly tee: TeeName;
  /** True when no hardware stands behind the quotes. Verifiers find out on their own, from the root of the chain. */
  readonly simulated: boolean;
  /**
   * One quote whose report data is exactly `reportData`, of the kind `tee`. May be called again and again, also
   * concurrently. Throws `evidence.*`, soon after `signal` aborts at the latest.
   */
  collect(reportData: Bytes<64>, signal?: AbortSignal): Promise<CollectedEvidence>;
}
