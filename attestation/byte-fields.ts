/**
 * Byte strings inside decoded documents: text of exactly one form in, bytes out. A value that does not fit is named
 * by its path and never echoed.
 * Spec: RFC 4648 §5 without padding and with zero loose bits; lower-case hex for digests in policies.
 * @module
 */

import { z } from 'zod';
import { fixed, fromBase64, fromBase64Url, fromHex, type Bytes } from '../core/bytes.ts';
import { VeilError } from '../core/errors.ts';

/** Undefined when the decoder refuses; what it says about the text is not kept. */
function decoded(read: () => Uint8Array): Uint8Array | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    return undefined; // an answer: the caller names the field
  }
}

/** Canonical base64url of exactly `size` bytes. */
export function base64UrlField<N extends number>(size: N): z.ZodType<Bytes<N>, string> {
  const message = `want canonical base64url of ${size} bytes`;
  return z
    .string()
    .length(Math.ceil((size * 4) / 3), message)
    .transform((text, ctx) => {
      const bytes = decoded(() => fromBase64Url(text));
      if (bytes?.length === size) return fixed(bytes, size);
      ctx.addIssue(message);
      return z.NEVER;
    });
}

/** Canonical standard base64 of at most `maxBytes` bytes. */
export function base64Field(maxBytes: number): z.ZodType<Uint8Array, string> {
  const message = `want canonical base64 of at most ${maxBytes} bytes`;
  return z
    .string()
    .max(Math.ceil(maxBytes / 3) * 4, message)
    .transform((text, ctx) => {
      const bytes = decoded(() => fromBase64(text));
      if (bytes !== undefined && bytes.length <= maxBytes) return bytes;
      ctx.addIssue(message);
      return z.NEVER;
    });
}

/** Lower-case hex of exactly `size` bytes, as `sha256sum` and the vendors' tools print it. */
export function hexField<N extends number>(size: N): z.ZodType<Bytes<N>, string> {
  return z
    .string()
    .regex(new RegExp(`^[0-9a-f]{${2 * size}}$`), `want ${size} bytes in lower-case hex`)
    .transform((text) => fixed(fromHex(text), size));
}
