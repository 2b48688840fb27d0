/**
 * Writes what a TPM signs for a quote, and the signature around it, field by field: it signs nothing and checks nothing,
 * so that tests can write what no TPM would. All integers are big-endian.
 * Spec: TCG TPM 2.0 Library, Part 2: TPMS_ATTEST, TPMS_QUOTE_INFO, TPML_PCR_SELECTION, TPMT_SIGNATURE.
 * @module
 */

import { concat, u16be, u32be, u64be } from '../../../core/bytes.ts';

export interface WrittenSelection {
  readonly hash: number;
  readonly indexes: readonly number[];
  /** In place of 3. */
  readonly selectBytes?: number;
}

export interface AttestFields {
  readonly magic: number;
  readonly type: number;
  readonly qualifiedSigner: Uint8Array;
  readonly extraData: Uint8Array;
  readonly clockMs: bigint;
  readonly resetCount: number;
  readonly restartCount: number;
  readonly safe: number;
  readonly firmwareVersion: bigint;
  readonly selections: readonly WrittenSelection[];
  readonly pcrDigest: Uint8Array;
  /** After the last field. */
  readonly rest: Uint8Array;
}

export const GENERATED = 0xff544347;
export const ATTEST = { certify: 0x8017, quote: 0x8018, time: 0x8019 } as const;
export const ALG = { sha1: 0x0004, sha256: 0x000b, sha384: 0x000c, rsassa: 0x14, rsapss: 0x16 };

export const ATTEST_DEFAULTS = {
  magic: GENERATED,
  type: ATTEST.quote,
  qualifiedSigner: concat(u16be(ALG.sha256), new Uint8Array(32).fill(0x9a)),
  clockMs: 1_413_298_427n,
  resetCount: 53,
  restartCount: 7,
  safe: 1,
  firmwareVersion: 0x2020_0312_0012_0003n,
  rest: new Uint8Array(0),
} satisfies Partial<AttestFields>;

/** A size of two bytes, then the bytes. */
export function tpm2b(bytes: Uint8Array): Uint8Array {
  return concat(u16be(bytes.length), bytes);
}

function writeSelection({ hash, indexes, selectBytes = 3 }: WrittenSelection): Uint8Array {
  const bits = new Uint8Array(selectBytes);
  for (const index of indexes) {
    const at = Math.floor(index / 8);
    bits[at] = (bits[at] ?? 0) | (1 << (index % 8));
  }
  return concat(u16be(hash), Uint8Array.of(selectBytes), bits);
}

export function writeAttest(fields: AttestFields): Uint8Array {
  return concat(
    u32be(fields.magic),
    u16be(fields.type),
    tpm2b(fields.qualifiedSigner),
    tpm2b(fields.extraData),
    u64be(fields.clockMs),
    u32be(fields.resetCount),
    u32be(fields.restartCount),
    Uint8Array.of(fields.safe),
    u64be(fields.firmwareVersion),
    u32be(fields.selections.length),
    ...fields.selections.map(writeSelection),
    tpm2b(fields.pcrDigest),
    fields.rest,
  );
}

export interface SignatureFields {
  readonly scheme: number;
  readonly hash: number;
  readonly signature: Uint8Array;
}

export function writeTpmSignature({ scheme, hash, signature }: SignatureFields): Uint8Array {
  return concat(u16be(scheme), u16be(hash), tpm2b(signature));
}
