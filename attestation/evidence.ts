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
import type { SnpEndorsements } from './snp/endorsements.ts';
import type { TdxCollateral } from './tdx/collateral.ts';

/** Of the JSON text. Spec: gpu-and-policy §4.4. */
export const EVIDENCE_MAX_BYTES = 1_048_576;
/** Spec: tdx §14, "Limits". */
export const QUOTE_MAX_BYTES = 131_072;
/** Each of the documents and lists; all of them together stay below EVIDENCE_MAX_BYTES. */
const ENDORSEMENT_MAX_BYTES = 524_288;
const CHAIN_MAX_CHARS = 32_768;
const SNP_CERTIFICATE_MAX_BYTES = 16_384;
/** AMD's lists name authorities only and have about a kilobyte; reading entries costs the event loop. */
const SNP_LIST_MAX_BYTES = 65_536;

interface Common {
  /** As transmitted; the quote covers these very bytes. */
  readonly statement: Uint8Array;
  readonly card: Uint8Array;
}

export interface TdxEvidence extends Common {
  readonly tee: 'tdx';
  readonly quote: Uint8Array;
  /** From anybody: proves nothing by where it came from. */
  readonly endorsements: TdxCollateral;
}

export interface SnpEvidence extends Common {
  readonly tee: 'snp';
  /** The report, 1184 bytes. */
  readonly quote: Uint8Array;
  /** From anybody: proves nothing by where it came from. */
  readonly endorsements: SnpEndorsements;
}

export type EvidenceBundle = TdxEvidence | SnpEvidence;

/** Undefined when the endorsements are of another kind of machine than the quote. */
export function withEndorsements(
  { tee, statement, quote, card }: Omit<TdxEvidence | SnpEvidence, 'endorsements'>,
  endorsements: TdxCollateral | SnpEndorsements,
): EvidenceBundle | undefined {
  const isTdx = 'tcbInfo' in endorsements;
  if (tee === 'tdx' && isTdx) return { tee, statement, quote, card, endorsements };
  if (tee === 'snp' && !isTdx) return { tee, statement, quote, card, endorsements };
  return undefined;
}

const CHAIN = z.string().max(CHAIN_MAX_CHARS);
const DOCUMENT = z.string().max(ENDORSEMENT_MAX_BYTES);
const CERTIFICATE = base64Field(SNP_CERTIFICATE_MAX_BYTES);
const COMMON = {
  statement: base64Field(STATEMENT_MAX_BYTES),
  quote: base64Field(QUOTE_MAX_BYTES),
  card: base64Field(CARD_MAX_BYTES),
};

const TDX_SCHEMA = z.strictObject({
  tee: z.literal('tdx'),
  ...COMMON,
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

const SNP_SCHEMA = z.strictObject({
  tee: z.literal('snp'),
  ...COMMON,
  endorsements: z.strictObject({
    vek: CERTIFICATE.exactOptional(),
    intermediate: CERTIFICATE.exactOptional(),
    root: CERTIFICATE.exactOptional(),
    crl: base64Field(SNP_LIST_MAX_BYTES).exactOptional(),
  }),
});

const SCHEMA = z.discriminatedUnion('tee', [TDX_SCHEMA, SNP_SCHEMA]);

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
  const common = {
    statement: toBase64(bundle.statement),
    quote: toBase64(bundle.quote),
    card: toBase64(bundle.card),
  };
  if (bundle.tee === 'tdx') {
    return { tee: 'tdx', ...common, endorsements: encodeCollateral(bundle.endorsements) };
  }
  return { tee: 'snp', ...common, endorsements: encodeSnp(bundle.endorsements) };
}

function encodeCollateral(endorsements: TdxCollateral): z.input<typeof TDX_SCHEMA>['endorsements'] {
  const { pckCertChain } = endorsements;
  return {
    tcbInfo: fromUtf8(endorsements.tcbInfo),
    qeIdentity: fromUtf8(endorsements.qeIdentity),
    tcbInfoIssuerChain: endorsements.tcbInfoIssuerChain,
    qeIdentityIssuerChain: endorsements.qeIdentityIssuerChain,
    pckCrlIssuerChain: endorsements.pckCrlIssuerChain,
    pckCrl: toBase64(endorsements.pckCrl),
    rootCaCrl: toBase64(endorsements.rootCaCrl),
    ...(pckCertChain === undefined ? {} : { pckCertChain }),
  };
}

function encodeSnp(endorsements: SnpEndorsements): z.input<typeof SNP_SCHEMA>['endorsements'] {
  const { vek, intermediate, root, crl } = endorsements;
  return {
    ...(vek === undefined ? {} : { vek: toBase64(vek) }),
    ...(intermediate === undefined ? {} : { intermediate: toBase64(intermediate) }),
    ...(root === undefined ? {} : { root: toBase64(root) }),
    ...(crl === undefined ? {} : { crl: toBase64(crl) }),
  };
}

type Part = readonly [name: string, bytes: number, max: number];

/** Undefined when every part and the whole keep their caps, else what does not. */
export function oversizedPart(bundle: EvidenceBundle): string | undefined {
  const parts: readonly Part[] = [
    ['statement', bundle.statement.length, STATEMENT_MAX_BYTES],
    ['quote', bundle.quote.length, QUOTE_MAX_BYTES],
    ['card', bundle.card.length, CARD_MAX_BYTES],
    ...(bundle.tee === 'tdx' ? tdxParts(bundle.endorsements) : snpParts(bundle.endorsements)),
  ];
  const over = parts.find(([, bytes, max]) => bytes > max);
  if (over !== undefined) return `${over[0]} of ${over[1]} bytes`;
  const total = parts.reduce((sum, [, bytes]) => sum + bytes, 0);
  return total > EVIDENCE_MAX_BYTES ? `${total} bytes together` : undefined;
}

function tdxParts(endorsements: TdxCollateral): readonly Part[] {
  return [
    ['tcbInfo', endorsements.tcbInfo.length, ENDORSEMENT_MAX_BYTES],
    ['qeIdentity', endorsements.qeIdentity.length, ENDORSEMENT_MAX_BYTES],
    ['pckCrl', endorsements.pckCrl.length, ENDORSEMENT_MAX_BYTES],
    ['rootCaCrl', endorsements.rootCaCrl.length, ENDORSEMENT_MAX_BYTES],
    ['tcbInfoIssuerChain', endorsements.tcbInfoIssuerChain.length, CHAIN_MAX_CHARS],
    ['qeIdentityIssuerChain', endorsements.qeIdentityIssuerChain.length, CHAIN_MAX_CHARS],
    ['pckCrlIssuerChain', endorsements.pckCrlIssuerChain.length, CHAIN_MAX_CHARS],
    ['pckCertChain', endorsements.pckCertChain?.length ?? 0, CHAIN_MAX_CHARS],
  ];
}

function snpParts(endorsements: SnpEndorsements): readonly Part[] {
  return [
    ['vek', endorsements.vek?.length ?? 0, SNP_CERTIFICATE_MAX_BYTES],
    ['intermediate', endorsements.intermediate?.length ?? 0, SNP_CERTIFICATE_MAX_BYTES],
    ['root', endorsements.root?.length ?? 0, SNP_CERTIFICATE_MAX_BYTES],
    ['crl', endorsements.crl?.length ?? 0, SNP_LIST_MAX_BYTES],
  ];
}

function assertSize(bundle: EvidenceBundle): void {
  const over = oversizedPart(bundle);
  if (over !== undefined) throw evidenceError('evidence.size', over);
}
