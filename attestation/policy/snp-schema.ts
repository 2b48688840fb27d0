/**
 * What a rule says about an SEV-SNP machine, and what an image pins on one.
 * Spec: gpu-and-policy §5.2 (SEV-SNP); sev-snp.md §8.
 * @module
 */

import { z } from 'zod';
import { fixed, type Bytes } from '../../core/bytes.ts';
import { hexField } from '../byte-fields.ts';
import { SILICON_LINES } from '../snp/products.ts';
import {
  anyOr,
  BIT_RULE,
  EXACT_TEXT,
  FORBID_OR_ANY,
  HOSTS,
  listOf,
  MASK,
  NAME,
  REGISTER,
  TEXT,
} from './fields.ts';

const SVN = z.int().min(0).max(255);
const VERSION_PART = z.int().min(0).max(255);

/** `"1.55.40"`: YAML would read a number with one point. */
const FIRMWARE = z
  .string()
  .regex(/^\d{1,3}\.\d{1,3}\.\d{1,3}$/, 'want a version such as "1.55.40", in quotes')
  .transform((text, ctx) => {
    const [major, minor, build] = text.split('.').map(Number);
    const read = z
      .tuple([VERSION_PART, VERSION_PART, VERSION_PART])
      .safeParse([major, minor, build]);
    if (read.success) return { major: read.data[0], minor: read.data[1], build: read.data[2] };
    ctx.addIssue('want parts of at most 255');
    return z.NEVER;
  });

const ABI = z
  .string()
  .regex(/^\d{1,3}\.\d{1,3}$/, 'want a version such as "1.55", in quotes')
  .transform((text, ctx) => {
    const [major, minor] = text.split('.').map(Number);
    const read = z.tuple([VERSION_PART, VERSION_PART]).safeParse([major, minor]);
    if (read.success) return { major: read.data[0], minor: read.data[1] };
    ctx.addIssue('want parts of at most 255');
    return z.NEVER;
  });

/** Security version numbers; `source` says where they come from. */
const FLOOR = z.strictObject({
  /** Turin only. */
  fmc: SVN.exactOptional(),
  bootloader: SVN,
  tee: SVN,
  snp: SVN,
  microcode: SVN,
  source: TEXT,
});

const LINE = z.enum(SILICON_LINES);

/** A word for 32 zero bytes, or hex. */
const HOST_DATA: z.ZodType<Bytes<32>, string> = z.union(
  [z.literal('zero').transform(() => fixed(new Uint8Array(32), 32)), hexField(32)],
  { error: 'want 32 bytes in lower-case hex, or zero' },
);

export const SNP_CPU = z
  .strictObject({
    tee: z.literal('snp'),
    products: listOf(z.enum(['milan', 'genoa', 'turin'])),
    signer: z.strictObject({
      allow: listOf(z.enum(['vcek', 'vlek'])),
      /** Exact names of clouds whose VLEK counts. */
      csp_ids: listOf(EXACT_TEXT),
    }),
    report_version: z.strictObject({ min: z.int().min(2).max(5) }),
    vmpl: listOf(z.int().min(0).max(3)),
    guest_svn: anyOr(z.strictObject({ min: z.int().min(0).max(0xffff_ffff) }), '{min: 1}'),
    abi: anyOr(z.strictObject({ min: ABI }), '{min: "1.55"}'),
    guest_policy: z.strictObject({
      debug: z.literal('forbid'),
      migrate_ma: z.literal('forbid'),
      smt: BIT_RULE,
      single_socket: BIT_RULE,
      cxl_allow: BIT_RULE,
      mem_aes_256_xts: BIT_RULE,
      rapl_dis: BIT_RULE,
      ciphertext_hiding_dram: BIT_RULE,
      page_swap_disable: BIT_RULE,
    }),
    platform_info: z.strictObject({
      smt_en: BIT_RULE,
      tsme_en: BIT_RULE,
      ecc_en: BIT_RULE,
      rapl_dis: BIT_RULE,
      ciphertext_hiding_dram_en: BIT_RULE,
      alias_check_complete: BIT_RULE,
      iommu_write_safe: BIT_RULE,
      tio_en: BIT_RULE,
      unknown_bits: z.literal('forbid'),
    }),
    /** Floors of current, committed, reported and launch TCB, by silicon line. A line without one is refused. */
    tcb: z.partialRecord(LINE, FLOOR),
    firmware: anyOr(z.strictObject({ min: FIRMWARE }), '{min: "1.55.40"}'),
    provisional_firmware: FORBID_OR_ANY,
    /** Bits of the mitigation vectors that must be set, by silicon line. */
    mitigations: anyOr(
      z.strictObject({
        lines: z.partialRecord(LINE, z.strictObject({ launch: MASK, current: MASK })),
      }),
      '{lines: {turin: {launch: "0x0000000000000016", current: "0x0000000000000016"}}}',
    ),
    author_keys: anyOr(z.strictObject({ allow: listOf(hexField(48)) }), '{allow: ["…"]}'),
    crl: z.literal('require'),
    masked_chip_id: z.literal('forbid'),
    platforms: anyOr(
      z.union([
        z.strictObject({ allow: z.strictObject({ chip_id: listOf(hexField(64)) }) }),
        HOSTS,
      ]),
      '{registry: hosts}, {allow: {chip_id: ["…"]}}',
    ),
  })
  .superRefine(({ tcb }, ctx) => {
    for (const line of SILICON_LINES) {
      const floor = tcb[line];
      if (floor === undefined) continue;
      const isTurin = line === 'turin' || line === 'turin-dense';
      if (isTurin === (floor.fmc !== undefined)) continue;
      const message = isTurin
        ? 'want a floor: Turin has this component'
        : 'only Turin has this component';
      ctx.addIssue({ code: 'custom', path: ['tcb', line, 'fmc'], message });
    }
  });

/** A whole identity of a guest as it was launched: the three count together. */
export const SNP_TUPLE = z.strictObject({
  shape: NAME,
  measurement: hexField(48),
  host_data: HOST_DATA,
  /** Of the key that signed the ID block; zero when there is none. */
  id_key_digest: REGISTER,
});
