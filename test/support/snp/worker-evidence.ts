/**
 * One SEV-SNP worker's complete evidence and a rule that it passes with nothing waived, sound in everything except for what
 * a test names. Spec: gpu-and-policy §4.4, §5.2.
 * @module
 */

import { sha256 } from '#primitives';
import { cardDigestOf, encodeCard } from '../../../attestation/card.ts';
import type { SnpEvidence } from '../../../attestation/evidence.ts';
import {
  encodeStatement,
  reportDataOf,
  type StatementFields,
} from '../../../attestation/statement.ts';
import { toHex, type Bytes } from '../../../core/bytes.ts';
import type { JsonObject } from '../../../core/json.ts';
import {
  TEST_IMAGE,
  TEST_RULE,
  testCard,
  testStatement,
  type TestRule,
} from '../worker-evidence.ts';
import { buildSnpCase, soundReport, type SnpFaults } from './case.ts';
import { PRODUCTS, type SnpTestPki } from './pki.ts';

export interface TestSnpEvidence {
  readonly evidence: SnpEvidence;
  readonly rootSha256: Bytes<32>;
  readonly statement: StatementFields;
}

export async function buildSnpEvidence(
  pki: SnpTestPki,
  faults: SnpFaults & { readonly statement?: Partial<StatementFields> } = {},
): Promise<TestSnpEvidence> {
  const card = encodeCard(testCard());
  const statement = testStatement({ tee: 'snp', card: cardDigestOf(card), ...faults.statement });
  const bytes = encodeStatement(statement);
  const fields = { reportData: reportDataOf(bytes), ...faults.report?.fields };
  const built = await buildSnpCase(pki, { ...faults, report: { ...faults.report, fields } });
  return {
    evidence: {
      tee: 'snp',
      statement: bytes,
      quote: built.evidence.bytes,
      card,
      endorsements: built.evidence.endorsements,
    },
    rootSha256: sha256(built.certificates.root.der),
    statement,
  };
}

const REPORT = soundReport({ product: 'Genoa', signer: 'vcek' });
const FLOOR = { ...PRODUCTS.Genoa.tcb, source: 'test' };

/** The `cpu` section that the test hierarchy's Genoa passes, nothing waived. */
export const TEST_SNP_CPU: TestRule = {
  tee: 'snp',
  products: ['genoa'],
  signer: { allow: ['vcek'], csp_ids: [] },
  report_version: { min: 5 },
  vmpl: [0],
  guest_svn: { min: REPORT.guestSvn },
  abi: { min: '1.55' },
  guest_policy: {
    debug: 'forbid',
    migrate_ma: 'forbid',
    smt: 'require',
    single_socket: 'forbid',
    cxl_allow: 'forbid',
    mem_aes_256_xts: 'forbid',
    rapl_dis: 'forbid',
    ciphertext_hiding_dram: 'forbid',
    page_swap_disable: 'forbid',
  },
  platform_info: {
    smt_en: 'require',
    tsme_en: 'forbid',
    ecc_en: 'require',
    rapl_dis: 'forbid',
    ciphertext_hiding_dram_en: 'forbid',
    alias_check_complete: 'require',
    iommu_write_safe: 'forbid',
    tio_en: 'forbid',
    unknown_bits: 'forbid',
  },
  tcb: { genoa: FLOOR },
  firmware: { min: '1.55.40' },
  provisional_firmware: 'forbid',
  mitigations: {
    lines: { genoa: { launch: '0x000000000000000b', current: '0x000000000000000b' } },
  },
  author_keys: { allow: [toHex(REPORT.authorKeyDigest)] },
  crl: 'require',
  masked_chip_id: 'forbid',
  platforms: { allow: { chip_id: [toHex(REPORT.chipId)] } },
};

export const TEST_SNP_RULE: TestRule = { ...TEST_RULE, id: 'test-snp-rule', cpu: TEST_SNP_CPU };

export const TEST_SNP_TUPLE: TestRule = {
  shape: 'small',
  measurement: toHex(REPORT.measurement),
  host_data: toHex(REPORT.hostData),
  id_key_digest: toHex(REPORT.idKeyDigest),
};

/** For SNP alone: what belongs to TDX is left out. */
export function snpImage(tuples: readonly TestRule[] = [TEST_SNP_TUPLE]): JsonObject {
  const { tdx: _tdx, mrconfigid: _1, mrowner: _2, mrownerconfig: _3, ...image } = TEST_IMAGE;
  return { ...image, snp: tuples };
}
