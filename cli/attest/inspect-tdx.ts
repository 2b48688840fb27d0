/**
 * Every readable field of TDX evidence. Reading proves nothing: the caller labels it.
 * Spec: Intel TDX DCAP Quoting Library API, Appendix A; Intel TDX Module ABI Reference, "ATTRIBUTES", "XFAM".
 * @module
 */

import { isZero, toHex } from '../../core/bytes.ts';
import { attempt } from '../../attestation/attempt.ts';
import type { PckExtension } from '../../attestation/tdx/pck-extension.ts';
import { parseTdxQuote, type TdReport, type TdxQuote } from '../../attestation/tdx/quote.ts';
import {
  CertificateReader,
  chainSource,
  readCollateral,
  readPckChain,
  type ReadChain,
  type ReadCollateral,
} from '../../attestation/tdx/read.ts';
import { moduleIdentityId } from '../../attestation/tdx/tcb-evaluation.ts';
import type { TdxTcb, TcbEvaluation } from '../../attestation/tdx/tcb.ts';
import type { TdxResult } from '../../attestation/tdx/verify.ts';
import {
  certificateFields,
  crlFields,
  field,
  listText,
  periodNote,
  periodText,
  section,
  sectionOf,
  unreadable,
  type Field,
  type Section,
} from './fields.ts';
import type { TdxMachine } from './subject.ts';

export function tdxSections(
  { quote: bytes, collateral }: TdxMachine,
  { tcb }: TdxResult,
  nowMs: number,
): readonly Section[] {
  const quote = attempt(() => parseTdxQuote(bytes));
  const reader = new CertificateReader(() => undefined);
  const chain =
    quote.outcome === 'read'
      ? readPckChain(chainSource(quote.value, collateral), reader)
      : undefined;
  return [
    ...(quote.outcome === 'read'
      ? quoteSections(quote.value)
      : [unreadable('quote', 'Quote', quote.reason)]),
    ...(chain === undefined ? [] : chainSections(chain, nowMs)),
    ...collateralSections(readCollateral(collateral, reader), nowMs),
    ...(tcb === undefined ? [] : tcbSections(tcb)),
  ];
}

const REPORT_NAMES = {
  2: 'TD report 1.0',
  3: 'TD report 1.5',
  4: 'TD report 1.5, extended',
} as const;

function quoteSections(quote: TdxQuote): readonly Section[] {
  const { version, bodyType, td, qe, trailing } = quote;
  const spare =
    trailing.length === 0 ? undefined : isZero(trailing) ? 'all zero' : 'NOT ALL ZERO, unsigned';
  return [
    section('quote', 'Quote', [
      field('version', 'version', version, REPORT_NAMES[bodyType]),
      field('qeVendor', 'QE vendor', toHex(quote.qeVendor)),
      field('trailingBytes', 'spare bytes', trailing.length, spare),
    ]),
    section('td', 'TD: what the guest is', tdFields(td)),
    section('module', 'TDX module', moduleFields(td)),
    section('qe', 'Quoting enclave', [
      field('mrSigner', 'MRSIGNER', toHex(qe.mrSigner)),
      field('mrEnclave', 'MRENCLAVE', toHex(qe.mrEnclave)),
      field('isvProdId', 'ISVPRODID', qe.isvProdId),
      field('isvSvn', 'ISVSVN', qe.isvSvn),
      field('attributes', 'ATTRIBUTES', toHex(qe.attributes)),
      field('miscSelect', 'MISCSELECT', toHex(qe.miscSelect)),
    ]),
  ];
}

/** Spec: Intel TDX Module ABI Reference, "ATTRIBUTES". */
const TD_ATTRIBUTES: ReadonlyMap<number, string> = new Map([
  [0, 'DEBUG'],
  [4, 'HGS_PLUS_PROF'],
  [5, 'PERF_PROF'],
  [6, 'PMT_PROF'],
  [16, 'ICSSD'],
  [27, 'LASS'],
  [28, 'SEPT_VE_DISABLE'],
  [29, 'MIGRATABLE'],
  [30, 'PKS'],
  [31, 'KL'],
  [62, 'TPA'],
  [63, 'PERFMON'],
]);

/** Spec: Intel 64 and IA-32 Architectures Software Developer’s Manual, volume 1, §13.1. */
const XFAM_BITS: ReadonlyMap<number, string> = new Map([
  [0, 'x87'],
  [1, 'SSE'],
  [2, 'AVX'],
  [3, 'BNDREG'],
  [4, 'BNDCSR'],
  [5, 'AVX512 opmask'],
  [6, 'AVX512 ZMM_Hi256'],
  [7, 'AVX512 Hi16_ZMM'],
  [8, 'PT'],
  [9, 'PKRU'],
  [10, 'PASID'],
  [11, 'CET_U'],
  [12, 'CET_S'],
  [13, 'HDC'],
  [14, 'UINTR'],
  [15, 'LBR'],
  [16, 'HWP'],
  [17, 'AMX TILECFG'],
  [18, 'AMX TILEDATA'],
  [19, 'APX'],
]);

function bitNames(bytes: Uint8Array, names: ReadonlyMap<number, string>): string {
  const set: string[] = [];
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    if (((bytes[bit >> 3] ?? 0) & (1 << (bit & 7))) === 0) continue;
    set.push(names.get(bit) ?? `bit ${bit} (unknown)`);
  }
  return listText(set);
}

function register(key: string, label: string, bytes: Uint8Array): Field {
  return field(key, label, toHex(bytes));
}

function tdFields(td: TdReport): readonly Field[] {
  return [
    register('mrTd', 'MRTD', td.mrTd),
    ...td.rtmr.map((value, at) => register(`rtmr${at}`, `RTMR${at}`, value)),
    register('mrConfigId', 'MRCONFIGID', td.mrConfigId),
    register('mrOwner', 'MROWNER', td.mrOwner),
    register('mrOwnerConfig', 'MROWNERCONFIG', td.mrOwnerConfig),
    register('reportData', 'REPORTDATA', td.reportData),
    field(
      'attributes',
      'ATTRIBUTES',
      toHex(td.tdAttributes),
      bitNames(td.tdAttributes, TD_ATTRIBUTES),
    ),
    field('xfam', 'XFAM', toHex(td.xfam), bitNames(td.xfam, XFAM_BITS)),
    ...(td.v15 === undefined ? [] : [register('mrServiceTd', 'MRSERVICETD', td.v15.mrServiceTd)]),
    ...extendedFields(td),
  ];
}

function extendedFields({ extended }: TdReport): readonly Field[] {
  if (extended === undefined) return [];
  return [
    field('vmid', 'VMID', extended.vmid),
    field('tdId', 'TD id', toHex(extended.tdId)),
    register('deviceInfoHash', 'device info', extended.deviceInfoHash),
    register('initialServiceTdHash', 'service TD at first', extended.initialServiceTdHash),
    register('currentServiceTdHash', 'service TD now', extended.currentServiceTdHash),
    field('initialTeeTcbSvn', 'TCB SVN at first', svnText(extended.initialTeeTcbSvn)),
  ];
}

/** [0] security version, [1] major version, [2] SEAM loader or late microcode. */
function svnText(svn: Uint8Array): string {
  return `security version ${svn[0] ?? 0}, ${moduleIdentityId(svn[1] ?? 0)}, loader or late microcode ${svn[2] ?? 0}`;
}

function moduleFields(td: TdReport): readonly Field[] {
  const { v15 } = td;
  return [
    field('teeTcbSvn', 'TEE_TCB_SVN', toHex(td.teeTcbSvn), `at launch: ${svnText(td.teeTcbSvn)}`),
    ...(v15 === undefined
      ? []
      : [
          field(
            'teeTcbSvn2',
            'TEE_TCB_SVN_2',
            toHex(v15.teeTcbSvn2),
            `now: ${svnText(v15.teeTcbSvn2)}`,
          ),
        ]),
    field('mrSeam', 'MRSEAM', toHex(td.mrSeam)),
    field(
      'mrSignerSeam',
      'MRSIGNERSEAM',
      toHex(td.mrSignerSeam),
      isZero(td.mrSignerSeam) ? 'signed by Intel' : undefined,
    ),
    register('seamAttributes', 'SEAMATTRIBUTES', td.seamAttributes),
  ];
}

const CHAIN_LABELS = ['leaf', 'intermediate', 'root'] as const;

function chainSections(chain: ReadChain, nowMs: number): readonly Section[] {
  return [
    sectionOf('pckChain', 'PCK certificate chain', chain.certificates, (certificates) =>
      certificates.flatMap((certificate, at) => {
        const label = CHAIN_LABELS[at] ?? `certificate ${at + 1}`;
        return certificateFields(label.replaceAll(' ', ''), label, certificate, nowMs);
      }),
    ),
    sectionOf('platform', 'Platform, as its PCK certificate says', chain.extension, pckFields),
  ];
}

const SGX_TYPES = ['standard', 'scalable', 'scalable with integrity'];

function pckFields(pck: PckExtension): readonly Field[] {
  const { configuration, platformInstanceId } = pck;
  return [
    field('ppid', 'PPID', pck.ppid),
    field('fmspc', 'FMSPC', pck.fmspc),
    field('pceId', 'PCE-ID', pck.pceId),
    field('tcbComponents', 'SGX components', pck.tcbComponents.join(' ')),
    field('pceSvn', 'PCESVN', pck.pceSvn),
    field('cpuSvn', 'CPUSVN', pck.cpuSvn),
    field('sgxType', 'SGX type', pck.sgxType, SGX_TYPES[pck.sgxType]),
    ...(platformInstanceId === undefined
      ? []
      : [field('platformInstanceId', 'instance id', platformInstanceId)]),
    ...(configuration === undefined
      ? []
      : [
          field(
            'configuration',
            'configuration',
            listText([
              ...(configuration.dynamicPlatform ? ['dynamic platform'] : []),
              ...(configuration.cachedKeys ? ['cached keys'] : []),
              ...(configuration.smtEnabled ? ['SMT enabled'] : []),
            ]),
          ),
        ]),
  ];
}

function collateralSections(read: ReadCollateral, nowMs: number): readonly Section[] {
  return [
    sectionOf('tcbInfo', 'TCB info', read.tcbInfo.content, (info) => [
      field(
        'time',
        'time',
        periodText(info.issueDateMs, info.nextUpdateMs),
        periodNote(info.issueDateMs, info.nextUpdateMs, nowMs),
      ),
      field('fmspc', 'FMSPC', info.fmspc),
      field('evaluationDataNumber', 'evaluation data number', info.evaluationDataNumber),
      field('levels', 'levels', info.levels.length),
    ]),
    sectionOf('qeIdentity', 'QE identity', read.qeIdentity.content, (identity) => [
      field(
        'time',
        'time',
        periodText(identity.issueDateMs, identity.nextUpdateMs),
        periodNote(identity.issueDateMs, identity.nextUpdateMs, nowMs),
      ),
      field('evaluationDataNumber', 'evaluation data number', identity.evaluationDataNumber),
    ]),
    sectionOf('pckCrl', 'Revocation list of the PCK CA', read.pckCrl.crl, (crl) =>
      crlFields(crl, nowMs),
    ),
    sectionOf('rootCrl', 'Revocation list of Intel’s root', read.rootCrl.crl, (crl) =>
      crlFields(crl, nowMs),
    ),
  ];
}

/** Exists for genuine evidence only. */
function tcbSections(tcb: TdxTcb): readonly Section[] {
  const { status, launch, current, evaluationDataNumber } = tcb;
  return [
    section('tcb', 'TCB, by Intel’s levels', [
      field('status', 'status', status),
      field('evaluationDataNumber', 'evaluation data number', evaluationDataNumber),
      ...evaluationFields('launch', 'at launch', launch),
      ...(current === launch ? [] : evaluationFields('current', 'now', current)),
    ]),
  ];
}

function evaluationFields(
  key: string,
  label: string,
  { status, platform, module, qe, advisoryIds, tcbDate }: TcbEvaluation,
): readonly Field[] {
  const parts = [
    `platform ${platform.status}`,
    ...(module === undefined ? [] : [`TDX module ${module.status}`]),
    `quoting enclave ${qe.status}`,
  ];
  return [
    field(key, label, status, parts.join(', ')),
    ...(tcbDate === undefined ? [] : [field(`${key}Date`, '', `level of ${tcbDate}`)]),
    field(`${key}Advisories`, '', `advisories: ${listText(advisoryIds)}`),
  ];
}
