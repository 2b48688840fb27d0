/**
 * The one reader for certificate revocation lists: version 2, complete (not delta, not indirect), numbered.
 * Spec: RFC 5280 §5.
 * @module
 */

import { sha256 } from '#primitives';
import { toHex, type Bytes } from '../../core/bytes.ts';
import { DerReader, TAG } from '../der.ts';
import { OID, readExtensions, readSameAlgorithm, unrecognisedCritical } from './certificate.ts';
import { pkiError } from './errors.ts';
import { readSignatureAlgorithm, readSignatureValue, Signed } from './signature.ts';
import { CRL_MAX_BYTES, CRL_MAX_ENTRIES } from './limits.ts';

export interface Crl {
  readonly sha256: Bytes<32>;
  readonly signed: Signed;
  /** Complete Name structure; compared byte for byte. */
  readonly issuer: Uint8Array;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  /** Never sinks from one list of an issuer to the next; Intel numbers all of its own 1. RFC 5280 §5.2.3. */
  readonly number: bigint;
  /** Serial magnitudes as hex, as in `Certificate.serial`: compared as integers, the sign octet is gone. */
  readonly revokedSerials: ReadonlySet<string>;
}

const CRL_V2 = 1;
const RECOGNISED: ReadonlySet<string> = new Set([OID.authorityKeyIdentifier, OID.crlNumber]);
const ENTRY_EXTENSIONS_MAX = 8;

/** Throws `pki.*`, `der.*`. Works on a copy. */
export function parseCrl(bytes: Uint8Array): Crl {
  if (bytes.length > CRL_MAX_BYTES) throw pkiError('pki.crl', 'too large');
  const document = DerReader.over(new Uint8Array(bytes), CRL_MAX_BYTES);
  const outer = document.sequence('CRL');
  document.end('CRL');
  const tbs = outer.element(TAG.sequence, 'tbsCertList');
  const { algorithm, raw } = readSignatureAlgorithm(outer);
  if (algorithm === undefined) throw pkiError('pki.crl', 'signature algorithm');
  const signature = readSignatureValue(outer, algorithm);
  outer.end('CRL');
  return {
    sha256: sha256(bytes),
    signed: new Signed(tbs.raw, signature, algorithm),
    ...readTbs(DerReader.over(tbs.raw, CRL_MAX_BYTES).sequence('tbsCertList'), raw),
  };
}

function readTbs(tbs: DerReader, algorithm: Uint8Array): Omit<Crl, 'sha256' | 'signed'> {
  if (tbs.small(CRL_V2, 'version') !== CRL_V2) throw pkiError('pki.crl', 'version');
  readSameAlgorithm(tbs, algorithm);
  const issuer = tbs.element(TAG.sequence, 'issuer').raw;
  const thisUpdateMs = tbs.time('thisUpdate');
  const nextUpdateMs = tbs.time('nextUpdate');
  const revokedSerials = tbs.nextIs(TAG.sequence)
    ? readEntries(tbs.sequence('revokedCertificates'))
    : new Set<string>();
  const wrapper = tbs.enter(TAG.context0, 'crlExtensions');
  tbs.end('tbsCertList');
  const read = readExtensions(wrapper.sequence('crlExtensions'));
  wrapper.end('crlExtensions');
  // Delta and indirect lists say so in critical extensions.
  if (unrecognisedCritical(read, RECOGNISED) !== undefined) {
    throw pkiError('pki.crl', 'unknown critical extension');
  }
  for (const oid of RECOGNISED) {
    if (!read.extensions.has(oid)) throw pkiError('pki.crl', `extension ${oid} is missing`);
  }
  if (read.repeatedExtensions.size > 0) throw pkiError('pki.crl', 'repeated extension');
  const number = readNumber(read.extensions.get(OID.crlNumber) ?? new Uint8Array(0));
  return { issuer, thisUpdateMs, nextUpdateMs, number, revokedSerials };
}

const NUMBER_MAX_BYTES = 20;

function readNumber(value: Uint8Array): bigint {
  const reader = DerReader.over(value, CRL_MAX_BYTES);
  const magnitude = reader.unsigned('CRL number');
  reader.end('CRL number');
  if (magnitude.length > NUMBER_MAX_BYTES) throw pkiError('pki.crl', 'CRL number');
  return BigInt(`0x${toHex(magnitude)}`);
}

function readEntries(list: DerReader): ReadonlySet<string> {
  const serials = new Set<string>();
  for (let count = 0; !list.done; count++) {
    if (count === CRL_MAX_ENTRIES) throw pkiError('pki.crl', 'too many entries');
    const entry = list.sequence('revoked certificate');
    serials.add(toHex(entry.unsigned('serial number')));
    entry.time('revocationDate');
    if (!entry.done) readEntryExtensions(entry.sequence('crlEntryExtensions'));
    entry.end('revoked certificate');
  }
  return serials;
}

/** A critical one would be `certificateIssuer` of an indirect list, which is not ours; the others only inform. */
function readEntryExtensions(list: DerReader): void {
  const seen: string[] = [];
  while (!list.done) {
    const extension = list.sequence('entry extension');
    const oid = extension.oid('entry extension id');
    if (extension.nextIs(TAG.boolean)) throw pkiError('pki.crl', 'critical entry extension');
    extension.octets('entry extension value');
    extension.end('entry extension');
    if (seen.includes(oid)) throw pkiError('pki.crl', 'repeated entry extension');
    if (seen.length === ENTRY_EXTENSIONS_MAX) throw pkiError('pki.crl', 'entry extensions');
    seen.push(oid);
  }
}
