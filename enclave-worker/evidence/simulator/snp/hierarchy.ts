/**
 * A certificate hierarchy with the shape of AMD's: ARK, below it ASK and ASVK, below them VCEK and VLEK. The common
 * names are those a verifier demands; the organisation says who really made it.
 * Spec: AMD VCEK Certificate and KDS Interface Specification (57230); VLEK Certificate Definition (58369); sev-snp.md §2.
 * @module
 */

import {
  authorityKeyId,
  caConstraint,
  caKeyUsage,
  crlDistributionPoint,
  subjectKeyId,
  type CertificateExtension,
  type CertificateProfile,
  type CrlProfile,
  type DistinguishedName,
  type RevokedCertificate,
} from '../../../../attestation/x509.ts';
import { pssSha384, type SignatureScheme } from '../../../../attestation/x509-keys.ts';
import { fromHex } from '../../../../core/bytes.ts';
import type { Authority, CrlTimes, Validity } from '../authority.ts';
import { crlProfile } from '../hierarchy.ts';
import { vekEntries, vekExtensions, type VekFacts } from './vek-extensions.ts';

export const SNP_DEVELOPMENT_ORGANIZATION = 'Veilgate development, not AMD';

/** As AMD's key service spells them. */
export type AmdProduct = 'Milan' | 'Genoa' | 'Turin';

/** `vcek` and `vlek` are the keys that sign reports, `ask` and `asvk` the authorities above them. */
export type AmdRole = 'ark' | 'ask' | 'asvk' | 'vcek' | 'vlek';

export const RSA_BITS = 4096;

const ROOT_ARC: Readonly<Record<AmdProduct, number>> = { Milan: 1, Genoa: 2, Turin: 3 };
/** After AMD's: the first octet counts products, the others tell the authorities of one product apart. */
const CA_SERIAL = { ark: [0, 0], ask: [0, 1], asvk: [1, 1] } as const;
/** AMD writes the trailer field in its authorities' certificates and leaves it out in leaves and lists. */
export const CA_SCHEME: SignatureScheme = pssSha384({ trailer: 'written' });

/** keyCertSign, as AMD writes it: with one unused bit where DER would count two. */
const INTERMEDIATE_USAGE: CertificateExtension = {
  oid: '2.5.29.15',
  critical: true,
  value: fromHex('03020104'),
};

function commonNameOf(role: AmdRole, product: AmdProduct): string {
  const names: Readonly<Record<AmdRole, string>> = {
    ark: `ARK-${product}`,
    ask: `SEV-${product}`,
    asvk: `SEV-VLEK-${product}`,
    vcek: 'SEV-VCEK',
    vlek: 'SEV-VLEK',
  };
  return names[role];
}

export function amdName(role: AmdRole, product: AmdProduct): DistinguishedName {
  return {
    organizationalUnit: 'Engineering',
    country: 'US',
    locality: 'Santa Clara',
    state: 'CA',
    organization: SNP_DEVELOPMENT_ORGANIZATION,
    commonName: commonNameOf(role, product),
    order: ['organizationalUnit', 'country', 'locality', 'state', 'organization', 'commonName'],
  };
}

/** Nothing is fetched from it: verifiers take lists as bytes. `.invalid` cannot resolve. */
function crlUrl(kind: 'vcek' | 'vlek', product: AmdProduct): string {
  return `https://development.veilgate.invalid/${kind}/v1/${product}/crl`;
}

export function caSerial(role: keyof typeof CA_SERIAL, product: AmdProduct): Uint8Array {
  return Uint8Array.of(ROOT_ARC[product], ...CA_SERIAL[role]);
}

export interface ProductValidity extends Validity {
  readonly product: AmdProduct;
}

export async function arkProfile(
  ark: Authority,
  validity: ProductValidity,
): Promise<CertificateProfile> {
  const { product } = validity;
  return profileOf(ark, ark, validity, caSerial('ark', product), [
    caKeyUsage(),
    await subjectKeyId(ark.keys.publicKey),
    caConstraint(),
    crlDistributionPoint(crlUrl('vcek', product)),
  ]);
}

/** ASK (`ask`) or ASVK (`asvk`). */
export async function intermediateProfile(
  role: 'ask' | 'asvk',
  intermediate: Authority,
  ark: Authority,
  validity: ProductValidity,
): Promise<CertificateProfile> {
  const { product } = validity;
  return profileOf(intermediate, ark, validity, caSerial(role, product), [
    await subjectKeyId(intermediate.keys.publicKey),
    await authorityKeyId(ark.keys.publicKey),
    caConstraint(0),
    INTERMEDIATE_USAGE,
    crlDistributionPoint(crlUrl(role === 'ask' ? 'vcek' : 'vlek', product)),
  ]);
}

/** Every leaf of AMD has serial 0 and no extension but AMD's own. */
export function vekProfile(
  vek: Authority,
  intermediate: Authority,
  validity: Validity,
  facts: VekFacts,
): CertificateProfile {
  const serial = Uint8Array.of(0);
  return profileOf(vek, intermediate, validity, serial, vekExtensions(vekEntries(facts)));
}

function profileOf(
  subject: Authority,
  issuer: Authority,
  validity: Validity,
  serial: Uint8Array,
  extensions: readonly CertificateExtension[],
): CertificateProfile {
  return {
    subject: subject.name,
    issuer: issuer.name,
    serial,
    notBeforeMs: validity.notBeforeMs,
    notAfterMs: validity.notAfterMs,
    publicKey: subject.keys.publicKey,
    extensions,
  };
}

/** AMD's lists name the key before the number. */
export async function arkCrlProfile(
  ark: Authority,
  times: CrlTimes,
  revoked: readonly RevokedCertificate[] = [],
): Promise<CrlProfile> {
  const profile = await crlProfile(ark, times, revoked);
  return { ...profile, extensions: profile.extensions.toReversed() };
}
