/**
 * Judges the PCK chain: leaf, intermediate, root. Every rule has its own check, and one broken rule does not hide
 * another. Spec: Intel SGX PCK Certificate and CRL Profile Specification 1.5, §1; RFC 5280 §6.
 * @module
 */

import { toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import type { Certificate } from '../pki/certificate.ts';
import { isValidAt, linkFault, validityText } from '../pki/chain.ts';
import type { TdxCheckId, TdxCheckSheet } from './check-list.ts';
import { SGX_EXTENSIONS } from './intel-certificate.ts';
import type { PckExtension } from './pck-extension.ts';
import type { ReadChain } from './read.ts';
import { findRoot, type TrustRoot } from './roots.ts';

const PCK_CHAIN_LENGTH = 3;
const LEAF_NAME = 'Intel SGX PCK Certificate';
const CA_NAMES: ReadonlyMap<string, 'platform' | 'processor'> = new Map([
  ['Intel SGX PCK Platform CA', 'platform'],
  ['Intel SGX PCK Processor CA', 'processor'],
]);

/** Three certificates that were read; whether they deserve trust stands on the sheet. */
export interface PckChain {
  readonly leaf: Certificate;
  readonly intermediate: Certificate;
  readonly root: Certificate;
  /** Absent when no trusted root is the chain's. */
  readonly trusted: TrustRoot | undefined;
  readonly ca: 'platform' | 'processor' | undefined;
  readonly extension: PckExtension | undefined;
}

const AFTER_CHAIN: readonly TdxCheckId[] = [
  'pck.root',
  'pck.leafRole',
  'pck.caConstraint',
  'pck.validity',
  'pck.extension',
];

export interface Judging {
  readonly sheet: TdxCheckSheet;
  readonly nowMs: number;
  readonly roots: readonly TrustRoot[];
}

export function judgePckChain(read: ReadChain, judging: Judging): PckChain | undefined {
  const { sheet } = judging;
  const want = 'leaf, intermediate and root, each named and signed by the next';
  if (read.certificates.outcome === 'malformed') {
    sheet.fail('pck.chain', want, read.certificates.reason);
    sheet.skip(AFTER_CHAIN, 'pck.chain');
    return undefined;
  }
  const [leaf, intermediate, root, ...more] = read.certificates.value;
  if (leaf === undefined || intermediate === undefined || root === undefined || more.length > 0) {
    const count = read.certificates.value.length;
    sheet.fail('pck.chain', want, `${count} certificates, not ${PCK_CHAIN_LENGTH}`);
    sheet.skip(AFTER_CHAIN, 'pck.chain');
    return undefined;
  }
  const chain = {
    leaf,
    intermediate,
    root,
    trusted: findRoot(judging.roots, root.sha256),
    ca: CA_NAMES.get(intermediate.commonName ?? ''),
    extension: read.extension.outcome === 'read' ? read.extension.value : undefined,
  };
  const fault = chainFault(chain);
  sheet.judge('pck.chain', fault === undefined, want, fault ?? '');
  judgeRoles(chain, judging);
  if (read.extension.outcome === 'read') sheet.pass('pck.extension');
  else sheet.fail('pck.extension', 'each member once and in range', read.extension.reason);
  return chain;
}

function chainFault({ leaf, intermediate, root, ca }: PckChain): string | undefined {
  if (ca === undefined) return 'the intermediate is not a PCK CA of Intel';
  const fault =
    linkFault(leaf, intermediate, 'leaf') ?? linkFault(intermediate, root, 'intermediate');
  if (fault !== undefined) return fault;
  if (intermediate.repeatedExtensions.size > 0 || root.repeatedExtensions.size > 0) {
    return 'a CA certificate repeats an extension';
  }
  return undefined;
}

function judgeRoles(chain: PckChain, { sheet, nowMs }: Judging): void {
  const { leaf, intermediate, root } = chain;
  sheet.judge('pck.root', chain.trusted !== undefined, 'a trusted root', () => toHex(root.sha256));
  const leafFault = leafRoleFault(leaf);
  sheet.judge('pck.leafRole', leafFault === undefined, 'a PCK certificate', leafFault ?? '');
  // The root is followed by one CA, so its path length must leave room for it.
  const room = root.pathLength === undefined || root.pathLength >= 1;
  const areCas = [root, intermediate].every(
    (ca) => ca.isCa && ca.maySignCertificates && ca.maySignCrls,
  );
  sheet.judge(
    'pck.caConstraint',
    areCas && room,
    'root and intermediate may sign certificates and lists',
    'a CA certificate without that right',
  );
  const outside = [leaf, intermediate, root].find((certificate) => !isValidAt(certificate, nowMs));
  sheet.judge(
    'pck.validity',
    outside === undefined,
    () => `valid at ${formatInstant(nowMs)}`,
    () => (outside === undefined ? '' : validityText(outside)),
  );
}

function leafRoleFault(leaf: Certificate): string | undefined {
  if (leaf.commonName !== LEAF_NAME) return 'another common name';
  if (leaf.isCa) return 'a CA certificate';
  return leaf.mayDigitallySign ? undefined : 'a key that may not sign';
}

const SIGNER_NAME = 'Intel SGX TCB Signing';

/** Why this certificate may not sign collateral; undefined when it may. A PCK leaf never may. */
export function signerRoleFault(signer: Certificate): string | undefined {
  if (signer.commonName !== SIGNER_NAME) return 'another common name';
  if (signer.isCa) return 'a CA certificate';
  if (signer.extensions.has(SGX_EXTENSIONS)) return 'a certificate of a platform';
  return signer.mayDigitallySign ? undefined : 'a key that may not sign';
}
