/**
 * Judges the form of a report. Every rule has its own check, and one broken rule does not hide another.
 * Spec: AMD SEV-SNP Firmware ABI (56860) §7.3, tables "ATTESTATION_REPORT", "TCB_VERSION"; sev-snp.md §1, §3 (1).
 * @module
 */

import { sha256 } from '#primitives';
import { equalPublic, toHex } from '../../core/bytes.ts';
import { isGuestPolicyWellFormed, isSignerInfoReservedZero, signingKeyOf } from './bits.ts';
import type { SnpCheckId, SnpCheckSheet } from './check-list.ts';
import { productOfCpuid, type TcbLayout } from './products.ts';
import type { SnpReading } from './read.ts';
import type { SnpReport } from './report.ts';
import { isTcbReservedZero } from './tcb.ts';

const VERSION_MIN = 2;
const VERSION_MAX = 5;
const ECDSA_P384_SHA384 = 1;
const VMPL_MAX = 3;
const RUNTIME_HASH_BYTES = 32;

const FIELD_CHECKS: readonly SnpCheckId[] = [
  'report.version',
  'report.signatureAlgorithm',
  'report.guestPolicy',
  'report.signerInfo',
  'report.signed',
  'report.vmpl',
  'report.cpuid',
  'report.reserved',
  'report.signatureEncoding',
  'hcl.runtimeData',
];

/** Wrapping and form; returns the report when it could be read. */
export function judgeReport(reading: SnpReading, sheet: SnpCheckSheet): SnpReport | undefined {
  judgeWrapping(reading, sheet);
  const { report } = reading;
  if (report === undefined) {
    sheet.skip(['report.length', ...FIELD_CHECKS], 'hcl.format');
    return undefined;
  }
  if (report.outcome === 'malformed') {
    sheet.fail('report.length', '1184 bytes', report.reason);
    sheet.skip(FIELD_CHECKS, 'report.length');
    return undefined;
  }
  sheet.pass('report.length');
  judgeFields(report.value, reading, sheet);
  return report.value;
}

function judgeWrapping({ hcl, certTable }: SnpReading, sheet: SnpCheckSheet): void {
  if (hcl === undefined || (hcl.outcome === 'read' && hcl.value.reportType === 'snp')) {
    sheet.pass('hcl.format');
  } else {
    const got = hcl.outcome === 'malformed' ? hcl.reason : `a ${hcl.value.reportType} report`;
    sheet.fail('hcl.format', 'a blob of the paravisor with an SEV-SNP report', got);
  }
  if (certTable === undefined || certTable.outcome === 'read') sheet.pass('certTable.format');
  else sheet.fail('certTable.format', 'a certificate table', certTable.reason);
}

function judgeFields(report: SnpReport, reading: SnpReading, sheet: SnpCheckSheet): void {
  const { version, guestPolicy, signerInfo, vmpl } = report;
  const isKnown = version >= VERSION_MIN && version <= VERSION_MAX;
  sheet.judge('report.version', isKnown, `${VERSION_MIN} to ${VERSION_MAX}`, String(version));
  sheet.judge(
    'report.signatureAlgorithm',
    report.signatureAlgorithm === ECDSA_P384_SHA384,
    '1: ECDSA P-384 with SHA-384',
    String(report.signatureAlgorithm),
  );
  sheet.judge(
    'report.guestPolicy',
    isGuestPolicyWellFormed(guestPolicy),
    'bit 17 set and bits 26 to 63 clear',
    () => `0x${guestPolicy.toString(16)}`,
  );
  const signingKey = signingKeyOf(signerInfo);
  sheet.judge(
    'report.signerInfo',
    isSignerInfoReservedZero(signerInfo) && signingKey !== 'reserved',
    'a signing key that is VCEK, VLEK or none, and zeros',
    () => `0x${signerInfo.toString(16)}`,
  );
  sheet.judge('report.signed', signingKey !== 'none', 'a signing key', 'none: not signed');
  const vmplText = vmpl === 0xffff_ffff ? 'asked for by the host, not by the guest' : String(vmpl);
  sheet.judge('report.vmpl', vmpl <= VMPL_MAX, `0 to ${VMPL_MAX}`, vmplText);
  if (isKnown) {
    judgeCpuid(report, sheet);
    judgeReserved(report, layoutOf(report, reading), sheet);
  } else {
    sheet.skip(['report.cpuid', 'report.reserved'], 'report.version');
  }
  sheet.judge(
    'report.signatureEncoding',
    reading.signed !== undefined,
    'r and s of 48 bytes, then 24 zeros each',
    'another encoding',
  );
  judgeRuntimeData(report, reading, sheet);
}

function judgeCpuid({ cpuid }: SnpReport, sheet: SnpCheckSheet): void {
  sheet.judge(
    'report.cpuid',
    cpuid === undefined || productOfCpuid(cpuid) !== undefined,
    'a known product',
    () => `family ${cpuid?.family.toString(16)}h, model ${cpuid?.model.toString(16)}h`,
  );
}

/**
 * From the CPUID bytes; for version 2, which has none, from the leaf. Undefined for a product nobody knows.
 */
export function layoutOf({ cpuid }: SnpReport, { vek }: SnpReading): TcbLayout | undefined {
  if (cpuid !== undefined) return productOfCpuid(cpuid)?.layout;
  const extensions = vek?.outcome === 'read' ? vek.value.extensions : undefined;
  return extensions?.outcome === 'read' ? extensions.value.layout : 0;
}

function judgeReserved(
  report: SnpReport,
  layout: TcbLayout | undefined,
  sheet: SnpCheckSheet,
): void {
  const tcbs = [
    ['CURRENT_TCB', report.currentTcb],
    ['REPORTED_TCB', report.reportedTcb],
    ['COMMITTED_TCB', report.committedTcb],
    ['LAUNCH_TCB', report.launchTcb],
  ] as const;
  const bad = [
    ...report.nonZero,
    ...tcbs
      .filter(([, raw]) => layout !== undefined && !isTcbReservedZero(raw, layout))
      .map(([name]) => name),
  ];
  sheet.judge('report.reserved', bad.length === 0, 'zeros', () => `not zero: ${bad.join(', ')}`);
}

function judgeRuntimeData(report: SnpReport, { hcl }: SnpReading, sheet: SnpCheckSheet): void {
  if (hcl?.outcome !== 'read') {
    // A bare report has no runtime data that could be another's.
    sheet.pass('hcl.runtimeData');
    return;
  }
  const want = sha256(hcl.value.runtimeData);
  const got = report.reportData.subarray(0, RUNTIME_HASH_BYTES);
  sheet.judge(
    'hcl.runtimeData',
    equalPublic(want, got),
    () => `REPORT_DATA that starts with ${toHex(want)}`,
    () => toHex(got),
  );
}
