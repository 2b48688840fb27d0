/**
 * The one reader for certificates of evidence chains: X.509 v3 in strict DER. Reading checks the form; what a vendor's
 * profile allows, and roles, signatures and dates are judged by the verifier of that vendor.
 * Spec: RFC 5280 §4.
 * @module
 */

import { sha256 } from '#primitives';
import { equalPublic, toHex, type Bytes } from '../../core/bytes.ts';
import { DerReader, TAG } from '../der.ts';
import { pkiError } from './errors.ts';
import { CERTIFICATE_MAX_BYTES } from './limits.ts';
import {
  readPublicKey,
  readSignatureAlgorithm,
  readSignatureValue,
  Signed,
  type LazyPublicKey,
} from './signature.ts';

/** Content octets of object identifiers, hex. */
export const OID = {
  commonName: '550403',
  subjectKeyIdentifier: '551d0e',
  keyUsage: '551d0f',
  basicConstraints: '551d13',
  crlNumber: '551d14',
  crlDistributionPoints: '551d1f',
  authorityKeyIdentifier: '551d23',
} as const;

const X509_V3 = 2;
const KEY_USAGE_BITS = { digitalSignature: 0, keyCertSign: 5, crlSign: 6 } as const;
const PATH_LENGTH_MAX = 255;

export interface Certificate {
  readonly der: Uint8Array;
  readonly sha256: Bytes<32>;
  /** Undefined when the signature algorithm is none that this product knows. */
  readonly signed: Signed | undefined;
  /** Magnitude as hex, without the sign octet. */
  readonly serial: string;
  /** Complete Name structures; compared byte for byte. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Undefined unless the subject has exactly one. */
  readonly commonName: string | undefined;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Undefined when the key is of no kind that this product knows. */
  readonly publicKey: LazyPublicKey | undefined;
  /** By object identifier; the content of extnValue. */
  readonly extensions: ReadonlyMap<string, Uint8Array>;
  /** Identifiers that stand more than once. */
  readonly repeatedExtensions: ReadonlySet<string>;
  readonly criticalExtensions: ReadonlySet<string>;
  readonly isCa: boolean;
  readonly pathLength: number | undefined;
  readonly mayDigitallySign: boolean;
  readonly maySignCertificates: boolean;
  readonly maySignCrls: boolean;
  /** The key usage keeps zero bits that DER leaves out. */
  readonly hasPaddedKeyUsage: boolean;
}

/** Throws `pki.*`, `der.*`. `der` must not change afterwards. */
export function parseCertificate(der: Uint8Array): Certificate {
  const document = DerReader.over(der, CERTIFICATE_MAX_BYTES);
  const outer = document.sequence('certificate');
  document.end('certificate');
  const tbs = outer.element(TAG.sequence, 'tbsCertificate');
  const { algorithm, raw } = readSignatureAlgorithm(outer);
  const signature =
    algorithm === undefined ? outer.any('signature').content : readSignatureValue(outer, algorithm);
  outer.end('certificate');
  return {
    der,
    sha256: sha256(der),
    signed: algorithm === undefined ? undefined : new Signed(tbs.raw, signature, algorithm),
    ...readTbs(DerReader.over(tbs.raw, CERTIFICATE_MAX_BYTES).sequence('tbsCertificate'), raw),
  };
}

function readTbs(
  tbs: DerReader,
  algorithm: Uint8Array,
): Omit<Certificate, 'der' | 'sha256' | 'signed'> {
  const version = tbs.enter(TAG.context0, 'version');
  if (version.small(X509_V3, 'version') !== X509_V3) throw pkiError('pki.certificate', 'version');
  version.end('version');
  const serial = toHex(tbs.unsigned('serial number'));
  readSameAlgorithm(tbs, algorithm);
  const issuer = tbs.element(TAG.sequence, 'issuer').raw;
  const validity = tbs.sequence('validity');
  const notBeforeMs = validity.time('notBefore');
  const notAfterMs = validity.time('notAfter');
  validity.end('validity');
  const subject = tbs.element(TAG.sequence, 'subject').raw;
  const publicKey = readPublicKey(tbs);
  const wrapper = tbs.enter(TAG.context3, 'extensions');
  tbs.end('tbsCertificate');
  const read = readExtensions(wrapper.sequence('extensions'));
  wrapper.end('extensions');
  return {
    serial,
    issuer,
    subject,
    commonName: commonNameOf(subject),
    notBeforeMs,
    notAfterMs,
    publicKey,
    ...read,
    ...readConstraints(read.extensions.get(OID.basicConstraints)),
    ...readKeyUsage(read.extensions.get(OID.keyUsage)),
  };
}

/** The algorithm stands twice, once under the signature: both are the same bytes. RFC 5280 §4.1.1.2. */
export function readSameAlgorithm(tbs: DerReader, outer: Uint8Array): void {
  const { raw } = tbs.element(TAG.sequence, 'signature algorithm');
  if (!equalPublic(raw, outer)) throw pkiError('pki.certificate', 'two signature algorithms');
}

export type Extensions = Pick<
  Certificate,
  'extensions' | 'repeatedExtensions' | 'criticalExtensions'
>;

export function readExtensions(list: DerReader): Extensions {
  const extensions = new Map<string, Uint8Array>();
  const repeatedExtensions = new Set<string>();
  const criticalExtensions = new Set<string>();
  while (!list.done) {
    const extension = list.sequence('extension');
    const oid = extension.oid('extension id');
    const critical = extension.nextIs(TAG.boolean) ? extension.boolean('critical') : undefined;
    // DER leaves out a default, so FALSE is never written.
    if (critical === false) throw pkiError('pki.certificate', 'critical FALSE is written');
    if (critical === true) criticalExtensions.add(oid);
    const value = extension.octets('extension value');
    extension.end('extension');
    if (extensions.has(oid)) repeatedExtensions.add(oid);
    extensions.set(oid, value);
  }
  return { extensions, repeatedExtensions, criticalExtensions };
}

/** A critical extension outside `recognised` could restrict what we would overlook. RFC 5280 §4.2. */
export function unrecognisedCritical(
  { criticalExtensions }: Pick<Extensions, 'criticalExtensions'>,
  recognised: ReadonlySet<string>,
): string | undefined {
  return [...criticalExtensions].find((oid) => !recognised.has(oid));
}

function readConstraints(value: Uint8Array | undefined): Pick<Certificate, 'isCa' | 'pathLength'> {
  if (value === undefined) return { isCa: false, pathLength: undefined };
  const outer = DerReader.over(value, CERTIFICATE_MAX_BYTES);
  const constraints = outer.sequence('basicConstraints');
  outer.end('basicConstraints');
  const written = constraints.nextIs(TAG.boolean) ? constraints.boolean('cA') : undefined;
  if (written === false) throw pkiError('pki.certificate', 'cA FALSE is written');
  const isCa = written === true;
  const pathLength = constraints.nextIs(TAG.integer)
    ? constraints.small(PATH_LENGTH_MAX, 'pathLenConstraint')
    : undefined;
  constraints.end('basicConstraints');
  return { isCa, pathLength };
}

type KeyUsage = Pick<
  Certificate,
  'mayDigitallySign' | 'maySignCertificates' | 'maySignCrls' | 'hasPaddedKeyUsage'
>;

function readKeyUsage(value: Uint8Array | undefined): KeyUsage {
  if (value === undefined) {
    return {
      mayDigitallySign: false,
      maySignCertificates: false,
      maySignCrls: false,
      hasPaddedKeyUsage: false,
    };
  }
  const outer = DerReader.over(value, CERTIFICATE_MAX_BYTES);
  const { bits, isMinimal } = outer.namedBits('keyUsage');
  outer.end('keyUsage');
  return {
    mayDigitallySign: bits.has(KEY_USAGE_BITS.digitalSignature),
    maySignCertificates: bits.has(KEY_USAGE_BITS.keyCertSign),
    maySignCrls: bits.has(KEY_USAGE_BITS.crlSign),
    hasPaddedKeyUsage: !isMinimal,
  };
}

/** Of a complete Name structure; undefined unless it has exactly one. Throws `der.*`. */
export function commonNameOf(name: Uint8Array): string | undefined {
  const outer = DerReader.over(name, CERTIFICATE_MAX_BYTES);
  const parts = outer.sequence('name');
  let found: string | undefined;
  let count = 0;
  while (!parts.done) {
    const set = parts.enter(TAG.set, 'relative name');
    while (!set.done) {
      const attribute = set.sequence('name attribute');
      const oid = attribute.oid('name attribute id');
      const value = attribute.any('name attribute value');
      attribute.end('name attribute');
      if (oid !== OID.commonName) continue;
      count++;
      if (value.tag === TAG.utf8String || value.tag === TAG.printableString) {
        found = String.fromCharCode(...value.content.subarray(0, 256));
      }
    }
  }
  return count === 1 ? found : undefined;
}
