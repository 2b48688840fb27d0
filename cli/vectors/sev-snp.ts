/**
 * SEV-SNP report cases: evidence, endorsements, instant and the policy members that a case asks for.
 * Spec: sev-snp vector corpus, "One case", "Baseline checks", "Policy keys".
 * @module
 */

import { sha256 } from '#primitives';
import { z } from 'zod';
import { parseCertificate } from '../../attestation/pki/certificate.ts';
import { AMD_ANCHORS, findAnchor, type SnpAnchor } from '../../attestation/snp/anchors.ts';
import {
  GUEST_POLICY_BITS,
  PLATFORM_INFO_BITS,
  guestAbi,
  hasAuthorKey,
  hasBit,
  hasMaskedChipKey,
} from '../../attestation/snp/bits.ts';
import type { SnpCheckId } from '../../attestation/snp/check-list.ts';
import type { SnpEndorsements } from '../../attestation/snp/endorsements.ts';
import {
  baselineSnpPolicy,
  type BitRule,
  type SnpPolicy,
  type TcbFloors,
} from '../../attestation/snp/guest-policy.ts';
import { SILICON_LINES } from '../../attestation/snp/products.ts';
import { SNP_REPORT_BYTES } from '../../attestation/snp/report.ts';
import { verifySnp, type SnpEvidence, type SnpResult } from '../../attestation/snp/verify.ts';
import { fixed, fromHex, toHex, type Bytes } from '../../core/bytes.ts';
import { parseInstant } from '../../core/clock.ts';
import { derOf } from '../der-file.ts';
import type { ReadCaseFile, VectorKind, VectorOutcome } from './kind.ts';
import { vectorsError } from './manifest.ts';

const HEX = z.string().regex(/^(?:[0-9a-f]{2})*$/);
const MASK = z.string().regex(/^0x[0-9a-f]{1,16}$/);
const BIT = z.enum(['require', 'forbid', 'any']);
const SPL = z.int().min(0).max(255);
const FLOOR = z.strictObject({
  fmc: SPL.exactOptional(),
  bootloader: SPL.exactOptional(),
  tee: SPL.exactOptional(),
  snp: SPL.exactOptional(),
  microcode: SPL.exactOptional(),
});
const FLOORS = z.partialRecord(z.enum(SILICON_LINES), FLOOR);

/** Strict: a member that this program does not know must not be left out silently. */
const POLICY = z.strictObject({
  products: z.array(z.enum(['milan', 'genoa', 'turin'])).optional(),
  signer: z.enum(['vcek', 'vlek', 'any']).optional(),
  chip_ids: z.array(HEX).optional(),
  csp_ids: z.array(z.string()).optional(),
  allow_masked_chip_id: z.boolean().optional(),
  require_crl: z.boolean().optional(),
  min_report_version: z.int().optional(),
  vmpl: z.array(z.int()).optional(),
  min_guest_svn: z.int().optional(),
  guest_policy: z
    .strictObject({
      smt: BIT.optional(),
      migrate_ma: BIT.optional(),
      debug: BIT.optional(),
      single_socket: BIT.optional(),
      cxl_allow: BIT.optional(),
      mem_aes_256_xts: BIT.optional(),
      rapl_dis: BIT.optional(),
      ciphertext_hiding_dram: BIT.optional(),
      page_swap_disable: BIT.optional(),
      min_abi: z.tuple([z.int(), z.int()]).optional(),
    })
    .optional(),
  platform_info: z
    .strictObject({
      smt_en: BIT.optional(),
      tsme_en: BIT.optional(),
      ecc_en: BIT.optional(),
      rapl_dis: BIT.optional(),
      ciphertext_hiding_dram_en: BIT.optional(),
      alias_check_complete: BIT.optional(),
      iommu_write_safe: BIT.optional(),
      tio_en: BIT.optional(),
      unknown_bits: z.enum(['forbid', 'any']).optional(),
    })
    .optional(),
  min_tcb: FLOORS.optional(),
  min_launch_tcb: FLOORS.optional(),
  min_firmware: z.tuple([z.int(), z.int(), z.int()]).optional(),
  provisional_firmware: z.enum(['forbid', 'any', 'allow']).optional(),
  min_launch_mit_vector: MASK.optional(),
  min_current_mit_vector: MASK.optional(),
  measurements: z.array(HEX).optional(),
  report_data: z.strictObject({ exact: HEX.optional(), prefix: HEX.optional() }).optional(),
  host_data: HEX.optional(),
  family_id: HEX.optional(),
  image_id: HEX.optional(),
  report_id: HEX.optional(),
  report_id_ma: HEX.optional(),
  id_key_digests: z.array(HEX).optional(),
  author_key_digests: z.array(HEX).optional(),
});
type CasePolicy = z.infer<typeof POLICY>;

const CASE = z.object({
  evidence: z.object({
    format: z.enum(['report', 'report+cert_table', 'azure-hcl']),
    file: z.string(),
  }),
  endorsements: z.strictObject({
    vek: z.string().optional(),
    intermediate: z.string().optional(),
    root: z.string().optional(),
    crl: z.string().optional(),
  }),
  trust: z
    .record(z.enum(['milan', 'genoa', 'turin']), z.object({ root: z.string() }).optional())
    .optional(),
  verify_at: z.string(),
  policy: POLICY.optional(),
});

function run(entry: unknown, readFile: ReadCaseFile): VectorOutcome {
  const { evidence, endorsements, trust, verify_at, policy } = CASE.parse(entry);
  const nowMs = parseInstant(verify_at);
  if (nowMs === undefined) throw vectorsError('vectors.case', 'verify_at is not an instant');
  const result = verifySnp({
    evidence: {
      ...evidenceOf(evidence.format, readFile(evidence.file)),
      endorsements: endorsementsOf(endorsements, readFile),
    },
    nowMs,
    policy: policyOf(policy ?? {}),
    anchors: anchorsOf(Object.values(trust ?? {}), readFile),
  });
  return {
    verdict: result.accepted ? 'accept' : 'reject',
    failing: failingOf(result),
    warnings: result.warnings.map(({ id }) => id),
    authentic: result.authentic,
    tcb: null,
    fields: fieldsOf(result),
  };
}

function evidenceOf(
  format: z.infer<typeof CASE>['evidence']['format'],
  bytes: Uint8Array,
): Omit<SnpEvidence, 'endorsements'> {
  if (format === 'azure-hcl') return { form: 'azure-hcl', bytes };
  if (format === 'report') return { form: 'report', bytes };
  return {
    form: 'report',
    bytes: bytes.subarray(0, SNP_REPORT_BYTES),
    certTable: bytes.subarray(SNP_REPORT_BYTES),
  };
}

function endorsementsOf(
  files: z.infer<typeof CASE>['endorsements'],
  readFile: ReadCaseFile,
): SnpEndorsements {
  const certificate = (path: string): Uint8Array => derOf(readFile(path), 'CERTIFICATE');
  const { vek, intermediate, root, crl } = files;
  return {
    ...(vek === undefined ? {} : { vek: certificate(vek) }),
    ...(intermediate === undefined ? {} : { intermediate: certificate(intermediate) }),
    ...(root === undefined ? {} : { root: certificate(root) }),
    ...(crl === undefined ? {} : { crl: derOf(readFile(crl), 'X509 CRL') }),
  };
}

/** A case's root takes the place of the built-in one of its product. */
function anchorsOf(
  trust: readonly ({ readonly root: string } | undefined)[],
  readFile: ReadCaseFile,
): readonly SnpAnchor[] {
  const own = trust.flatMap((entry) => {
    if (entry === undefined) return [];
    const der = derOf(readFile(entry.root), 'CERTIFICATE');
    const known = findAnchor(AMD_ANCHORS, sha256(der));
    const certificate = parseCertificate(der);
    return [known ?? { sha256: certificate.sha256, certificate, simulated: true }];
  });
  const replaced = own.map(({ certificate }) => certificate?.commonName);
  return [
    ...own,
    ...AMD_ANCHORS.filter(({ certificate }) => !replaced.includes(certificate?.commonName)),
  ];
}

const UNASKED = { unchecked: 'the case does not ask' };

function bit(rule: z.infer<typeof BIT> | undefined): BitRule {
  return rule === undefined || rule === 'any' ? UNASKED : rule;
}

function listed<Text, Value>(
  list: readonly Text[] | undefined,
  read: (text: Text) => Value,
): { readonly anyOf: readonly Value[] } | typeof UNASKED {
  return list === undefined ? UNASKED : { anyOf: list.map(read) };
}

function exactly<N extends number>(
  hex: string | undefined,
  size: N,
): { readonly equals: Bytes<N> } | typeof UNASKED {
  return hex === undefined ? UNASKED : { equals: fixed(fromHex(hex), size) };
}

function floors(given: TcbFloors | undefined): SnpPolicy['minTcb'] {
  return given === undefined ? UNASKED : { floors: given };
}

function mask(hex: string | undefined): SnpPolicy['launchMitigations'] {
  return hex === undefined ? UNASKED : { mask: BigInt(hex) };
}

/** The corpus's baseline checks nothing of a policy but a masked chip. */
function policyOf(given: CasePolicy): SnpPolicy {
  const guest = given.guest_policy ?? {};
  const platform = given.platform_info ?? {};
  const { signer, min_firmware: firmware } = given;
  return {
    ...baselineSnpPolicy({
      reportData: reportDataOf(given.report_data),
      measurements: listed(given.measurements, (hex) => fixed(fromHex(hex), 48)),
    }),
    products: listed(given.products, (name) => name),
    signers: signer === undefined || signer === 'any' ? UNASKED : { anyOf: [signer] },
    minReportVersion: given.min_report_version ?? UNASKED,
    maskedChipId: given.allow_masked_chip_id === true ? UNASKED : 'refuse',
    chipIds: listed(given.chip_ids, (hex) => fixed(fromHex(hex), 64)),
    cspIds: listed(given.csp_ids, (id) => id),
    crl: given.require_crl === true ? 'require' : UNASKED,
    vmpls: listed(given.vmpl, (level) => level),
    minGuestSvn: given.min_guest_svn ?? UNASKED,
    guestPolicy: {
      smt: bit(guest.smt),
      migrateMa: bit(guest.migrate_ma),
      debug: bit(guest.debug),
      singleSocket: bit(guest.single_socket),
      cxlAllow: bit(guest.cxl_allow),
      memAes256Xts: bit(guest.mem_aes_256_xts),
      raplDis: bit(guest.rapl_dis),
      ciphertextHidingDram: bit(guest.ciphertext_hiding_dram),
      pageSwapDisable: bit(guest.page_swap_disable),
    },
    minAbi:
      guest.min_abi === undefined ? UNASKED : { major: guest.min_abi[0], minor: guest.min_abi[1] },
    platformInfo: {
      smtEn: bit(platform.smt_en),
      tsmeEn: bit(platform.tsme_en),
      eccEn: bit(platform.ecc_en),
      raplDis: bit(platform.rapl_dis),
      ciphertextHidingDramEn: bit(platform.ciphertext_hiding_dram_en),
      aliasCheckComplete: bit(platform.alias_check_complete),
      iommuWriteSafe: bit(platform.iommu_write_safe),
      tioEn: bit(platform.tio_en),
    },
    unknownPlatformBits: platform.unknown_bits === 'forbid' ? 'forbid' : UNASKED,
    minTcb: floors(given.min_tcb),
    minLaunchTcb: floors(given.min_launch_tcb),
    minFirmware:
      firmware === undefined
        ? UNASKED
        : { major: firmware[0], minor: firmware[1], build: firmware[2] },
    provisionalFirmware: given.provisional_firmware === 'forbid' ? 'forbid' : UNASKED,
    launchMitigations: mask(given.min_launch_mit_vector),
    currentMitigations: mask(given.min_current_mit_vector),
    hostData: exactly(given.host_data, 32),
    familyId: exactly(given.family_id, 16),
    imageId: exactly(given.image_id, 16),
    reportId: exactly(given.report_id, 32),
    reportIdMa: exactly(given.report_id_ma, 32),
    idKeys: listed(given.id_key_digests, (hex) => fixed(fromHex(hex), 48)),
    authorKeys: listed(given.author_key_digests, (hex) => fixed(fromHex(hex), 48)),
  };
}

function reportDataOf(given: CasePolicy['report_data']): SnpPolicy['reportData'] {
  if (given?.exact !== undefined) return exactly(given.exact, 64);
  return given?.prefix === undefined ? UNASKED : { startsWith: fromHex(given.prefix) };
}

/** The corpus's names for our checks. Those of bits are made from the bit's name. */
const REASONS: Readonly<Partial<Record<SnpCheckId, string>>> = {
  'hcl.format': 'hcl.malformed',
  'certTable.format': 'certs.table_malformed',
  'report.length': 'report.length',
  'report.version': 'report.version_unsupported',
  'report.signatureAlgorithm': 'report.signature_algorithm_unsupported',
  'report.guestPolicy': 'report.guest_policy_malformed',
  'report.signerInfo': 'report.signer_info_malformed',
  'report.signed': 'report.unsigned',
  'report.vmpl': 'report.vmpl_out_of_range',
  'report.cpuid': 'report.cpuid_unknown',
  'report.reserved': 'report.reserved_nonzero',
  'report.signatureEncoding': 'report.signature_encoding',
  'hcl.runtimeData': 'hcl.runtime_data_mismatch',
  'vek.present': 'endorsement.missing',
  'vek.format': 'cert.malformed',
  'intermediate.format': 'cert.malformed',
  'root.format': 'cert.malformed',
  'chain.root': 'cert.untrusted_root',
  'chain.names': 'cert.name_mismatch',
  'chain.algorithms': 'cert.algorithm_unsupported',
  'chain.signatures': 'cert.signature_invalid',
  'chain.constraints': 'cert.constraints',
  'chain.notBefore': 'cert.not_yet_valid',
  'chain.notAfter': 'cert.expired',
  'vek.extensions': 'cert.extension_invalid',
  'crl.present': 'policy.crl_required',
  'crl.format': 'crl.invalid',
  'crl.issuer': 'crl.invalid',
  'crl.signature': 'crl.invalid',
  'crl.freshness': 'crl.stale',
  'chain.revoked': 'cert.revoked',
  'bind.signerKind': 'bind.signer_kind',
  'bind.product': 'bind.product',
  'bind.tcb': 'bind.tcb',
  'bind.tcbOrder': 'bind.tcb_order',
  'bind.chipId': 'bind.chip_id',
  'report.signature': 'signature.invalid',
  'policy.maskedChipId': 'policy.chip_id_masked',
  'policy.abi': 'policy.abi_version',
  'policy.tcbFloor': 'policy.tcb_no_floor',
  'policy.launchTcb': 'policy.launch_tcb_minimum',
  'policy.firmware': 'policy.firmware_version',
  'policy.mitigations.launch': 'policy.mitigation_vector',
  'policy.mitigations.current': 'policy.mitigation_vector',
  'policy.guestPolicy.memAes256Xts': 'policy.guest_policy.mem_aes_256_xts',
};
const REASON_OF: ReadonlyMap<string, string> = new Map(Object.entries(REASONS));

function reasonOf(id: string): string {
  return REASON_OF.get(id) ?? id.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** As the corpus has it: the first thing that speaks against authenticity, else everything that the policy minds. */
function failingOf({ checks }: SnpResult): readonly string[] {
  const failing = checks.filter(({ outcome }) => outcome === 'fail').map(({ id }) => reasonOf(id));
  const first = failing.find((reason) => !reason.startsWith('policy.'));
  return first === undefined ? [...new Set(failing)] : [first];
}

function fieldsOf({ facts, owner, hcl }: SnpResult): VectorOutcome['fields'] {
  if (facts === undefined) return null;
  const { report, product, siliconLine, signer, tcb } = facts;
  const abi = guestAbi(report.guestPolicy);
  const hasMitigations = report.version >= 5;
  return {
    report_version: report.version,
    guest_svn: report.guestSvn,
    product: product ?? null,
    silicon_line: siliconLine ?? null,
    signer,
    vmpl: report.vmpl,
    guest_policy: {
      raw: raw64(report.guestPolicy),
      abi_major: abi.major,
      abi_minor: abi.minor,
      ...bitFields(report.guestPolicy, GUEST_POLICY_BITS),
    },
    platform_info: {
      raw: raw64(report.platformInfo),
      ...bitFields(report.platformInfo, PLATFORM_INFO_BITS),
    },
    signer_info: {
      author_key_en: hasAuthorKey(report.signerInfo),
      mask_chip_key: hasMaskedChipKey(report.signerInfo),
    },
    family_id: toHex(report.familyId),
    image_id: toHex(report.imageId),
    measurement: toHex(report.measurement),
    report_data: toHex(report.reportData),
    host_data: toHex(report.hostData),
    id_key_digest: toHex(report.idKeyDigest),
    author_key_digest: toHex(report.authorKeyDigest),
    report_id: toHex(report.reportId),
    report_id_ma: toHex(report.reportIdMa),
    chip_id: toHex(report.chipId),
    cpuid: report.cpuid ?? null,
    tcb: tcb ?? null,
    current_firmware: versionText(report.currentFirmware),
    committed_firmware: versionText(report.committedFirmware),
    launch_mit_vector: hasMitigations ? raw64(report.launchMitigations) : null,
    current_mit_vector: hasMitigations ? raw64(report.currentMitigations) : null,
    ...(owner?.kind === 'vlek' ? { csp_id: owner.cspId } : {}),
    ...(hcl === undefined ? {} : { hcl_runtime_data_sha256: toHex(hcl.runtimeDataSha256) }),
  };
}

function bitFields(
  value: bigint,
  bits: Readonly<Record<string, number>>,
): Readonly<Record<string, boolean>> {
  const name = (key: string): string =>
    key === 'memAes256Xts'
      ? 'mem_aes_256_xts'
      : key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(
    Object.entries(bits).map(([key, at]) => [name(key), hasBit(value, at)] as const),
  );
}

function raw64(value: bigint): string {
  return `0x${value.toString(16).padStart(16, '0')}`;
}

function versionText({ major, minor, build }: SnpFirmware): string {
  return `${major}.${minor}.${build}`;
}
type SnpFirmware = NonNullable<SnpResult['facts']>['report']['currentFirmware'];

export const sevSnpVectors: VectorKind = { name: 'sev-snp', run };
