/**
 * What it means when an upstream does not answer 200. Its words are read to tell a prompt that is too long from everything
 * else, and go no further: they quote the request. Spec: openai-gateway-and-engine §2.5.
 * @module
 */

import { z } from 'zod';
import { VeilError } from '../../../core/errors.ts';
import { parseJson } from '../../../core/json.ts';
import { engineError } from '../../errors.ts';
import { upstreamError } from './errors.ts';
import { STATUS_MAX_BYTES } from './limits.ts';

const REFUSED: readonly number[] = [400, 413, 422];
const BUSY: readonly number[] = [429, 503];
const TOO_LONG =
  /context_length_exceeded|exceed_context_size|maximum context length|context length|context size|max_model_len/i;

const WORDS = z.union([
  z.object({
    error: z.union([
      z.string(),
      z.object({
        message: z.string().nullish(),
        type: z.string().nullish(),
        code: z.union([z.string(), z.number()]).nullish(),
      }),
    ]),
  }),
  z.object({ message: z.string() }).transform((error) => ({ error })),
]);

export function refusalOf(status: number, body: Uint8Array): VeilError {
  if (status >= 300 && status < 400) return upstreamError('redirect');
  if (BUSY.includes(status)) return engineError('engine.busy');
  if (!REFUSED.includes(status)) return upstreamError('status');
  return engineError(isTooLong(body) ? 'engine.prompt_too_long' : 'engine.refused', '', {
    facts: { status },
  });
}

function isTooLong(body: Uint8Array): boolean {
  try {
    const words = WORDS.safeParse(parseJson(body, STATUS_MAX_BYTES));
    return words.success && TOO_LONG.test(JSON.stringify(words.data.error));
  } catch (error) {
    if (error instanceof VeilError) return false; // no JSON: a page of something between
    throw error;
  }
}
