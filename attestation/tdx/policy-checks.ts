/**
 * Judges a TD under a policy. Bits that nobody has explained are refused.
 * Spec: Intel TDX Module ABI Reference, "ATTRIBUTES" (TD attributes, bits 0–63) and "XFAM".
 * @module
 */

import { equalPublic, isZero, toHex } from '../../core/bytes.ts';
import type { Unchecked } from '../unchecked.ts';
import type { TdxCheckId, TdxCheckSheet } from './check-list.ts';
import type { PckExtension } from './pck-extension.ts';
import type { TdReport } from './quote.ts';
import type { TcbEvaluation, TdxStatus, TdxTcb } from './tcb.ts';
import type { PlatformSelector, TdxMeasurement, TdxPolicy } from './td-policy.ts';

const DEBUG = 1n << 0n;
const LASS = 1n << 27n;
const SEPT_VE_DISABLE = 1n << 28n;
const MIGRATABLE = 1n << 29n;
const PKS = 1n << 30n;
const KL = 1n << 31n;
const PERFMON = 1n << 63n;
/** Features, and the three bits that have checks of their own. All others weaken the TD or are unknown. */
const UNDERSTOOD = DEBUG | LASS | SEPT_VE_DISABLE | MIGRATABLE | PKS | KL | PERFMON;
const ALL_BITS = (1n << 64n) - 1n;
/** x87 and SSE are always on. */
const XFAM_REQUIRED = 0x3n;
const XFAM_ALLOWED = 0x0006dbe7n;

/** What needs an authentic machine. */
const TCB_CHECKS: readonly TdxCheckId[] = [
  'policy.tcbStatus',
  'policy.tcbStatus.current',
  'policy.advisories',
  'policy.minTcbEvaluationDataNumber',
];
const PLATFORM_CHECKS: readonly TdxCheckId[] = [
  'policy.allowedPlatforms',
  'policy.deniedPlatforms',
];
const TD_CHECKS: readonly TdxCheckId[] = [
  'policy.minTeeTcbSvn',
  'policy.td.debug',
  'policy.td.attributesReserved',
  'policy.td.septVeDisable',
  'policy.td.migratable',
  'policy.td.xfam',
  'policy.td.serviceTd',
  'policy.tdAttributes',
  'policy.xfam',
  'policy.mrSeam',
  'policy.mrTd',
  'policy.measurements',
  'policy.reportData',
];

export function skipTdPolicy(sheet: TdxCheckSheet, cause: TdxCheckId): void {
  sheet.skip(TD_CHECKS, cause);
}

export function skipTcbPolicy(sheet: TdxCheckSheet, cause: TdxCheckId): void {
  sheet.skip([...TCB_CHECKS, ...PLATFORM_CHECKS], cause);
}

export function judgeTcbPolicy(tcb: TdxTcb, policy: TdxPolicy, sheet: TdxCheckSheet): void {
  const accepted: readonly TdxStatus[] = policy.acceptedTcbStatuses.filter(
    (status) => status !== 'NotSupported',
  );
  const want = accepted.join(', ');
  sheet.judge('policy.tcbStatus', accepted.includes(tcb.status), want, () =>
    statusText(tcb.status, tcb.launch),
  );
  // The best status needs no permission: a policy that takes "relaunch advised" takes the good half of it.
  const { status } = tcb.current;
  sheet.judge(
    'policy.tcbStatus.current',
    accepted.length > 0 && (status === 'UpToDate' || accepted.includes(status)),
    want,
    () => statusText(status, tcb.current),
  );
  const advisories = new Set([...tcb.launch.advisoryIds, ...tcb.current.advisoryIds]);
  const denied = policy.deniedAdvisories.filter((id) => advisories.has(id));
  sheet.judge('policy.advisories', denied.length === 0, 'none of the denied advisories', () =>
    denied.join(', '),
  );
  const min = policy.minTcbEvaluationDataNumber;
  const number = tcb.evaluationDataNumber;
  if (typeof min === 'number') {
    sheet.judge('policy.minTcbEvaluationDataNumber', number >= min, `at least ${min}`, `${number}`);
  } else {
    waive(sheet, 'policy.minTcbEvaluationDataNumber', min);
  }
}

/** The status and what each part lacks: the first thing an operator asks. */
function statusText(status: string, evaluation: TcbEvaluation): string {
  const parts = [
    ['platform', evaluation.platform],
    ['module', evaluation.module],
    ['qe', evaluation.qe],
  ] as const;
  const short = parts.flatMap(([name, part]) =>
    (part?.shortfall ?? []).map((s) => `${name} ${s.component} has ${s.have}, needs ${s.need}`),
  );
  return short.length === 0 ? status : `${status} (${short.join('; ')})`;
}

function waive(sheet: TdxCheckSheet, id: TdxCheckId, unchecked: Unchecked): void {
  sheet.waive(id, id, unchecked.unchecked);
}

export function judgePlatformPolicy(
  pck: PckExtension,
  policy: TdxPolicy,
  sheet: TdxCheckSheet,
): void {
  const { allowedPlatforms, deniedPlatforms } = policy;
  if ('unchecked' in allowedPlatforms) {
    waive(sheet, 'policy.allowedPlatforms', allowedPlatforms);
  } else {
    const listed = allowedPlatforms.anyOf.some((selector) => selects(selector, pck));
    sheet.judge('policy.allowedPlatforms', listed, 'a listed platform', `PPID ${pck.ppid}`);
  }
  const denied = deniedPlatforms.some((selector) => selects(selector, pck));
  sheet.judge('policy.deniedPlatforms', !denied, 'no denied platform', `PPID ${pck.ppid}`);
}

function selects({ kind, value }: PlatformSelector, pck: PckExtension): boolean {
  return pck[kind] === value.toLowerCase();
}

/** Returns the tuple that the TD matches, if measurements are checked and one does. */
export function judgeTdPolicy(
  td: TdReport,
  policy: TdxPolicy,
  sheet: TdxCheckSheet,
): TdxMeasurement | undefined {
  judgeMinSvn(td, policy, sheet);
  judgeAttributes(td, policy, sheet);
  judgeXfam(td, policy, sheet);
  judgeServiceTd(td, policy, sheet);
  judgeAnyOf(sheet, { id: 'policy.mrSeam', got: td.mrSeam, rule: policy.mrSeam });
  judgeAnyOf(sheet, { id: 'policy.mrTd', got: td.mrTd, rule: policy.mrTd });
  judgeEqual(sheet, { id: 'policy.reportData', got: td.reportData, rule: policy.reportData });
  return judgeMeasurements(td, policy, sheet);
}

function judgeMinSvn(td: TdReport, { minTeeTcbSvn }: TdxPolicy, sheet: TdxCheckSheet): void {
  if ('unchecked' in minTeeTcbSvn) {
    waive(sheet, 'policy.minTeeTcbSvn', minTeeTcbSvn);
    return;
  }
  const svns = td.v15 === undefined ? [td.teeTcbSvn] : [td.teeTcbSvn, td.v15.teeTcbSvn2];
  const reached = svns.every((svn) => svn.every((have, i) => have >= (minTeeTcbSvn[i] ?? 0xff)));
  sheet.judge(
    'policy.minTeeTcbSvn',
    reached,
    () => `at least ${toHex(minTeeTcbSvn)}`,
    () => svns.map(toHex).join(', '),
  );
}

function bitsOf(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
}

function judgeAttributes(td: TdReport, policy: TdxPolicy, sheet: TdxCheckSheet): void {
  const bits = bitsOf(td.tdAttributes);
  const got = (): string => toHex(td.tdAttributes);
  if (policy.debug === 'refuse') {
    sheet.judge('policy.td.debug', (bits & DEBUG) === 0n, 'DEBUG clear', got);
  } else {
    waive(sheet, 'policy.td.debug', policy.debug);
  }
  const unknown = bits & ALL_BITS & ~UNDERSTOOD;
  sheet.judge(
    'policy.td.attributesReserved',
    unknown === 0n,
    'no such bit',
    () => `bits 0x${unknown.toString(16)}`,
  );
  if (policy.septVeDisable === 'require') {
    const set = (bits & SEPT_VE_DISABLE) !== 0n;
    sheet.judge('policy.td.septVeDisable', set, 'SEPT_VE_DISABLE set', got);
  } else {
    waive(sheet, 'policy.td.septVeDisable', policy.septVeDisable);
  }
  sheet.judge('policy.td.migratable', (bits & MIGRATABLE) === 0n, 'MIGRATABLE clear', got);
  judgeEqual(sheet, { id: 'policy.tdAttributes', got: td.tdAttributes, rule: policy.tdAttributes });
}

function judgeXfam(td: TdReport, policy: TdxPolicy, sheet: TdxCheckSheet): void {
  const bits = bitsOf(td.xfam);
  const fits = (bits & XFAM_REQUIRED) === XFAM_REQUIRED && (bits & ~XFAM_ALLOWED) === 0n;
  sheet.judge('policy.td.xfam', fits, 'bits 0 and 1, none outside 0x0006dbe7', () =>
    toHex(td.xfam),
  );
  judgeEqual(sheet, { id: 'policy.xfam', got: td.xfam, rule: policy.xfam });
}

function judgeServiceTd(td: TdReport, { serviceTd }: TdxPolicy, sheet: TdxCheckSheet): void {
  const id = 'policy.td.serviceTd';
  const bound = td.v15?.mrServiceTd;
  if (serviceTd !== 'zero' && 'unchecked' in serviceTd) {
    waive(sheet, id, serviceTd);
    return;
  }
  if (bound === undefined || isZero(bound)) {
    sheet.pass(id);
    return;
  }
  const listed = serviceTd === 'zero' ? [] : serviceTd.anyOf;
  const known = listed.some((value) => equalPublic(value, bound));
  sheet.judge(id, known, 'no service TD, or a listed one', () => toHex(bound));
}

interface ExactRule<Rule> {
  readonly id: TdxCheckId;
  readonly got: Uint8Array;
  readonly rule: Rule | Unchecked;
}

function judgeEqual(
  sheet: TdxCheckSheet,
  { id, got, rule }: ExactRule<{ readonly equals: Uint8Array }>,
): void {
  if ('unchecked' in rule) waive(sheet, id, rule);
  else
    sheet.judge(
      id,
      equalPublic(got, rule.equals),
      () => toHex(rule.equals),
      () => toHex(got),
    );
}

function judgeAnyOf(
  sheet: TdxCheckSheet,
  { id, got, rule }: ExactRule<{ readonly anyOf: readonly Uint8Array[] }>,
): void {
  if ('unchecked' in rule) {
    waive(sheet, id, rule);
    return;
  }
  const listed = rule.anyOf.some((value) => equalPublic(value, got));
  sheet.judge(id, listed, `one of ${rule.anyOf.length} listed`, () => toHex(got));
}

function judgeMeasurements(
  td: TdReport,
  { measurements }: TdxPolicy,
  sheet: TdxCheckSheet,
): TdxMeasurement | undefined {
  const id = 'policy.measurements';
  if ('unchecked' in measurements) {
    waive(sheet, id, measurements);
    return undefined;
  }
  const match = measurements.anyOf.find((tuple) => registersDiffering(tuple, td).length === 0);
  sheet.judge(id, match !== undefined, `one of ${measurements.anyOf.length} whole tuples`, () =>
    nearestText(measurements.anyOf, td),
  );
  return match;
}

function registersDiffering(tuple: TdxMeasurement, td: TdReport): readonly string[] {
  const pairs: readonly (readonly [string, Uint8Array, Uint8Array])[] = [
    ['MRTD', tuple.mrtd, td.mrTd],
    ['RTMR0', tuple.rtmr0, td.rtmr[0]],
    ['RTMR1', tuple.rtmr1, td.rtmr[1]],
    ['RTMR2', tuple.rtmr2, td.rtmr[2]],
    ['RTMR3', tuple.rtmr3, td.rtmr[3]],
    ['MRCONFIGID', tuple.mrconfigid, td.mrConfigId],
    ['MROWNER', tuple.mrowner, td.mrOwner],
    ['MROWNERCONFIG', tuple.mrownerconfig, td.mrOwnerConfig],
  ];
  return pairs.filter(([, want, got]) => !equalPublic(want, got)).map(([name]) => name);
}

function nearestText(tuples: readonly TdxMeasurement[], td: TdReport): string {
  let best: { readonly tuple: TdxMeasurement; readonly names: readonly string[] } | undefined;
  for (const tuple of tuples) {
    const names = registersDiffering(tuple, td);
    if (best === undefined || names.length < best.names.length) best = { tuple, names };
  }
  if (best === undefined) return 'the list is empty';
  return `nearest is ${best.tuple.image} on ${best.tuple.shape}, differing in ${best.names.join(', ')}`;
}
