/**
 * Makes certificates and revocation lists for development and test hierarchies, and the self-signed certificates of
 * links. Nothing here verifies: evidence is judged by the strict readers of this room. Signing keys are WebCrypto keys.
 * Spec: RFC 5280 §4.1, §4.2, §5.1, §5.2; RFC 8410 (Ed25519).
 * @module
 */

import 'reflect-metadata';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  CRLDistributionPointsExtension,
  Extension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
  X509CrlGenerator,
  X509CrlReason,
  type JsonGeneralNames,
  type JsonNameParams,
} from '@peculiar/x509';
import { sha256, type KeyPair } from '#primitives';
import { concat, fixed, fromHex, toBase64, toHex, type Bytes } from '../core/bytes.ts';
import { dateOf } from '../core/clock.ts';
import { assert } from '../core/errors.ts';

const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const P256_SHA256 = { name: 'ECDSA', hash: 'SHA-256' } as const;
/** RFC 8410 §7: the private key around a 32-byte seed. */
const ED25519_PKCS8 = fromHex('302e020100300506032b657004220420');

export async function generateP256(): Promise<CryptoKeyPair> {
  return await crypto.subtle.generateKey(P256, true, ['sign', 'verify']);
}

/** The WebCrypto form of an Ed25519 key pair of `#primitives`. */
export async function ed25519CryptoKeys(pair: KeyPair): Promise<CryptoKeyPair> {
  const pkcs8 = ownBuffer(concat(ED25519_PKCS8, pair.secretKey));
  return {
    privateKey: await crypto.subtle.importKey('pkcs8', pkcs8, 'Ed25519', true, ['sign']),
    publicKey: await crypto.subtle.importKey('raw', ownBuffer(pair.publicKey), 'Ed25519', true, [
      'verify',
    ]),
  };
}

/** PKCS#8 DER of a P-256 or Ed25519 private key. */
export async function exportPrivateKey(key: CryptoKey): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.exportKey('pkcs8', key));
}

/** A P-256 private key from PKCS#8 DER, with its public half. */
export async function importP256(pkcs8: Uint8Array): Promise<CryptoKeyPair> {
  const privateKey = await crypto.subtle.importKey('pkcs8', ownBuffer(pkcs8), P256, true, ['sign']);
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', privateKey);
  assert(kty !== undefined && crv !== undefined, 'an EC key has a type and a curve');
  assert(x !== undefined && y !== undefined, 'an EC key has two coordinates');
  const publicKey = await crypto.subtle.importKey('jwk', { kty, crv, x, y }, P256, true, [
    'verify',
  ]);
  return { privateKey, publicKey };
}

/** x ‖ y of a P-256 public key. */
export async function p256Coordinates(publicKey: CryptoKey): Promise<Bytes<64>> {
  const point = new Uint8Array(await crypto.subtle.exportKey('raw', publicKey));
  return fixed(point.subarray(1), 64, 'P-256 point');
}

/** r ‖ s over SHA-256 of `data`. */
export async function signP256(privateKey: CryptoKey, data: Uint8Array): Promise<Bytes<64>> {
  const signature = await crypto.subtle.sign(P256_SHA256, privateKey, ownBuffer(data));
  return fixed(new Uint8Array(signature), 64, 'P-256 signature');
}

/** SHA-256 of the SubjectPublicKeyInfo: what statements and documents pin. */
export async function spkiSha256(publicKey: CryptoKey): Promise<Bytes<32>> {
  return sha256(new Uint8Array(await crypto.subtle.exportKey('spki', publicKey)));
}

/** Written in this order; absent members are left out. */
export interface DistinguishedName {
  readonly commonName: string;
  readonly organization?: string;
  readonly locality?: string;
  readonly state?: string;
  readonly country?: string;
}

/** `value` is the DER that goes into the OCTET STRING. */
export interface CertificateExtension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/** A certificate before it is signed, as plain data: a test spoils one member and leaves the rest. */
export interface CertificateProfile {
  readonly subject: DistinguishedName;
  readonly issuer: DistinguishedName;
  /** Unsigned, big-endian. */
  readonly serial: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKey: CryptoKey;
  readonly extensions: readonly CertificateExtension[];
}

/** DER. P-256 issuers sign with SHA-256. */
export async function issueCertificate(
  profile: CertificateProfile,
  issuerKey: CryptoKey,
): Promise<Uint8Array> {
  const certificate = await X509CertificateGenerator.create({
    serialNumber: toHex(profile.serial),
    subject: nameOf(profile.subject),
    issuer: nameOf(profile.issuer),
    notBefore: dateOf(profile.notBeforeMs),
    notAfter: dateOf(profile.notAfterMs),
    publicKey: profile.publicKey,
    signingKey: issuerKey,
    extensions: profile.extensions.map(extensionOf),
  });
  return new Uint8Array(certificate.rawData);
}

export interface RevokedCertificate {
  /** Unsigned, big-endian. */
  readonly serial: Uint8Array;
  readonly revokedMs: number;
  /** Beside the reason. */
  readonly extensions?: readonly CertificateExtension[];
}

/** A revocation list (version 2) before it is signed. */
export interface CrlProfile {
  readonly issuer: DistinguishedName;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly revoked: readonly RevokedCertificate[];
  readonly extensions: readonly CertificateExtension[];
}

/** DER, signed with P-256 and SHA-256. */
export async function issueCrl(profile: CrlProfile, issuerKey: CryptoKey): Promise<Uint8Array> {
  const crl = await X509CrlGenerator.create({
    issuer: nameOf(profile.issuer),
    thisUpdate: dateOf(profile.thisUpdateMs),
    nextUpdate: dateOf(profile.nextUpdateMs),
    entries: profile.revoked.map((entry) => ({
      serialNumber: toHex(entry.serial),
      revocationDate: dateOf(entry.revokedMs),
      reason: X509CrlReason.keyCompromise,
      extensions: (entry.extensions ?? []).map(extensionOf),
    })),
    extensions: profile.extensions.map(extensionOf),
    signingAlgorithm: P256_SHA256,
    signingKey: issuerKey,
  });
  return new Uint8Array(crl.rawData);
}

/** RFC 5280 §4.2.1.9. */
export function caConstraint(pathLength: number): CertificateExtension {
  return plain(new BasicConstraintsExtension(true, pathLength, true));
}

export function endEntityConstraint(): CertificateExtension {
  return plain(new BasicConstraintsExtension(false, undefined, true));
}

/** RFC 5280 §4.2.1.3. */
export function caKeyUsage(): CertificateExtension {
  return plain(new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true));
}

export function signingKeyUsage(): CertificateExtension {
  return plain(
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.nonRepudiation, true),
  );
}

export async function subjectKeyId(publicKey: CryptoKey): Promise<CertificateExtension> {
  return plain(await SubjectKeyIdentifierExtension.create(publicKey));
}

export async function authorityKeyId(issuerPublicKey: CryptoKey): Promise<CertificateExtension> {
  return plain(await AuthorityKeyIdentifierExtension.create(issuerPublicKey));
}

export function crlDistributionPoint(url: string): CertificateExtension {
  return plain(new CRLDistributionPointsExtension([url]));
}

const CRL_NUMBER_OID = '2.5.29.20';
const CRL_NUMBER_MAX = 0xff_ffff_ffff;

/** RFC 5280 §5.2.3. */
export function crlNumber(number: number): CertificateExtension {
  assert(Number.isInteger(number) && number >= 0 && number <= CRL_NUMBER_MAX, 'CRL number range');
  const hex = number.toString(16);
  const even = fromHex(hex.padStart(hex.length + (hex.length % 2), '0'));
  const octets = (even[0] ?? 0) > 0x7f ? concat(Uint8Array.of(0), even) : even;
  return {
    oid: CRL_NUMBER_OID,
    critical: false,
    value: concat(Uint8Array.of(0x02, octets.length), octets),
  };
}

export interface SelfSignedInput {
  readonly keys: CryptoKeyPair;
  readonly commonName: string;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Ready for a TLS server or client. */
export interface SelfSigned {
  readonly certificate: Uint8Array;
  readonly certificatePem: string;
  /** PKCS#8. Keep it in memory. */
  readonly privateKeyPem: string;
  readonly spkiSha256: Bytes<32>;
}

const TLS_SERVER_OID = '1.3.6.1.5.5.7.3.1';
const TLS_CLIENT_OID = '1.3.6.1.5.5.7.3.2';
const SERIAL_BYTES = 16;

/** A certificate whose key is pinned, so that neither its name nor its issuer carries trust. P-256 or Ed25519. */
export async function selfSign(input: SelfSignedInput): Promise<SelfSigned> {
  const { keys } = input;
  const name = { commonName: input.commonName };
  const names: JsonGeneralNames = [
    ...(input.dnsNames ?? []).map((value) => ({ type: 'dns' as const, value })),
    ...(input.ipAddresses ?? []).map((value) => ({ type: 'ip' as const, value })),
  ];
  const usages = new ExtendedKeyUsageExtension([TLS_SERVER_OID, TLS_CLIENT_OID]);
  const certificate = await issueCertificate(
    {
      subject: name,
      issuer: name,
      serial: freshSerial(),
      notBeforeMs: input.notBeforeMs,
      notAfterMs: input.notAfterMs,
      publicKey: keys.publicKey,
      extensions: [
        endEntityConstraint(),
        signingKeyUsage(),
        plain(usages),
        ...(names.length > 0 ? [plain(new SubjectAlternativeNameExtension(names))] : []),
      ],
    },
    keys.privateKey,
  );
  return {
    certificate,
    certificatePem: encodePem('CERTIFICATE', certificate),
    privateKeyPem: encodePem('PRIVATE KEY', await exportPrivateKey(keys.privateKey)),
    spkiSha256: await spkiSha256(keys.publicKey),
  };
}

/** Random and positive. */
export function freshSerial(): Uint8Array {
  const serial = crypto.getRandomValues(new Uint8Array(SERIAL_BYTES));
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}

const PEM_LINE = 64;

/** RFC 7468, one final line feed. */
export function encodePem(label: string, der: Uint8Array): string {
  const lines = toBase64(der).match(new RegExp(`.{1,${PEM_LINE}}`, 'g')) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

function nameOf(name: DistinguishedName): Name {
  const text = (type: string, value: string | undefined): JsonNameParams =>
    value === undefined ? [] : [{ [type]: [{ utf8String: value }] }];
  return new Name([
    ...text('CN', name.commonName),
    ...text('O', name.organization),
    ...text('L', name.locality),
    ...text('ST', name.state),
    ...(name.country === undefined ? [] : [{ C: [{ printableString: name.country }] }]),
  ]);
}

function extensionOf(extension: CertificateExtension): Extension {
  return new Extension(extension.oid, extension.critical, ownBuffer(extension.value));
}

function plain(extension: Extension): CertificateExtension {
  return {
    oid: extension.type,
    critical: extension.critical,
    value: new Uint8Array(extension.value),
  };
}

/** WebCrypto's types refuse views of shared memory; a copy never is one. */
function ownBuffer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}
