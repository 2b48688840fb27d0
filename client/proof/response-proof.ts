/**
 * A proof of one answer as one JSON file without any content: the evidence by which the worker was admitted, the signed
 * documents by which it was judged, the bill, and salted hashes of the texts. Spec: docs/response-proof.md.
 * @module
 */

import { z } from 'zod';
import { ascii, toBase64, toHex, utf8, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { canonicalJson, parseStrictJson, type Json } from '../../core/json.ts';
import { base64Field, hexField } from '../../attestation/byte-fields.ts';
import { EVIDENCE_MAX_BYTES } from '../../attestation/evidence.ts';
import { POLICY_MAX_BYTES } from '../../attestation/policy/yaml.ts';
import { BUNDLE_MAX_BYTES } from '../../attestation/publication/limits.ts';
import { sha256 } from '#primitives';
import { clientError } from '../errors.ts';
import { BILL_MAX_BYTES, PROOF_MAX_BYTES } from '../limits.ts';
import type { TrustMode } from '../trust.ts';

export const PROOF_FORMAT = 'veilgate.response/1';
/** The last instant that has a date. */
const INSTANT_MAX_MS = 8_640_000_000_000_000;
/** Evidence is an object of objects; everything else lies deeper in base64. */
const DEPTH_MAX = 5;

export interface ResponseProof {
  /** When the client judged the evidence. */
  readonly appraisedAtMs: number;
  /** JSON text of `application/vnd.veilgate.evidence+json`. */
  readonly evidence: Uint8Array;
  readonly policy: PolicyProof;
  /** `veilgate.bill/1`. */
  readonly bill: Uint8Array;
  readonly texts: TextHashes;
}

export type PolicyProof =
  /** RFC 8785 text: of an app's own policy nobody signed anything. */
  | { readonly kind: 'unsigned'; readonly canonical: Uint8Array }
  | {
      readonly kind: 'signed';
      readonly mode: TrustMode;
      /** A reader's saved state: roots, release, bundles, revocations, timestamp. */
      readonly state: Uint8Array;
      readonly unreleased: Uint8Array | undefined;
    };

/** Of the bodies as the app gave and got them. Only the client's word: what a receipt covers is sealed. */
export interface TextHashes {
  readonly salt: Bytes<32>;
  readonly request: Bytes<32>;
  readonly response: Bytes<32>;
}

const TEXT_LABEL = ascii('veilgate.text/1');

/** Salted, so that two proofs do not show whether their texts are the same; whoever has a proof can still try guesses. */
export function textPrefix(salt: Bytes<32>, which: 'request' | 'response'): readonly Uint8Array[] {
  return [TEXT_LABEL, Uint8Array.of(0), salt, Uint8Array.of(which === 'request' ? 0 : 1)];
}

export function hashText(
  salt: Bytes<32>,
  which: 'request' | 'response',
  text: Uint8Array,
): Bytes<32> {
  return sha256(...textPrefix(salt, which), text);
}

const SCHEMA = z.strictObject({
  fmt: z.literal(PROOF_FORMAT),
  appraisedAtMs: z.int().min(0).max(INSTANT_MAX_MS),
  evidence: base64Field(2 * EVIDENCE_MAX_BYTES),
  policy: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('unsigned'), canonical: base64Field(POLICY_MAX_BYTES) }),
    z.strictObject({
      kind: z.literal('signed'),
      mode: z.enum(['online', 'offline']),
      state: base64Field(PROOF_MAX_BYTES),
      unreleased: base64Field(BUNDLE_MAX_BYTES).nullable(),
    }),
  ]),
  bill: base64Field(BILL_MAX_BYTES),
  texts: z.strictObject({ salt: hexField(32), request: hexField(32), response: hexField(32) }),
});

/** Throws `client.proof` when it would be larger than a reader takes. */
export function encodeProof(proof: ResponseProof): Uint8Array {
  const { salt, request, response } = proof.texts;
  const bytes = utf8(
    `${canonicalJson({
      fmt: PROOF_FORMAT,
      appraisedAtMs: proof.appraisedAtMs,
      evidence: toBase64(proof.evidence),
      policy: policyJson(proof.policy),
      bill: toBase64(proof.bill),
      texts: { salt: toHex(salt), request: toHex(request), response: toHex(response) },
    })}\n`,
  );
  if (bytes.length > PROOF_MAX_BYTES) throw clientError('client.proof', 'size');
  return bytes;
}

function policyJson(policy: PolicyProof): Json {
  if (policy.kind === 'unsigned') {
    return { kind: 'unsigned', canonical: toBase64(policy.canonical) };
  }
  const { mode, state, unreleased } = policy;
  return {
    kind: 'signed',
    mode,
    state: toBase64(state),
    unreleased: unreleased === undefined ? null : toBase64(unreleased),
  };
}

/** Throws `client.proof`. Checks nothing but the form. */
export function parseProof(bytes: Uint8Array): ResponseProof {
  try {
    const options = { maxBytes: PROOF_MAX_BYTES, maxDepth: DEPTH_MAX } as const;
    const { value } = parseStrictJson(bytes, { ...options, numbers: 'integers' });
    const { fmt: _, policy, ...fields } = SCHEMA.parse(value);
    if (policy.kind === 'unsigned') return { ...fields, policy };
    return { ...fields, policy: { ...policy, unreleased: policy.unreleased ?? undefined } };
  } catch (cause) {
    if (cause instanceof z.ZodError) {
      throw clientError('client.proof', cause.issues[0]?.path.join('.') ?? '', { cause });
    }
    if (!(cause instanceof VeilError)) throw cause;
    throw clientError('client.proof', cause.code, { cause });
  }
}
