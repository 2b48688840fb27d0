/**
 * What a verifier demands of an Azure machine beyond authenticity. Every member is required: leaving something unchecked
 * is written down with a reason and shows in the result as waived.
 * Spec: TCG PC Client Platform Firmware Profile, "PCR Usage"; sev-snp.md §5, tdx.md §8.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { Unchecked } from '../unchecked.ts';

/** Registers of the SHA-256 bank by index. */
export type PcrValues = ReadonlyMap<number, Uint8Array>;

/** A whole identity of a guest image. All its registers count together, never one by one. */
export interface PcrTuple {
  /** Names it for people and logs; takes no part in the comparison. */
  readonly image: string;
  /**
   * The registers that matter; a quote may be about more. One of 0 to 15 must be among them: the others can be reset,
   * and then extended to anything, by whoever may use the TPM.
   */
  readonly values: ReadonlyMap<number, Bytes<32>>;
}

export interface AzurePolicy {
  /**
   * The hardware policy must have found the paravisor by a listed value: SEV-SNP `measurements` or `idKeys`, TDX
   * `measurements` or `mrTd`. Without one anybody's program can stand where Microsoft's is thought to be, and sign PCRs
   * of its choice.
   */
  readonly paravisor: 'pinned' | Unchecked;
  /** Non-empty; an empty list fails, it never means "any". */
  readonly pcrs: { readonly anyOf: readonly PcrTuple[] } | Unchecked;
  /**
   * What the guest wrote to NV index 0x01400002 before the paravisor made the report. A fresh value dates the hardware
   * report, which the nonce of the quote does not.
   */
  readonly userData: { readonly equals: Bytes<64> } | Unchecked;
}
