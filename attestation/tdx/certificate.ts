/**
 * Reader for the certificates of Intel's provisioning hierarchy: X.509 v3, P-256, ECDSA with SHA-256, and nothing
 * else. Reading checks the form; roles, signatures and dates are judged by chain.ts.
 * Spec: Intel SGX PCK Certificate and CRL Profile Specification 1.5, §1; RFC 5280 §4.
 * @module
 */

import { p256PublicKey, sha256, verifyP256, type P256PublicKey } from '#primitives';
import { equalPublic, fixed, fromHex, toHex, type Bytes } from '../../core/bytes.ts';
import { DerReader, signatureToRaw, TAG } from '../der.ts';
import { tdxError } from './errors.ts';
import { CERTIFICATE_MAX_BYTES } from './limits.ts';

/** Content octets of object identifiers, hex. */
export const OID = {
  commonName: '550403',
  subjectKeyIdentifier: '551d0e',
  keyUsage: '551d0f',
  basicConstraints: '551d13',
  crlNumber: '551d14',
  crlDistributionPoints: '551d1f',
  authorityKeyIdentifier: '551d23',
  /** 1.2.840.113741.1.13.1 */
  sgxExtensions: '2a864886f84d010d01',
} as const;

/** AlgorithmIdentifier ecdsa-with-SHA256 without parameters. RFC 5758 §3.2. */
const ECDSA_WITH_SHA256 = fromHex('300a06082a8648ce3d040302');
/** SubjectPublicKeyInfo of an uncompressed P-256 point, up to x. RFC 5480 §2. */
const P256_SPKI_PREFIX = fromHex('3059301306072a8648ce3d020106082a8648ce3d03010703420004');
const X509_V3 = 2;
const KEY_USAGE_BITS = { digitalSignature: 0, keyCertSign: 5, crlSign: 6 } as const;
const PATH_LENGTH_MAX = 255;

const RECOGNISED: ReadonlySet<string> = new Set([
  OID.subjectKeyIdentifier,
  OID.keyUsage,
  OID.basicConstraints,
  OID.crlDistributionPoints,
  OID.authorityKeyIdentifier,
  OID.sgxExtensions,
]);

/**
 * Bytes with an ECDSA signature over them. It remembers the keys under which the signature has verified, so that a
 * cached document costs no second verification. That a signature fits bytes and key never changes with time.
 */
export class Signed {
  readonly bytes: Uint8Array;
  readonly signature: Bytes<64>;
  #verifiedBy: P256PublicKey | undefined;

  constructor(bytes: Uint8Array, signature: Bytes<64>) {
    this.bytes = bytes;
    this.signature = signature;
  }

  isSignedBy(key: P256PublicKey | undefined): boolean {
    if (key === undefined) return false;
    if (this.#verifiedBy !== undefined && equalPublic(this.#verifiedBy.xy, key.xy)) return true;
    if (!verifyP256(key, this.signature, this.bytes)) return false;
    this.#verifiedBy = key;
    return true;
  }
}

/** A P-256 point as it stands in a document; made into a key when first used, which costs as much as a signature. */
export class LazyPublicKey {
  readonly xy: Bytes<64>;
  #key: { readonly value: P256PublicKey | undefined } | undefined;

  constructor(xy: Bytes<64>) {
    this.xy = xy;
  }

  /** Undefined when the bytes are not a point of the curve. */
  get(): P256PublicKey | undefined {
    this.#key ??= { value: p256PublicKey(this.xy) };
    return this.#key.value;
  }
}

export interface Certificate {
  readonly der: Uint8Array;
  readonly sha256: Bytes<32>;
  readonly signed: Signed;
  /** Magnitude as hex, without the sign octet. */
  readonly serial: string;
  /** Complete Name structures; compared byte for byte. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Undefined unless the subject has exactly one. */
  readonly commonName: string | undefined;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKey: LazyPublicKey;
  /** By object identifier; the content of extnValue. */
  readonly extensions: ReadonlyMap<string, Uint8Array>;
  /** Identifiers that stand more than once. */
  readonly repeatedExtensions: ReadonlySet<string>;
  readonly isCa: boolean;
  readonly pathLength: number | undefined;
  readonly mayDigitallySign: boolean;
  readonly maySignCertificates: boolean;
  readonly maySignCrls: boolean;
}

/** Throws `tdx.certificate`, `der.*`. `der` must not change afterwards. */
export function parseCertificate(der: Uint8Array): Certificate {
  const document = DerReader.over(der, CERTIFICATE_MAX_BYTES);
  const outer = document.sequence('certificate');
  document.end('certificate');
  const tbs = outer.element(TAG.sequence, 'tbsCertificate');
  readSignatureAlgorithm(outer);
  const signature = signatureToRaw(outer.wholeBits('signature'));
  outer.end('certificate');
  return {
    der,
    sha256: sha256(der),
    signed: new Signed(tbs.raw, fixed(signature, 64)),
    ...readTbs(DerReader.over(tbs.raw, CERTIFICATE_MAX_BYTES).sequence('tbsCertificate')),
  };
}

function readTbs(tbs: DerReader): Omit<Certificate, 'der' | 'sha256' | 'signed'> {
  const version = tbs.enter(TAG.context0, 'version');
  if (version.small(X509_V3, 'version') !== X509_V3) throw tdxError('tdx.certificate', 'version');
  version.end('version');
  const serial = toHex(tbs.unsigned('serial number'));
  readSignatureAlgorithm(tbs);
  const issuer = tbs.element(TAG.sequence, 'issuer').raw;
  const validity = tbs.sequence('validity');
  const notBeforeMs = validity.time('notBefore');
  const notAfterMs = validity.time('notAfter');
  validity.end('validity');
  const subject = tbs.element(TAG.sequence, 'subject').raw;
  const publicKey = readPublicKey(tbs);
  const wrapper = tbs.enter(TAG.context3, 'extensions');
  tbs.end('tbsCertificate');
  const read = readExtensions(wrapper.sequence('extensions'), RECOGNISED);
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

export function readSignatureAlgorithm(reader: DerReader): void {
  const { raw } = reader.element(TAG.sequence, 'signature algorithm');
  if (!equalPublic(raw, ECDSA_WITH_SHA256))
    throw tdxError('tdx.certificate', 'signature algorithm');
}

function readPublicKey(tbs: DerReader): LazyPublicKey {
  const { raw } = tbs.element(TAG.sequence, 'subjectPublicKeyInfo');
  const prefix = raw.subarray(0, P256_SPKI_PREFIX.length);
  if (raw.length !== P256_SPKI_PREFIX.length + 64 || !equalPublic(prefix, P256_SPKI_PREFIX)) {
    throw tdxError('tdx.certificate', 'public key is not an uncompressed P-256 point');
  }
  return new LazyPublicKey(fixed(raw.subarray(P256_SPKI_PREFIX.length), 64));
}

export interface Extensions {
  readonly extensions: ReadonlyMap<string, Uint8Array>;
  readonly repeatedExtensions: ReadonlySet<string>;
}

/** Refuses critical extensions outside `recognised` (RFC 5280 §4.2): they could restrict what we would overlook. */
export function readExtensions(list: DerReader, recognised: ReadonlySet<string>): Extensions {
  const extensions = new Map<string, Uint8Array>();
  const repeatedExtensions = new Set<string>();
  while (!list.done) {
    const extension = list.sequence('extension');
    const oid = extension.oid('extension id');
    const critical = extension.nextIs(TAG.boolean) ? extension.boolean('critical') : undefined;
    // DER leaves out a default, so FALSE is never written.
    if (critical === false) throw tdxError('tdx.certificate', 'critical FALSE is written');
    if (critical === true && !recognised.has(oid)) {
      throw tdxError('tdx.certificate', `unknown critical extension ${oid}`);
    }
    const value = extension.octets('extension value');
    extension.end('extension');
    if (extensions.has(oid)) repeatedExtensions.add(oid);
    extensions.set(oid, value);
  }
  return { extensions, repeatedExtensions };
}

function readConstraints(value: Uint8Array | undefined): Pick<Certificate, 'isCa' | 'pathLength'> {
  if (value === undefined) return { isCa: false, pathLength: undefined };
  const outer = DerReader.over(value, CERTIFICATE_MAX_BYTES);
  const constraints = outer.sequence('basicConstraints');
  outer.end('basicConstraints');
  const written = constraints.nextIs(TAG.boolean) ? constraints.boolean('cA') : undefined;
  if (written === false) throw tdxError('tdx.certificate', 'cA FALSE is written');
  const isCa = written === true;
  const pathLength = constraints.nextIs(TAG.integer)
    ? constraints.small(PATH_LENGTH_MAX, 'pathLenConstraint')
    : undefined;
  constraints.end('basicConstraints');
  return { isCa, pathLength };
}

function readKeyUsage(
  value: Uint8Array | undefined,
): Pick<Certificate, 'mayDigitallySign' | 'maySignCertificates' | 'maySignCrls'> {
  if (value === undefined) {
    return { mayDigitallySign: false, maySignCertificates: false, maySignCrls: false };
  }
  const outer = DerReader.over(value, CERTIFICATE_MAX_BYTES);
  const bits = outer.namedBits('keyUsage');
  outer.end('keyUsage');
  return {
    mayDigitallySign: bits.has(KEY_USAGE_BITS.digitalSignature),
    maySignCertificates: bits.has(KEY_USAGE_BITS.keyCertSign),
    maySignCrls: bits.has(KEY_USAGE_BITS.crlSign),
  };
}

function commonNameOf(name: Uint8Array): string | undefined {
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
