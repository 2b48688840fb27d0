/**
 * Judges the two signed documents: who signed, whether that signer may, whether the bytes are the signed ones, and
 * whether the content is of this kind and of this hour. Spec: Intel SGX and TDX PCS API v4, "Get TCB Info",
 * "Get TD QE Identity"; Intel SGX PCK Certificate and CRL Profile Specification 1.5, §1.4 (TCB signing).
 * @module
 */

import { equalPublic, toHex, type Bytes } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import type { Json } from '../../core/json.ts';
import type { Attempt } from '../attempt.ts';
import type { Certificate } from '../pki/certificate.ts';
import { isValidAt, linkFault, validityText } from '../pki/chain.ts';
import { judgeRevoked } from '../pki/revocation.ts';
import { signerRoleFault, type Judging, type PckChain } from './chain.ts';
import type { TdxCheckId, TdxCheckSheet } from './check-list.ts';
import type { PckExtension } from './pck-extension.ts';
import type { ReadDocument } from './read.ts';
import type { TdxJudgedList } from './revocation.ts';
import { findRoot } from './roots.ts';
import type { SignedBody } from './signed-json.ts';

const SIGNER_CHAIN_LENGTH = 2;

export interface DocumentContext {
  readonly judging: Judging;
  readonly rootCrl: TdxJudgedList;
  readonly pckChain: PckChain | undefined;
}

interface Dated {
  readonly issueDateMs: number;
  readonly nextUpdateMs: number;
}

/** Format, chain, signer, signature and freshness; returns the content when it could be read, and the signer. */
export function judgeDocument<Content extends Dated>(
  kind: 'tcbInfo' | 'qeIdentity',
  read: ReadDocument<Content>,
  context: DocumentContext,
): { readonly content: Content | undefined; readonly signer: Certificate | undefined } {
  const { sheet, nowMs } = context.judging;
  const format = `${kind}.format` as const;
  const freshness = `${kind}.freshness` as const;
  const content = read.content.outcome === 'read' ? read.content.value : undefined;
  if (read.content.outcome === 'read') sheet.pass(format);
  else sheet.fail(format, 'every member once and in range', read.content.reason);
  const signer = judgeSigner(kind, read, context);
  judgeSignature(kind, read, signer, context);
  if (content === undefined) {
    sheet.skip([freshness], format);
  } else {
    sheet.judge(
      freshness,
      content.issueDateMs <= nowMs && nowMs <= content.nextUpdateMs,
      () => `current at ${formatInstant(nowMs)}`,
      () => `${formatInstant(content.issueDateMs)} to ${formatInstant(content.nextUpdateMs)}`,
    );
  }
  return { content, signer };
}

function judgeSigner(
  kind: 'tcbInfo' | 'qeIdentity',
  read: ReadDocument<unknown>,
  context: DocumentContext,
): Certificate | undefined {
  const { sheet, nowMs } = context.judging;
  const chainId = `${kind}.chain` as const;
  const [role, validity, revoked] = [
    `${kind}.signerRole`,
    `${kind}.signerValidity`,
    `${kind}.signerRevoked`,
  ] as const;
  const want = 'a signer and the trusted root that issued it';
  if (read.chain.outcome === 'malformed') {
    sheet.fail(chainId, want, read.chain.reason);
    sheet.skip([role, validity, revoked], chainId);
    return undefined;
  }
  const [signer, root, ...more] = read.chain.value;
  if (signer === undefined || root === undefined || more.length > 0) {
    const count = read.chain.value.length;
    sheet.fail(chainId, want, `${count} certificates, not ${SIGNER_CHAIN_LENGTH}`);
    sheet.skip([role, validity, revoked], chainId);
    return undefined;
  }
  const fault = signerChainFault(signer, root, context);
  sheet.judge(chainId, fault === undefined, want, fault ?? '');
  const roleFault = signerRoleFault(signer);
  sheet.judge(role, roleFault === undefined, 'a TCB signing certificate', roleFault ?? '');
  sheet.judge(
    validity,
    isValidAt(signer, nowMs),
    () => `valid at ${formatInstant(nowMs)}`,
    () => validityText(signer),
  );
  judgeRevoked(revoked, signer, context.rootCrl, sheet);
  return signer;
}

function signerChainFault(
  signer: Certificate,
  root: Certificate,
  { judging, pckChain }: DocumentContext,
): string | undefined {
  const trusted = findRoot(judging.roots, root.sha256);
  if (trusted === undefined) return `another root, ${toHex(root.sha256)}`;
  // One root for the whole of the evidence: a development root must not vouch for a production quote.
  if (pckChain?.trusted !== undefined && !equalPublic(pckChain.trusted.sha256, trusted.sha256)) {
    return 'a trusted root that is not the one of the PCK chain';
  }
  if (signer.repeatedExtensions.size > 0) return 'the signer repeats an extension';
  return linkFault(signer, root, 'signer');
}

function judgeSignature(
  kind: 'tcbInfo' | 'qeIdentity',
  read: ReadDocument<unknown>,
  signer: Certificate | undefined,
  { judging }: DocumentContext,
): void {
  const id = `${kind}.signature` as const;
  const { sheet } = judging;
  if (read.body.outcome === 'malformed') {
    sheet.skip([id], `${kind}.format`);
    return;
  }
  const { signed } = read.body.value;
  const want = 'a signature of the signer over these bytes';
  if (signed === undefined) {
    sheet.fail(id, want, 'no signature of 64 bytes');
    return;
  }
  if (signer === undefined) {
    sheet.skip([id], `${kind}.chain`);
    return;
  }
  sheet.judge(id, signed.isSignedBy(signer.publicKey), want, 'another signature');
}

const TCB_INFO_CONTENT: readonly TdxCheckId[] = [
  'tcbInfo.id',
  'tcbInfo.version',
  'tcbInfo.tcbType',
];

/**
 * Kind and version of TCB info, and that it is about this platform. Judged on the members as they stand, so that a
 * document of another kind is called that, and not only malformed.
 */
export function judgeTcbInfo(
  body: Attempt<SignedBody>,
  pck: PckExtension | undefined,
  { sheet, pckCause }: { readonly sheet: TdxCheckSheet; readonly pckCause: TdxCheckId },
): void {
  const platform: readonly TdxCheckId[] = ['tcbInfo.fmspc', 'tcbInfo.pceId'];
  if (body.outcome === 'malformed') {
    sheet.skip([...TCB_INFO_CONTENT, ...platform], 'tcbInfo.format');
    return;
  }
  const { id, version, tcbType, fmspc, pceId } = body.value.inner;
  sheet.judge('tcbInfo.id', id === 'TDX', 'TDX', () => shown(id));
  sheet.judge('tcbInfo.version', version === 3, '3', () => shown(version));
  sheet.judge('tcbInfo.tcbType', tcbType === 0, '0', () => shown(tcbType));
  if (pck === undefined) {
    sheet.skip(platform, pckCause);
    return;
  }
  sheet.judge('tcbInfo.fmspc', equalHex(fmspc, pck.fmspc), pck.fmspc, () => shown(fmspc));
  sheet.judge('tcbInfo.pceId', equalHex(pceId, pck.pceId), pck.pceId, () => shown(pceId));
}

export function judgeQeIdentity(body: Attempt<SignedBody>, sheet: TdxCheckSheet): void {
  if (body.outcome === 'malformed') {
    sheet.skip(['qeIdentity.id', 'qeIdentity.version'], 'qeIdentity.format');
    return;
  }
  const { id, version } = body.value.inner;
  sheet.judge('qeIdentity.id', id === 'TD_QE', 'TD_QE', () => shown(id));
  sheet.judge('qeIdentity.version', version === 2, '2', () => shown(version));
}

function equalHex(value: Json | undefined, lowerCase: string): boolean {
  return typeof value === 'string' && value.toLowerCase() === lowerCase;
}

const SHOWN_MAX_CHARS = 40;

/** A value from an unproven document, short and printable. */
function shown(value: Json | undefined): string {
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'string') return 'no such member';
  return value.slice(0, SHOWN_MAX_CHARS).replaceAll(/[^\x20-\x7e]/g, '?');
}

/** (value AND mask) = expected, byte by byte. */
export function equalUnderMask<N extends number>(
  value: Bytes<N>,
  mask: Bytes<N>,
  expected: Bytes<N>,
): boolean {
  return value.every((byte, i) => (byte & (mask[i] ?? 0)) === expected[i]);
}
