/**
 * What a gateway says it has: `GET /policy` of its admin listener, in clear text on this machine only. Nothing is decided by
 * the answer; it says whether what was published has arrived.
 * @module
 */

import { z } from 'zod';
import { createPinnedPool, fetchJson } from '../../core/node/http-client.ts';
import { pause } from '../../core/node/lifecycle.ts';
import { cliError } from '../errors.ts';
import { refused } from './errors.ts';

const ANSWER_MAX_BYTES = 65_536;
const TIMEOUT_MS = 5000;
const ASK_EVERY_MS = 50;
const TROUBLES_MAX = 64;
const TEXT = z.string().max(256);
const NUMBER = z.int().min(0).nullable();

/** Members that others add are not ours to refuse. */
const ANSWER = z.looseObject({
  policy: z.looseObject({ name: TEXT, serial: z.int().min(0), digest: TEXT }).nullable(),
  /** Null for an unsigned development policy. */
  publication: z
    .looseObject({
      root: NUMBER,
      release: NUMBER,
      revocations: NUMBER,
      /** Instant of the newest. */
      timestamp: TEXT.nullable(),
    })
    .nullable(),
  /** Why it admits nobody; null while it does. */
  stale: TEXT.nullable().optional(),
  /** What its reader stumbles over, for as long as it does. */
  troubles: z
    .array(z.looseObject({ what: TEXT, code: TEXT, since: TEXT }))
    .max(TROUBLES_MAX)
    .optional(),
});
export type GatewayView = z.output<typeof ANSWER>;

/** Throws `cli.option`, `http.*`. */
export async function askGateway(url: string, signal: AbortSignal): Promise<GatewayView> {
  const pool = createPinnedPool({ origin: originOf(url), trust: { kind: 'loopback' } });
  try {
    const { status, json } = await fetchJson(pool, {
      method: 'GET',
      path: '/policy',
      maxBytes: ANSWER_MAX_BYTES,
      timeoutMs: TIMEOUT_MS,
      signal,
    });
    const answer = ANSWER.safeParse(json);
    if (status === 200 && answer.success) return answer.data;
    throw cliError(
      'cli.file',
      `${url} does not answer GET /policy as the admin listener of a gateway`,
    );
  } finally {
    await pool.destroy();
  }
}

function originOf(url: string): string {
  const origin = URL.canParse(url) ? new URL(url).origin : '';
  if (/^http:\/\/(?:127\.0\.0\.1|\[::1\]|localhost)(?::\d+)?$/.test(origin)) return origin;
  throw cliError(
    'cli.option',
    'the admin listener of a gateway is on its own machine: name it as http://127.0.0.1:8789',
  );
}

/** Resolves with how long it took. Throws `repository.refused` when the gateway has not heard within `withinMs`. */
export async function untilHeard(
  url: string,
  number: number,
  { withinMs, now }: { readonly withinMs: number; readonly now: () => number },
): Promise<number> {
  const startMs = now();
  const signal = AbortSignal.timeout(withinMs);
  for (;;) {
    const { publication } = await askGateway(url, signal);
    const has = publication?.revocations ?? 0;
    if (has >= number) return now() - startMs;
    if (!(await pause(ASK_EVERY_MS, signal))) {
      throw refused(
        `${url} still has list ${has} and not ${number}: it is published, and this gateway has not heard`,
        'see that it reads this repository, and that "veilgate revoke timestamp" is running',
      );
    }
  }
}
