/**
 * Real reports and certificates from outside this repository, where the folder is there. Only what the corpus says about
 * them is taken over; the bytes are read by nothing of ours. Spec: sev-snp.md §6.
 * @module
 */

import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { fixed, fromHex } from '../../../core/bytes.ts';
import { parseJson } from '../../../core/json.ts';
import type {
  FirmwareVersion,
  ReportFields,
  Tcb,
} from '../../../enclave-worker/evidence/simulator/snp/report-writer.ts';

const FOLDER = '../shared/vectors/sev-snp';
const MANIFEST_MAX_BYTES = 4 * 1024 * 1024;

const TCB = z.object({
  fmc: z.int().exactOptional(),
  bootloader: z.int(),
  tee: z.int(),
  snp: z.int(),
  microcode: z.int(),
});
const RAW = z.object({ raw: z.string() });
const FIELDS = z.object({
  report_version: z.int(),
  guest_svn: z.int(),
  product: z.enum(['milan', 'genoa', 'turin']),
  signer: z.enum(['vcek', 'vlek']),
  vmpl: z.int(),
  guest_policy: RAW,
  platform_info: RAW,
  signer_info: z.object({ author_key_en: z.boolean(), mask_chip_key: z.boolean() }),
  family_id: z.string(),
  image_id: z.string(),
  report_data: z.string(),
  measurement: z.string(),
  host_data: z.string(),
  id_key_digest: z.string(),
  author_key_digest: z.string(),
  report_id: z.string(),
  report_id_ma: z.string(),
  chip_id: z.string(),
  csp_id: z.string().nullable().exactOptional(),
  cpuid: z
    .object({ family: z.int(), model: z.int(), stepping: z.int() })
    .nullable()
    .exactOptional(),
  tcb: z.object({ reported: TCB, current: TCB, committed: TCB, launch: TCB }),
  current_firmware: z.string(),
  committed_firmware: z.string(),
  /** Null before version 5. */
  launch_mit_vector: z.string().nullable(),
  current_mit_vector: z.string().nullable(),
});
const MANIFEST = z.object({
  cases: z.array(
    z.object({
      id: z.string(),
      evidence: z.object({ format: z.string(), file: z.string() }),
      endorsements: z.object({ vek: z.string().exactOptional() }).exactOptional(),
      expect: z.object({ fields: z.unknown().optional() }),
      synthetic: z.boolean(),
    }),
  ),
});

export type CorpusFields = z.output<typeof FIELDS>;

export interface CorpusReport {
  readonly id: string;
  /** 1184 bytes. */
  readonly report: Uint8Array;
  readonly fields: CorpusFields;
  /** File of the leaf; absent where it came inside a table. */
  readonly vek?: string;
  readonly synthetic: boolean;
}

export const hasCorpus = existsSync(FOLDER);

export function corpusFile(path: string): Uint8Array {
  return new Uint8Array(readFileSync(`${FOLDER}/${path}`));
}

/** Every case that is a plain report and says what stands in it. */
export function corpusReports(): readonly CorpusReport[] {
  if (!hasCorpus) return [];
  const { cases } = MANIFEST.parse(parseJson(corpusFile('manifest.json'), MANIFEST_MAX_BYTES));
  return cases.flatMap(({ id, evidence, endorsements, expect, synthetic }) => {
    const vek = endorsements?.vek;
    if (evidence.format !== 'report') return [];
    const fields = FIELDS.safeParse(expect.fields);
    // A version 4 report without a leaf says no TCB: its layout is not known.
    if (!fields.success) return [];
    return {
      id,
      report: corpusFile(evidence.file),
      fields: fields.data,
      ...(vek === undefined ? {} : { vek }),
      synthetic,
    };
  });
}

/** What our writer is told to write the same report. */
export function reportFieldsOf(fields: CorpusFields): ReportFields {
  const { signer_info: signerInfo, cpuid } = fields;
  return {
    version: fields.report_version,
    guestSvn: fields.guest_svn,
    policy: BigInt(fields.guest_policy.raw),
    familyId: fixed(fromHex(fields.family_id), 16),
    imageId: fixed(fromHex(fields.image_id), 16),
    vmpl: fields.vmpl,
    signatureAlgorithm: 1,
    currentTcb: tcbOf(fields.tcb.current),
    platformInfo: BigInt(fields.platform_info.raw),
    signerInfo:
      Number(signerInfo.author_key_en) |
      (Number(signerInfo.mask_chip_key) << 1) |
      (fields.signer === 'vlek' ? 1 << 2 : 0),
    reportData: fixed(fromHex(fields.report_data), 64),
    measurement: fixed(fromHex(fields.measurement), 48),
    hostData: fixed(fromHex(fields.host_data), 32),
    idKeyDigest: fixed(fromHex(fields.id_key_digest), 48),
    authorKeyDigest: fixed(fromHex(fields.author_key_digest), 48),
    reportId: fixed(fromHex(fields.report_id), 32),
    reportIdMa: fixed(fromHex(fields.report_id_ma), 32),
    reportedTcb: tcbOf(fields.tcb.reported),
    ...(cpuid === undefined || cpuid === null ? {} : { cpuid }),
    chipId: fixed(fromHex(fields.chip_id), 64),
    committedTcb: tcbOf(fields.tcb.committed),
    currentFirmware: firmwareOf(fields.current_firmware),
    committedFirmware: firmwareOf(fields.committed_firmware),
    launchTcb: tcbOf(fields.tcb.launch),
    launchMitigations: BigInt(fields.launch_mit_vector ?? 0),
    currentMitigations: BigInt(fields.current_mit_vector ?? 0),
  };
}

function tcbOf({ fmc, ...rest }: z.output<typeof TCB>): Tcb {
  return fmc === undefined ? rest : { fmc, ...rest };
}

function firmwareOf(text: string): FirmwareVersion {
  const [major = 0, minor = 0, build = 0] = text.split('.').map(Number);
  return { major, minor, build };
}
