/** Reports and certificates that do not belong together. Spec: sev-snp.md §1.4, §3 (3, 4). @module */

import type { SnpCheckId } from '../../../../attestation/snp/check-list.ts';
import { derIa5 } from '../../../../attestation/der-writer.ts';
import { generateP384 } from '../../../../attestation/x509-keys.ts';
import { concat, fixed, fromHex, type Bytes } from '../../../../core/bytes.ts';
import type { Tcb } from '../../../../enclave-worker/evidence/simulator/snp/report-writer.ts';
import { flipped, patched } from '../../../support/changes.ts';
import { NOT_ASKED, type ReportFaults, type SnpFaults } from '../../../support/snp/case.ts';
import { CSP_ID, PRODUCTS } from '../../../support/snp/pki.ts';
import { withSubject } from '../../../support/spoil.ts';
import { type SnpCheckCase } from './check-case.ts';

/** AUTHOR_KEY_EN with the other signing key. */
const SAYS_VLEK = (1 << 2) | 1;
const SAYS_VCEK = 1;
const ANY_SIGNER = { signers: NOT_ASKED, chipIds: NOT_ASKED } as const;

const SIGNER_CASES: readonly SnpCheckCase[] = [
  {
    id: 'bind.signerKind',
    title: 'a report of a VLEK with the certificate of a VCEK is refused',
    faults: { report: { fields: { signerInfo: SAYS_VLEK } }, policy: ANY_SIGNER },
  },
  {
    id: 'bind.signerKind',
    title: 'a report of a VCEK with the certificate of a VLEK is refused',
    faults: {
      signer: 'vlek',
      report: { fields: { signerInfo: SAYS_VCEK, chipId: PRODUCTS.Genoa.chipId } },
      policy: ANY_SIGNER,
    },
  },
  {
    id: 'bind.signerKind',
    title: 'a VCEK by name that belongs to a cloud is refused',
    faults: {
      chain: {
        entries: (all) => [
          ...all.filter(({ arc }) => arc !== '4'),
          { arc: '5', value: derIa5(CSP_ID) },
        ],
      },
    },
  },
  {
    id: 'bind.signerKind',
    title: 'a VLEK by name that belongs to a chip is refused',
    faults: {
      signer: 'vlek',
      chain: {
        entries: (all) => [
          ...all.filter(({ arc }) => arc !== '5'),
          { arc: '4', value: PRODUCTS.Genoa.hwId },
        ],
      },
      report: { fields: { chipId: PRODUCTS.Genoa.chipId } },
    },
  },
  {
    id: 'bind.signerKind',
    title: 'a VCEK renamed to VLEK is refused, although the names chain',
    faults: { chain: { below: 'asvk', vek: { profile: withSubject('SEV-VLEK') } } },
  },
];

const PRODUCT_CASES: readonly SnpCheckCase[] = [
  {
    id: 'bind.product',
    title: 'a report of Milan with the certificates of Genoa is refused',
    faults: { report: { fields: { cpuid: PRODUCTS.Milan.cpuid } } },
  },
  {
    id: 'bind.product',
    title: 'a leaf of Milan below the CAs of Genoa is refused',
    faults: { chain: { facts: { productName: 'Milan' } } },
  },
  {
    id: 'bind.product',
    title: 'a leaf of Genoa below the CAs of Milan is refused, in version 2 too',
    faults: {
      product: 'Milan',
      chain: { facts: { productName: 'Genoa' } },
      report: { version: 2 },
      policy: {
        minReportVersion: NOT_ASKED,
        launchMitigations: NOT_ASKED,
        currentMitigations: NOT_ASKED,
        minTcb: NOT_ASKED,
        minLaunchTcb: NOT_ASKED,
      },
    },
  },
];

const LOOSE_TCB = {
  minTcb: NOT_ASKED,
  minLaunchTcb: NOT_ASKED,
  provisionalFirmware: NOT_ASKED,
} as const;

const COMPONENTS = ['bootloader', 'tee', 'snp', 'microcode'] as const;
const TURIN_COMPONENTS = ['fmc', ...COMPONENTS] as const;

function tcbCases(
  product: 'Genoa' | 'Turin',
  component: (typeof TURIN_COMPONENTS)[number],
): readonly SnpCheckCase[] {
  const { tcb } = PRODUCTS[product];
  const moved = (by: number): Tcb => ({ ...tcb, [component]: (tcb[component] ?? 0) + by });
  const higher: Tcb = { ...tcb, [component]: 250 };
  const at = (id: SnpCheckId, title: string, faults: SnpFaults): SnpCheckCase => ({
    id,
    title: `${title} (${component} of ${product})`,
    faults: { product, policy: LOOSE_TCB, ...faults },
  });
  return [
    at('bind.tcb', 'a report above its key is refused', {
      report: { fields: { reportedTcb: moved(1), currentTcb: higher } },
    }),
    at('bind.tcb', 'a key above its report is refused', { chain: { facts: { tcb: moved(1) } } }),
    at('bind.tcbOrder', 'a machine below what it reports is refused', {
      chain: { facts: { tcb: moved(1) } },
      report: { fields: { reportedTcb: moved(1) } },
    }),
  ];
}

const CHIP = PRODUCTS.Genoa.chipId;
const TURIN_CHIP = PRODUCTS.Turin.chipId;

function changed(chip: Bytes<64>, at: number): Bytes<64> {
  return fixed(flipped(at)(chip), 64);
}

function chip(title: string, chipId: Bytes<64>, faults: SnpFaults = {}): SnpCheckCase {
  return {
    id: 'bind.chipId',
    title,
    faults: {
      ...faults,
      report: { ...faults.report, fields: { chipId } },
      policy: { chipIds: NOT_ASKED },
    },
  };
}

const CHIP_CASES: readonly SnpCheckCase[] = [
  chip('another chip is refused (first byte)', changed(CHIP, 0)),
  chip('another chip is refused (last byte)', changed(CHIP, 63)),
  chip(
    'a chip of which the second half is masked is refused',
    fixed(concat(CHIP.subarray(0, 32), new Uint8Array(32)), 64),
  ),
  chip('another chip of Turin is refused', changed(TURIN_CHIP, 7), { product: 'Turin' }),
  chip('bytes after a chip of Turin are refused', changed(TURIN_CHIP, 8), { product: 'Turin' }),
  chip('a byte at the end of a chip of Turin is refused', changed(TURIN_CHIP, 63), {
    product: 'Turin',
  }),
  {
    id: 'policy.maskedChipId',
    title: 'a chip key over a report that names no chip is refused',
    faults: {
      report: { fields: { chipId: fixed(new Uint8Array(64), 64) } },
      policy: { chipIds: NOT_ASKED },
    },
    skips: ['bind.chipId'],
    why: 'what names no chip cannot name another',
  },
];

/** The order of the curve, big-endian. */
const ORDER = fromHex(
  'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
);
const ZERO = new Uint8Array(48);

const OTHER_MEASUREMENT = fixed(new Uint8Array(48).fill(0x4d), 48);

function signature(title: string, report: ReportFaults): SnpCheckCase {
  return { id: 'report.signature', title, faults: { report } };
}

function halves(
  change: (r: Uint8Array, s: Uint8Array) => Uint8Array,
): (rs: Uint8Array) => Uint8Array {
  return (rs) => change(rs.subarray(0, 48), rs.subarray(48));
}

const SIGNATURE_CASES: readonly SnpCheckCase[] = [
  {
    id: 'report.signature',
    title: "a stranger's signature is refused",
    faults: ({ strangerVek }) => ({ report: { key: strangerVek.privateKey } }),
  },
  {
    id: 'report.signature',
    title: 'a report of the same chip and TCB under another certificate is refused',
    faults: async () => ({ chain: { vek: { keys: await generateP384() } } }),
  },
  signature('a changed r is refused', { bytes: flipped(0x2a0) }),
  signature('a changed s is refused', { bytes: flipped(0x317) }),
  signature("r and s in each other's place are refused", {
    signature: halves((r, s) => concat(s, r)),
  }),
  signature('r and s in big-endian order are refused', {
    signature: halves((r, s) => concat(r.slice().reverse(), s.slice().reverse())),
  }),
  signature('r = 0 is refused', { signature: halves((_, s) => concat(ZERO, s)) }),
  signature('s = 0 is refused', { signature: halves((r) => concat(r, ZERO)) }),
  signature('r = 0 and s = 0 are refused', { signature: () => new Uint8Array(96) }),
  signature('r = n is refused', { signature: halves((_, s) => concat(ORDER, s)) }),
  signature('s = n is refused', { signature: halves((r) => concat(r, ORDER)) }),
  signature('r and s of ones are refused', { signature: () => new Uint8Array(96).fill(0xff) }),
  {
    id: 'report.signature',
    title: 'a byte changed after signing is refused',
    faults: { report: { bytes: flipped(0x14f) }, policy: { reportId: NOT_ASKED } },
  },
  {
    id: 'report.signature',
    title: 'another measurement put in after signing is refused, although it is listed',
    faults: {
      report: { bytes: patched(0x90, OTHER_MEASUREMENT) },
      policy: { measurements: { anyOf: [OTHER_MEASUREMENT] } },
    },
  },
];

export const BIND_CASES: readonly SnpCheckCase[] = [
  ...SIGNER_CASES,
  ...PRODUCT_CASES,
  ...COMPONENTS.flatMap((component) => tcbCases('Genoa', component)),
  ...TURIN_COMPONENTS.flatMap((component) => tcbCases('Turin', component)),
  ...CHIP_CASES,
  ...SIGNATURE_CASES,
];
