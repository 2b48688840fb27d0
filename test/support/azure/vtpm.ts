/**
 * A vTPM as a paravisor runs it: an attestation key of its own, 24 registers, and quotes over them. Its key protects
 * nothing. Spec: TCG TPM 2.0 Library, Part 3 TPM2_Quote; sev-snp.md §5.
 * @module
 */

import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { sha256 } from '#primitives';
import { concat, utf8, type Bytes } from '../../../core/bytes.ts';
import type { TpmEvidence } from '../../../attestation/azure/verify-azure.ts';
import {
  ALG,
  ATTEST_DEFAULTS,
  writeAttest,
  writeTpmSignature,
  type AttestFields,
  type SignatureFields,
} from './tpm-writer.ts';

export interface TestVtpm {
  readonly name: string;
  readonly key: KeyObject;
  /** Members of the JWK. */
  readonly modulus: string;
  readonly exponent: string;
  readonly pcrs: ReadonlyMap<number, Bytes<32>>;
}

export function createVtpm(name: string, modulusLength = 2048, publicExponent = 65_537): TestVtpm {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent });
  const { n = '', e = '' } = publicKey.export({ format: 'jwk' });
  // Every register of every machine holds a value of its own, so that a swap cannot go unnoticed.
  const pcrs = Array.from({ length: 24 }, (_, at) => [at, sha256(utf8(`${name} ${at}`))] as const);
  return { name, key: privateKey, modulus: n, exponent: e, pcrs: new Map(pcrs) };
}

export interface QuoteFaults {
  /** Changes what the TPM would have said, before it is signed. */
  readonly attest?: Partial<AttestFields>;
  /** Changes the bytes that are signed. */
  readonly signed?: (message: Uint8Array) => Uint8Array;
  /** In place of the TPM's own key. */
  readonly key?: KeyObject;
  /** In place of RSASSA with SHA-256. */
  readonly sign?: (message: Uint8Array, key: KeyObject) => SignatureFields;
  /** Changes the finished parts. */
  readonly message?: (message: Uint8Array) => Uint8Array;
  readonly signature?: (signature: Uint8Array) => Uint8Array;
}

/** Of the registers in `indexes`, ascending as the TPM takes them. */
export function pcrDigest(
  pcrs: ReadonlyMap<number, Uint8Array>,
  indexes: readonly number[],
): Bytes<32> {
  const ascending = indexes.toSorted((a, b) => a - b);
  return sha256(concat(...ascending.map((index) => pcrs.get(index) ?? new Uint8Array(32))));
}

export function quoteOf(
  vtpm: TestVtpm,
  nonce: Uint8Array,
  indexes: readonly number[],
  faults: QuoteFaults = {},
): TpmEvidence {
  const same = (bytes: Uint8Array): Uint8Array => bytes;
  const written = writeAttest({
    ...ATTEST_DEFAULTS,
    extraData: nonce,
    selections: [{ hash: ALG.sha256, indexes }],
    pcrDigest: pcrDigest(vtpm.pcrs, indexes),
    ...faults.attest,
  });
  const message = (faults.signed ?? same)(written);
  const signature = (faults.sign ?? rsassa)(message, faults.key ?? vtpm.key);
  return {
    quote: (faults.message ?? same)(message),
    signature: (faults.signature ?? same)(writeTpmSignature(signature)),
  };
}

function rsassa(message: Uint8Array, key: KeyObject): SignatureFields {
  const signature = new Uint8Array(sign('sha256', message, key));
  return { scheme: ALG.rsassa, hash: ALG.sha256, signature };
}
