/**
 * The envelope of every published document: what was signed, and by which keys. Reading one proves nothing; verified.ts
 * does. Spec: docs/publication.md §1; DSSE v1 (secure-systems-lab), "protocol".
 * @module
 */

import { ed25519PublicKey, sha256, signEd25519 } from '#primitives';
import { z } from 'zod';
import { ascii, concat, fixed, toBase64, toHex, utf8, type Bytes } from '../../core/bytes.ts';
import { base64Field } from '../byte-fields.ts';
import { publicationError } from './errors.ts';
import {
  DOCUMENT_KINDS,
  ENVELOPE_MAX_BYTES,
  kindOfPayloadType,
  payloadTypeOf,
  type DocumentKind,
} from './kinds.ts';
import { SIGNATURES_MAX } from './limits.ts';
import { decodeWith, readJson } from './payload.ts';

const ENVELOPE_DEPTH_MAX = 3;
/** Three members, and three values for each signature. */
const ENVELOPE_VALUES_MAX = 4 + 3 * SIGNATURES_MAX;
const TYPE_MAX_CHARS = 64;
const LARGEST_BYTES = Math.max(...DOCUMENT_KINDS.map((kind) => ENVELOPE_MAX_BYTES[kind]));
const KEY_TAG = concat(ascii('veilgate.key/1'), Uint8Array.of(0));

export interface Signature {
  /** Finds a key in the root, proves nothing. 64 lower-case hex digits. */
  readonly keyid: string;
  readonly sig: Bytes<64>;
}

/** Form only: signatures are not checked, the payload is not read. */
export interface Envelope {
  readonly kind: DocumentKind;
  readonly payload: Uint8Array;
  /** SHA-256 of the payload: the digest of the document. */
  readonly digest: Bytes<32>;
  /** No key twice. */
  readonly signatures: readonly Signature[];
}

const SIG = base64Field(64)
  .refine((bytes) => bytes.length === 64, 'want 64 bytes')
  .transform((bytes) => fixed(bytes, 64));

const SCHEMA = z.strictObject({
  payloadType: z.string().max(TYPE_MAX_CHARS),
  payload: base64Field(LARGEST_BYTES),
  signatures: z
    .array(
      z.strictObject({
        keyid: z.string().regex(/^[0-9a-f]{64}$/, 'want 64 lower-case hex digits'),
        sig: SIG,
      }),
    )
    .max(SIGNATURES_MAX),
});

/**
 * An envelope of this kind. Throws `publication.too_large`, `publication.malformed`, `publication.payload_type`,
 * `publication.duplicate_key`.
 */
export function parseEnvelope(bytes: Uint8Array, kind: DocumentKind): Envelope {
  assertSize(bytes, kind);
  const envelope = parseAnyEnvelope(bytes);
  if (envelope.kind === kind) return envelope;
  throw publicationError('publication.payload_type', `got ${envelope.kind}, want ${kind}`);
}

/** Of whatever kind it says, for tools that sign and show; readers know what they asked for. Throws as `parseEnvelope`. */
export function parseAnyEnvelope(bytes: Uint8Array): Envelope {
  if (bytes.length > LARGEST_BYTES) {
    throw publicationError('publication.too_large', `${bytes.length} > ${LARGEST_BYTES}`);
  }
  const json = readJson(bytes, {
    maxBytes: LARGEST_BYTES,
    maxDepth: ENVELOPE_DEPTH_MAX,
    maxValues: ENVELOPE_VALUES_MAX,
    numbers: 'integers',
  });
  const { payloadType, payload, signatures } = decodeWith(SCHEMA, json);
  const kind = kindOfPayloadType(payloadType);
  if (kind === undefined) throw publicationError('publication.payload_type', 'unknown');
  assertSize(bytes, kind);
  if (new Set(signatures.map(({ keyid }) => keyid)).size !== signatures.length) {
    throw publicationError('publication.duplicate_key');
  }
  return { kind, payload, digest: sha256(payload), signatures };
}

function assertSize(bytes: Uint8Array, kind: DocumentKind): void {
  const max = ENVELOPE_MAX_BYTES[kind];
  if (bytes.length <= max) return;
  throw publicationError('publication.too_large', `${kind}: ${bytes.length} > ${max}`);
}

export function keyIdOf(publicKey: Bytes<32>): string {
  return toHex(sha256(KEY_TAG, publicKey));
}

/** What is signed: kind and content, each with its length, so that neither can be read as part of the other. */
export function preAuthEncoding({ kind, payload }: Pick<Envelope, 'kind' | 'payload'>): Uint8Array {
  const type = utf8(payloadTypeOf(kind));
  return concat(ascii(`DSSEv1 ${type.length} `), type, ascii(` ${payload.length} `), payload);
}

/** Signs whatever bytes it is given: that they are a document of this kind is for the caller to have made sure. */
export function signEnvelope(
  kind: DocumentKind,
  payload: Uint8Array,
  secretKeys: readonly Bytes<32>[],
): Uint8Array {
  return encodeEnvelope(
    signed({ kind, payload, digest: sha256(payload), signatures: [] }, secretKeys),
  );
}

/** Keeps the signatures there are; one of the same key is made anew. Throws as `parseAnyEnvelope`. */
export function addSignatures(bytes: Uint8Array, secretKeys: readonly Bytes<32>[]): Uint8Array {
  return encodeEnvelope(signed(parseAnyEnvelope(bytes), secretKeys));
}

function signed(envelope: Envelope, secretKeys: readonly Bytes<32>[]): Envelope {
  const input = preAuthEncoding(envelope);
  const added = new Map(
    secretKeys.map((secretKey) => [
      keyIdOf(ed25519PublicKey(secretKey)),
      signEd25519(secretKey, input),
    ]),
  );
  const kept = envelope.signatures.filter(({ keyid }) => !added.has(keyid));
  const made = [...added].map(([keyid, sig]) => ({ keyid, sig }));
  return { ...envelope, signatures: [...kept, ...made] };
}

function encodeEnvelope({ kind, payload, signatures }: Envelope): Uint8Array {
  const envelope: z.input<typeof SCHEMA> = {
    payloadType: payloadTypeOf(kind),
    payload: toBase64(payload),
    signatures: signatures.map(({ keyid, sig }) => ({ keyid, sig: toBase64(sig) })),
  };
  const bytes = utf8(`${JSON.stringify(envelope, null, 2)}\n`);
  // What we would not accept we do not send.
  parseEnvelope(bytes, kind);
  return bytes;
}
