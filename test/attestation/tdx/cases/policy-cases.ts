/** Authentic evidence that a policy refuses, for one reason each. Spec: tdx.md §4 (6 to 8), §5. @module */

import type { TdxMeasurement } from '../../../../attestation/tdx/td-policy.ts';
import type { TdReport } from '../../../../attestation/tdx/quote.ts';
import { fixed, fromHex, toHex, type Bytes } from '../../../../core/bytes.ts';
import { filled, svn, tdReport, type Faults } from '../../../support/tdx/case.ts';
import { PCK_FACTS } from '../../../support/tdx/pki.ts';
import type { CheckCase } from './check-case.ts';

function hex8(hex: string): Bytes<8> {
  return fixed(fromHex(hex), 8);
}

function running(second: Bytes<16>): NonNullable<Faults['quote']> {
  return { version: 5, body: 3, td: { v15: { teeTcbSvn2: second, mrServiceTd: filled(48, 0) } } };
}

const TCB_CASES: readonly CheckCase[] = [
  {
    id: 'policy.tcbStatus',
    title: 'a TD launched on an older module is refused, although the module is current now',
    faults: {
      quote: {
        version: 5,
        body: 3,
        td: { teeTcbSvn: svn(3, 1, 4) },
      },
    },
  },
  {
    id: 'policy.tcbStatus',
    title: 'an out-of-date machine is refused',
    faults: { quote: { td: { teeTcbSvn: svn(3, 1, 4) } } },
    alsoFails: ['policy.tcbStatus.current'],
    why: 'a report 1.0 has one status for launch and now',
  },
  {
    id: 'policy.tcbStatus',
    title: 'a machine that reaches no level is refused, even where the policy lists NotSupported',
    faults: {
      quote: { td: { teeTcbSvn: svn(5, 1, 0) } },
      policy: { acceptedTcbStatuses: ['UpToDate', 'NotSupported'] },
    },
    alsoFails: ['policy.tcbStatus.current'],
    why: 'a report 1.0 has one status for launch and now',
  },
  {
    id: 'policy.tcbStatus',
    title: 'an empty list of accepted statuses admits nobody',
    faults: { policy: { acceptedTcbStatuses: [] } },
    alsoFails: ['policy.tcbStatus.current'],
    why: 'the list is about both',
  },
  {
    id: 'policy.tcbStatus.current',
    title: 'a good launch does not hide that the module running now is older',
    faults: { quote: running(svn(3, 1, 4)) },
  },
  {
    id: 'policy.tcbStatus.current',
    title: 'a good launch does not hide a module below every level',
    faults: { quote: running(svn(0, 1, 4)) },
    alsoFails: ['policy.tcbStatus'],
    why: 'a module that no level supports makes the whole status NotSupported',
  },
  {
    id: 'policy.advisories',
    title: 'a denied advisory on the matched level is refused',
    faults: {
      quote: { td: { teeTcbSvn: svn(3, 1, 4) } },
      policy: {
        acceptedTcbStatuses: ['UpToDate', 'OutOfDate'],
        deniedAdvisories: ['TEST-SA-M3'],
      },
    },
  },
  {
    id: 'policy.advisories',
    title: 'a denied advisory on the level of the module running now is refused',
    faults: {
      quote: running(svn(3, 1, 4)),
      policy: {
        acceptedTcbStatuses: ['UpToDate', 'OutOfDate'],
        deniedAdvisories: ['TEST-SA-X', 'TEST-SA-M3'],
      },
    },
  },
  {
    id: 'policy.minTcbEvaluationDataNumber',
    title: 'collateral of an earlier recovery event is refused',
    faults: { policy: { minTcbEvaluationDataNumber: 20 } },
  },
  {
    id: 'policy.minTcbEvaluationDataNumber',
    title: 'the smaller number of the two documents counts',
    faults: {
      collateral: { tcbInfoInput: { evaluationNumber: 20 } },
      policy: { minTcbEvaluationDataNumber: 20 },
    },
  },
  {
    id: 'policy.minTeeTcbSvn',
    title: 'one byte below the minimum is refused',
    faults: { policy: { minTeeTcbSvn: svn(4, 1, 5) } },
  },
  {
    id: 'policy.minTeeTcbSvn',
    title: 'the module running now must reach the minimum too',
    faults: {
      quote: running(svn(5, 1, 4)),
      policy: { minTeeTcbSvn: svn(5, 1, 5) },
    },
  },
];

/** ATTRIBUTES with SEPT_VE_DISABLE and these bits. */
function attributes(...bits: readonly number[]): Partial<TdReport> {
  const value = [28, ...bits].reduce((all, bit) => all | (1n << BigInt(bit)), 0n);
  return { tdAttributes: littleEndian(value) };
}

function littleEndian(value: bigint): Bytes<8> {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return fixed(bytes, 8);
}

function isRefusedBit(bit: number): boolean {
  const judgedElsewhere = [0, 28, 29];
  const features = [27, 30, 31, 63];
  return !judgedElsewhere.includes(bit) && !features.includes(bit);
}

const REFUSED_BITS = Array.from({ length: 64 }, (_, bit) => bit).filter(isRefusedBit);

const XFAM = 0x0006_02e7n;
const XFAM_ALLOWED = 0x0006_dbe7n;
const REFUSED_XFAM_BITS = Array.from({ length: 64 }, (_, bit) => bit).filter(
  (bit) => (XFAM_ALLOWED & (1n << BigInt(bit))) === 0n,
);

const TD_CASES: readonly CheckCase[] = [
  {
    id: 'policy.td.debug',
    title: 'a debug TD is refused',
    faults: { quote: { td: attributes(0) } },
  },
  ...REFUSED_BITS.map((bit): CheckCase => ({
    id: 'policy.td.attributesReserved',
    title: `attribute bit ${bit} is refused`,
    faults: { quote: { td: attributes(bit) } },
  })),
  {
    id: 'policy.td.septVeDisable',
    title: 'a TD into which the host can inject #VE is refused',
    faults: { quote: { td: { tdAttributes: hex8('0000000000000000') } } },
  },
  {
    id: 'policy.td.migratable',
    title: 'a migratable TD is refused',
    faults: { quote: { td: attributes(29) } },
  },
  ...[0n, 1n].map((bit): CheckCase => ({
    id: 'policy.td.xfam',
    title: `XFAM without bit ${bit} is refused`,
    faults: { quote: { td: { xfam: littleEndian(XFAM & ~(1n << bit)) } } },
  })),
  ...REFUSED_XFAM_BITS.map((bit): CheckCase => ({
    id: 'policy.td.xfam',
    title: `XFAM bit ${bit} is refused`,
    faults: { quote: { td: { xfam: littleEndian(XFAM | (1n << BigInt(bit))) } } },
  })),
  {
    id: 'policy.td.serviceTd',
    title: 'a bound service TD is refused',
    faults: {
      quote: {
        version: 5,
        body: 3,
        td: { v15: { teeTcbSvn2: svn(5, 1, 4), mrServiceTd: filled(48, 7) } },
      },
    },
  },
  {
    id: 'policy.td.serviceTd',
    title: 'a service TD outside the list is refused',
    faults: {
      quote: {
        version: 5,
        body: 4,
        td: { v15: { teeTcbSvn2: svn(5, 1, 4), mrServiceTd: filled(48, 7) } },
      },
      policy: { serviceTd: { anyOf: [filled(48, 8)] } },
    },
  },
  {
    id: 'policy.tdAttributes',
    title: 'attributes other than the exact ones are refused',
    faults: { policy: { tdAttributes: { equals: hex8('0000001000000080') } } },
  },
  {
    id: 'policy.xfam',
    title: 'an XFAM other than the exact one is refused',
    faults: { policy: { xfam: { equals: hex8('e700060000000000') } } },
  },
];

const TD = tdReport();

const TUPLE: TdxMeasurement = {
  image: 'test',
  shape: 'test',
  mrtd: TD.mrTd,
  rtmr0: TD.rtmr[0],
  rtmr1: TD.rtmr[1],
  rtmr2: TD.rtmr[2],
  rtmr3: TD.rtmr[3],
  mrconfigid: TD.mrConfigId,
  mrowner: TD.mrOwner,
  mrownerconfig: TD.mrOwnerConfig,
};

const REGISTERS = [
  'mrtd',
  'rtmr0',
  'rtmr1',
  'rtmr2',
  'rtmr3',
  'mrconfigid',
  'mrowner',
  'mrownerconfig',
] as const;

const IDENTITY_CASES: readonly CheckCase[] = [
  {
    id: 'policy.mrSeam',
    title: 'a module outside the list is refused',
    faults: { policy: { mrSeam: { anyOf: [filled(48, 1)] } } },
  },
  {
    id: 'policy.mrSeam',
    title: 'an empty list of modules admits nobody',
    faults: { policy: { mrSeam: { anyOf: [] } } },
  },
  {
    id: 'policy.mrTd',
    title: 'an MRTD outside the list is refused',
    faults: { policy: { mrTd: { anyOf: [filled(48, 1)] } } },
  },
  {
    id: 'policy.measurements',
    title: 'an empty list of measurements admits nobody',
    faults: { policy: { measurements: { anyOf: [] } } },
  },
  ...REGISTERS.map((register): CheckCase => ({
    id: 'policy.measurements',
    title: `one differing register is refused (${register})`,
    faults: {
      policy: { measurements: { anyOf: [{ ...TUPLE, [register]: filled(48, 1) }] } },
    },
  })),
  {
    id: 'policy.measurements',
    title: 'registers of two listed tuples do not add up to one',
    faults: {
      policy: {
        measurements: {
          anyOf: [
            { ...TUPLE, rtmr1: filled(48, 1) },
            { ...TUPLE, rtmr2: filled(48, 1) },
          ],
        },
      },
    },
  },
  {
    id: 'policy.reportData',
    title: 'other report data than expected is refused',
    faults: { policy: { reportData: { equals: filled(64, 0) } } },
  },
  {
    id: 'policy.reportData',
    title: 'report data that differs in the last byte is refused',
    faults: { quote: { td: { reportData: fixed(lastByteChanged(TD.reportData), 64) } } },
  },
  {
    id: 'policy.allowedPlatforms',
    title: 'a machine outside the list is refused',
    faults: {
      policy: { allowedPlatforms: { anyOf: [{ kind: 'ppid', value: '33'.repeat(16) }] } },
    },
  },
  {
    id: 'policy.allowedPlatforms',
    title: 'an empty list of machines admits none',
    faults: { policy: { allowedPlatforms: { anyOf: [] } } },
  },
  ...(['ppid', 'fmspc', 'platformInstanceId'] as const).map((kind): CheckCase => ({
    id: 'policy.deniedPlatforms',
    title: `a denied machine is refused by its ${kind}`,
    faults: {
      policy: { deniedPlatforms: [{ kind, value: toHex(PCK_FACTS[kind] ?? new Uint8Array()) }] },
    },
  })),
];

function lastByteChanged(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1;
  return copy;
}

export const POLICY_CASES: readonly CheckCase[] = [...TCB_CASES, ...TD_CASES, ...IDENTITY_CASES];
