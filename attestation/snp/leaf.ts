/**
 * The certificate of the key that signs reports: VCEK (one chip) or VLEK (one cloud), and AMD's extensions in it, which
 * say for which chip and which TCB the key was derived.
 * Spec: AMD VCEK Certificate and KDS Interface Specification (57230) §3; AMD VLEK Certificate Definition (58369) §3.
 * @module
 */

import { fromUtf8, toHex } from '../../core/bytes.ts';
import { attempt, type Attempt } from '../attempt.ts';
import { DerReader, TAG } from '../der.ts';
import { parseCertificate, type Certificate } from '../pki/certificate.ts';
import { CERTIFICATE_MAX_BYTES } from '../pki/limits.ts';
import type { SignerKind } from './bits.ts';
import { snpError } from './errors.ts';
import { productOfAmdName, type SnpProduct, type TcbLayout } from './products.ts';
import type { SnpTcb } from './tcb.ts';

/** Undefined for another common name. */
export const LEAF_NAMES: ReadonlyMap<string, SignerKind> = new Map([
  ['SEV-VCEK', 'vcek'],
  ['SEV-VLEK', 'vlek'],
]);

export interface AmdExtensions {
  readonly product: SnpProduct;
  readonly layout: TcbLayout;
  readonly tcb: SnpTcb;
  /** Whom the key belongs to: 64 or 8 bytes of hardware id, or a cloud's name for itself. */
  readonly owner:
    | { readonly kind: 'vcek'; readonly hwid: Uint8Array }
    | { readonly kind: 'vlek'; readonly cspId: string };
}

export interface Leaf {
  readonly certificate: Certificate;
  /** By common name alone. */
  readonly kind: SignerKind | undefined;
  readonly extensions: Attempt<AmdExtensions>;
}

/** Throws `pki.*`, `der.*` when it is no certificate; wrong extensions are an `Attempt` inside. */
export function parseLeaf(der: Uint8Array): Leaf {
  const certificate = parseCertificate(der);
  return {
    certificate,
    kind: LEAF_NAMES.get(certificate.commonName ?? ''),
    extensions: attempt(() => readAmdExtensions(certificate)),
  };
}

/** 1.3.6.1.4.1.3704.1, content octets as hex; the members stand below it. */
const AMD_ARC = '2b060104019c7801';
const ARC = {
  structVersion: `${AMD_ARC}01`,
  productName: `${AMD_ARC}02`,
  bootloader: `${AMD_ARC}0301`,
  tee: `${AMD_ARC}0302`,
  snp: `${AMD_ARC}0303`,
  spl4: `${AMD_ARC}0304`,
  spl5: `${AMD_ARC}0305`,
  spl6: `${AMD_ARC}0306`,
  spl7: `${AMD_ARC}0307`,
  microcode: `${AMD_ARC}0308`,
  fmc: `${AMD_ARC}0309`,
  hwid: `${AMD_ARC}04`,
  cspId: `${AMD_ARC}05`,
} as const;

const SPL_MAX = 255;
const NAME_MAX_BYTES = 64;
const CSP_ID_MAX_BYTES = 256;

/** Throws `snp.certificate`, `der.*`. Every member of the certificate's structVersion, each once; of the other's none. */
function readAmdExtensions(certificate: Certificate): AmdExtensions {
  if (certificate.repeatedExtensions.size > 0) {
    throw snpError('snp.certificate', 'an extension stands more than once');
  }
  const layout = structVersionOf(certificate);
  const product = productOfAmdName(ia5(certificate, ARC.productName, NAME_MAX_BYTES));
  if (product === undefined) throw snpError('snp.certificate', 'unknown product');
  if (product.layout !== layout) {
    throw snpError('snp.certificate', `structVersion ${layout} for ${product.amdName}`);
  }
  assertZero(
    certificate,
    layout === 0 ? [ARC.spl4, ARC.spl5, ARC.spl6, ARC.spl7] : [ARC.spl5, ARC.spl6, ARC.spl7],
  );
  assertAbsent(certificate, layout === 0 ? ARC.fmc : ARC.spl4);
  return {
    product,
    layout,
    tcb: {
      ...(layout === 0 ? {} : { fmc: spl(certificate, ARC.fmc) }),
      bootloader: spl(certificate, ARC.bootloader),
      tee: spl(certificate, ARC.tee),
      snp: spl(certificate, ARC.snp),
      microcode: spl(certificate, ARC.microcode),
    },
    owner: ownerOf(certificate, product),
  };
}

function structVersionOf(certificate: Certificate): TcbLayout {
  const version = integer(certificate, ARC.structVersion);
  if (version === 0 || version === 1) return version;
  throw snpError('snp.certificate', `structVersion ${version}`);
}

function ownerOf(certificate: Certificate, product: SnpProduct): AmdExtensions['owner'] {
  const { extensions } = certificate;
  if (extensions.has(ARC.hwid) === extensions.has(ARC.cspId)) {
    throw snpError('snp.certificate', 'neither or both of hwID and cspID');
  }
  if (extensions.has(ARC.cspId)) {
    return { kind: 'vlek', cspId: ia5(certificate, ARC.cspId, CSP_ID_MAX_BYTES) };
  }
  const hwid = hwidOf(value(certificate, ARC.hwid), product.hwidBytes);
  if (hwid === undefined) {
    throw snpError('snp.certificate', `hwID is not ${product.hwidBytes} bytes`);
  }
  return { kind: 'vcek', hwid };
}

/** Raw bytes, or in older leaves an OCTET STRING around them. */
function hwidOf(raw: Uint8Array, size: number): Uint8Array | undefined {
  if (raw.length === size) return raw;
  const isWrapped = raw.length === size + 2 && raw[0] === TAG.octetString && raw[1] === size;
  return isWrapped ? raw.subarray(2) : undefined;
}

function value(certificate: Certificate, oid: string): Uint8Array {
  const found = certificate.extensions.get(oid);
  if (found === undefined) throw snpError('snp.certificate', `extension ${oid} is missing`);
  return found;
}

function integer(certificate: Certificate, oid: string): number {
  const reader = DerReader.over(value(certificate, oid), CERTIFICATE_MAX_BYTES);
  const number = reader.small(SPL_MAX, `extension ${oid}`);
  reader.end(`extension ${oid}`);
  return number;
}

function spl(certificate: Certificate, oid: string): number {
  return integer(certificate, oid);
}

function assertZero(certificate: Certificate, oids: readonly string[]): void {
  for (const oid of oids) {
    if (spl(certificate, oid) !== 0) throw snpError('snp.certificate', `${oid} is not zero`);
  }
}

function assertAbsent(certificate: Certificate, oid: string): void {
  if (certificate.extensions.has(oid)) {
    throw snpError('snp.certificate', `extension ${oid} of another structVersion`);
  }
}

/** Printable ASCII. */
function ia5(certificate: Certificate, oid: string, maxBytes: number): string {
  const reader = DerReader.over(value(certificate, oid), CERTIFICATE_MAX_BYTES);
  const { content } = reader.element(TAG.ia5String, `extension ${oid}`);
  reader.end(`extension ${oid}`);
  const isPrintable = content.every((byte) => byte >= 0x20 && byte <= 0x7e);
  if (content.length === 0 || content.length > maxBytes || !isPrintable) {
    throw snpError('snp.certificate', `extension ${oid} is ${toHex(content.subarray(0, 16))}…`);
  }
  return fromUtf8(content);
}
