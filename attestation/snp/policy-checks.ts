/**
 * Judges a guest and its machine under a policy. Bits that nobody has explained are refused unless the policy says
 * otherwise. Spec: AMD SEV-SNP Firmware ABI (56860) §7.3; sev-snp.md §4, §6 "Policy keys".
 * @module
 */

import { equalPublic, toHex } from '../../core/bytes.ts';
import { isUnchecked, type Unchecked } from '../unchecked.ts';
import {
  GUEST_POLICY_BITS,
  guestAbi,
  hasAuthorKey,
  hasBit,
  PLATFORM_INFO_BITS,
  signingKeyOf,
  unknownPlatformBits,
} from './bits.ts';
import {
  GUEST_POLICY_CHECKS,
  PLATFORM_INFO_CHECKS,
  SNP_POLICY_CHECKS,
  type SnpCheckId,
  type SnpCheckSheet,
} from './check-list.ts';
import type { AnyOf, BitRule, SnpPolicy, TcbFloors } from './guest-policy.ts';
import type { AmdExtensions } from './leaf.ts';
import type { SiliconLine, SnpProduct } from './products.ts';
import type { FirmwareVersion, SnpReport } from './report.ts';
import { decodeTcb, tcbShortfall } from './tcb.ts';

export interface PolicySubject {
  readonly report: SnpReport;
  /** From CPUID, else from the leaf; undefined when neither names one. */
  readonly product: SnpProduct | undefined;
  readonly line: SiliconLine | undefined;
  /** Absent when the leaf or its extensions could not be read. */
  readonly extensions: AmdExtensions | undefined;
}

/** `policy.maskedChipId` is judged with the binding. */
export function skipPolicy(sheet: SnpCheckSheet, cause: SnpCheckId): void {
  sheet.skip(
    SNP_POLICY_CHECKS.filter((id) => id !== 'policy.maskedChipId'),
    cause,
  );
}

export function judgePolicy(subject: PolicySubject, policy: SnpPolicy, sheet: SnpCheckSheet): void {
  judgeIdentity(subject, policy, sheet);
  judgeGuest(subject.report, policy, sheet);
  judgePlatform(subject.report, policy, sheet);
  judgeTcb(subject, policy, sheet);
  judgeFirmware(subject.report, policy, sheet);
  judgeMitigations(subject.report, policy, sheet);
  judgeMeasured(subject.report, policy, sheet);
}

function waive(sheet: SnpCheckSheet, id: SnpCheckId, { unchecked }: Unchecked): void {
  sheet.waive(id, id, unchecked);
}

/** Membership by the text of the value; an empty list admits nothing. */
function judgeListed(
  sheet: SnpCheckSheet,
  id: SnpCheckId,
  rule: AnyOf<string> | Unchecked,
  value: string,
): void {
  if (isUnchecked(rule)) {
    waive(sheet, id, rule);
    return;
  }
  const want = rule.anyOf.length === 0 ? 'nothing: the list is empty' : rule.anyOf.join(' | ');
  sheet.judge(id, rule.anyOf.includes(value), want, value);
}

function asHex(rule: AnyOf<Uint8Array> | Unchecked): AnyOf<string> | Unchecked {
  return isUnchecked(rule) ? rule : { anyOf: rule.anyOf.map(toHex) };
}

function judgeIdentity(
  { report, product, extensions }: PolicySubject,
  policy: SnpPolicy,
  sheet: SnpCheckSheet,
): void {
  const signer = signingKeyOf(report.signerInfo);
  judgeListed(sheet, 'policy.product', policy.products, product?.name ?? 'unknown');
  judgeListed(sheet, 'policy.signer', policy.signers, signer);
  judgeAtLeast(sheet, 'policy.reportVersion', policy.minReportVersion, report.version);
  if (!isUnchecked(policy.chipIds) && signer !== 'vcek') {
    sheet.fail('policy.chipId', 'a report that a chip key signed', signer);
  } else {
    judgeListed(sheet, 'policy.chipId', asHex(policy.chipIds), toHex(report.chipId));
  }
  if (extensions?.owner.kind === 'vlek') {
    judgeListed(sheet, 'policy.cspId', policy.cspIds, extensions.owner.cspId);
  } else if (extensions !== undefined || signer === 'vcek') {
    // A chip key belongs to no cloud.
    sheet.pass('policy.cspId');
  } else {
    sheet.skip(
      ['policy.cspId'],
      sheet.firstBad(['vek.present', 'vek.format', 'vek.extensions', 'bind.signerKind']) ??
        'vek.extensions',
    );
  }
}

function judgeAtLeast(
  sheet: SnpCheckSheet,
  id: SnpCheckId,
  min: number | Unchecked,
  value: number,
): void {
  if (typeof min !== 'number') waive(sheet, id, min);
  else sheet.judge(id, value >= min, `at least ${min}`, String(value));
}

function judgeGuest(report: SnpReport, policy: SnpPolicy, sheet: SnpCheckSheet): void {
  const vmpls = isUnchecked(policy.vmpls)
    ? policy.vmpls
    : { anyOf: policy.vmpls.anyOf.map(String) };
  judgeListed(sheet, 'policy.vmpl', vmpls, String(report.vmpl));
  judgeAtLeast(sheet, 'policy.guestSvn', policy.minGuestSvn, report.guestSvn);
  for (const { name, id } of GUEST_POLICY_CHECKS) {
    const isSet = hasBit(report.guestPolicy, GUEST_POLICY_BITS[name]);
    judgeBit(sheet, id, policy.guestPolicy[name], isSet);
  }
  if (isUnchecked(policy.minAbi)) {
    waive(sheet, 'policy.abi', policy.minAbi);
    return;
  }
  const { minAbi } = policy;
  const abi = guestAbi(report.guestPolicy);
  const reaches =
    abi.major > minAbi.major || (abi.major === minAbi.major && abi.minor >= minAbi.minor);
  sheet.judge(
    'policy.abi',
    reaches,
    `at least ${minAbi.major}.${minAbi.minor}`,
    `${abi.major}.${abi.minor}`,
  );
}

function judgeBit(sheet: SnpCheckSheet, id: SnpCheckId, rule: BitRule, isSet: boolean): void {
  if (typeof rule !== 'string') {
    waive(sheet, id, rule);
    return;
  }
  const want = rule === 'require' ? 'set' : 'clear';
  sheet.judge(id, isSet === (rule === 'require'), want, isSet ? 'set' : 'clear');
}

function judgePlatform({ platformInfo }: SnpReport, policy: SnpPolicy, sheet: SnpCheckSheet): void {
  for (const { name, id } of PLATFORM_INFO_CHECKS) {
    const isSet = hasBit(platformInfo, PLATFORM_INFO_BITS[name]);
    judgeBit(sheet, id, policy.platformInfo[name], isSet);
  }
  const id = 'policy.platformInfo.unknownBits';
  if (policy.unknownPlatformBits !== 'forbid') {
    waive(sheet, id, policy.unknownPlatformBits);
    return;
  }
  const unknown = unknownPlatformBits(platformInfo);
  sheet.judge(id, unknown === 0n, 'bits 8 to 63 clear', () => `0x${unknown.toString(16)}`);
}

function judgeTcb(subject: PolicySubject, policy: SnpPolicy, sheet: SnpCheckSheet): void {
  const { report } = subject;
  if (isUnchecked(policy.minTcb)) {
    for (const id of ['policy.tcbFloor', 'policy.tcbMinimum'] as const)
      waive(sheet, id, policy.minTcb);
  } else {
    const judged = shortOf(subject, policy.minTcb.floors, [
      ['CURRENT_TCB', report.currentTcb],
      ['COMMITTED_TCB', report.committedTcb],
      ['REPORTED_TCB', report.reportedTcb],
    ]);
    const line = subject.line ?? 'unknown';
    sheet.judge('policy.tcbFloor', judged !== undefined, 'a floor for this silicon line', line);
    if (judged === undefined) sheet.skip(['policy.tcbMinimum'], 'policy.tcbFloor');
    else judgeShort(sheet, 'policy.tcbMinimum', judged, line);
  }
  if (isUnchecked(policy.minLaunchTcb)) {
    waive(sheet, 'policy.launchTcb', policy.minLaunchTcb);
    return;
  }
  const judged = shortOf(subject, policy.minLaunchTcb.floors, [['LAUNCH_TCB', report.launchTcb]]);
  const line = subject.line ?? 'unknown';
  if (judged === undefined) {
    sheet.fail('policy.launchTcb', 'a floor for this silicon line', line);
  } else {
    judgeShort(sheet, 'policy.launchTcb', judged, line);
  }
}

function judgeShort(
  sheet: SnpCheckSheet,
  id: SnpCheckId,
  short: readonly string[],
  line: string,
): void {
  sheet.judge(id, short.length === 0, `the floor of ${line}`, () => short.join('; '));
}

/** What falls short, by name; undefined when there is no floor for this silicon line. */
function shortOf(
  { product, line }: PolicySubject,
  floors: TcbFloors,
  tcbs: readonly (readonly [name: string, raw: SnpReport['currentTcb']])[],
): readonly string[] | undefined {
  const floor = line === undefined ? undefined : floors[line];
  if (floor === undefined || product === undefined) return undefined;
  return tcbs.flatMap(([name, raw]) =>
    tcbShortfall(decodeTcb(raw, product.layout), floor).map((text) => `${name} ${text}`),
  );
}

function judgeFirmware(report: SnpReport, policy: SnpPolicy, sheet: SnpCheckSheet): void {
  const { currentFirmware: current, committedFirmware: committed } = report;
  if (isUnchecked(policy.minFirmware)) {
    waive(sheet, 'policy.firmware', policy.minFirmware);
  } else {
    const { minFirmware } = policy;
    sheet.judge(
      'policy.firmware',
      [current, committed].every((version) => compareFirmware(version, minFirmware) >= 0),
      () => `at least ${firmwareText(minFirmware)}`,
      () => `${firmwareText(current)}, committed ${firmwareText(committed)}`,
    );
  }
  if (policy.provisionalFirmware !== 'forbid') {
    waive(sheet, 'policy.provisionalFirmware', policy.provisionalFirmware);
    return;
  }
  const isCommitted =
    compareFirmware(current, committed) === 0 &&
    equalPublic(report.currentTcb, report.committedTcb);
  sheet.judge(
    'policy.provisionalFirmware',
    isCommitted,
    'the running firmware committed',
    () => `${firmwareText(current)} runs, ${firmwareText(committed)} is committed`,
  );
}

export function compareFirmware(a: FirmwareVersion, b: FirmwareVersion): number {
  return a.major - b.major || a.minor - b.minor || a.build - b.build;
}

export function firmwareText({ major, minor, build }: FirmwareVersion): string {
  return `${major}.${minor}.${build}`;
}

const VERSION_WITH_MITIGATIONS = 5;

function judgeMitigations(report: SnpReport, policy: SnpPolicy, sheet: SnpCheckSheet): void {
  const has = report.version >= VERSION_WITH_MITIGATIONS;
  const rows = [
    ['policy.mitigations.launch', policy.launchMitigations, report.launchMitigations],
    ['policy.mitigations.current', policy.currentMitigations, report.currentMitigations],
  ] as const;
  for (const [id, rule, reported] of rows) {
    if (isUnchecked(rule)) {
      waive(sheet, id, rule);
      continue;
    }
    const vector = has ? reported : 0n;
    sheet.judge(
      id,
      (vector & rule.mask) === rule.mask,
      () => `all of 0x${rule.mask.toString(16)}`,
      () => (has ? `0x${vector.toString(16)}` : `none: report version ${report.version}`),
    );
  }
}

function judgeMeasured(report: SnpReport, policy: SnpPolicy, sheet: SnpCheckSheet): void {
  judgeListed(sheet, 'policy.measurement', asHex(policy.measurements), toHex(report.measurement));
  judgeReportData(report, policy, sheet);
  const exact = [
    ['policy.hostData', policy.hostData, report.hostData],
    ['policy.familyId', policy.familyId, report.familyId],
    ['policy.imageId', policy.imageId, report.imageId],
    ['policy.reportId', policy.reportId, report.reportId],
    ['policy.reportIdMa', policy.reportIdMa, report.reportIdMa],
  ] as const;
  for (const [id, rule, value] of exact) {
    const listed = isUnchecked(rule) ? rule : { anyOf: [toHex(rule.equals)] };
    judgeListed(sheet, id, listed, toHex(value));
  }
  judgeListed(sheet, 'policy.idKey', asHex(policy.idKeys), toHex(report.idKeyDigest));
  if (!isUnchecked(policy.authorKeys) && !hasAuthorKey(report.signerInfo)) {
    sheet.fail('policy.authorKey', 'a report with an author key', 'AUTHOR_KEY_EN is clear');
    return;
  }
  const digest = toHex(report.authorKeyDigest);
  judgeListed(sheet, 'policy.authorKey', asHex(policy.authorKeys), digest);
}

function judgeReportData(report: SnpReport, policy: SnpPolicy, sheet: SnpCheckSheet): void {
  const id = 'policy.reportData';
  const rule = policy.reportData;
  if (isUnchecked(rule)) {
    waive(sheet, id, rule);
    return;
  }
  const want = 'equals' in rule ? rule.equals : rule.startsWith;
  // An expected value of no bytes would be met by everything.
  const holds = want.length > 0 && equalPublic(report.reportData.subarray(0, want.length), want);
  sheet.judge(
    id,
    holds,
    () => toHex(want) || 'an expected value',
    () => toHex(report.reportData),
  );
}
