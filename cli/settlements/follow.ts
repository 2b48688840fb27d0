/**
 * Long polls to a gateway's admin address: each asks for what came after the last entry. What the gateway is slow with or
 * away from is asked for again; an answer that leads nowhere does not make this side spin. @module
 */

import { z } from 'zod';
import { VeilError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import { createPinnedPool, fetchJson, type HttpPool } from '../../core/node/http-client.ts';
import { pause } from '../../core/node/lifecycle.ts';
import { ASSETS } from '../../settlement/money.ts';
import { cliError } from '../errors.ts';
import { moneyError } from '../ton/errors.ts';
import { SETTLEMENTS_MAX_BYTES } from '../ton/limits.ts';

const WAIT_MS = 20_000;
/** Beyond the wait that was asked for. */
const ANSWER_MS = 10_000;
const PAUSE_FIRST_MS = 250;
const PAUSE_MAX_MS = 10_000;
const ENTRIES_MAX = 4096;

const INTEGER = z
  .union([z.string().regex(/^\d{1,19}$/), z.int().min(0)])
  .transform((value) => BigInt(value));
const ID = z
  .string()
  .regex(/^[0-9a-f]{0,64}$/)
  .nullish()
  .transform((id) => id ?? '');

const ENTRY = z.object({
  seq: INTEGER,
  atMs: z.int().min(0).max(8.64e15),
  kind: z.string().regex(/^[a-z_]{1,16}$/),
  account: ID,
  requestId: ID,
  workerId: ID,
  asset: z.enum(ASSETS.map(({ name }) => name)),
  amount: INTEGER,
  workerPart: INTEGER,
  cum: INTEGER,
  n: INTEGER,
  epoch: INTEGER,
});
export type Settlement = z.output<typeof ENTRY>;

/** `after`: how far the gateway has looked. */
const ANSWER = z.object({ entries: z.array(ENTRY).max(ENTRIES_MAX), after: INTEGER.optional() });

export function settlementJson(entry: Settlement): JsonObject {
  const { atMs, kind, account, requestId, workerId, asset } = entry;
  return {
    seq: entry.seq.toString(),
    atMs,
    kind,
    account,
    requestId,
    workerId,
    asset,
    amount: entry.amount.toString(),
    workerPart: entry.workerPart.toString(),
    cum: entry.cum.toString(),
    n: entry.n.toString(),
    epoch: entry.epoch.toString(),
  };
}

export interface FollowOptions {
  /** Origin of the admin address. */
  readonly url: string;
  /** `tail`: what comes from now on. */
  readonly after: bigint | 'tail';
  readonly signal: AbortSignal;
  readonly onEntry: (entry: Settlement) => void;
  /** Once when it begins, and with nothing when it is over. */
  readonly onTrouble: (error: VeilError | undefined) => void;
  readonly pauseFirstMs?: number;
}

/** Until the signal. Throws `cli.option`, `http.origin`; `money.refused` for an address without settlements. */
export async function followSettlements(options: FollowOptions): Promise<void> {
  const { signal, onEntry, onTrouble, pauseFirstMs = PAUSE_FIRST_MS } = options;
  const pool = poolOf(options.url);
  let after = options.after;
  let [failures, isQuiet] = [0, false];
  try {
    while (!signal.aborted) {
      try {
        const { entries: fresh, reached } = await askOnce(pool, after, signal);
        if (isQuiet) onTrouble(undefined);
        [failures, isQuiet] = [0, false];
        for (const entry of fresh) onEntry(entry);
        after = reached;
        // A gateway that does not wait as it was asked to must not be asked without end.
        if (fresh.length === 0) await pause(pauseFirstMs, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof VeilError) || isFinal(error)) throw error;
        if (!isQuiet) onTrouble(error);
        isQuiet = true;
        await pause(Math.min(PAUSE_MAX_MS, pauseFirstMs * 2 ** Math.min(failures++, 10)), signal);
      }
    }
  } finally {
    await pool.destroy();
  }
}

/** Asking again changes nothing: the address is not one, or has no settlements. */
function isFinal({ code, facts }: VeilError): boolean {
  const isRefused = code === 'money.refused' && facts['refusedStatus'] !== UNAVAILABLE;
  return isRefused || code === 'http.origin';
}

const UNAVAILABLE = 503;

function poolOf(url: string): HttpPool {
  if (!URL.canParse(url)) throw cliError('cli.option', '--url is not a URL');
  const { origin, protocol } = new URL(url);
  const trust = { kind: protocol === 'http:' ? 'loopback' : 'webpki' } as const;
  return createPinnedPool({ origin, trust, connectionsMax: 1 });
}

interface Fresh {
  readonly entries: readonly Settlement[];
  /** To go on from. */
  readonly reached: bigint | 'tail';
}

/** What is new, in order. Throws `http.*`, `money.refused`, `money.gateway`. */
async function askOnce(
  pool: HttpPool,
  after: bigint | 'tail',
  signal: AbortSignal,
): Promise<Fresh> {
  const { status, json } = await fetchJson(pool, {
    method: 'GET',
    path: `/settlements?after=${after}&wait=${WAIT_MS}`,
    maxBytes: SETTLEMENTS_MAX_BYTES,
    timeoutMs: WAIT_MS + ANSWER_MS,
    signal,
  });
  if (status !== 200) {
    const facts = { refusedStatus: status };
    throw moneyError('money.refused', `the gateway answered ${status}`, { facts });
  }
  const decoded = ANSWER.safeParse(json);
  if (!decoded.success) throw moneyError('money.gateway', 'settlements that cannot be read');
  const { entries, after: looked } = decoded.data;
  let last = after === 'tail' ? -1n : after;
  for (const { seq } of entries) {
    if (seq <= last) throw moneyError('money.gateway', 'settlements out of order');
    last = seq;
  }
  if (entries.length > 0) return { entries, reached: last };
  return { entries, reached: after === 'tail' ? (looked ?? after) : after };
}
