/**
 * TCB info of a TDX platform, version 3: which SVNs mean what. Spec: Intel SGX and TDX PCS API v4, "Get TCB Info",
 * TCB info V3 structure.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { JsonObject } from '../../core/json.ts';
import { tdxError } from './errors.ts';
import { MODULE_IDENTITIES_MAX, TCB_LEVELS_MAX } from './limits.ts';
import { TCB_COMPONENTS } from './pck-extension.ts';
import {
  asObject,
  readAdvisories,
  readDay,
  readHex,
  readInstant,
  readInteger,
  readList,
  readText,
} from './signed-json.ts';
import { TCB_STATUSES, type TcbStatus } from './tcb.ts';

const SVN_MAX = 255;
const U16_MAX = 65535;
const NUMBER_MAX = 0xffffffff;
const ID_FORM = /^[\x20-\x7e]{1,64}$/;

/** What a level says about a part whose SVNs reach it. */
export interface LevelVerdict {
  readonly status: TcbStatus;
  /** Day, 2025-11-12. */
  readonly tcbDate: string;
  readonly advisoryIds: readonly string[];
}

export interface PlatformLevel extends LevelVerdict {
  readonly sgx: readonly number[];
  readonly pceSvn: number;
  readonly tdx: readonly number[];
}

/** Of a TDX module or a quoting enclave. */
export interface SvnLevel extends LevelVerdict {
  readonly isvSvn: number;
}

export interface ModuleIdentity {
  /** `TDX_03`; upper case, because Intel itself has changed the case. */
  readonly id: string;
  readonly mrSigner: Bytes<48>;
  readonly attributes: Bytes<8>;
  readonly attributesMask: Bytes<8>;
  /** Highest first. */
  readonly levels: readonly SvnLevel[];
}

export interface TcbInfo {
  readonly id: string;
  readonly version: number;
  readonly tcbType: number;
  readonly issueDateMs: number;
  readonly nextUpdateMs: number;
  /** Lower-case hex. */
  readonly fmspc: string;
  readonly pceId: string;
  readonly evaluationDataNumber: number;
  /** For modules of version 0, which have no identity of their own. */
  readonly module: Omit<ModuleIdentity, 'id' | 'levels'>;
  readonly moduleIdentities: readonly ModuleIdentity[];
  /** Highest first, whatever the order of the document. */
  readonly levels: readonly PlatformLevel[];
}

/** Throws `tdx.collateral`. The values of id, version and tcbType are judged apart, by their own checks. */
export function readTcbInfo(inner: JsonObject): TcbInfo {
  const identities =
    inner['tdxModuleIdentities'] === undefined
      ? []
      : readList(inner, 'tdxModuleIdentities', MODULE_IDENTITIES_MAX).map((entry) =>
          readModuleIdentity(asObject(entry, 'module identity')),
        );
  if (new Set(identities.map((identity) => identity.id)).size !== identities.length) {
    throw tdxError('tdx.collateral', 'two module identities have one id');
  }
  return {
    id: readText(inner, 'id', ID_FORM),
    version: readInteger(inner, 'version', NUMBER_MAX),
    tcbType: readInteger(inner, 'tcbType', NUMBER_MAX),
    issueDateMs: readInstant(inner, 'issueDate'),
    nextUpdateMs: readInstant(inner, 'nextUpdate'),
    fmspc: readText(inner, 'fmspc', /^[0-9a-fA-F]{12}$/).toLowerCase(),
    pceId: readText(inner, 'pceId', /^[0-9a-fA-F]{4}$/).toLowerCase(),
    evaluationDataNumber: readInteger(inner, 'tcbEvaluationDataNumber', NUMBER_MAX),
    module: readModule(asObject(inner['tdxModule'], 'tdxModule')),
    moduleIdentities: identities,
    levels: readPlatformLevels(inner),
  };
}

function readModule(object: JsonObject): TcbInfo['module'] {
  return {
    mrSigner: readHex(object, 'mrsigner', 48),
    attributes: readHex(object, 'attributes', 8),
    attributesMask: readHex(object, 'attributesMask', 8),
  };
}

function readModuleIdentity(object: JsonObject): ModuleIdentity {
  return {
    id: readText(object, 'id', ID_FORM).toUpperCase(),
    ...readModule(object),
    levels: readSvnLevels(object),
  };
}

function readPlatformLevels(inner: JsonObject): readonly PlatformLevel[] {
  const levels = readList(inner, 'tcbLevels', TCB_LEVELS_MAX).map((entry) => {
    const level = asObject(entry, 'TCB level');
    const tcb = asObject(level['tcb'], 'tcb');
    return {
      sgx: readComponents(tcb, 'sgxtcbcomponents'),
      pceSvn: readInteger(tcb, 'pcesvn', U16_MAX),
      tdx: readComponents(tcb, 'tdxtcbcomponents'),
      ...readVerdict(level, TCB_STATUSES),
    };
  });
  if (levels.length === 0) throw tdxError('tdx.collateral', 'tcbLevels is empty');
  return strictlyDescending(levels, comparePlatforms);
}

function readComponents(tcb: JsonObject, name: string): readonly number[] {
  const list = readList(tcb, name, TCB_COMPONENTS);
  if (list.length !== TCB_COMPONENTS) {
    throw tdxError('tdx.collateral', `${name} has ${list.length} entries`);
  }
  return list.map((component) => readInteger(asObject(component, name), 'svn', SVN_MAX));
}

function comparePlatforms(a: PlatformLevel, b: PlatformLevel): number {
  return compareSvns(b.sgx, a.sgx) || b.pceSvn - a.pceSvn || compareSvns(b.tdx, a.tdx);
}

function compareSvns(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < TCB_COMPONENTS; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Modules and quoting enclaves know these three only. */
const SVN_LEVEL_STATUSES: readonly TcbStatus[] = ['UpToDate', 'OutOfDate', 'Revoked'];

/** `tcbLevels` whose `tcb` is one `isvsvn`; highest first. Throws `tdx.collateral`. */
export function readSvnLevels(object: JsonObject): readonly SvnLevel[] {
  const levels = readList(object, 'tcbLevels', TCB_LEVELS_MAX).map((entry) => {
    const level = asObject(entry, 'TCB level');
    return {
      isvSvn: readInteger(asObject(level['tcb'], 'tcb'), 'isvsvn', U16_MAX),
      ...readVerdict(level, SVN_LEVEL_STATUSES),
    };
  });
  if (levels.length === 0) throw tdxError('tdx.collateral', 'tcbLevels is empty');
  return strictlyDescending(levels, (a, b) => b.isvSvn - a.isvSvn);
}

/** Refuses equal SVNs: of two levels for one state of the machine, the document's order would choose the verdict. */
function strictlyDescending<Level>(
  levels: readonly Level[],
  higherFirst: (a: Level, b: Level) => number,
): readonly Level[] {
  const sorted = levels.toSorted(higherFirst);
  for (const [i, level] of sorted.entries()) {
    const next = sorted[i + 1];
    if (next !== undefined && higherFirst(level, next) === 0) {
      throw tdxError('tdx.collateral', 'two TCB levels have the same SVNs');
    }
  }
  return sorted;
}

function readVerdict(level: JsonObject, known: readonly TcbStatus[]): LevelVerdict {
  const status = known.find((candidate) => candidate === level['tcbStatus']);
  if (status === undefined) throw tdxError('tdx.collateral', 'unknown tcbStatus');
  return {
    status,
    tcbDate: readDay(level, 'tcbDate'),
    advisoryIds: readAdvisories(level),
  };
}
