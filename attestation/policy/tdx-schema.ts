/**
 * What a rule says about a TDX machine, and what an image pins on one. Spec: gpu-and-policy §5.2 (TDX); tdx.md §5.
 * @module
 */

import { z } from 'zod';
import { hexField } from '../byte-fields.ts';
import { anyOr, DAY, FORBID_OR_ANY, HOSTS, listOf, MASK, NAME, REGISTER } from './fields.ts';

const MODULE_ID = z.string().regex(/^TDX_[0-9A-F]{2}$/, 'want a module such as TDX_01');

export const TDX_CPU = z
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
      z.union([z.strictObject({ allow: z.strictObject({ ppid: listOf(hexField(16)) }) }), HOSTS]),
      '{registry: hosts}, {allow: {ppid: ["…"]}}',
    ),
  })
  .refine(
    ({ tdx_module: { identities, min_isvsvn } }) =>
      identities.length === Object.keys(min_isvsvn).length &&
      identities.every((id) => Object.hasOwn(min_isvsvn, id)),
    { path: ['tdx_module', 'min_isvsvn'], error: 'want one floor for each of identities' },
  );

/** All of a machine's registers that its shape decides; they count together. */
export const TDX_TUPLE = z.strictObject({
  shape: NAME,
  mrtd: REGISTER,
  rtmr0: REGISTER,
  rtmr1: REGISTER,
  rtmr2: REGISTER,
  rtmr3: REGISTER,
});
