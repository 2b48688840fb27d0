/**
 * The kinds of values that a policy's members have. Not checking is a value too: it is written, with a reason.
 * Spec: gpu-and-policy §5.2.
 * @module
 */

import { z } from 'zod';
import { fixed, fromHex, type Bytes } from '../../core/bytes.ts';
import { parseInstant } from '../../core/clock.ts';
import { hexField } from '../byte-fields.ts';

const LIST_MAX = 256;
const NOTE_MAX_CHARS = 1000;
const NAME_MAX_CHARS = 128;
const DURATION_MAX_S = 86_400;
/** `any` and `all` are no names: whoever writes one into a list expects a wildcard, and there is none. */
export const NAME = z
  .string()
  .max(NAME_MAX_CHARS)
  .regex(/^(?!(?:any|all)$)[a-z0-9][a-z0-9._-]*$/, 'want lower-case letters, digits and . _ -');
/** Compared as a whole with what a certificate says, so that a pattern would match nothing. */
export const EXACT_TEXT = z
  .string()
  .min(1)
  .max(NOTE_MAX_CHARS)
  .regex(/^[^*?^$|\\[\](){}]+$/, 'want the exact text');
export const TEXT = z.string().min(1).max(NOTE_MAX_CHARS);

/** RFC 3339 in UTC, to milliseconds. */
export const INSTANT: z.ZodType<number, string> = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/, 'want an instant such as 2026-11-24T09:00:00Z')
  .transform((text, ctx) => {
    const ms = parseInstant(text);
    if (ms !== undefined) return ms;
    ctx.addIssue('not a date of the calendar');
    return z.NEVER;
  });

export const DAY: z.ZodType<string, string> = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}$/, 'want a day such as 2026-05-13')
  .refine((text) => parseInstant(`${text}T00:00:00Z`) !== undefined, 'not a date of the calendar');

const SECONDS_IN = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** `90s`, `10m`, `1h`: to milliseconds. */
export const DURATION: z.ZodType<number, string> = z
  .string()
  .regex(/^[1-9]\d{0,4}[smhd]$/, 'want a duration such as 60s, 10m or 1h')
  .transform((text, ctx) => {
    const unit = z.enum(['s', 'm', 'h', 'd']).parse(text.slice(-1));
    const seconds = Number(text.slice(0, -1)) * SECONDS_IN[unit];
    if (seconds <= DURATION_MAX_S) return seconds * 1000;
    ctx.addIssue('at most one day');
    return z.NEVER;
  });

export const SHA256: z.ZodType<Bytes<32>, string> = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, 'want "sha256:" and 64 lower-case hex digits')
  .transform((text) => fixed(fromHex(text.slice('sha256:'.length)), 32));

/** A 48-byte register: hex, or the word for 48 zero bytes. */
export const REGISTER: z.ZodType<Bytes<48>, string> = z.union(
  [z.literal('zero').transform(() => fixed(new Uint8Array(48), 48)), hexField(48)],
  { error: 'want 48 bytes in lower-case hex, or zero' },
);

/** A 64-bit mask as text: YAML numbers would lose bits. */
export const MASK: z.ZodType<bigint, string> = z
  .string()
  .regex(/^0x[0-9a-f]{16}$/, 'want "0x" and 16 lower-case hex digits, in quotes')
  .transform((text) => BigInt(text));

/** "Not checked here", said aloud: shows in every verdict as waived, with the note. */
const ANY = z.strictObject({ any: z.literal(true), note: TEXT });

export const anyOr = <Schema extends z.ZodType>(schema: Schema, example: string) =>
  z.union([ANY, schema], { error: `want ${example} or {any: true, note: "…"}` });

export const listOf = <Schema extends z.ZodType>(schema: Schema) => z.array(schema).max(LIST_MAX);

export const FORBID_OR_ANY = z.enum(['forbid', 'any']);
export const BIT_RULE = z.enum(['require', 'forbid', 'any']);

/** The machines of the policy's own `hosts`. */
export const HOSTS = z.strictObject({ registry: z.literal('hosts') });
