/**
 * From SVNs to a status: levels of the platform, the TDX module and the quoting enclave, converged; twice where the
 * report names the module at launch and the module running now.
 * Spec: Intel SGX and TDX PCS API v4, "Get TCB Info" (appraisal of TDX TCB); Intel TDX DCAP Quote Verification
 * Library, TCB status convergence and TD relaunch rules.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { PckExtension } from './pck-extension.ts';
import type { QeIdentity } from './qe-identity.ts';
import type { QeReport, TdReport } from './quote.ts';
import type { LevelVerdict, PlatformLevel, SvnLevel, TcbInfo } from './tcb-info.ts';
import {
  TCB_STATUSES,
  type Shortfall,
  type TcbEvaluation,
  type TcbPart,
  type TcbStatus,
  type TdxStatus,
  type TdxTcb,
} from './tcb.ts';

export interface TcbInputs {
  readonly tcbInfo: TcbInfo;
  readonly qeIdentity: QeIdentity;
  readonly pck: PckExtension;
  readonly td: TdReport;
  readonly qe: QeReport;
}

export function evaluateTcb(inputs: TcbInputs): TdxTcb {
  const qe = svnPart(inputs.qeIdentity.levels, inputs.qe.isvSvn);
  const launch = evaluateWith(inputs, inputs.td.teeTcbSvn, qe);
  const second = inputs.td.v15?.teeTcbSvn2;
  const current = second === undefined ? launch : evaluateWith(inputs, second, qe);
  return {
    status: relaunchStatus(launch.status, current.status),
    launch,
    current,
    evaluationDataNumber: Math.min(
      inputs.tcbInfo.evaluationDataNumber,
      inputs.qeIdentity.evaluationDataNumber,
    ),
  };
}

function evaluateWith(inputs: TcbInputs, svn: Bytes<16>, qe: TcbPart): TcbEvaluation {
  const { tcbInfo, pck } = inputs;
  const platform = platformPart(tcbInfo.levels, pck, svn);
  const version = svn[1] ?? 0;
  const module = version === 0 ? undefined : modulePart(tcbInfo, version, svn[0] ?? 0);
  const parts = module === undefined ? [platform, qe] : [platform, module, qe];
  const others = module === undefined ? [qe.status] : [module.status, qe.status];
  const dates = parts.flatMap((part) => (part.tcbDate === undefined ? [] : [part.tcbDate]));
  const [oldest] = dates.toSorted();
  return {
    status: converge(platform.status, others),
    platform,
    ...(module === undefined ? {} : { module }),
    qe,
    advisoryIds: [...new Set(parts.flatMap((part) => part.advisoryIds))].sort(),
    ...(oldest === undefined || dates.length < parts.length ? {} : { tcbDate: oldest }),
  };
}

/** The identity entry for a module of this major version; ids compare without case. */
export function moduleIdentityId(version: number): string {
  return `TDX_${version.toString(16).padStart(2, '0').toUpperCase()}`;
}

function modulePart(tcbInfo: TcbInfo, version: number, isvSvn: number): TcbPart {
  const id = moduleIdentityId(version);
  const identity = tcbInfo.moduleIdentities.find((entry) => entry.id === id);
  return svnPart(identity?.levels ?? [], isvSvn);
}

const NO_LEVEL = { status: 'NotSupported', advisoryIds: [] } as const;

function partOf(level: LevelVerdict | undefined, shortfall: readonly Shortfall[]): TcbPart {
  if (level === undefined) return { ...NO_LEVEL, shortfall };
  const { status, tcbDate, advisoryIds } = level;
  return { status, tcbDate, advisoryIds, shortfall };
}

function svnPart(levels: readonly SvnLevel[], isvSvn: number): TcbPart {
  const level = levels.find((candidate) => candidate.isvSvn <= isvSvn);
  const best = bestOf(levels);
  const short = best !== undefined && best.isvSvn > isvSvn;
  return partOf(level, short ? [{ component: 'isvsvn', have: isvSvn, need: best.isvSvn }] : []);
}

function platformPart(
  levels: readonly PlatformLevel[],
  pck: PckExtension,
  svn: Bytes<16>,
): TcbPart {
  const level = levels.find((candidate) => platformShortfall(candidate, pck, svn).length === 0);
  const best = bestOf(levels);
  const shortfall = best === undefined || best === level ? [] : platformShortfall(best, pck, svn);
  return partOf(level, shortfall);
}

/** Empty when the machine reaches the level. */
function platformShortfall(
  level: PlatformLevel,
  pck: PckExtension,
  svn: Bytes<16>,
): readonly Shortfall[] {
  const short: Shortfall[] = [];
  level.sgx.forEach((need, i) => {
    const have = pck.tcbComponents[i] ?? 0;
    if (have < need) short.push({ component: `sgx[${i}]`, have, need });
  });
  if (pck.pceSvn < level.pceSvn) {
    short.push({ component: 'pcesvn', have: pck.pceSvn, need: level.pceSvn });
  }
  // A module with a version of its own is judged by its identity: its SVN and version take no part here.
  const first = svn[1] === 0 ? 0 : 2;
  level.tdx.forEach((need, i) => {
    const have = svn[i] ?? 0;
    if (i >= first && have < need) short.push({ component: `tdx[${i}]`, have, need });
  });
  return short;
}

/** The highest level of the best status that the list offers: what "being current" means. */
function bestOf<Level extends LevelVerdict>(levels: readonly Level[]): Level | undefined {
  let best: Level | undefined;
  for (const level of levels) {
    if (best === undefined || rank(level.status) < rank(best.status)) best = level;
  }
  return best;
}

function rank(status: TcbStatus): number {
  return TCB_STATUSES.indexOf(status);
}

type PartStatus = TcbPart['status'];

function converge(platform: PartStatus, others: readonly PartStatus[]): PartStatus {
  if (platform === 'NotSupported' || others.includes('NotSupported')) return 'NotSupported';
  if (platform === 'Revoked' || others.includes('Revoked')) return 'Revoked';
  if (!others.includes('OutOfDate')) return platform;
  return NEEDS_CONFIGURATION.has(platform) ? 'OutOfDateConfigurationNeeded' : 'OutOfDate';
}

const RUNS_WELL: ReadonlySet<PartStatus> = new Set([
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
]);
const NEEDS_CONFIGURATION: ReadonlySet<PartStatus> = new Set([
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDateConfigurationNeeded',
]);

/** One status for launch and current together. A status that no level supports on either side is not hidden. */
function relaunchStatus(launch: PartStatus, current: PartStatus): TdxStatus {
  if (current === 'NotSupported') return 'NotSupported';
  const isBehind = launch === 'OutOfDate' || launch === 'OutOfDateConfigurationNeeded';
  if (!isBehind || !RUNS_WELL.has(current)) return launch;
  return NEEDS_CONFIGURATION.has(launch) || NEEDS_CONFIGURATION.has(current)
    ? 'TDRelaunchAdvisedConfigurationNeeded'
    : 'TDRelaunchAdvised';
}
