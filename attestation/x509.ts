/**
 * Makes certificates and revocation lists for development and test hierarchies, and the self-signed certificates of
 * links. Nothing here verifies: evidence is judged by the strict readers of this room. Keys: x509-keys.ts.
 * The envelopes are written here because the library cannot write a serial number of 0, which AMD's leaves have.
 * Spec: RFC 5280 §4.1, §4.2, §5.1, §5.2.
 * @module
 */

import 'reflect-metadata';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  CRLDistributionPointsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type Extension,
  type JsonGeneralNames,
} from '@peculiar/x509';
import { fromHex, toBase64, utf8, type Bytes } from '../core/bytes.ts';
import { assert } from '../core/errors.ts';
import { TAG } from './der.ts';
import {
  derBits,
  derBoolean,
  derContext,
  derEnumerated,
  derInteger,
  derOctets,
  derOid,
  derSequence,
  derTime,
  derUnsigned,
  derValue,
} from './der-writer.ts';
import {
  defaultScheme,
  exportPrivateKey,
  exportPublicKey,
  spkiSha256,
  type SignatureScheme,
} from './x509-keys.ts';

const NAME_PARTS = {
  commonName: '2.5.4.3',
  country: '2.5.4.6',
  locality: '2.5.4.7',
  state: '2.5.4.8',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
} as const;

type NamePart = keyof typeof NAME_PARTS;

const USUAL_ORDER: readonly NamePart[] = [
  'commonName',
  'organization',
  'organizationalUnit',
  'locality',
  'state',
  'country',
];

/** Absent members are left out. */
export interface DistinguishedName {
  readonly commonName: string;
  readonly organization?: string;
  readonly organizationalUnit?: string;
  readonly locality?: string;
  readonly state?: string;
  readonly country?: string;
  /** Verifiers compare names byte for byte, and authorities differ in the order. Absent: common name first. */
  readonly order?: readonly NamePart[];
}

/** `value` is the DER that goes into the OCTET STRING. */
export interface CertificateExtension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/** A certificate (version 3) before it is signed, as plain data: a test spoils one member and leaves the rest. */
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

const X509_V3 = 2;
const CRL_V2 = 1;

/** DER. */
export async function issueCertificate(
  profile: CertificateProfile,
  issuerKey: CryptoKey,
  scheme: SignatureScheme = defaultScheme(issuerKey),
): Promise<Uint8Array> {
  return await signDer(await writeTbsCertificate(profile, scheme), issuerKey, scheme);
}

/** RFC 5280 §4.1.2: what the issuer signs. */
export async function writeTbsCertificate(
  profile: CertificateProfile,
  scheme: SignatureScheme,
): Promise<Uint8Array> {
  return derSequence(
    derContext(0, derInteger(X509_V3)),
    derUnsigned(profile.serial),
    scheme.identifier,
    derName(profile.issuer),
    derSequence(derTime(profile.notBeforeMs), derTime(profile.notAfterMs)),
    derName(profile.subject),
    await exportPublicKey(profile.publicKey),
    derContext(3, derExtensions(profile.extensions)),
  );
}

/** The envelope that certificates and lists share: what is signed, how, and the signature. */
export async function signDer(
  tbs: Uint8Array,
  issuerKey: CryptoKey,
  scheme: SignatureScheme = defaultScheme(issuerKey),
): Promise<Uint8Array> {
  return derSequence(tbs, scheme.identifier, derBits(await scheme.sign(issuerKey, tbs)));
}

export interface RevokedCertificate {
  /** Unsigned, big-endian. */
  readonly serial: Uint8Array;
  readonly revokedMs: number;
  /** Absent: key compromise. Some authorities leave the reason out. */
  readonly reason?: 'keyCompromise' | 'unsaid';
  /** Beside the reason. */
  readonly extensions?: readonly CertificateExtension[];
}

/** A revocation list (version 2) before it is signed. */
export interface CrlProfile {
  readonly issuer: DistinguishedName;
  readonly thisUpdateMs: number;
  /** Absent: the list says no end, as only a test would. */
  readonly nextUpdateMs?: number;
  readonly revoked: readonly RevokedCertificate[];
  readonly extensions: readonly CertificateExtension[];
}

/** DER. */
export async function issueCrl(
  profile: CrlProfile,
  issuerKey: CryptoKey,
  scheme: SignatureScheme = defaultScheme(issuerKey),
): Promise<Uint8Array> {
  return await signDer(writeTbsCrl(profile, scheme), issuerKey, scheme);
}

/** RFC 5280 §5.1.2: what the issuer signs. */
export function writeTbsCrl(profile: CrlProfile, scheme: SignatureScheme): Uint8Array {
  const { nextUpdateMs, revoked, extensions } = profile;
  return derSequence(
    derInteger(CRL_V2),
    scheme.identifier,
    derName(profile.issuer),
    derTime(profile.thisUpdateMs),
    ...(nextUpdateMs === undefined ? [] : [derTime(nextUpdateMs)]),
    ...(revoked.length === 0 ? [] : [derSequence(...revoked.map(derRevoked))]),
    ...(extensions.length === 0 ? [] : [derContext(0, derExtensions(extensions))]),
  );
}

const CRL_REASON_OID = '2.5.29.21';
const KEY_COMPROMISE = 1;

function derRevoked(entry: RevokedCertificate): Uint8Array {
  const reason: CertificateExtension = {
    oid: CRL_REASON_OID,
    critical: false,
    value: derEnumerated(KEY_COMPROMISE),
  };
  const extensions = [...(entry.extensions ?? []), ...(entry.reason === 'unsaid' ? [] : [reason])];
  return derSequence(
    derUnsigned(entry.serial),
    derTime(entry.revokedMs),
    ...(extensions.length === 0 ? [] : [derExtensions(extensions)]),
  );
}

/** RFC 5280 §4.2.1.9. Without a number the path below may have any length. */
export function caConstraint(pathLength?: number): CertificateExtension {
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
  const magnitude = fromHex(hex.padStart(hex.length + (hex.length % 2), '0'));
  return { oid: CRL_NUMBER_OID, critical: false, value: derUnsigned(magnitude) };
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
        // Among several of one name a verifier finds the right one by its key.
        await subjectKeyId(keys.publicKey),
        await authorityKeyId(keys.publicKey),
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

/** Country is a PrintableString, everything else UTF-8. RFC 5280 §4.1.2.4, appendix A.1. */
export function derName(name: DistinguishedName): Uint8Array {
  const parts = (name.order ?? USUAL_ORDER).flatMap((part) => {
    const text = name[part];
    if (text === undefined) return [];
    const tag = part === 'country' ? TAG.printableString : TAG.utf8String;
    const attribute = derSequence(derOid(NAME_PARTS[part]), derValue(tag, utf8(text)));
    return [derValue(TAG.set, attribute)];
  });
  return derSequence(...parts);
}

/** DER leaves `critical` out where it is FALSE. */
function derExtensions(extensions: readonly CertificateExtension[]): Uint8Array {
  return derSequence(
    ...extensions.map(({ oid, critical, value }) =>
      derSequence(derOid(oid), ...(critical ? [derBoolean(true)] : []), derOctets(value)),
    ),
  );
}

function plain(extension: Extension): CertificateExtension {
  return {
    oid: extension.type,
    critical: extension.critical,
    value: new Uint8Array(extension.value),
  };
}
