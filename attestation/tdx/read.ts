/**
 * From raw evidence to structures, without judging: every part that cannot be read says why, and the rest goes on.
 * Nothing here depends on time, roots or policy, so the results may be cached under the digest of the raw bytes.
 * Spec: Intel TDX DCAP Quoting Library API, A.3.9 (certification data); PCS API v4 (response bodies and chains).
 * @module
 */

import { sha256 } from '#primitives';
import { fromUtf8, type Bytes } from '../../core/bytes.ts';
import type { JsonObject } from '../../core/json.ts';
import { attempt, type Attempt } from '../attempt.ts';
import { decodePemBlock, splitPemCertificates } from '../pem.ts';
import type { Certificate } from '../pki/certificate.ts';
import type { Crl } from '../pki/crl.ts';
import type { TdxCollateral } from './collateral.ts';
import { tdxError } from './errors.ts';
import { parseIntelCertificate, parseIntelCrl } from './intel-certificate.ts';
import { readPckExtension, type PckExtension } from './pck-extension.ts';
import { readQeIdentity, type QeIdentity } from './qe-identity.ts';
import { PCK_CHAIN_PEM, type TdxQuote } from './quote.ts';
import { parseSignedBody, type SignedBody } from './signed-json.ts';
import { readTcbInfo, type TcbInfo } from './tcb-info.ts';

/** One signed document: its issuer chain, its signed bytes, its content. Each may fail alone. */
export interface ReadDocument<Content> {
  readonly chain: Attempt<readonly Certificate[]>;
  readonly body: Attempt<SignedBody>;
  readonly content: Attempt<Content>;
  readonly sha256: Bytes<32>;
}

export interface ReadList {
  readonly crl: Attempt<Crl>;
  readonly sha256: Bytes<32>;
}

export interface ReadCollateral {
  readonly tcbInfo: ReadDocument<TcbInfo>;
  readonly qeIdentity: ReadDocument<QeIdentity>;
  readonly rootCrl: ReadList;
  readonly pckCrl: ReadList;
}

export interface ReadChain {
  readonly certificates: Attempt<readonly Certificate[]>;
  /** Of the first certificate. */
  readonly extension: Attempt<PckExtension>;
}

/**
 * Reads certificates once per verification: the same root and signer stand in several chains, and making a key costs
 * as much as verifying a signature.
 */
export class CertificateReader {
  readonly #seen = new Map<string, Certificate>();
  readonly #known: (block: string) => Certificate | undefined;

  /** `known` may answer with a certificate that was read from the same base64 text before. */
  constructor(known: (block: string) => Certificate | undefined) {
    this.#known = known;
  }

  /** What was read, by its base64 text. */
  get seen(): ReadonlyMap<string, Certificate> {
    return this.#seen;
  }

  chain(pem: string): Attempt<readonly Certificate[]> {
    return attempt(() => splitPemCertificates(pem).map((block) => this.#certificate(block)));
  }

  #certificate(block: string): Certificate {
    const seen = this.#seen.get(block);
    if (seen !== undefined) return seen;
    const certificate = this.#known(block) ?? parseIntelCertificate(decodePemBlock(block));
    this.#seen.set(block, certificate);
    return certificate;
  }
}

export function readCollateral(
  collateral: TdxCollateral,
  certificates: CertificateReader,
): ReadCollateral {
  return {
    tcbInfo: readDocument(
      { body: collateral.tcbInfo, member: 'tcbInfo', read: readTcbInfo },
      certificates.chain(collateral.tcbInfoIssuerChain),
    ),
    qeIdentity: readDocument(
      { body: collateral.qeIdentity, member: 'enclaveIdentity', read: readQeIdentity },
      certificates.chain(collateral.qeIdentityIssuerChain),
    ),
    rootCrl: readList(collateral.rootCaCrl),
    pckCrl: readList(collateral.pckCrl),
  };
}

interface DocumentSource<Content> {
  readonly body: Uint8Array;
  readonly member: string;
  readonly read: (inner: JsonObject) => Content;
}

function readDocument<Content>(
  source: DocumentSource<Content>,
  chain: Attempt<readonly Certificate[]>,
): ReadDocument<Content> {
  const body = attempt(() => parseSignedBody(source.body, source.member));
  const content =
    body.outcome === 'malformed' ? body : attempt(() => source.read(body.value.inner));
  return { chain, body, content, sha256: sha256(source.body) };
}

function readList(bytes: Uint8Array): ReadList {
  return { crl: attempt(() => parseIntelCrl(bytes)), sha256: sha256(bytes) };
}

/** Where the PCK chain of this quote is: in the quote itself, or else beside it. */
export function chainSource(
  quote: TdxQuote,
  collateral: Pick<TdxCollateral, 'pckCertChain'>,
): { readonly bytes: Uint8Array } | { readonly pem: string } | undefined {
  if (quote.certificationType === PCK_CHAIN_PEM) return { bytes: quote.certificationData };
  return collateral.pckCertChain === undefined ? undefined : { pem: collateral.pckCertChain };
}

export function readPckChain(
  source: ReturnType<typeof chainSource>,
  certificates: CertificateReader,
): ReadChain {
  const read = readChainSource(source, certificates);
  return {
    certificates: read,
    extension: attempt(() => {
      const leaf = read.outcome === 'read' ? read.value[0] : undefined;
      if (leaf === undefined) throw tdxError('tdx.certificate', 'no leaf');
      return readPckExtension(leaf);
    }),
  };
}

function readChainSource(
  source: ReturnType<typeof chainSource>,
  certificates: CertificateReader,
): Attempt<readonly Certificate[]> {
  if (source === undefined) {
    return { outcome: 'malformed', reason: 'no chain in the quote and none beside it' };
  }
  if ('pem' in source) return certificates.chain(source.pem);
  const text = attempt(() => fromUtf8(source.bytes));
  if (text.outcome === 'malformed') return text;
  // Intel's quote generation service ends the text with one NUL.
  const pem = text.value.endsWith('\0') ? text.value.slice(0, -1) : text.value;
  return certificates.chain(pem);
}
