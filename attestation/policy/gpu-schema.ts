/**
 * What a rule says about GPUs. The form is complete; a rule that demands a GPU admits nobody until GPU evidence is verified
 * (`gpu.evidence`), and lint says so. Spec: gpu-and-policy §5.2.
 * @module
 */

import { z } from 'zod';
import { DURATION, HOSTS, anyOr, listOf } from './fields.ts';

/** `"570.172.08"`, `"96.00.9F.00.01"`: in quotes, because YAML reads some of these as numbers. */
const VERSION = z
  .string()
  .regex(
    /^[0-9A-Fa-f]{1,8}(\.[0-9A-Fa-f]{1,8}){1,5}$/,
    'want a version such as "570.172.08", in quotes',
  );

const COUNT = z.int().min(1).max(64);

/** How many devices, and the one mode that is legal for so many. */
const SHAPE = z.union(
  [
    z.strictObject({ count: COUNT, mode: z.literal('spt') }),
    z.strictObject({ count: COUNT, mode: z.literal('mpt') }),
    z.strictObject({ count: COUNT, mode: z.literal('ppcie'), switches: COUNT }),
  ],
  {
    error:
      'want {count: 1, mode: spt}, {count: 8, mode: mpt} or {count: 8, mode: ppcie, switches: 4}',
  },
);

const OCSP = z.enum(['require']);

export const NVIDIA_GPU = z
  .strictObject({
    vendor: z.literal('nvidia'),
    architectures: listOf(z.enum(['hopper', 'blackwell'])),
    shapes: listOf(SHAPE),
    method: z.enum(['local', 'nras', 'both']),
    /** Only beside `method: nras` or `both`. */
    nras: z
      .strictObject({
        issuer: z.url({ protocol: /^https$/ }).max(256),
        pins: listOf(z.string().regex(/^sha256:[0-9a-f]{64}$/, 'want "sha256:" and 64 hex digits')),
      })
      .exactOptional(),
    driver: z.strictObject({ allow: listOf(VERSION), min: VERSION }),
    vbios: z.strictObject({ allow: listOf(VERSION) }),
    switch_bios: z.strictObject({ allow: listOf(VERSION) }).exactOptional(),
    fwid: z.literal('require'),
    /** From challenge and session keys; a raw nonce does not exist. */
    nonce: z.literal('derived'),
    ocsp: z.strictObject({
      device: OCSP,
      reference: OCSP,
      age: DURATION,
      hold: z.literal('deny'),
    }),
    reference: z.strictObject({
      sources: listOf(z.enum(['stapled', 'store'])),
      signer_expired: z.literal('deny'),
    }),
    devices: anyOr(HOSTS, '{registry: hosts}'),
  })
  .superRefine(({ method, nras, shapes, switch_bios: switchBios }, ctx) => {
    if ((method === 'local') === (nras !== undefined)) {
      const message =
        method === 'local' ? 'only beside method: nras or both' : 'want the issuer and its pins';
      ctx.addIssue({ code: 'custom', path: ['nras'], message });
    }
    const hasSwitches = shapes.some(({ mode }) => mode === 'ppcie');
    if (hasSwitches !== (switchBios !== undefined)) {
      const message = hasSwitches
        ? 'want {allow: […]}: a shape has switches'
        : 'no shape has switches';
      ctx.addIssue({ code: 'custom', path: ['switch_bios'], message });
    }
  });

export const GPU = z.union([z.literal('none'), NVIDIA_GPU], {
  error: 'want none, or what is demanded of an nvidia GPU',
});
