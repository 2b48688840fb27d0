/**
 * The one document that a worker's quote covers: who it answers, its keys, what runs, and its devices. Hashed exactly
 * as received; reading it proves nothing, `verifyStatement` judges it.
 * Spec: gpu-and-policy §4.2, §4.3; overview "One binding", "kid".
 * @module
 */

import { sha256, sha384, sha512 } from '#primitives';
import { z } from 'zod';
import {
  ascii,
  concat,
  fixed,
  lengthPrefixed,
  toBase64Url,
  u16be,
  utf8,
  type Bytes,
} from '../core/bytes.ts';
import { canonicalJson } from '../core/json.ts';
import { base64UrlField } from './byte-fields.ts';
import { readStated, STATED_INSTANT } from './read-stated.ts';
import { KEM_IDS, type KemName, type TeeName } from './verdict.ts';

export const STATEMENT_FORMAT = 'veilgate.statement/1';
/** An X-Wing key takes 1622 characters; everything else is short. */
export const STATEMENT_MAX_BYTES = 8192;
const AUDIENCE_MAX_CHARS = 256;
const DEVICES_MAX = 64;
/** Public key sizes: RFC 7748; draft-connolly-cfrg-xwing-kem §5. */
export const KEM_PUBLIC_KEY_BYTES = { 'X-Wing': 1216, X25519: 32 } as const;

export interface StatementDevices {
  readonly type: 'nvidia/1';
  readonly count: number;
  readonly mode: 'spt' | 'mpt' | 'ppcie';
  /** SHA-384 commitment to the device evidence as transmitted. */
  readonly digest: Bytes<48>;
  /** `gpuNonceOf` of this statement: no device answers a raw challenge. */
  readonly nonce: Bytes<32>;
}

export interface Statement {
  readonly fmt: typeof STATEMENT_FORMAT;
  /** The verifier it is made for. */
  readonly aud: string;
  /** Unix seconds, by the guest's clock. */
  readonly iat: number;
  readonly exp: number;
  /** The challenge it answers. */
  readonly nonce: Bytes<32>;
  readonly tee: TeeName;
  readonly keys: {
    readonly hpke: { readonly kem: KemName; readonly pk: Uint8Array };
    readonly sig: { readonly alg: 'Ed25519'; readonly pk: Bytes<32> };
    readonly tls: { readonly spkiSha256: Bytes<32> };
    readonly ehbp?: { readonly pk: Bytes<32> };
  };
  readonly workload: {
    readonly image: Bytes<32>;
    readonly config: Bytes<32>;
    readonly model: Bytes<32>;
  };
  readonly devices: StatementDevices | null;
  /** SHA-256 of the card bytes. */
  readonly card?: Bytes<32>;
}

const HPKE_KEY = z.discriminatedUnion('kem', [
  z.strictObject({
    kem: z.literal('X-Wing'),
    pk: base64UrlField(KEM_PUBLIC_KEY_BYTES['X-Wing']),
  }),
  z.strictObject({ kem: z.literal('X25519'), pk: base64UrlField(KEM_PUBLIC_KEY_BYTES.X25519) }),
]);

const SCHEMA = z.strictObject({
  fmt: z.literal(STATEMENT_FORMAT),
  aud: z
    .string()
    .min(1)
    .max(AUDIENCE_MAX_CHARS)
    .regex(/^[\x21-\x7e]+$/, 'want visible ASCII'),
  iat: STATED_INSTANT,
  exp: STATED_INSTANT,
  nonce: base64UrlField(32),
  tee: z.enum(['tdx', 'snp']),
  keys: z.strictObject({
    hpke: HPKE_KEY,
    sig: z.strictObject({ alg: z.literal('Ed25519'), pk: base64UrlField(32) }),
    tls: z.strictObject({ spkiSha256: base64UrlField(32) }),
    ehbp: z.strictObject({ pk: base64UrlField(32) }).exactOptional(),
  }),
  workload: z.strictObject({
    image: base64UrlField(32),
    config: base64UrlField(32),
    model: base64UrlField(32),
  }),
  devices: z
    .strictObject({
      type: z.literal('nvidia/1'),
      count: z.int().min(1).max(DEVICES_MAX),
      mode: z.enum(['spt', 'mpt', 'ppcie']),
      digest: base64UrlField(48),
      nonce: base64UrlField(32),
    })
    .nullable(),
  card: base64UrlField(32).exactOptional(),
});
const FORM = { format: STATEMENT_FORMAT, maxBytes: STATEMENT_MAX_BYTES, schema: SCHEMA };

/** Checks the form only. Throws `statement.malformed`, `statement.format`, `statement.schema`. */
export function parseStatement(bytes: Uint8Array): Statement {
  return readStated(bytes, FORM);
}

export type StatementFields = Omit<Statement, 'fmt'>;

/** RFC 8785 bytes, so that two makers of one statement agree; readers do not depend on it. Throws as `parseStatement`. */
export function encodeStatement(statement: StatementFields): Uint8Array {
  const { keys, workload, devices } = statement;
  const bytes = utf8(
    canonicalJson({
      fmt: STATEMENT_FORMAT,
      aud: statement.aud,
      iat: statement.iat,
      exp: statement.exp,
      nonce: toBase64Url(statement.nonce),
      tee: statement.tee,
      keys: {
        hpke: { kem: keys.hpke.kem, pk: toBase64Url(keys.hpke.pk) },
        sig: { alg: keys.sig.alg, pk: toBase64Url(keys.sig.pk) },
        tls: { spkiSha256: toBase64Url(keys.tls.spkiSha256) },
        ...(keys.ehbp === undefined ? {} : { ehbp: { pk: toBase64Url(keys.ehbp.pk) } }),
      },
      workload: {
        image: toBase64Url(workload.image),
        config: toBase64Url(workload.config),
        model: toBase64Url(workload.model),
      },
      devices:
        devices === null
          ? null
          : {
              type: devices.type,
              count: devices.count,
              mode: devices.mode,
              digest: toBase64Url(devices.digest),
              nonce: toBase64Url(devices.nonce),
            },
      ...(statement.card === undefined ? {} : { card: toBase64Url(statement.card) }),
    }),
  );
  // What we would not accept we do not send.
  parseStatement(bytes);
  return bytes;
}

/** A label of the specification with its separating zero byte. */
function tagged(label: string): Uint8Array {
  return concat(ascii(label), Uint8Array.of(0));
}

const REPORT_DATA_TAG = tagged('veilgate.report-data/1');
const KEYS_TAG = tagged('veilgate.keys/1');
const GPU_NONCE_TAG = tagged('veilgate.gpu-nonce/1');
const DEVICES_TAG = tagged('veilgate.device-evidence/1');

/** What the quote's report data must be, over the bytes as transmitted. Spec: gpu-and-policy §4.2. */
export function reportDataOf(statementBytes: Uint8Array): Bytes<64> {
  return sha512(REPORT_DATA_TAG, statementBytes);
}

export function statementHash(statementBytes: Uint8Array): Bytes<32> {
  return sha256(statementBytes);
}

/** Spec: gpu-and-policy §4.3; the EHBP key is appended only when there is one (overview, "kid"). */
export function keysDigest(keys: Statement['keys']): Bytes<48> {
  const fields = [
    ascii(keys.hpke.kem),
    keys.hpke.pk,
    keys.tls.spkiSha256,
    ascii(keys.sig.alg),
    keys.sig.pk,
    ...(keys.ehbp === undefined ? [] : [ascii('ehbp'), keys.ehbp.pk]),
  ];
  return sha384(KEYS_TAG, ...fields.map(lengthPrefixed));
}

/** The SPDM nonce of every device. Spec: gpu-and-policy §4.3. */
export function gpuNonceOf(statement: Pick<Statement, 'nonce' | 'keys'>): Bytes<32> {
  return sha256(GPU_NONCE_TAG, statement.nonce, keysDigest(statement.keys));
}

export function deviceDigestOf(deviceEvidence: Uint8Array): Bytes<48> {
  return sha384(DEVICES_TAG, deviceEvidence);
}

/** The name of the HPKE key: a swapped statement or key has another one. Spec: overview, "kid". */
export function kidOf(hash: Bytes<32>, kem: KemName, publicKey: Uint8Array): Bytes<16> {
  return kid('sx1 kid', hash, kem, publicKey);
}

export function ehbpKidOf(hash: Bytes<32>, publicKey: Bytes<32>): Bytes<16> {
  return kid('sx1 kid ehbp', hash, 'X25519', publicKey);
}

function kid(label: string, hash: Bytes<32>, kem: KemName, publicKey: Uint8Array): Bytes<16> {
  return fixed(sha256(ascii(label), hash, u16be(KEM_IDS[kem]), publicKey).slice(0, 16), 16);
}
