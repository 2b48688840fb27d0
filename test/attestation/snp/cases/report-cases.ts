/** Reports, blobs and tables with one thing wrong. Spec: sev-snp.md §1, §2.4, §5. @module */

import type { SnpCheckId } from '../../../../attestation/snp/check-list.ts';
import { ascii, concat, fixed, utf8 } from '../../../../core/bytes.ts';
import { u32le } from '../../../../enclave-worker/evidence/simulator/quote-writer.ts';
import {
  TABLE_GUID,
  writeCertificateTable,
  type TableEntry,
} from '../../../../enclave-worker/evidence/simulator/snp/certificate-table.ts';
import { u64le } from '../../../../enclave-worker/evidence/simulator/snp/report-writer.ts';
import { flipped, patched } from '../../../support/changes.ts';
import { NOT_ASKED, type ReportFaults, type SnpFaults } from '../../../support/snp/case.ts';
import { RUNTIME_DATA } from '../../../support/snp/hcl.ts';
import { NEEDS_REPORT, NO_REPORT, type SnpCheckCase } from './check-case.ts';

function length(title: string, bytes: (report: Uint8Array) => Uint8Array): SnpCheckCase {
  const faults = { report: { bytes } };
  return { id: 'report.length', title, faults, skips: NEEDS_REPORT, why: NO_REPORT };
}

const LENGTH_CASES: readonly SnpCheckCase[] = [
  length('nothing is refused', () => new Uint8Array()),
  length('one byte too few is refused', (report) => report.subarray(0, -1)),
  length('one byte too many is refused', (report) => concat(report, Uint8Array.of(0))),
  length('the signed part alone is refused', (report) => report.subarray(0, 0x2a0)),
  length('a report twice is refused', (report) => concat(report, report)),
  length('a megabyte is refused', () => new Uint8Array(1_048_576)),
];

function field(id: SnpCheckId, title: string, report: ReportFaults): SnpCheckCase {
  return { id, title, faults: { report } };
}

const NO_VERSION = 'what must be zero and what CPUID says depends on the version';
const POLICY_FOR_ALL_VERSIONS = {
  minReportVersion: NOT_ASKED,
  launchMitigations: NOT_ASKED,
  currentMitigations: NOT_ASKED,
} as const;

function version(number: number): SnpCheckCase {
  return {
    id: 'report.version',
    title: `version ${number} is refused`,
    faults: { report: { fields: { version: number } }, policy: POLICY_FOR_ALL_VERSIONS },
    skips: ['report.cpuid', 'report.reserved'],
    why: NO_VERSION,
  };
}

/** The bit that is always set, with one more. */
function guestPolicy(title: string, policy: bigint): SnpCheckCase {
  return field('report.guestPolicy', title, { signed: patched(0x008, u64le(policy)) });
}

function signerInfo(title: string, value: number): SnpCheckCase {
  return field('report.signerInfo', title, { fields: { signerInfo: value } });
}

const UNSIGNABLE = 'no certificate is one for such a signing key';
const ANY_SIGNER = { signers: NOT_ASKED, chipIds: NOT_ASKED } as const;

function reservedSigner(key: number): SnpCheckCase {
  return {
    id: 'report.signerInfo',
    title: `the reserved signing key ${key} is refused`,
    faults: { report: { fields: { signerInfo: (key << 2) | 1 } }, policy: ANY_SIGNER },
    skips: ['bind.signerKind'],
    why: UNSIGNABLE,
  };
}

function vmpl(title: string, value: number): SnpCheckCase {
  return {
    id: 'report.vmpl',
    title,
    faults: { report: { fields: { vmpl: value } }, policy: { vmpls: NOT_ASKED } },
  };
}

const ANY_PRODUCT = {
  products: NOT_ASKED,
  minTcb: NOT_ASKED,
  minLaunchTcb: NOT_ASKED,
} as const;

function cpuid(title: string, family: number, model: number): SnpCheckCase {
  return {
    id: 'report.cpuid',
    title,
    faults: {
      report: { fields: { cpuid: { family, model, stepping: 1 } } },
      policy: ANY_PRODUCT,
    },
    skips: ['bind.product'],
    why: 'the leaf is for a product, the report for none that is known',
  };
}

const FIELD_CASES: readonly SnpCheckCase[] = [
  ...[0, 1, 6, 7, 0x105, 0x8000_0003, 0xffff_ffff].map(version),
  ...[0, 2, 0x101].map((value) =>
    field('report.signatureAlgorithm', `signature algorithm ${value} is refused`, {
      fields: { signatureAlgorithm: value },
    }),
  ),
  guestPolicy('a guest policy without bit 17 is refused', 0x1_0137n),
  ...[26n, 31n, 32n, 63n].map((bit) =>
    guestPolicy(`a guest policy with bit ${bit} is refused`, 0x3_0137n | (1n << bit)),
  ),
  ...[5, 16, 31].map((bit) => signerInfo(`signer info with bit ${bit} is refused`, 1 | (1 << bit))),
  ...[2, 3, 4, 5, 6].map(reservedSigner),
  {
    id: 'report.signed',
    title: 'a report that nobody signed is refused',
    faults: { report: { fields: { signerInfo: (7 << 2) | 1 } }, policy: ANY_SIGNER },
    skips: ['bind.signerKind'],
    why: UNSIGNABLE,
  },
  vmpl('level 4 is refused', 4),
  vmpl('a level above one byte is refused', 0x100),
  vmpl('what the host asked for is refused', 0xffff_ffff),
  cpuid('family 19h, model 20h is refused', 0x19, 0x20),
  cpuid('family 19h, model 9Fh is refused', 0x19, 0x9f),
  cpuid('family 19h, model B0h is refused', 0x19, 0xb0),
  cpuid('family 17h is refused', 0x17, 0x11),
  cpuid('family 1Ah, model 20h is refused', 0x1a, 0x20),
  cpuid('Venice is refused', 0x1a, 0x50),
  cpuid('no family at all is refused', 0, 0),
];

interface Reserved {
  readonly name: string;
  readonly at: readonly number[];
  readonly faults?: SnpFaults;
}

/** First and last byte of each range. */
const SIGNED_RESERVED: readonly Reserved[] = [
  { name: 'after SIGNER_INFO', at: [0x4c, 0x4f] },
  { name: 'after CPUID', at: [0x18b, 0x19f] },
  { name: 'after CURRENT', at: [0x1eb] },
  { name: 'after COMMITTED', at: [0x1ef] },
  { name: 'at the end of the signed part', at: [0x208, 0x29f] },
  { name: 'of CURRENT_TCB', at: [0x3a, 0x3d] },
  { name: 'of REPORTED_TCB', at: [0x182, 0x185] },
  { name: 'of COMMITTED_TCB', at: [0x1e2, 0x1e5] },
  { name: 'of LAUNCH_TCB', at: [0x1f2, 0x1f5] },
  { name: "of Turin's CURRENT_TCB", at: [0x3c, 0x3e], faults: { product: 'Turin' } },
  { name: "of Turin's REPORTED_TCB", at: [0x184, 0x186], faults: { product: 'Turin' } },
  {
    name: 'where version 3 has CPUID, in version 2',
    at: [0x188, 0x18a],
    faults: { report: { version: 2 } },
  },
  { name: 'after CPUID, in version 2', at: [0x18b], faults: { report: { version: 2 } } },
  {
    name: 'where version 5 has mitigations, in version 2',
    at: [0x1f8],
    faults: { report: { version: 2 } },
  },
  {
    name: 'where version 5 has mitigations, in version 3',
    at: [0x1f8, 0x207],
    faults: { report: { version: 3 } },
  },
  { name: 'after the mitigations, in version 4', at: [0x208], faults: { report: { version: 4 } } },
];

const RESERVED_CASES: readonly SnpCheckCase[] = [
  ...SIGNED_RESERVED.flatMap(({ name, at, faults }) =>
    at.map((offset): SnpCheckCase => ({
      id: 'report.reserved',
      title: `a byte ${name} is refused although signed (0x${offset.toString(16)})`,
      faults: {
        ...faults,
        report: { ...faults?.report, signed: flipped(offset) },
        policy: { ...POLICY_FOR_ALL_VERSIONS, provisionalFirmware: NOT_ASKED },
      },
    })),
  ),
  ...[0x330, 0x400, 0x49f].map((offset) =>
    field('report.reserved', `a byte that nobody signs is refused (0x${offset.toString(16)})`, {
      bytes: flipped(offset),
    }),
  ),
];

const ENCODING_CASES = [0x2d0, 0x2e7, 0x318, 0x32f].map((offset): SnpCheckCase => ({
  id: 'report.signatureEncoding',
  title: `a byte above r or s is refused (0x${offset.toString(16)})`,
  faults: { report: { bytes: flipped(offset) } },
  skips: ['report.signature'],
  why: 'what is no r and s is no signature',
}));

function blob(title: string, hcl: NonNullable<SnpFaults['hcl']>): SnpCheckCase {
  return {
    id: 'hcl.format',
    title,
    faults: { hcl },
    skips: ['report.length', ...NEEDS_REPORT],
    why: 'the report lies inside the blob',
  };
}

const HCL_CASES: readonly SnpCheckCase[] = [
  blob('a blob of nothing is refused', { bytes: () => new Uint8Array() }),
  blob('a blob cut in its header is refused', { bytes: (whole) => whole.subarray(0, 0x1f) }),
  blob('a blob cut in the report is refused', { bytes: (whole) => whole.subarray(0, 0x4bf) }),
  blob('a blob cut in the runtime data is refused', {
    bytes: (whole) => whole.subarray(0, 0x4d4 + RUNTIME_DATA.length - 1),
  }),
  blob('another signature is refused', { magic: ascii('HCLB') }),
  blob('version 0 is refused', { version: 0 }),
  blob('version 3 is refused', { version: 3 }),
  blob('another request is refused', { requestType: 1 }),
  blob('a TDX report in it is refused', { reportType: 4 }),
  blob('an unknown report in it is refused', { reportType: 3 }),
  blob('another hash is refused', { hashType: 2 }),
  blob('another version of the runtime data is refused', { runtimeVersion: 2 }),
  blob('two lengths that disagree are refused', { size: RUNTIME_DATA.length }),
  blob('a length past the end is refused', { length: 0x7fff_0000, size: 0x7fff_0014 }),
  blob('a length near 2^32 is refused', { length: 0xffff_fff0, size: 0x4 }),
  blob('bytes after the runtime data are refused', { rest: Uint8Array.of(0, 1) }),
  blob('more than 64 KiB are refused', { rest: new Uint8Array(0x1_0000) }),
  {
    id: 'hcl.runtimeData',
    title: 'runtime data that the report does not bind is refused',
    faults: { hcl: { runtimeData: utf8('{"keys":[]}') } },
  },
  {
    id: 'hcl.runtimeData',
    title: 'one changed byte of the runtime data is refused',
    faults: { hcl: { runtimeData: flipped(RUNTIME_DATA.length - 2)(RUNTIME_DATA) } },
  },
  {
    id: 'hcl.runtimeData',
    title: 'report data that holds the hash in its second half is refused',
    faults: {
      hcl: {},
      report: { fields: { reportData: fixed(new Uint8Array(64).fill(7), 64) } },
      policy: { reportData: NOT_ASKED },
    },
  },
];

/** Beside good endorsements, so that nothing but the table is wrong. */
function table(
  title: string,
  change: (entries: readonly TableEntry[]) => readonly TableEntry[] | Uint8Array,
): SnpCheckCase {
  return { id: 'certTable.format', title, faults: { table: change } };
}

const UNKNOWN_GUID = 'ecae0c0f-9502-43b1-afa2-0ae2e0d565b6';
const SMALL = { guid: TABLE_GUID.crl, bytes: Uint8Array.of(1) };

const TABLE_CASES: readonly SnpCheckCase[] = [
  table('a table without an end is refused', () => new Uint8Array(4096).fill(0x5a)),
  table('a table cut in its entries is refused', (entries) =>
    writeCertificateTable(entries).subarray(0, 60),
  ),
  table('an entry past the end is refused', () => [{ ...SMALL, length: 4096 }]),
  table('an entry that only just ends past the end is refused', () => [
    { ...SMALL, offset: 4095, length: 2 },
  ]),
  table('an entry whose end wraps around 2^32 is refused', () => [
    { ...SMALL, offset: 0xffff_ffff, length: 100 },
  ]),
  table('an entry of 2^32 - 1 bytes is refused', () => [{ ...SMALL, length: 0xffff_ffff }]),
  table('an entry inside the entries is refused', () => [{ ...SMALL, offset: 24 }]),
  table('an unknown entry past the end is refused', (entries) => [
    ...entries,
    { guid: UNKNOWN_GUID, bytes: new Uint8Array(), offset: 0x7fff_ffff, length: 1 },
  ]),
  table('two certificates of one kind are refused', (entries) => [
    ...entries,
    { guid: TABLE_GUID.root, bytes: Uint8Array.of(0x30, 0) },
  ]),
  table('a certificate of more than 16 KiB is refused', () => [
    { ...SMALL, bytes: new Uint8Array(16 * 1024 + 1) },
  ]),
  table('a table of more than 64 KiB is refused', () => new Uint8Array(64 * 1024 + 1).fill(1)),
  table('zeros up to more than 64 KiB are refused', (entries) =>
    concat(writeCertificateTable(entries), new Uint8Array(64 * 1024)),
  ),
  table('a table of entries alone is refused', () =>
    concat(
      ...Array.from({ length: 100 }, () =>
        concat(new Uint8Array(16).fill(0xaa), u32le(2424), u32le(0)),
      ),
      new Uint8Array(24),
    ),
  ),
];

export const REPORT_CASES: readonly SnpCheckCase[] = [
  ...LENGTH_CASES,
  ...FIELD_CASES,
  ...RESERVED_CASES,
  ...ENCODING_CASES,
  ...HCL_CASES,
  ...TABLE_CASES,
];
