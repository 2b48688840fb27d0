/**
 * What a policy may say. Every check is a required member: leaving one out does not load, and switching one off is
 * written `any: true` with a note. Constants stand where there is no legitimate alternative.
 * Spec: gpu-and-policy §5.2, §5.3, for TDX machines without GPU evidence.
 * @module
 */

import { z } from 'zod';
import { parseInstant } from '../../core/clock.ts';
import { hexField } from '../byte-fields.ts';
import { MODEL_ID } from '../card.ts';
import { fixed, fromHex, type Bytes } from '../../core/bytes.ts';
import type { TdxStatus } from '../tdx/tcb.ts';

export const POLICY_FORMAT = 'veilgate.policy/1';

const LIST_MAX = 256;
const NOTE_MAX_CHARS = 1000;
const NAME_MAX_CHARS = 128;
const DURATION_MAX_S = 86_400;
/** A grant of more than a year is a grant nobody looks at again. */
export const POLICY_LIFETIME_MAX_DAYS = 366;

const NAME = z
  .string()
  .max(NAME_MAX_CHARS)
  .regex(/^[a-z0-9][a-z0-9._-]*$/, 'want lower-case letters, digits and . _ -');
const TEXT = z.string().min(1).max(NOTE_MAX_CHARS);

/** RFC 3339 in UTC, to milliseconds. */
const INSTANT: z.ZodType<number, string> = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/, 'want an instant such as 2026-11-24T09:00:00Z')
  .transform((text, ctx) => {
    const ms = parseInstant(text);
    if (ms !== undefined) return ms;
    ctx.addIssue('not a date of the calendar');
    return z.NEVER;
  });

const DAY: z.ZodType<string, string> = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}$/, 'want a day such as 2026-05-13')
  .refine((text) => parseInstant(`${text}T00:00:00Z`) !== undefined, 'not a date of the calendar');

const SECONDS_IN = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** `90s`, `10m`, `1h`: to milliseconds. */
const DURATION: z.ZodType<number, string> = z
  .string()
  .regex(/^[1-9]\d{0,4}[smhd]$/, 'want a duration such as 60s, 10m or 1h')
  .transform((text, ctx) => {
    const unit = z.enum(['s', 'm', 'h', 'd']).parse(text.slice(-1));
    const seconds = Number(text.slice(0, -1)) * SECONDS_IN[unit];
    if (seconds <= DURATION_MAX_S) return seconds * 1000;
    ctx.addIssue('at most one day');
    return z.NEVER;
  });

const SHA256: z.ZodType<Bytes<32>, string> = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, 'want "sha256:" and 64 lower-case hex digits')
  .transform((text) => fixed(fromHex(text.slice('sha256:'.length)), 32));

/** A 48-byte register: hex, or the word for 48 zero bytes. */
const REGISTER: z.ZodType<Bytes<48>, string> = z.union(
  [z.literal('zero').transform(() => fixed(new Uint8Array(48), 48)), hexField(48)],
  { error: 'want 48 bytes in lower-case hex, or zero' },
);

/** A 64-bit mask as text: YAML numbers would lose bits. */
const MASK: z.ZodType<bigint, string> = z
  .string()
  .regex(/^0x[0-9a-f]{16}$/, 'want "0x" and 16 lower-case hex digits, in quotes')
  .transform((text) => BigInt(text));

/** "Not checked here", said aloud: shows in every verdict as waived, with the note. */
const ANY = z.strictObject({ any: z.literal(true), note: TEXT });

const anyOr = <Schema extends z.ZodType>(schema: Schema, example: string) =>
  z.union([ANY, schema], { error: `want ${example} or {any: true, note: "…"}` });

const listOf = <Schema extends z.ZodType>(schema: Schema) => z.array(schema).max(LIST_MAX);

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
const FORBID_OR_ANY = z.enum(['forbid', 'any']);

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
  cpu: TDX_CPU,
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

const IMAGE = z.strictObject({
  name: NAME,
  source: z.strictObject({
    repo: TEXT,
    commit: z.string().regex(/^[0-9a-f]{40}$/, 'want 40 lower-case hex digits, in quotes'),
  }),
  expires: INSTANT,
  workload: z.strictObject({ image: SHA256, config: SHA256, engine: NAME }),
  tdx: listOf(TDX_TUPLE),
  mrconfigid: REGISTER,
  mrowner: REGISTER,
  mrownerconfig: REGISTER,
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
export type TdxCpuRule = PolicyRule['cpu'];

/** For editors; written to policies/policy-1.schema.json by `npm run generate`. */
export function policyJsonSchema(): Readonly<Record<string, unknown>> {
  return {
    title: 'Veilgate policy',
    ...z.toJSONSchema(POLICY_SCHEMA, { io: 'input', target: 'draft-07' }),
  };
}
