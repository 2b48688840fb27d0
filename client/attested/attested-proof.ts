/**
 * A proof of one answer that came through a gateway in a TEE, as one JSON file without any content: the evidence of the
 * gateway and the key of the connection, around a proof of the answer in the form that every client keeps. One policy judges
 * both. Spec: docs/attested-gateway.md "Keeping proofs".
 * @module
 */

import { z } from 'zod';
import { toBase64, toHex, utf8, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { canonicalJson, parseStrictJson } from '../../core/json.ts';
import { base64Field, hexField } from '../../attestation/byte-fields.ts';
import { EVIDENCE_MAX_BYTES } from '../../attestation/evidence.ts';
import { HOST_NAME } from '../../attestation/gateway/gateway-statement.ts';
import { clientError } from '../errors.ts';
import { ATTESTED_PROOF_MAX_BYTES, PROOF_MAX_BYTES } from '../limits.ts';
import { encodeProof, parseProof, type ResponseProof } from '../proof/response-proof.ts';

export const ATTESTED_PROOF_FORMAT = 'veilgate.attested-response/1';
const DEPTH_MAX = 3;

export interface AttestedProof {
  readonly gateway: {
    /** JSON text of `veilgate.gateway-evidence/1`. */
    readonly evidence: Uint8Array;
    /** As the client asked for it: `URL.hostname`. */
    readonly host: string;
    /** Of the connection that carried request and answer. The client's word. */
    readonly spkiSha256: Bytes<32>;
    /** That the client set; null where it had none. */
    readonly challenge: Bytes<32> | null;
  };
  /** Judged, as the gateway is, at its `appraisedAtMs`, when the request was sent. */
  readonly response: ResponseProof;
}

const SCHEMA = z.strictObject({
  fmt: z.literal(ATTESTED_PROOF_FORMAT),
  gateway: z.strictObject({
    evidence: base64Field(2 * EVIDENCE_MAX_BYTES),
    host: HOST_NAME,
    spkiSha256: hexField(32),
    challenge: hexField(32).nullable(),
  }),
  response: base64Field(PROOF_MAX_BYTES),
});

/** Throws `client.proof` when it would be larger than a reader takes. */
export function encodeAttestedProof({ gateway, response }: AttestedProof): Uint8Array {
  const { evidence, host, spkiSha256, challenge } = gateway;
  const bytes = utf8(
    `${canonicalJson({
      fmt: ATTESTED_PROOF_FORMAT,
      gateway: {
        evidence: toBase64(evidence),
        host,
        spkiSha256: toHex(spkiSha256),
        challenge: challenge === null ? null : toHex(challenge),
      },
      response: toBase64(encodeProof(response)),
    })}\n`,
  );
  if (bytes.length > ATTESTED_PROOF_MAX_BYTES) throw clientError('client.proof', 'size');
  return bytes;
}

/** Throws `client.proof`. Checks nothing but the form. */
export function parseAttestedProof(bytes: Uint8Array): AttestedProof {
  try {
    const options = { maxBytes: ATTESTED_PROOF_MAX_BYTES, maxDepth: DEPTH_MAX } as const;
    const { value } = parseStrictJson(bytes, { ...options, numbers: 'integers' });
    const { gateway, response } = SCHEMA.parse(value);
    return { gateway, response: parseProof(response) };
  } catch (cause) {
    if (cause instanceof z.ZodError) {
      throw clientError('client.proof', cause.issues[0]?.path.join('.') ?? '', { cause });
    }
    if (!(cause instanceof VeilError) || cause.code === 'client.proof') throw cause;
    throw clientError('client.proof', cause.code, { cause });
  }
}

/** Whether a file says that it is one of these; nothing else is promised. */
export function isAttestedProof(bytes: Uint8Array): boolean {
  const head = utf8(`{"fmt":"${ATTESTED_PROOF_FORMAT}"`);
  return head.every((byte, at) => bytes[at] === byte);
}
