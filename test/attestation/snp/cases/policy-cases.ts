/** Genuine evidence that one line of the policy refuses. Spec: sev-snp.md §1.2, §1.3, §4, §8. @module */

import type { SnpCheckId } from '../../../../attestation/snp/check-list.ts';
import { GUEST_POLICY_BITS, PLATFORM_INFO_BITS } from '../../../../attestation/snp/bits.ts';
import {
  GUEST_POLICY_CHECKS,
  PLATFORM_INFO_CHECKS,
} from '../../../../attestation/snp/check-list.ts';
import type { SnpPolicy, TcbFloors } from '../../../../attestation/snp/guest-policy.ts';
import { concat, fixed, type Bytes } from '../../../../core/bytes.ts';
import type { ReportFields } from '../../../../enclave-worker/evidence/simulator/snp/report-writer.ts';
import { flipped } from '../../../support/changes.ts';
import { NOT_ASKED, soundPolicy, soundReport, type SnpFaults } from '../../../support/snp/case.ts';
import { CSP_ID, PRODUCTS } from '../../../support/snp/pki.ts';
import type { SnpCheckCase } from './check-case.ts';

const KIND = { product: 'Genoa', signer: 'vcek' } as const;
const REPORT = soundReport(KIND);
const POLICY = soundPolicy(KIND);
const NONE = { anyOf: [] } as const;

function policy(id: SnpCheckId, title: string, change: Partial<SnpPolicy>): SnpCheckCase {
  return { id, title, faults: { policy: change } };
}

function report(id: SnpCheckId, title: string, fields: Partial<ReportFields>): SnpCheckCase {
  return { id, title, faults: { report: { fields } } };
}

function changed<N extends number>(bytes: Bytes<N>, size: N, at: number): Bytes<N> {
  return fixed(flipped(at)(bytes), size);
}

const IDENTITY_CASES: readonly SnpCheckCase[] = [
  policy('policy.product', 'a product that is not listed is refused', {
    products: { anyOf: ['turin', 'milan'] },
  }),
  policy('policy.product', 'an empty list of products admits none', { products: NONE }),
  policy('policy.signer', 'a chip key is refused where clouds alone are listed', {
    signers: { anyOf: ['vlek'] },
  }),
  policy('policy.signer', 'an empty list of signers admits none', { signers: NONE }),
  {
    id: 'policy.signer',
    title: "a cloud's key is refused where chips alone are listed",
    faults: { signer: 'vlek', policy: { signers: { anyOf: ['vcek'] } } },
  },
  policy('policy.reportVersion', 'a version below the least is refused', { minReportVersion: 6 }),
  policy('policy.chipId', 'a chip that is not listed is refused', {
    chipIds: { anyOf: [fixed(new Uint8Array(64).fill(9), 64)] },
  }),
  policy('policy.chipId', 'an empty list of chips admits none', { chipIds: NONE }),
  {
    id: 'policy.chipId',
    title:
      "a cloud's key is refused where chips are listed, although the report names a listed one",
    faults: {
      signer: 'vlek',
      report: { fields: { chipId: PRODUCTS.Genoa.chipId } },
      policy: { chipIds: { anyOf: [PRODUCTS.Genoa.chipId] } },
    },
  },
  ...['CN=other.cloud.example', `${CSP_ID} `, CSP_ID.toUpperCase(), CSP_ID.slice(0, -1)].map(
    (name): SnpCheckCase => ({
      id: 'policy.cspId',
      title: `the cloud is not "${name}"`,
      faults: { signer: 'vlek', policy: { cspIds: { anyOf: [name] } } },
    }),
  ),
  {
    id: 'policy.cspId',
    title: 'an empty list of clouds admits none',
    faults: { signer: 'vlek', policy: { cspIds: NONE } },
  },
];

const GUEST_CASES: readonly SnpCheckCase[] = [
  ...[1, 2, 3].map((vmpl) =>
    report('policy.vmpl', `privilege level ${vmpl} is refused where 0 is wanted`, { vmpl }),
  ),
  policy('policy.vmpl', 'an empty list of levels admits none', { vmpls: NONE }),
  policy('policy.guestSvn', 'a version of the guest below the least is refused', {
    minGuestSvn: REPORT.guestSvn + 1,
  }),
  ...GUEST_POLICY_CHECKS.flatMap(({ id, name }): readonly SnpCheckCase[] => {
    const bit = 1n << BigInt(GUEST_POLICY_BITS[name]);
    const rules = (rule: 'require' | 'forbid'): Partial<SnpPolicy> => ({
      guestPolicy: { ...POLICY.guestPolicy, [name]: rule },
    });
    return [
      {
        id,
        title: 'set where it is forbidden',
        faults: {
          report: { fields: { policy: REPORT.policy | bit } },
          policy: rules('forbid'),
        },
      },
      {
        id,
        title: 'clear where it is required',
        faults: {
          report: { fields: { policy: REPORT.policy & ~bit } },
          policy: rules('require'),
        },
      },
    ];
  }),
  policy('policy.abi', 'a minor ABI below the least is refused', {
    minAbi: { major: 1, minor: 56 },
  }),
  policy('policy.abi', 'a major ABI below the least is refused, although the minor is higher', {
    minAbi: { major: 2, minor: 0 },
  }),
];

const PLATFORM_CASES: readonly SnpCheckCase[] = [
  ...PLATFORM_INFO_CHECKS.flatMap(({ id, name }): readonly SnpCheckCase[] => {
    const bit = 1n << BigInt(PLATFORM_INFO_BITS[name]);
    const rules = (rule: 'require' | 'forbid'): Partial<SnpPolicy> => ({
      platformInfo: { ...POLICY.platformInfo, [name]: rule },
    });
    return [
      {
        id,
        title: 'set where it is forbidden',
        faults: {
          report: { fields: { platformInfo: REPORT.platformInfo | bit } },
          policy: rules('forbid'),
        },
      },
      {
        id,
        title: 'clear where it is required',
        faults: {
          report: { fields: { platformInfo: REPORT.platformInfo & ~bit } },
          policy: rules('require'),
        },
      },
    ];
  }),
  ...[8n, 31n, 32n, 63n].map((bit) =>
    report('policy.platformInfo.unknownBits', `bit ${bit} that nobody explained is refused`, {
      platformInfo: REPORT.platformInfo | (1n << bit),
    }),
  ),
];

const COMPONENTS = ['bootloader', 'tee', 'snp', 'microcode'] as const;
const FLOOR = PRODUCTS.Genoa.tcb;
const NO_FLOOR = 'a floor that is not there cannot be reached';

function above(component: (typeof COMPONENTS)[number] | 'fmc'): SnpFaults {
  const product = component === 'fmc' ? 'Turin' : 'Genoa';
  const { tcb } = PRODUCTS[product];
  const floor = { ...tcb, [component]: (tcb[component] ?? 0) + 1 };
  return { product, policy: { minTcb: { floors: { [product.toLowerCase()]: floor } } } };
}

function noFloor(title: string, floors: TcbFloors): SnpCheckCase {
  return {
    id: 'policy.tcbFloor',
    title,
    faults: { policy: { minTcb: { floors } } },
    skips: ['policy.tcbMinimum'],
    why: NO_FLOOR,
  };
}

const TCB_CASES: readonly SnpCheckCase[] = [
  noFloor('no floor at all is refused', {}),
  noFloor('the floor of another line is refused', {
    'genoa-x': FLOOR,
    'bergamo-siena': FLOOR,
    milan: FLOOR,
  }),
  ...(
    [
      [0xa0, 1],
      [0x11, 2],
    ] as const
  ).map(([model, stepping]): SnpCheckCase => ({
    id: 'policy.tcbFloor',
    title: `model ${model.toString(16)}h, stepping ${stepping} needs a floor of its own`,
    faults: {
      report: { fields: { cpuid: { family: 0x19, model, stepping } } },
      policy: { minLaunchTcb: NOT_ASKED },
    },
    skips: ['policy.tcbMinimum'],
    why: NO_FLOOR,
  })),
  ...[...COMPONENTS, 'fmc' as const].map((component): SnpCheckCase => ({
    id: 'policy.tcbMinimum',
    title: `a machine below the floor is refused (${component})`,
    faults: above(component),
  })),
  {
    id: 'policy.tcbMinimum',
    title: 'firmware that can be gone back behind is refused (COMMITTED_TCB)',
    faults: {
      report: { fields: { committedTcb: { ...FLOOR, snp: FLOOR.snp - 1 } } },
      policy: { provisionalFirmware: NOT_ASKED },
    },
  },
  {
    id: 'policy.tcbMinimum',
    title: 'a key of older firmware is refused (REPORTED_TCB)',
    faults: {
      chain: { facts: { tcb: { ...FLOOR, microcode: FLOOR.microcode - 1 } } },
      report: { fields: { reportedTcb: { ...FLOOR, microcode: FLOOR.microcode - 1 } } },
    },
  },
  ...COMPONENTS.filter((component) => FLOOR[component] > 0).map((component) =>
    report('policy.launchTcb', `a guest of older firmware is refused (${component})`, {
      launchTcb: { ...FLOOR, [component]: FLOOR[component] - 1 },
    }),
  ),
  policy('policy.launchTcb', 'no floor for the launch is refused', {
    minLaunchTcb: { floors: {} },
  }),
];

const FIRMWARE_CASES: readonly SnpCheckCase[] = [
  policy('policy.firmware', 'a build below the least is refused', {
    minFirmware: { major: 1, minor: 55, build: 41 },
  }),
  policy('policy.firmware', 'a minor below the least is refused', {
    minFirmware: { major: 1, minor: 56, build: 0 },
  }),
  policy('policy.firmware', 'a major below the least is refused', {
    minFirmware: { major: 2, minor: 0, build: 0 },
  }),
  {
    id: 'policy.firmware',
    title: 'a committed version below the least is refused',
    faults: {
      report: { fields: { committedFirmware: { major: 1, minor: 54, build: 99 } } },
      policy: { provisionalFirmware: NOT_ASKED },
    },
  },
  {
    id: 'policy.firmware',
    title: 'a running version below the least is refused, although a later one is committed',
    faults: {
      report: { fields: { currentFirmware: { major: 1, minor: 54, build: 99 } } },
      policy: { provisionalFirmware: NOT_ASKED },
    },
  },
  report('policy.provisionalFirmware', 'a version that is not committed is refused', {
    currentFirmware: { major: 1, minor: 55, build: 41 },
  }),
  report('policy.provisionalFirmware', 'a TCB that is not committed is refused', {
    currentTcb: { ...FLOOR, microcode: FLOOR.microcode + 1 },
  }),
  report('policy.mitigations.launch', 'a mitigation missing at launch is refused', {
    launchMitigations: 0x03n,
  }),
  report('policy.mitigations.current', 'a mitigation missing now is refused', {
    currentMitigations: 0xf4n,
  }),
  policy('policy.mitigations.current', 'a mitigation in the highest bit is asked for', {
    currentMitigations: { mask: 1n << 63n },
  }),
  {
    id: 'policy.mitigations.launch',
    title: 'a version without mitigations has none, whatever stands there',
    faults: {
      report: { version: 4, fields: { launchMitigations: 0x0bn, currentMitigations: 0x0bn } },
      policy: { currentMitigations: NOT_ASKED },
    },
  },
];

const MEASURED_CASES: readonly SnpCheckCase[] = [
  report('policy.measurement', 'another measurement is refused', {
    measurement: changed(REPORT.measurement, 48, 47),
  }),
  policy('policy.measurement', 'an empty list of measurements admits none', { measurements: NONE }),
  report('policy.reportData', 'other report data is refused (first byte)', {
    reportData: changed(REPORT.reportData, 64, 0),
  }),
  report('policy.reportData', 'other report data is refused (last byte)', {
    reportData: changed(REPORT.reportData, 64, 63),
  }),
  policy('policy.reportData', 'a beginning that the report data does not have is refused', {
    reportData: { startsWith: new Uint8Array(32).fill(1) },
  }),
  policy('policy.reportData', 'an empty beginning is no expectation', {
    reportData: { startsWith: new Uint8Array() },
  }),
  policy('policy.reportData', 'a beginning longer than report data is refused', {
    reportData: { startsWith: concat(REPORT.reportData, Uint8Array.of(0)) },
  }),
  report('policy.hostData', 'other host data is refused', {
    hostData: changed(REPORT.hostData, 32, 31),
  }),
  report('policy.familyId', 'another family is refused', {
    familyId: changed(REPORT.familyId, 16, 15),
  }),
  report('policy.imageId', 'another image is refused', { imageId: changed(REPORT.imageId, 16, 0) }),
  report('policy.reportId', 'another start of the guest is refused', {
    reportId: changed(REPORT.reportId, 32, 9),
  }),
  report('policy.reportIdMa', 'a migration agent is refused', {
    reportIdMa: fixed(new Uint8Array(32).fill(1), 32),
  }),
  report('policy.idKey', 'another id key is refused', {
    idKeyDigest: changed(REPORT.idKeyDigest, 48, 0),
  }),
  policy('policy.idKey', 'an empty list of id keys admits none', { idKeys: NONE }),
  report('policy.authorKey', 'another author key is refused', {
    authorKeyDigest: changed(REPORT.authorKeyDigest, 48, 0),
  }),
  report('policy.authorKey', 'a digest that no author key stands behind is refused', {
    signerInfo: 0,
  }),
  policy('policy.authorKey', 'an empty list of author keys admits none', { authorKeys: NONE }),
];

export const POLICY_CASES: readonly SnpCheckCase[] = [
  ...IDENTITY_CASES,
  ...GUEST_CASES,
  ...PLATFORM_CASES,
  ...TCB_CASES,
  ...FIRMWARE_CASES,
  ...MEASURED_CASES,
];
