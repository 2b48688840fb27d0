/** How many answers an upstream says it is writing. Spec: vLLM and SGLang "Production Metrics"; llama.cpp GET /slots. @module */

import { z } from 'zod';
import { fromUtf8 } from '../../../core/bytes.ts';
import { VeilError } from '../../../core/errors.ts';
import { fetchBytes } from '../../../core/node/http-client.ts';
import { parseJson } from '../../../core/json.ts';
import type { RunningGauge } from './kinds.ts';
import { ANSWER_MAX_BYTES, CONTROL_TIMEOUT_MS } from './limits.ts';
import type { Upstream } from './upstream.ts';

const SLOTS = z.array(z.object({ is_processing: z.boolean() })).max(4096);

/** Undefined where nobody says it. */
export async function runningAnswers(
  { kind, pool }: Upstream,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { running } = kind;
  if (running === undefined) return undefined;
  try {
    const { status, body } = await fetchBytes(pool, {
      method: 'GET',
      path: running.path,
      headers: { accept: '*/*' },
      maxBytes: ANSWER_MAX_BYTES,
      timeoutMs: CONTROL_TIMEOUT_MS,
      signal,
    });
    return status === 200 ? countIn(running, body) : undefined;
  } catch (error) {
    if (error instanceof VeilError && !signal.aborted) return undefined;
    throw error;
  }
}

function countIn(gauge: RunningGauge, body: Uint8Array): number | undefined {
  if (gauge.kind === 'slots') {
    const slots = SLOTS.safeParse(parseJson(body, ANSWER_MAX_BYTES));
    return slots.success ? slots.data.filter((slot) => slot.is_processing).length : undefined;
  }
  // name{labels} value, a line each, one for each part of an engine.
  const values = fromUtf8(body)
    .split('\n')
    .filter((line) => line.startsWith(`${gauge.name}{`) || line.startsWith(`${gauge.name} `))
    .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
  if (values.length === 0 || values.some((value) => !Number.isFinite(value))) return undefined;
  return values.reduce((sum, value) => sum + value, 0);
}
