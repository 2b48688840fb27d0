/**
 * What a gateway in a TEE shows of itself, fetched and taken apart. All of it is untrusted: the evidence until it was
 * appraised, what is published until its signatures were checked. Spec: docs/attested-gateway.md "Over HTTP".
 * @module
 */

import { z } from 'zod';
import { fromBase64, toBase64Url, toHex, utf8, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { parseJson } from '../../core/json.ts';
import {
  decodeGatewayEvidence,
  type GatewayEvidence,
} from '../../attestation/gateway/gateway-evidence.ts';
import { decodeEvidence, encodeEvidence } from '../../attestation/evidence.ts';
import { parsePrelude } from '../../protocol/sx/prelude.ts';
import { fetchDocuments } from '../documents.ts';
import { clientError } from '../errors.ts';
import { fetchBounded, type Fetch } from '../fetch-bounded.ts';
import { ANSWER_PROOF_MAX_BYTES, BILL_MAX_BYTES, GATEWAY_EVIDENCE_MAX_BYTES } from '../limits.ts';
import { parseBill } from '../pay/bill.ts';
import type { Published } from '../trust.ts';

const OWN_EVIDENCE_PATH = '/.well-known/veilgate/evidence';

export interface ShownEvidence {
  readonly evidence: GatewayEvidence;
  readonly published: Published;
}

export interface EvidenceQuestion {
  /** Sees nothing secret: whoever answers may be anybody. */
  readonly fetch: Fetch;
  /** `https://host:port`. */
  readonly origin: string;
  /** To be answered in the statement. */
  readonly challenge?: Bytes<32> | undefined;
  readonly signal: AbortSignal;
}

const SHOWN = z.looseObject({ evidence: z.unknown(), publication: z.unknown().optional() });

/** Throws `client.unreachable`, `client.gateway_evidence`. */
export async function fetchGatewayEvidence(question: EvidenceQuestion): Promise<ShownEvidence> {
  const { fetch, origin, challenge, signal } = question;
  const query = challenge === undefined ? '' : `?challenge=${toBase64Url(challenge)}`;
  const bytes = await fetchBounded(fetch, `${origin}${OWN_EVIDENCE_PATH}${query}`, {
    headers: {},
    maxBytes: GATEWAY_EVIDENCE_MAX_BYTES,
    signal,
  }).catch((cause: unknown) => {
    if (!(cause instanceof VeilError) || cause.code !== 'client.gateway_refused') throw cause;
    const status = String(cause.facts['refusedStatus'] ?? '');
    throw clientError('client.gateway_evidence', `status ${status}`, { cause });
  });
  const documents = fetchDocuments({ fetch, baseUrl: `${origin}/v1/publication`, headers: {} });
  try {
    const shown = SHOWN.parse(parseJson(bytes, GATEWAY_EVIDENCE_MAX_BYTES));
    const evidence = decodeGatewayEvidence(shown.evidence);
    return { evidence, published: { staple: shown.publication, documents } };
  } catch (cause) {
    if (!(cause instanceof VeilError) && !(cause instanceof z.ZodError)) throw cause;
    throw clientError('client.gateway_evidence', 'format', { cause });
  }
}

export interface AnswerProofParts {
  /** JSON text of the worker's evidence. */
  readonly evidence: Uint8Array;
  /** `veilgate.bill/1`. */
  readonly bill: Uint8Array;
}

const ANSWER_PROOF = z.strictObject({
  fmt: z.literal('veilgate.answer-proof/1'),
  evidence: z.unknown(),
  bill: z.string().max(BILL_MAX_BYTES * 2),
});

/**
 * What the gateway keeps of an answer. Only that it can be read and is about this answer: a kept file does not say which one
 * the app meant. Throws `client.proof`.
 */
export function parseAnswerProof(bytes: Uint8Array, requestId: string): AnswerProofParts {
  try {
    const shown = ANSWER_PROOF.parse(parseJson(bytes, ANSWER_PROOF_MAX_BYTES));
    const bill = fromBase64(shown.bill);
    const { msgId } = parsePrelude(parseBill(bill).request.prelude);
    if (`sx_${toHex(msgId)}` !== requestId) throw clientError('client.proof', 'another answer’s');
    const evidence = encodeEvidence(decodeEvidence(shown.evidence));
    return { evidence: utf8(JSON.stringify(evidence)), bill };
  } catch (cause) {
    if (!(cause instanceof VeilError) && !(cause instanceof z.ZodError)) throw cause;
    throw clientError('client.proof', 'the gateway’s', { cause });
  }
}
