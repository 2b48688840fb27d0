/** Where a payer learns whose word counts, and what a gateway and its workers said of themselves. @module */

import type { AttestedKey } from '../../attestation/verdict.ts';
import type { GatewayDocumentJson, GatewaySettlement } from '../../protocol/gateway-document.ts';

/** What a gateway said of itself, verified. */
export interface GatewayView {
  readonly settlement: GatewaySettlement;
  readonly document: GatewayDocumentJson;
}

/** As attested. */
export interface WorkerProof {
  readonly statement: Uint8Array;
  readonly card: Uint8Array;
}

/** Where a payer learns whose word counts: a `Session`. */
export interface Books {
  gatewayView(signal: AbortSignal): Promise<GatewayView>;
  renewGatewayView(signal: AbortSignal): Promise<GatewayView>;
  proofOf(key: AttestedKey): WorkerProof;
}
