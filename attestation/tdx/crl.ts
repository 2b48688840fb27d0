/**
 * Reader for Intel's certificate revocation lists: version 2, complete (not delta, not indirect), ECDSA P-256.
 * Spec: Intel SGX PCK Certificate and CRL Profile Specification 1.5, §2; RFC 5280 §5.
 * @module
 */

import { fixed, toHex } from '../../core/bytes.ts';
import { DerReader, signatureToRaw, TAG } from '../der.ts';
import { OID, readExtensions, readSignatureAlgorithm, Signed } from './certificate.ts';
import { tdxError } from './errors.ts';
import { CRL_MAX_BYTES, CRL_MAX_ENTRIES } from './limits.ts';

export interface Crl {
  readonly signed: Signed;
  /** Complete Name structure; compared byte for byte. */
  readonly issuer: Uint8Array;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  /** Serial magnitudes as hex, as in `Certificate.serial`: compared as integers, the sign octet is gone. */
  readonly revokedSerials: ReadonlySet<string>;
}

const CRL_V2 = 1;
const RECOGNISED: ReadonlySet<string> = new Set([OID.authorityKeyIdentifier, OID.crlNumber]);
const ENTRY_EXTENSIONS_MAX = 8;

/** Throws `tdx.crl`, `tdx.certificate`, `der.*`. Works on a copy. */
export function parseCrl(bytes: Uint8Array): Crl {
  if (bytes.length > CRL_MAX_BYTES) throw tdxError('tdx.crl', 'too large');
  const document = DerReader.over(new Uint8Array(bytes), CRL_MAX_BYTES);
  const outer = document.sequence('CRL');
  document.end('CRL');
  const tbs = outer.element(TAG.sequence, 'tbsCertList');
  readSignatureAlgorithm(outer);
  const signature = signatureToRaw(outer.wholeBits('signature'));
  outer.end('CRL');
  return {
    signed: new Signed(tbs.raw, fixed(signature, 64)),
    ...readTbs(DerReader.over(tbs.raw, CRL_MAX_BYTES).sequence('tbsCertList')),
  };
}

function readTbs(tbs: DerReader): Omit<Crl, 'signed'> {
  if (tbs.small(CRL_V2, 'version') !== CRL_V2) throw tdxError('tdx.crl', 'version');
  readSignatureAlgorithm(tbs);
  const issuer = tbs.element(TAG.sequence, 'issuer').raw;
  const thisUpdateMs = tbs.time('thisUpdate');
  const nextUpdateMs = tbs.time('nextUpdate');
  const revokedSerials = tbs.nextIs(TAG.sequence)
    ? readEntries(tbs.sequence('revokedCertificates'))
    : new Set<string>();
  const wrapper = tbs.enter(TAG.context0, 'crlExtensions');
  tbs.end('tbsCertList');
  const { extensions, repeatedExtensions } = readExtensions(
    wrapper.sequence('crlExtensions'),
    RECOGNISED,
  );
  wrapper.end('crlExtensions');
  for (const oid of RECOGNISED) {
    if (!extensions.has(oid)) throw tdxError('tdx.crl', `extension ${oid} is missing`);
  }
  if (repeatedExtensions.size > 0) throw tdxError('tdx.crl', 'repeated extension');
  return { issuer, thisUpdateMs, nextUpdateMs, revokedSerials };
}

function readEntries(list: DerReader): ReadonlySet<string> {
  const serials = new Set<string>();
  for (let count = 0; !list.done; count++) {
    if (count === CRL_MAX_ENTRIES) throw tdxError('tdx.crl', 'too many entries');
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
    if (extension.nextIs(TAG.boolean)) throw tdxError('tdx.crl', 'critical entry extension');
    extension.octets('entry extension value');
    extension.end('entry extension');
    if (seen.includes(oid)) throw tdxError('tdx.crl', 'repeated entry extension');
    if (seen.length === ENTRY_EXTENSIONS_MAX) throw tdxError('tdx.crl', 'entry extensions');
    seen.push(oid);
  }
}
