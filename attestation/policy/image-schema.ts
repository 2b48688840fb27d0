/**
 * An image as a policy lists it: where it comes from, how long it is trusted, what it states about itself and what machines
 * measure of it. Workers and gateways have lists of their own. Spec: gpu-and-policy §5.2.
 * @module
 */

import { z } from 'zod';
import { INSTANT, listOf, NAME, REGISTER, SHA256, TEXT } from './fields.ts';
import { SNP_TUPLE } from './snp-schema.ts';
import { TDX_TUPLE } from './tdx-schema.ts';

const TDX_REGISTERS = ['mrconfigid', 'mrowner', 'mrownerconfig'] as const;

/** Tuples for the kinds of machine it is built for; the three registers belong to those of TDX. */
function imageOf<Workload extends z.ZodType>(workload: Workload) {
  return z
    .strictObject({
      name: NAME,
      source: z.strictObject({
        repo: TEXT,
        commit: z.string().regex(/^[0-9a-f]{40}$/, 'want 40 lower-case hex digits, in quotes'),
      }),
      expires: INSTANT,
      workload,
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
}

export const IMAGE = imageOf(z.strictObject({ image: SHA256, config: SHA256, engine: NAME }));

/** A gateway runs no engine. */
export const GATEWAY_IMAGE = imageOf(z.strictObject({ image: SHA256, config: SHA256 }));
