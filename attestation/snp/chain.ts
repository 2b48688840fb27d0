/**
 * Judges the endorsement chain: leaf, ASK or ASVK, ARK, and the ARK's revocation list.
 * Spec: AMD VCEK Certificate and KDS Interface Specification (57230) §3; AMD VLEK Certificate Definition (58369) §3;
 * RFC 5280 §6; RFC 4055 §3.1; sev-snp.md §2, §3 (2).
 * @module
 */

import { equalPublic, toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { OID, unrecognisedCritical, type Certificate } from '../pki/certificate.ts';
import { isIssuedBy, namesIssuer } from '../pki/chain.ts';
import { judgeList, judgeRevoked, type ListCheckIds } from '../pki/revocation.ts';
import { findAnchor, type SnpAnchor } from './anchors.ts';
import type { SignerKind } from './bits.ts';
import type { SnpCheckId, SnpCheckSheet } from './check-list.ts';
import type { SnpPolicy } from './guest-policy.ts';
import type { Leaf } from './leaf.ts';
import { SNP_PRODUCTS, type SnpProduct } from './products.ts';
import type { SnpReading } from './read.ts';

/** Three certificates that were read; whether they deserve trust stands on the sheet. */
export interface SnpChain {
  readonly leaf: Leaf;
  readonly intermediate: Certificate;
  readonly root: Certificate;
  /** Absent when no trusted root is the chain's. */
  readonly anchor: SnpAnchor | undefined;
  /** Of the CAs, by their names. */
  readonly product: SnpProduct | undefined;
}

export interface ChainContext {
  readonly sheet: SnpCheckSheet;
  readonly nowMs: number;
  readonly anchors: readonly SnpAnchor[];
  readonly policy: Pick<SnpPolicy, 'crl'>;
}

const CHAIN_CHECKS: readonly SnpCheckId[] = [
  'chain.algorithms',
  'chain.signatures',
  'chain.constraints',
  'chain.notBefore',
  'chain.notAfter',
];

export function judgeChain(reading: SnpReading, context: ChainContext): SnpChain | undefined {
  const { sheet } = context;
  const leaf = judgeLeafForm(reading, sheet);
  const intermediate = judgeForm('intermediate.format', reading.intermediate, sheet);
  const root = judgeForm('root.format', reading.root, sheet);
  const chain = assemble({ leaf, intermediate, root }, context);
  judgeCrl(reading, { leaf, intermediate, root }, context);
  return chain;
}

function judgeLeafForm({ vek }: SnpReading, sheet: SnpCheckSheet): Leaf | undefined {
  sheet.judge('vek.present', vek !== undefined, 'the certificate of the signing key', 'none');
  if (vek === undefined) {
    sheet.skip(['vek.format', 'vek.extensions'], 'vek.present');
    return undefined;
  }
  if (vek.outcome === 'malformed') {
    sheet.fail('vek.format', 'a certificate', vek.reason);
    sheet.skip(['vek.extensions'], 'vek.format');
    return undefined;
  }
  sheet.pass('vek.format');
  const { extensions } = vek.value;
  if (extensions.outcome === 'read') sheet.pass('vek.extensions');
  else sheet.fail('vek.extensions', "AMD's extensions, each once and in range", extensions.reason);
  return vek.value;
}

function judgeForm(
  id: 'intermediate.format' | 'root.format',
  read: SnpReading['root'],
  sheet: SnpCheckSheet,
): Certificate | undefined {
  if (read?.outcome === 'malformed') {
    sheet.fail(id, 'a certificate', read.reason);
    return undefined;
  }
  // What was not delivered and is not known is a matter of names, judged there.
  sheet.pass(id);
  return read?.value;
}

interface Parts {
  readonly leaf: Leaf | undefined;
  readonly intermediate: Certificate | undefined;
  readonly root: Certificate | undefined;
}

const ROOT_AND_NAMES: readonly SnpCheckId[] = ['chain.root', 'chain.names'];

function assemble(
  { leaf, intermediate, root }: Parts,
  context: ChainContext,
): SnpChain | undefined {
  const { sheet, anchors } = context;
  if (leaf === undefined) {
    sheet.skip(
      [...ROOT_AND_NAMES, ...CHAIN_CHECKS],
      sheet.firstBad(['vek.present', 'vek.format']) ?? 'vek.format',
    );
    return undefined;
  }
  const malformed = sheet.firstBad(['intermediate.format', 'root.format']);
  if (malformed !== undefined) {
    sheet.skip([...ROOT_AND_NAMES, ...CHAIN_CHECKS], malformed);
    return undefined;
  }
  if (intermediate === undefined || root === undefined) {
    const what = intermediate === undefined ? 'leaf' : 'intermediate';
    sheet.fail('chain.names', "names of AMD's hierarchy", `the ${what} names an unknown issuer`);
    sheet.skip(['chain.root', ...CHAIN_CHECKS], 'chain.names');
    return undefined;
  }
  const anchor = findAnchor(anchors, root.sha256);
  sheet.judge('chain.root', anchor !== undefined, 'a trusted root', () => toHex(root.sha256));
  const chain: SnpChain = { leaf, intermediate, root, anchor, product: productOfRoot(root) };
  judgeNames(chain, sheet);
  judgeAlgorithms(chain, sheet);
  judgeSignatures(chain, sheet);
  judgeConstraints(chain, sheet);
  judgeValidity(chain, context);
  return chain;
}

function productOfRoot({ commonName }: Certificate): SnpProduct | undefined {
  return SNP_PRODUCTS.find(({ amdName }) => commonName === `ARK-${amdName}`);
}

function intermediateName(kind: SignerKind, { amdName }: SnpProduct): string {
  return kind === 'vcek' ? `SEV-${amdName}` : `SEV-VLEK-${amdName}`;
}

function judgeNames(chain: SnpChain, sheet: SnpCheckSheet): void {
  const fault = nameFault(chain);
  sheet.judge('chain.names', fault === undefined, "names of AMD's hierarchy", fault ?? '');
}

function nameFault({ leaf, intermediate, root, product }: SnpChain): string | undefined {
  if (leaf.kind === undefined) return 'the leaf is neither SEV-VCEK nor SEV-VLEK';
  if (product === undefined) return 'the root is no ARK of a known product';
  const want = intermediateName(leaf.kind, product);
  if (intermediate.commonName !== want) return `the intermediate is not ${want}`;
  if (!namesIssuer(leaf.certificate, intermediate)) return 'the leaf names another issuer';
  if (!namesIssuer(intermediate, root)) return 'the intermediate names another issuer';
  return equalPublic(root.issuer, root.subject) ? undefined : 'the root names another issuer';
}

const RSA_MODULUS_MIN_BYTES = 512;

function judgeAlgorithms({ leaf, intermediate, root }: SnpChain, sheet: SnpCheckSheet): void {
  const all = [leaf.certificate, intermediate, root];
  const isSigned = all.every(({ signed }) => signed?.algorithm === 'rsa-pss-sha384');
  const areCaKeys = [intermediate, root].every(hasLargeRsaKey);
  const isLeafKey =
    leaf.certificate.publicKey?.kind === 'p384' && leaf.certificate.publicKey.get() !== undefined;
  const got = isSigned
    ? areCaKeys
      ? 'a leaf key that is no point of P-384'
      : 'a CA key that is not RSA of 4096 bits'
    : 'another signature algorithm';
  sheet.judge(
    'chain.algorithms',
    isSigned && areCaKeys && isLeafKey,
    'RSASSA-PSS with SHA-384 and 4096 bits, P-384 in the leaf',
    got,
  );
}

function hasLargeRsaKey({ publicKey }: Certificate): boolean {
  if (publicKey?.kind !== 'rsa' || publicKey.get() === undefined) return false;
  const { raw } = publicKey;
  return (
    raw.length > RSA_MODULUS_MIN_BYTES ||
    (raw.length === RSA_MODULUS_MIN_BYTES && (raw[0] ?? 0) >= 0x80)
  );
}

function judgeSignatures({ leaf, intermediate, root }: SnpChain, sheet: SnpCheckSheet): void {
  const links = [
    { what: 'leaf', subject: leaf.certificate, issuer: intermediate },
    { what: 'intermediate', subject: intermediate, issuer: root },
    { what: 'root', subject: root, issuer: root },
  ];
  if (links.some(({ subject, issuer }) => !subject.signed || issuer.publicKey?.kind !== 'rsa')) {
    sheet.skip(['chain.signatures'], 'chain.algorithms');
    return;
  }
  const broken = links.find(({ subject, issuer }) => !isIssuedBy(subject, issuer));
  sheet.judge(
    'chain.signatures',
    broken === undefined,
    'each signed by the next',
    () => `the ${broken?.what} is not signed by its issuer`,
  );
}

const RECOGNISED: ReadonlySet<string> = new Set([OID.basicConstraints, OID.keyUsage]);

function judgeConstraints(chain: SnpChain, sheet: SnpCheckSheet): void {
  const fault = constraintFault(chain);
  sheet.judge(
    'chain.constraints',
    fault === undefined,
    'CAs that may sign and a leaf that is none',
    fault ?? '',
  );
}

function constraintFault({ leaf, intermediate, root }: SnpChain): string | undefined {
  const { certificate } = leaf;
  const critical = [certificate, intermediate, root]
    .map((one) => unrecognisedCritical(one, RECOGNISED))
    .find((oid) => oid !== undefined);
  if (critical !== undefined) return `unknown critical extension ${critical}`;
  if (certificate.isCa || certificate.maySignCertificates) return 'the leaf is a CA';
  const cas = [intermediate, root];
  if (!cas.every(({ isCa, maySignCertificates }) => isCa && maySignCertificates)) {
    return 'a CA certificate without that right';
  }
  if (!root.maySignCrls) return 'the root may not sign revocation lists';
  if (root.pathLength === 0) return 'the root allows no intermediate';
  const repeats = cas.some(({ repeatedExtensions }) => repeatedExtensions.size > 0);
  return repeats ? 'a CA certificate repeats an extension' : undefined;
}

function judgeValidity(chain: SnpChain, { sheet, nowMs }: ChainContext): void {
  const all = [chain.leaf.certificate, chain.intermediate, chain.root];
  const latest = Math.max(...all.map(({ notBeforeMs }) => notBeforeMs));
  const earliest = Math.min(...all.map(({ notAfterMs }) => notAfterMs));
  const at = (): string => `valid at ${formatInstant(nowMs)}`;
  sheet.judge('chain.notBefore', latest <= nowMs, at, () => `from ${formatInstant(latest)}`);
  sheet.judge('chain.notAfter', nowMs <= earliest, at, () => `until ${formatInstant(earliest)}`);
}

const CRL_IDS: ListCheckIds<SnpCheckId> = {
  format: 'crl.format',
  issuer: 'crl.issuer',
  signature: 'crl.signature',
  freshness: 'crl.freshness',
};
const CRL_CHECKS: readonly SnpCheckId[] = [...Object.values(CRL_IDS), 'chain.revoked'];

/**
 * Leaves have serial number 0 and another issuer, so the ARK's list says nothing about them: it can take back an ASK, an
 * ASVK or the ARK itself.
 */
function judgeCrl(
  { crl }: SnpReading,
  { intermediate, root }: Parts,
  { sheet, nowMs, policy }: ChainContext,
): void {
  if (crl === undefined) {
    if (policy.crl === 'require') {
      sheet.fail('crl.present', 'a revocation list', 'none');
      sheet.skip(CRL_CHECKS, 'crl.present');
    } else {
      for (const id of ['crl.present', ...CRL_CHECKS] as const) {
        sheet.waive(id, 'crl.present', policy.crl.unchecked);
      }
    }
    return;
  }
  sheet.pass('crl.present');
  const cause =
    sheet.firstBad(['vek.present', 'vek.format', 'intermediate.format', 'root.format']) ??
    'chain.names';
  const list = judgeList(CRL_IDS, crl, { sheet, nowMs, issuer: root, cause });
  if (intermediate === undefined || root === undefined) {
    sheet.skip(['chain.revoked'], cause);
    return;
  }
  const revoked =
    list.outcome === 'believed' && list.crl.revokedSerials.has(root.serial) ? root : intermediate;
  judgeRevoked('chain.revoked', revoked, list, sheet);
}
