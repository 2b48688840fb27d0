/**
 * What a policy may say. Every check is a required member: leaving one out does not load, and switching one off is
 * written `any: true` with a note. Constants stand where there is no legitimate alternative.
 * Spec: gpu-and-policy §5.2, §5.3.
 * @module
 */

import { z } from 'zod';
import { hexField } from '../byte-fields.ts';
import { MODEL_ID } from '../card.ts';
import type { TdxStatus } from '../tdx/tcb.ts';
import { anyOr, DAY, DURATION, INSTANT, listOf, NAME, SHA256, TEXT } from './fields.ts';
import { GATEWAYS } from './gateway-schema.ts';
import { GPU } from './gpu-schema.ts';
import { IMAGE } from './image-schema.ts';
import { CPU } from './cpu-schema.ts';

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

const RULE = z.strictObject({
  id: NAME,
  models: listOf(MODEL_ID),
  images: listOf(NAME),
  cpu: CPU,
  gpu: GPU,
});

const ADVISORY = z.strictObject({
  id: z.string().regex(/^[A-Z0-9][A-Z0-9-]{2,63}$/, 'want an advisory such as INTEL-SA-01036'),
  rules: listOf(NAME),
  admits: EXCEPTIONAL_STATUS,
  reason: TEXT,
  owner: TEXT,
  expires: INSTANT,
});

const GPU_ID = z.string().regex(/^[0-9a-f]{16,64}$/, 'want a device id in lower-case hex');

/** One machine as it was recorded when it came into the rack: its CPU, and the devices that belong to it. */
const HOST = z.strictObject({
  host: NAME,
  cpu: z.union(
    [z.strictObject({ ppid: hexField(16) }), z.strictObject({ chip_id: hexField(64) })],
    { error: 'want {ppid: "<32 hex>"} or {chip_id: "<128 hex>"}' },
  ),
  gpus: listOf(GPU_ID),
  switches: listOf(GPU_ID),
  location: TEXT,
  seen: DAY,
  /** Who recorded it: two people, so that nobody smuggles a machine in alone. */
  by: listOf(TEXT),
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
    /** How old the word may be that nothing newer was revoked. Older admits nobody. */
    revocation_age: anyOr(
      z.strictObject({ gateway: DURATION, client: DURATION }),
      '{gateway: 60s, client: 5m}',
    ),
    collateral_grace: z.literal('0s'),
    challenge: z.enum(['required', 'gateway']),
  }),
  rules: listOf(RULE),
  images: listOf(IMAGE),
  models: listOf(z.strictObject({ id: MODEL_ID, weights: SHA256 })),
  advisories: listOf(ADVISORY),
  /** Machines by what they are, for rules that say `platforms: {registry: hosts}`. */
  hosts: listOf(HOST),
  /** Which gateways may hold plaintext. Nothing that may be a worker may be a gateway. Absent: none. */
  gateways: GATEWAYS.exactOptional(),
});

export type PolicyDocument = z.output<typeof POLICY_SCHEMA>;
export type PolicyRule = PolicyDocument['rules'][number];
export type PolicyImage = PolicyDocument['images'][number];
export type PolicyHost = PolicyDocument['hosts'][number];
export type PolicyAdvisory = PolicyDocument['advisories'][number];
export type PolicyGateways = NonNullable<PolicyDocument['gateways']>;
export type TdxCpuRule = Extract<PolicyRule['cpu'], { readonly tee: 'tdx' }>;
export type SnpCpuRule = Extract<PolicyRule['cpu'], { readonly tee: 'snp' }>;

/** For editors; written to policies/policy-1.schema.json by `npm run generate`. */
export function policyJsonSchema(): Readonly<Record<string, unknown>> {
  return {
    title: 'Veilgate policy',
    ...z.toJSONSchema(POLICY_SCHEMA, { io: 'input', target: 'draft-07' }),
  };
}
