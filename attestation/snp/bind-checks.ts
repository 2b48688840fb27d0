/**
 * Judges that report and certificate belong together, and the signature itself. A key leaked by old firmware is good for
 * the TCB it was derived for and no other: that is why leaf and report must agree on every component.
 * Spec: AMD VCEK Certificate and KDS Interface Specification (57230) §3.1; sev-snp.md §3 (3, 4).
 * @module
 */

import { equalPublic, isZero, toHex } from '../../core/bytes.ts';
import type { SignatureMemo } from '../pki/signature.ts';
import { signingKeyOf } from './bits.ts';
import type { SnpChain } from './chain.ts';
import type { SnpCheckId, SnpCheckSheet } from './check-list.ts';
import type { SnpPolicy } from './guest-policy.ts';
import type { AmdExtensions, Leaf } from './leaf.ts';
import { productOfCpuid } from './products.ts';
import type { SnpReading } from './read.ts';
import type { SnpReport } from './report.ts';
import { decodeTcb, equalTcb, tcbShortfall, tcbText } from './tcb.ts';

const BIND_CHECKS: readonly SnpCheckId[] = [
  'bind.signerKind',
  'bind.product',
  'bind.tcb',
  'bind.tcbOrder',
  'bind.chipId',
];

export interface BindContext {
  readonly sheet: SnpCheckSheet;
  readonly chain: SnpChain | undefined;
  readonly policy: SnpPolicy;
  readonly memo: SignatureMemo | undefined;
}

export function judgeBinding(
  report: SnpReport | undefined,
  reading: SnpReading,
  context: BindContext,
): void {
  const { sheet } = context;
  const leaf = reading.vek?.outcome === 'read' ? reading.vek.value : undefined;
  if (report === undefined) {
    const cause = sheet.firstBad(['hcl.format', 'report.length']) ?? 'report.length';
    sheet.skip([...BIND_CHECKS, 'policy.maskedChipId', 'report.signature'], cause);
    return;
  }
  judgeMask(report, context);
  if (leaf === undefined) {
    const cause = sheet.firstBad(['vek.present', 'vek.format']) ?? 'vek.format';
    sheet.skip([...BIND_CHECKS, 'report.signature'], cause);
    return;
  }
  judgeSignerKind(report, leaf, sheet);
  if (leaf.extensions.outcome === 'malformed') {
    sheet.skip(BIND_CHECKS.slice(1), 'vek.extensions');
  } else {
    const extensions = leaf.extensions.value;
    judgeProduct(report, extensions, context);
    judgeTcb(report, extensions, sheet);
    judgeChip(report, extensions, context);
  }
  judgeSignature(reading, leaf, context);
}

/** Only a chip key can name a chip, so only there a missing name is masked. */
function judgeMask({ chipId, signerInfo }: SnpReport, { sheet, policy }: BindContext): void {
  const isMasked = signingKeyOf(signerInfo) === 'vcek' && isZero(chipId);
  if (!isMasked || policy.maskedChipId === 'refuse') {
    sheet.judge(
      'policy.maskedChipId',
      !isMasked,
      'a report that names its chip',
      'CHIP_ID is zero',
    );
  } else {
    sheet.waive('policy.maskedChipId', 'policy.maskedChipId', policy.maskedChipId.unchecked);
  }
}

function judgeSignerKind({ signerInfo }: SnpReport, leaf: Leaf, sheet: SnpCheckSheet): void {
  const signer = signingKeyOf(signerInfo);
  if (signer === 'none' || signer === 'reserved') {
    // No certificate is for such a key; the check that says so stands above.
    sheet.skip(['bind.signerKind'], signer === 'none' ? 'report.signed' : 'report.signerInfo');
    return;
  }
  const owner = leaf.extensions.outcome === 'read' ? leaf.extensions.value.owner.kind : leaf.kind;
  sheet.judge(
    'bind.signerKind',
    leaf.kind === signer && owner === signer,
    `a certificate for ${signer}`,
    `one for ${leaf.kind ?? 'something else'}`,
  );
}

function judgeProduct(
  { cpuid }: SnpReport,
  { product }: AmdExtensions,
  { sheet, chain }: BindContext,
): void {
  if (cpuid !== undefined && productOfCpuid(cpuid) === undefined) {
    const cause = sheet.firstBad(['report.version', 'report.cpuid']) ?? 'report.cpuid';
    sheet.skip(['bind.product'], cause);
    return;
  }
  const names = [
    product.name,
    ...(cpuid === undefined ? [] : [productOfCpuid(cpuid)?.name ?? 'unknown']),
    ...(chain === undefined ? [] : [chain.product?.name ?? 'unknown']),
  ];
  sheet.judge(
    'bind.product',
    names.every((name) => name === product.name),
    'report, leaf and CAs of one product',
    () => names.join(', '),
  );
}

function judgeTcb(report: SnpReport, extensions: AmdExtensions, sheet: SnpCheckSheet): void {
  const reported = decodeTcb(report.reportedTcb, extensions.layout);
  sheet.judge(
    'bind.tcb',
    equalTcb(reported, extensions.tcb),
    () => `the TCB of the key: ${tcbText(extensions.tcb)}`,
    () => tcbText(reported),
  );
  const short = tcbShortfall(decodeTcb(report.currentTcb, extensions.layout), reported);
  sheet.judge('bind.tcbOrder', short.length === 0, 'CURRENT_TCB at least REPORTED_TCB', () =>
    short.join(', '),
  );
}

function judgeChip(
  { chipId }: SnpReport,
  { owner }: AmdExtensions,
  { sheet, policy }: BindContext,
): void {
  if (owner.kind === 'vlek') {
    // A cloud's key names no chip.
    sheet.pass('bind.chipId');
    return;
  }
  if (isZero(chipId)) {
    if (sheet.passed('policy.maskedChipId') && policy.maskedChipId !== 'refuse') {
      sheet.waive('bind.chipId', 'policy.maskedChipId', policy.maskedChipId.unchecked);
    } else if (sheet.passed('policy.maskedChipId')) {
      // SIGNER_INFO says VLEK, the certificate is for a chip.
      sheet.skip(['bind.chipId'], 'bind.signerKind');
    } else {
      sheet.skip(['bind.chipId'], 'policy.maskedChipId');
    }
    return;
  }
  const { hwid } = owner;
  const binds =
    equalPublic(chipId.subarray(0, hwid.length), hwid) && isZero(chipId.subarray(hwid.length));
  sheet.judge(
    'bind.chipId',
    binds,
    () => `the chip of the key: ${toHex(hwid)}`,
    () => toHex(chipId),
  );
}

function judgeSignature({ signed }: SnpReading, leaf: Leaf, { sheet, memo }: BindContext): void {
  if (signed === undefined) {
    sheet.skip(['report.signature'], 'report.signatureEncoding');
    return;
  }
  const holds = signed.isSignedBy(leaf.certificate.publicKey, memo);
  sheet.judge('report.signature', holds, 'a signature of the certified key', 'another one');
}
