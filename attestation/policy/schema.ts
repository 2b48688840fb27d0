/**
 * What a policy may say. Every check is a required member: leaving one out does not load, and switching one off is
 * written `any: true` with a note. Constants stand where there is no legitimate alternative.
 * Spec: gpu-and-policy §5.2, §5.3, for TDX and SEV-SNP machines without GPU evidence.
 * @module
 */

import { z } from 'zod';
import { hexField } from '../byte-fields.ts';
import { MODEL_ID } from '../card.ts';
import type { TdxStatus } from '../tdx/tcb.ts';
import {
  anyOr,
  DAY,
  DURATION,
  FORBID_OR_ANY,
  INSTANT,
  listOf,
  MASK,
  NAME,
  REGISTER,
  SHA256,
  TEXT,
} from './fields.ts';
import { SNP_CPU, SNP_TUPLE } from './snp-schema.ts';

export const POLICY_FORMAT = 'veilgate.policy/1';

/** A grant of more than a year is a grant nobody looks at again. */
export const POLICY_LIFETIME_MAX_DAYS = 366;

/** The policy's words for Intel's statuses. Revoked and NotSupported have none: they are never admissible. */
export const STATUS_WORDS = {
  'up-to-date': 'UpToDate',
  'sw-hardening-needed': 'SWHardeningNeeded',
  'configuration-needed': 'ConfigurationNeeded',
  'configuration-and-sw-hardening-needed': 'ConfigurationAndSWHardeningNeeded',
  'out-of-date': 'OutOfDate',
  'out-of-date-configuration-needed': 'OutOfDateConfigurationNeeded',
  'td-relaunch-advised': 'TDRelaunchAdvised',
  'td-relaunch-advised-configuration-needed': 'TDRelaunchAdvisedConfigurationNeeded',
} as const satisfies Readonly<Record<string, TdxStatus>>;

const EXCEPTIONAL_STATUS = z.enum([
  'sw-hardening-needed',
  'configuration-needed',
  'configuration-and-sw-hardening-needed',
  'out-of-date',
  'out-of-date-configuration-needed',
  'td-relaunch-advised',
  'td-relaunch-advised-configuration-needed',
]);

const MODULE_ID = z.string().regex(/^TDX_[0-9A-F]{2}$/, 'want a module such as TDX_01');

const TDX_CPU = z
  .strictObject({
    tee: z.literal('tdx'),
    tcb_status: listOf(
      z.literal('up-to-date', {
        error: 'want up-to-date; anything less is admitted through advisories, for a while',
      }),
    ),
    tcb_eval_number: anyOr(z.strictObject({ min: z.int().min(1).max(10_000) }), '{min: 19}'),
    tcb_date: anyOr(z.strictObject({ min: DAY }), '{min: 2026-05-13}'),
    tdx_module: z.strictObject({
      identities: listOf(MODULE_ID),
      min_isvsvn: z.record(MODULE_ID, z.int().min(0).max(255)),
      mrsigner: z.literal('intel'),
    }),
    mrseam: anyOr(z.strictObject({ allow: listOf(hexField(48)) }), '{allow: ["…"]}'),
    attributes: z.strictObject({
      debug: z.literal('forbid'),
      sept_ve_disable: z.literal('require'),
      migratable: z.literal('forbid'),
      perfmon: FORBID_OR_ANY,
      protection_keys: FORBID_OR_ANY,
      key_locker: FORBID_OR_ANY,
      lass: FORBID_OR_ANY,
      unknown_bits: z.literal('forbid'),
    }),
    xfam: z.strictObject({ require: MASK, forbid: MASK }),
    service_td: z.literal('forbid'),
    fmspc: anyOr(z.strictObject({ allow: listOf(hexField(6)) }), '{allow: ["00806f050000"]}'),
    platforms: anyOr(
      z.strictObject({ allow: z.strictObject({ ppid: listOf(hexField(16)) }) }),
      '{allow: {ppid: ["…"]}}',
    ),
  })
  .refine(
    ({ tdx_module: { identities, min_isvsvn } }) =>
      identities.length === Object.keys(min_isvsvn).length &&
      identities.every((id) => Object.hasOwn(min_isvsvn, id)),
    { path: ['tdx_module', 'min_isvsvn'], error: 'want one floor for each of identities' },
  );

const RULE = z.strictObject({
  id: NAME,
  models: listOf(MODEL_ID),
  images: listOf(NAME),
  cpu: z.discriminatedUnion('tee', [TDX_CPU, SNP_CPU]),
  gpu: z.literal('none'),
});

const TDX_TUPLE = z.strictObject({
  shape: NAME,
  mrtd: REGISTER,
  rtmr0: REGISTER,
  rtmr1: REGISTER,
  rtmr2: REGISTER,
  rtmr3: REGISTER,
});

const TDX_REGISTERS = ['mrconfigid', 'mrowner', 'mrownerconfig'] as const;

/** Tuples for the kinds of machine it is built for; the three registers belong to those of TDX. */
const IMAGE = z
  .strictObject({
    name: NAME,
    source: z.strictObject({
      repo: TEXT,
      commit: z.string().regex(/^[0-9a-f]{40}$/, 'want 40 lower-case hex digits, in quotes'),
    }),
    expires: INSTANT,
    workload: z.strictObject({ image: SHA256, config: SHA256, engine: NAME }),
    tdx: listOf(TDX_TUPLE).exactOptional(),
    mrconfigid: REGISTER.exactOptional(),
    mrowner: REGISTER.exactOptional(),
    mrownerconfig: REGISTER.exactOptional(),
    snp: listOf(SNP_TUPLE).exactOptional(),
  })
  .superRefine((image, ctx) => {
    if (image.tdx === undefined && image.snp === undefined) {
      ctx.addIssue({ code: 'custom', path: ['tdx'], message: 'want tdx, snp or both' });
    }
    for (const name of TDX_REGISTERS) {
      if ((image.tdx === undefined) === (image[name] === undefined)) continue;
      const message =
        image.tdx === undefined
          ? 'only beside tdx'
          : 'want 48 bytes in lower-case hex, or zero, beside tdx';
      ctx.addIssue({ code: 'custom', path: [name], message });
    }
  });

const ADVISORY = z.strictObject({
  id: z.string().regex(/^[A-Z0-9][A-Z0-9-]{2,63}$/, 'want an advisory such as INTEL-SA-01036'),
  rules: listOf(NAME),
  admits: EXCEPTIONAL_STATUS,
  reason: TEXT,
  owner: TEXT,
  expires: INSTANT,
});

export const POLICY_SCHEMA = z.strictObject({
  format: z.literal(POLICY_FORMAT),
  name: NAME,
  serial: z.int().min(1),
  issued: INSTANT,
  expires: INSTANT,
  contact: TEXT,
  note: TEXT,
  development: z.literal(true).exactOptional(),
  roots: z
    .array(z.strictObject({ simulated: SHA256 }))
    .min(1)
    .max(8)
    .exactOptional(),
  limits: z.strictObject({
    evidence_age: DURATION,
    reattest_every: DURATION,
    collateral_grace: z.literal('0s'),
    challenge: z.enum(['required', 'gateway']),
  }),
  rules: listOf(RULE),
  images: listOf(IMAGE),
  models: listOf(z.strictObject({ id: MODEL_ID, weights: SHA256 })),
  advisories: listOf(ADVISORY),
});

export type PolicyDocument = z.output<typeof POLICY_SCHEMA>;
export type PolicyRule = PolicyDocument['rules'][number];
export type PolicyImage = PolicyDocument['images'][number];
export type PolicyAdvisory = PolicyDocument['advisories'][number];
export type TdxCpuRule = Extract<PolicyRule['cpu'], { readonly tee: 'tdx' }>;
export type SnpCpuRule = Extract<PolicyRule['cpu'], { readonly tee: 'snp' }>;

/** For editors; written to policies/policy-1.schema.json by `npm run generate`. */
export function policyJsonSchema(): Readonly<Record<string, unknown>> {
  return {
    title: 'Veilgate policy',
    ...z.toJSONSchema(POLICY_SCHEMA, { io: 'input', target: 'draft-07' }),
  };
}
