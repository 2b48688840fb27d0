/**
 * The parts of an Azure machine's evidence that its vTPM gives, from raw bytes to structures, without judging.
 * Spec: Microsoft, "Confidential VM guest attestation design"; sev-snp.md §5, tdx.md §8.
 * @module
 */

import { attempt, type Attempt } from '../attempt.ts';
import { HCL_MAX_BYTES, parseHcl, type Hcl } from './hcl.ts';
import {
  parseTpmQuote,
  parseTpmSignature,
  PCR_COUNT,
  TPM_QUOTE_MAX_BYTES,
  TPM_SIGNATURE_MAX_BYTES,
  type TpmQuote,
  type TpmSignature,
} from './tpm-quote.ts';
import type { PcrValues } from './vtpm-policy.ts';

export interface VtpmEvidence {
  /** NV index 0x01400001. */
  readonly blob: Uint8Array;
  /** TPMS_ATTEST. */
  readonly quote: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
  readonly pcrs: PcrValues;
}

export type PcrEntry = readonly [index: number, value: Uint8Array];

export interface VtpmReading {
  readonly hcl: Attempt<Hcl>;
  /** What the signature is over. */
  readonly quoteBytes: Uint8Array;
  readonly quote: Attempt<TpmQuote>;
  readonly signature: Attempt<TpmSignature>;
  /** Ascending; undefined when there are none, too many, or some that no TPM has. */
  readonly pcrs: readonly PcrEntry[] | undefined;
}

/** Never throws on bad evidence. */
export function readVtpm({ blob, quote, signature, pcrs }: VtpmEvidence): VtpmReading {
  const blobBytes = copyOf(blob, HCL_MAX_BYTES);
  const quoteBytes = copyOf(quote, TPM_QUOTE_MAX_BYTES);
  const signatureBytes = copyOf(signature, TPM_SIGNATURE_MAX_BYTES);
  return {
    hcl: attempt(() => parseHcl(blobBytes)),
    quoteBytes,
    quote: attempt(() => parseTpmQuote(quoteBytes)),
    signature: attempt(() => parseTpmSignature(signatureBytes)),
    pcrs: readPcrs(pcrs),
  };
}

/**
 * Nobody changes under our hands what is being judged, or afterwards what was answered; of what is too long, just enough
 * to see that. `slice` of a Buffer would be a view.
 */
function copyOf(bytes: Uint8Array, maxBytes: number): Uint8Array {
  return new Uint8Array(bytes.subarray(0, maxBytes + 1));
}

export const PCR_BYTES = 32;

function readPcrs(values: PcrValues): VtpmReading['pcrs'] {
  if (values.size === 0 || values.size > PCR_COUNT) return undefined;
  const entries = [...values];
  const isRegister = ([index, value]: PcrEntry): boolean =>
    Number.isInteger(index) && index >= 0 && index < PCR_COUNT && value.length === PCR_BYTES;
  if (!entries.every(isRegister)) return undefined;
  return entries
    .map(([index, value]) => [index, new Uint8Array(value)] as const)
    .toSorted(([a], [b]) => a - b);
}
