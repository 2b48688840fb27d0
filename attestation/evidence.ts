/**
 * The evidence bundle on the wire: what a worker sends at registration and what a client gets to judge for itself.
 * Only sizes and encodings are checked here; everything in it stays untrusted until `appraise` has judged it.
 * Spec: gpu-and-policy §4.4 (`application/vnd.veilgate.evidence+json`).
 * @module
 */

import { z } from 'zod';
import { fromUtf8, toBase64, utf8 } from '../core/bytes.ts';
import { base64Field } from './byte-fields.ts';
import { CARD_MAX_BYTES } from './card.ts';
import { evidenceError } from './errors.ts';
import { describeIssues } from './issues.ts';
import { STATEMENT_MAX_BYTES } from './statement.ts';
import type { TdxCollateral } from './tdx/collateral.ts';

/** Of the JSON text. Spec: gpu-and-policy §4.4. */
export const EVIDENCE_MAX_BYTES = 1_048_576;
/** Spec: tdx §14, "Limits". */
export const QUOTE_MAX_BYTES = 131_072;
/** Each of the documents and lists; all of them together stay below EVIDENCE_MAX_BYTES. */
const ENDORSEMENT_MAX_BYTES = 524_288;
const CHAIN_MAX_CHARS = 32_768;

export interface EvidenceBundle {
  readonly tee: 'tdx';
  /** As transmitted; the quote covers these very bytes. */
  readonly statement: Uint8Array;
  readonly quote: Uint8Array;
  readonly card: Uint8Array;
  /** From anybody: proves nothing by where it came from. */
  readonly endorsements: TdxCollateral;
}

const CHAIN = z.string().max(CHAIN_MAX_CHARS);
const DOCUMENT = z.string().max(ENDORSEMENT_MAX_BYTES);

const SCHEMA = z.strictObject({
  tee: z.literal('tdx'),
  statement: base64Field(STATEMENT_MAX_BYTES),
  quote: base64Field(QUOTE_MAX_BYTES),
  card: base64Field(CARD_MAX_BYTES),
  endorsements: z.strictObject({
    tcbInfo: DOCUMENT.transform(utf8),
    qeIdentity: DOCUMENT.transform(utf8),
    tcbInfoIssuerChain: CHAIN,
    qeIdentityIssuerChain: CHAIN,
    pckCrlIssuerChain: CHAIN,
    pckCrl: base64Field(ENDORSEMENT_MAX_BYTES),
    rootCaCrl: base64Field(ENDORSEMENT_MAX_BYTES),
    pckCertChain: CHAIN.exactOptional(),
  }),
});

/** The members as they stand in JSON: base64 for bytes, text for PEM and signed JSON bodies. */
export type EvidenceJson = z.input<typeof SCHEMA>;

/** Throws `evidence.format`, `evidence.size`. */
export function decodeEvidence(json: unknown): EvidenceBundle {
  const decoded = SCHEMA.safeParse(json);
  if (!decoded.success) throw evidenceError('evidence.format', describeIssues(decoded.error));
  assertSize(decoded.data);
  return decoded.data;
}

/** Throws `evidence.size`, and `bytes.utf8` for a TCB info or QE identity that is not text. */
export function encodeEvidence(bundle: EvidenceBundle): EvidenceJson {
  assertSize(bundle);
  const { endorsements } = bundle;
  return {
    tee: bundle.tee,
    statement: toBase64(bundle.statement),
    quote: toBase64(bundle.quote),
    card: toBase64(bundle.card),
    endorsements: {
      tcbInfo: fromUtf8(endorsements.tcbInfo),
      qeIdentity: fromUtf8(endorsements.qeIdentity),
      tcbInfoIssuerChain: endorsements.tcbInfoIssuerChain,
      qeIdentityIssuerChain: endorsements.qeIdentityIssuerChain,
      pckCrlIssuerChain: endorsements.pckCrlIssuerChain,
      pckCrl: toBase64(endorsements.pckCrl),
      rootCaCrl: toBase64(endorsements.rootCaCrl),
      ...(endorsements.pckCertChain === undefined
        ? {}
        : { pckCertChain: endorsements.pckCertChain }),
    },
  };
}

/** Undefined when every part and the whole keep their caps, else what does not. */
export function oversizedPart(bundle: EvidenceBundle): string | undefined {
  const { endorsements } = bundle;
  const parts: readonly (readonly [name: string, bytes: number, max: number])[] = [
    ['statement', bundle.statement.length, STATEMENT_MAX_BYTES],
    ['quote', bundle.quote.length, QUOTE_MAX_BYTES],
    ['card', bundle.card.length, CARD_MAX_BYTES],
    ['tcbInfo', endorsements.tcbInfo.length, ENDORSEMENT_MAX_BYTES],
    ['qeIdentity', endorsements.qeIdentity.length, ENDORSEMENT_MAX_BYTES],
    ['pckCrl', endorsements.pckCrl.length, ENDORSEMENT_MAX_BYTES],
    ['rootCaCrl', endorsements.rootCaCrl.length, ENDORSEMENT_MAX_BYTES],
    ['tcbInfoIssuerChain', endorsements.tcbInfoIssuerChain.length, CHAIN_MAX_CHARS],
    ['qeIdentityIssuerChain', endorsements.qeIdentityIssuerChain.length, CHAIN_MAX_CHARS],
    ['pckCrlIssuerChain', endorsements.pckCrlIssuerChain.length, CHAIN_MAX_CHARS],
    ['pckCertChain', endorsements.pckCertChain?.length ?? 0, CHAIN_MAX_CHARS],
  ];
  const over = parts.find(([, bytes, max]) => bytes > max);
  if (over !== undefined) return `${over[0]} of ${over[1]} bytes`;
  const total = parts.reduce((sum, [, bytes]) => sum + bytes, 0);
  return total > EVIDENCE_MAX_BYTES ? `${total} bytes together` : undefined;
}

function assertSize(bundle: EvidenceBundle): void {
  const over = oversizedPart(bundle);
  if (over !== undefined) throw evidenceError('evidence.size', over);
}
