/** Where a sealed answer goes on its way out of the gateway, and how long it may take to get there. @module */

import type { PaymentRefusal } from './payments/cashier.ts';
import type { Settled } from './payments/edge.ts';
import type { OpenHead } from './sealed-form.ts';

/** Its methods never throw. */
export interface SealedSink {
  /** The answer begins: everything after this is sealed by the key of this kid. `open` is what its form leaves outside. */
  head(kid: Uint8Array, open?: OpenHead & { readonly nonce: Uint8Array }): void;
  /** False asks for `drain` before the next write; what is written anyway is kept. */
  write(bytes: Uint8Array): boolean;
  /** Resolves too when the reader has gone. */
  drain(): Promise<void>;
  end(): void;
  /** An answer that had begun breaks off, in forms that have no frame to say it. Absent: frame and `end` say it. */
  cut?(code: string): void;
  /** Durably, and before RECEIPT, ledger line and FINAL are written. */
  settled?(settled: Settled): void;
  /** Refused before an answer began; `code` is one of the error tables. With what a payer needs to mend it, where it can. */
  fail(code: string, refusal?: PaymentRefusal): void;
}

export interface DispatchLimits {
  readonly exchangesMax: number;
  readonly firstSealedTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly slowReaderTimeoutMs: number;
}
