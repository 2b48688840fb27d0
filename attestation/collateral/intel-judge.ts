/**
 * Judges Intel's documents and lists one by one, before a quote asks for them: genuine under the one pinned root, about
 * the FMSPC, CA and edition asked for, current, and by nobody whom the root's list revokes. What a quote needs beyond
 * that is `verifyTdx`'s to judge, and it judges all of this again.
 * Spec: tdx §2, §10; Intel SGX and TDX PCS API v4; Intel SGX PCK Certificate and CRL Profile Specification 1.5.
 * @module
 */

import { equalPublic, concat, toHex, utf8 } from '../../core/bytes.ts';
import type { JsonObject } from '../../core/json.ts';
import { decodePemBlock, splitPemCertificates } from '../pem.ts';
import type { Certificate } from '../pki/certificate.ts';
import { linkFault } from '../pki/chain.ts';
import { signerRoleFault } from '../tdx/chain.ts';
import { parseIntelCertificate, parseIntelCrl } from '../tdx/intel-certificate.ts';
import { readQeIdentity } from '../tdx/qe-identity.ts';
import { INTEL_SGX_ROOT_CA_DER } from '../tdx/roots.ts';
import {
  asObject,
  parseSignedBody,
  readInstant,
  readInteger,
  readList,
  type SignedBody,
} from '../tdx/signed-json.ts';
import { readTcbInfo } from '../tdx/tcb-info.ts';
import { expired, invalid, orInvalid } from './errors.ts';
import { itemKey, type Edition, type IntelItem, type ItemKind, type PckCa } from './items.ts';
import {
  assertValid,
  holds,
  judgedList,
  type Judge,
  type JudgeContext,
  type Rank,
  type RawItem,
  type Verified,
} from './judge.ts';
import { EVALUATION_NUMBER_MAX, EVALUATION_NUMBERS_MAX } from './limits.ts';
import { pemOf } from './text-forms.ts';

export const PCK_CA_NAMES: Readonly<Record<PckCa, string>> = {
  platform: 'Intel SGX PCK Platform CA',
  processor: 'Intel SGX PCK Processor CA',
};

export interface IntelAuthority {
  readonly root: Certificate;
  readonly judge: Judge<IntelItem>;
}

/** `rootDer` is trusted as it stands: Intel's own, or that of a test. Throws when it is no certificate. */
export function createIntelAuthority(rootDer: Uint8Array = INTEL_SGX_ROOT_CA_DER): IntelAuthority {
  const root = parseIntelCertificate(new Uint8Array(rootDer));
  return {
    root,
    judge: (item, given, context) => {
      // A copy: what was judged must not change afterwards.
      const raw = { body: new Uint8Array(given.body), chain: given.chain };
      const judged = orInvalid(item.kind, () => judgeItem(root, item, { raw, context }));
      const verified: Verified = { item, key: itemKey(item), ...judged };
      if (context.nowMs > verified.expiresAtMs) throw expired(item.kind);
      if (!holds(verified, context)) throw invalid(item.kind, 'signer revoked');
      return verified;
    },
  };
}

interface Question {
  readonly raw: RawItem;
  readonly context: JudgeContext;
}

type Judged = Omit<Verified, 'item' | 'key'>;

function judgeItem(root: Certificate, item: IntelItem, question: Question): Judged {
  if (item.kind === 'sgx-root-crl') return judgeRootList(root, question);
  if (item.kind === 'sgx-pck-crl') return judgePckList(root, item.ca, question);
  return judgeDocument(root, item, question);
}

function judgeRootList(root: Certificate, { raw, context }: Question): Judged {
  const kind = 'sgx-root-crl';
  assertValid(kind, root, context.nowMs);
  const list = judgedList(kind, parseIntelCrl(raw.body), { issuer: root, nowMs: context.nowMs });
  if (list.crl.revokedSerials.has(root.serial)) throw invalid(kind, 'root revoked');
  return {
    ...list.judged,
    raw: { body: raw.body, chain: '' },
    expiresAtMs: Math.min(list.crl.nextUpdateMs, root.notAfterMs),
    serials: [],
  };
}

function judgePckList(root: Certificate, ca: PckCa, { raw, context }: Question): Judged {
  const kind = 'sgx-pck-crl';
  const issuer = issuerOf(kind, raw.chain, root, context.nowMs);
  if (issuer.commonName !== PCK_CA_NAMES[ca]) throw invalid(kind, 'another CA');
  if (!issuer.isCa || !issuer.maySignCrls) throw invalid(kind, 'issuer may not sign lists');
  const list = judgedList(kind, parseIntelCrl(raw.body), { issuer, nowMs: context.nowMs });
  return {
    ...list.judged,
    raw: { body: raw.body, chain: pemOf(issuer.der, root.der) },
    expiresAtMs: Math.min(list.crl.nextUpdateMs, issuer.notAfterMs, root.notAfterMs),
    serials: [issuer.serial],
  };
}

const CHAIN_LENGTH = 2;

/** The first of two certificates, which the pinned root issued and follows. */
function issuerOf(kind: ItemKind, pem: string, root: Certificate, nowMs: number): Certificate {
  const blocks = splitPemCertificates(pem);
  const [first, second] = blocks;
  if (first === undefined || second === undefined || blocks.length !== CHAIN_LENGTH) {
    throw invalid(kind, 'issuer chain length');
  }
  if (!equalPublic(decodePemBlock(second), root.der)) throw invalid(kind, 'another root');
  const issuer = parseIntelCertificate(decodePemBlock(first));
  if (issuer.repeatedExtensions.size > 0) throw invalid(kind, 'repeated extension');
  if (linkFault(issuer, root, 'issuer') !== undefined) throw invalid(kind, 'not of the root');
  assertValid(kind, issuer, nowMs);
  assertValid(kind, root, nowMs);
  return issuer;
}

type DocumentItem = Exclude<IntelItem, { kind: 'sgx-root-crl' | 'sgx-pck-crl' }>;

const MEMBERS: Readonly<Record<DocumentItem['kind'], string>> = {
  'tdx-tcb-info': 'tcbInfo',
  'tdx-qe-identity': 'enclaveIdentity',
  'tdx-evaluation-numbers': 'tcbEvaluationDataNumbers',
};

function judgeDocument(root: Certificate, item: DocumentItem, { raw, context }: Question): Judged {
  const { kind } = item;
  const signer = issuerOf(kind, raw.chain, root, context.nowMs);
  if (signerRoleFault(signer) !== undefined) throw invalid(kind, 'signer role');
  const member = MEMBERS[kind];
  const body = parseSignedBody(raw.body, member);
  if (body.signed?.isSignedBy(signer.publicKey) !== true) throw invalid(kind, 'signature');
  const content = readContent(item, body.inner);
  if (content.issueDateMs > context.nowMs) throw invalid(kind, 'from the future');
  return {
    raw: { body: signedBodyText(member, body), chain: pemOf(signer.der, root.der) },
    rank: content.rank,
    expiresAtMs: Math.min(content.nextUpdateMs, signer.notAfterMs, root.notAfterMs),
    serials: [signer.serial],
  };
}

/** The signed bytes as they stand and the signature; what stood beside them in the body is gone. */
function signedBodyText(member: string, { signed }: SignedBody): Uint8Array {
  if (signed === undefined) return new Uint8Array();
  return concat(
    utf8(`{"${member}":`),
    signed.bytes,
    utf8(`,"signature":"${toHex(signed.signature)}"}`),
  );
}

interface Content {
  readonly issueDateMs: number;
  readonly nextUpdateMs: number;
  readonly rank: Rank;
}

function readContent(item: DocumentItem, inner: JsonObject): Content {
  if (item.kind === 'tdx-evaluation-numbers') return readNumbersDocument(inner);
  const { kind, edition } = item;
  if (kind === 'tdx-qe-identity') {
    const identity = readQeIdentity(inner);
    if (identity.id !== 'TD_QE' || identity.version !== 2) throw invalid(kind, 'another kind');
    return ranked(kind, edition, identity);
  }
  const info = readTcbInfo(inner);
  if (info.id !== 'TDX' || info.version !== 3 || info.tcbType !== 0) {
    throw invalid(kind, 'another kind');
  }
  if (info.fmspc !== item.fmspc) throw invalid(kind, 'another FMSPC');
  return ranked(kind, edition, info);
}

interface Dated {
  readonly issueDateMs: number;
  readonly nextUpdateMs: number;
  readonly evaluationDataNumber: number;
}

function ranked(kind: ItemKind, edition: Edition, document: Dated): Content {
  const { evaluationDataNumber, issueDateMs, nextUpdateMs } = document;
  if (typeof edition === 'number' && edition !== evaluationDataNumber) {
    throw invalid(kind, 'another evaluation number');
  }
  return {
    issueDateMs,
    nextUpdateMs,
    rank: { number: BigInt(evaluationDataNumber), dateMs: issueDateMs },
  };
}

export interface EvaluationNumber {
  readonly number: number;
  readonly recoveryEventMs: number;
  readonly tcbDateMs: number;
}

/** Of a verified list of evaluation data numbers, as its signer wrote them. */
export function evaluationNumbersOf(raw: RawItem): readonly EvaluationNumber[] {
  return readNumbers(parseSignedBody(raw.body, MEMBERS['tdx-evaluation-numbers']).inner);
}

function readNumbers(inner: JsonObject): readonly EvaluationNumber[] {
  return readList(inner, 'tcbEvalNumbers', EVALUATION_NUMBERS_MAX).map((entry) => {
    const level = asObject(entry, 'evaluation number');
    return {
      number: readInteger(level, 'tcbEvaluationDataNumber', EVALUATION_NUMBER_MAX),
      recoveryEventMs: readInstant(level, 'tcbRecoveryEventDate'),
      tcbDateMs: readInstant(level, 'tcbDate'),
    };
  });
}

function readNumbersDocument(inner: JsonObject): Content {
  const kind = 'tdx-evaluation-numbers';
  if (inner['id'] !== 'TDX' || inner['version'] !== 1) throw invalid(kind, 'another kind');
  const newest = Math.max(0, ...readNumbers(inner).map(({ number }) => number));
  const issueDateMs = readInstant(inner, 'issueDate');
  return {
    issueDateMs,
    nextUpdateMs: readInstant(inner, 'nextUpdate'),
    rank: { number: BigInt(newest), dateMs: issueDateMs },
  };
}
