/**
 * What a TPM 2.0 signs when it is asked for a quote, and the signature as it hands it over: `tpm2_quote -m` and `-s`.
 * Every field is read and bounded, every byte belongs to one. Nothing here is checked against a key.
 * Spec: TCG TPM 2.0 Library, Part 2: TPMS_ATTEST, TPMS_CLOCK_INFO, TPMS_QUOTE_INFO, TPML_PCR_SELECTION, TPMT_SIGNATURE,
 * TPMS_SIGNATURE_RSA; TCG PC Client Platform TPM Profile, "PCR Requirements" (24 registers).
 * @module
 */

import { Reader } from '../../core/bytes.ts';
import { azureError } from './errors.ts';

export const PCR_COUNT = 24;

/** TPM_GENERATED_VALUE: a restricted key signs nothing from outside that starts with it. */
const GENERATED = 0xff544347;
const ATTEST_QUOTE = 0x8018;
/** TPMT_HA of the widest hash: algorithm and 64 bytes. */
const NAME_MAX_BYTES = 66;
const EXTRA_DATA_MAX_BYTES = 66;
const DIGEST_MAX_BYTES = 64;
const BANKS_MAX = 16;
const SELECT_BYTES = PCR_COUNT / 8;
export const TPM_QUOTE_MAX_BYTES = 512;

export const ALGORITHM = { sha256: 0x000b, rsassa: 0x0014, rsapss: 0x0016 } as const;
/** Of a key of 8192 bits. */
const RSA_MAX_BYTES = 1024;
const SIGNATURE_HEADER_BYTES = 6;
export const TPM_SIGNATURE_MAX_BYTES = SIGNATURE_HEADER_BYTES + RSA_MAX_BYTES;

export interface PcrSelection {
  /** TPM_ALG_ID of the bank. */
  readonly hash: number;
  /** Ascending. */
  readonly indexes: readonly number[];
}

export interface TpmClock {
  /** Milliseconds in which the TPM had power. */
  readonly clockMs: bigint;
  readonly resetCount: number;
  readonly restartCount: number;
  /** False: the clock may have gone back. */
  readonly safe: boolean;
}

export interface TpmQuote {
  /** Qualified name of the signing key, as the TPM gives it. */
  readonly qualifiedSigner: Uint8Array;
  /** What the caller of TPM2_Quote wanted in it: the nonce. */
  readonly extraData: Uint8Array;
  readonly clock: TpmClock;
  readonly firmwareVersion: bigint;
  readonly selections: readonly PcrSelection[];
  readonly pcrDigest: Uint8Array;
}

/** Throws `azure.tpm_quote`. */
export function parseTpmQuote(bytes: Uint8Array): TpmQuote {
  const reader = readerOf(bytes, TPM_QUOTE_MAX_BYTES);
  if (reader.u32be('magic') !== GENERATED) throw azureError('azure.tpm_quote', 'magic');
  if (reader.u16be('type') !== ATTEST_QUOTE) throw azureError('azure.tpm_quote', 'not a quote');
  const quote = {
    qualifiedSigner: sized(reader, NAME_MAX_BYTES, 'qualifiedSigner'),
    extraData: sized(reader, EXTRA_DATA_MAX_BYTES, 'extraData'),
    clock: readClock(reader),
    firmwareVersion: reader.u64be('firmwareVersion'),
    selections: readSelections(reader),
    pcrDigest: sized(reader, DIGEST_MAX_BYTES, 'pcrDigest'),
  };
  end(reader);
  return quote;
}

export interface TpmSignature {
  readonly scheme: 'rsassa' | 'rsapss';
  /** TPM_ALG_ID. */
  readonly hash: number;
  readonly signature: Uint8Array;
}

/** Throws `azure.tpm_quote`. */
export function parseTpmSignature(bytes: Uint8Array): TpmSignature {
  const reader = readerOf(bytes, TPM_SIGNATURE_MAX_BYTES);
  const scheme = SCHEMES.get(reader.u16be('signature scheme'));
  if (scheme === undefined) throw azureError('azure.tpm_quote', 'signature scheme');
  const hash = reader.u16be('signature hash');
  const signature = sized(reader, RSA_MAX_BYTES, 'signature');
  end(reader);
  return { scheme, hash, signature };
}

const SCHEMES: ReadonlyMap<number, TpmSignature['scheme']> = new Map([
  [ALGORITHM.rsassa, 'rsassa'],
  [ALGORITHM.rsapss, 'rsapss'],
]);

function readerOf(bytes: Uint8Array, maxBytes: number): Reader {
  if (bytes.length > maxBytes) throw azureError('azure.tpm_quote', `${bytes.length} bytes`);
  return new Reader(bytes, (field) => azureError('azure.tpm_quote', `truncated at ${field}`));
}

/** The TPM2B form: a size of two bytes, then as many. */
function sized(reader: Reader, maxBytes: number, field: string): Uint8Array {
  const size = reader.u16be(`${field} size`);
  if (size > maxBytes) throw azureError('azure.tpm_quote', `${field}: ${size} bytes`);
  return reader.bytes(size, field);
}

function end(reader: Reader): void {
  if (reader.remaining > 0) throw azureError('azure.tpm_quote', 'trailing bytes');
}

function readClock(reader: Reader): TpmClock {
  const clockMs = reader.u64be('clock');
  const resetCount = reader.u32be('resetCount');
  const restartCount = reader.u32be('restartCount');
  const safe = reader.u8('safe');
  if (safe > 1) throw azureError('azure.tpm_quote', 'safe is neither yes nor no');
  return { clockMs, resetCount, restartCount, safe: safe === 1 };
}

function readSelections(reader: Reader): readonly PcrSelection[] {
  const count = reader.u32be('PCR selections');
  if (count > BANKS_MAX) throw azureError('azure.tpm_quote', `${count} PCR selections`);
  return Array.from({ length: count }, () => readSelection(reader));
}

/** Bit i of byte j stands for register 8j + i. */
function readSelection(reader: Reader): PcrSelection {
  const hash = reader.u16be('PCR bank');
  const size = reader.u8('PCR select size');
  if (size !== SELECT_BYTES) throw azureError('azure.tpm_quote', `PCR select of ${size} bytes`);
  const bits = reader.bytes(SELECT_BYTES, 'PCR select');
  const all = Array.from({ length: PCR_COUNT }, (_, index) => index);
  const indexes = all.filter((index) => (((bits[index >> 3] ?? 0) >> (index & 7)) & 1) === 1);
  return { hash, indexes };
}
