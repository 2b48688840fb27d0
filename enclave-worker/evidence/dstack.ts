/**
 * Quotes from the guest agent of dstack: HTTP on a socket file, one call. The agent belongs to the guest's image; its
 * answers are judged as strictly as anybody's.
 * Spec: dstack guest agent RPC, `DstackGuest.GetQuote` (a closed surface since 0.5); tdx.md §8.
 * @module
 */

import { z } from 'zod';
import { QUOTE_MAX_BYTES } from '../../attestation/evidence.ts';
import { equalPublic, fromHex, toHex, utf8, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { parseStrictJson } from '../../core/json.ts';
import { createPinnedPool, fetchBytes, type FetchedBytes } from '../../core/node/http-client.ts';
import { PATH } from '../config-fields.ts';
import { providerError } from '../errors.ts';
import {
  AGENT_ANSWER_MAX_BYTES,
  AGENT_CONNECT_TIMEOUT_MS,
  AGENT_PROBE_TIMEOUT_MS,
  COLLECT_TIMEOUT_MS,
  EVENT_LOG_MAX_BYTES,
  VM_CONFIG_MAX_CHARS,
} from '../limits.ts';
import { WORKERS_PAGE, type Finding, type Probe } from './finding.ts';
import { isThere } from './glance.ts';
import { systemCodeOf, type Guest } from './guest.ts';
import { Lane, stopErrorOf } from './lane.ts';
import { assertOwnQuote } from './own-quote.ts';
import type { CollectedEvidence, EvidenceProvider } from './provider.ts';

export const DSTACK = 'dstack';

export const DSTACK_CONFIG = z.strictObject({
  provider: z.literal(DSTACK),
  /** Absent: where dstack puts it. */
  socketPath: PATH.exactOptional(),
});

export interface DstackOptions {
  readonly socketPath?: string;
}

/** The first agent that answers. Throws `evidence.*`. */
export async function openDstack(
  { socketPath }: DstackOptions,
  guest: Guest,
  signal: AbortSignal,
): Promise<EvidenceProvider> {
  const { dstackSockets, legacyDstackSockets } = guest.paths;
  const paths =
    socketPath === undefined ? [...dstackSockets, ...legacyDstackSockets] : [socketPath];
  let failure: unknown = providerError('evidence.unavailable', 'no socket of a dstack agent');
  let met = false;
  for (const path of paths) {
    if (signal.aborted) throw stopErrorOf(signal);
    try {
      const kind = await kindOf(path, guest);
      if (kind === 'socket') return await providerBehind(path, guest, signal);
    } catch (error) {
      // What the first socket had to say explains most.
      if (!met) failure = error;
      met = true;
    }
  }
  throw failure;
}

const LEGACY_SOCKET = /(^|\/)tappd\.sock$/;

/** What tappd quotes is a hash of its own making over what it was given: no statement can be read out of that. */
function assertNotLegacy(path: string): void {
  if (LEGACY_SOCKET.test(path)) {
    throw providerError(
      'evidence.unsupported',
      'the tappd socket of old dstack images hashes the report data; use an image with dstack.sock',
    );
  }
}

async function kindOf(path: string, { files }: Guest): Promise<string | undefined> {
  try {
    return await files.kindOf(path);
  } catch (cause) {
    throw providerError(
      ['EACCES', 'EPERM'].includes(systemCodeOf(cause))
        ? 'evidence.permission'
        : 'evidence.unavailable',
      'the socket of the dstack agent',
      { cause },
    );
  }
}

async function providerBehind(
  socketPath: string,
  guest: Guest,
  signal: AbortSignal,
): Promise<EvidenceProvider> {
  assertNotLegacy(socketPath);
  const probing = AbortSignal.any([signal, AbortSignal.timeout(AGENT_PROBE_TIMEOUT_MS)]);
  // Any answer shows that somebody listens; older agents do not know this call.
  await call(socketPath, { path: '/Version', json: {} }, probing);
  const lane = new Lane(guest);
  return {
    name: DSTACK,
    tee: 'tdx',
    simulated: false,
    collect: (reportData, caller = new AbortController().signal) => {
      const stop = AbortSignal.any([caller, AbortSignal.timeout(COLLECT_TIMEOUT_MS)]);
      return lane.run(() => collect(socketPath, reportData, stop), stop);
    },
  };
}

async function collect(
  socketPath: string,
  reportData: Bytes<64>,
  signal: AbortSignal,
): Promise<CollectedEvidence> {
  const json = { report_data: toHex(reportData) };
  const { status, body } = await call(socketPath, { path: '/GetQuote', json }, signal);
  if (status !== 200) {
    throw providerError('evidence.host', 'the agent has no quote', { facts: { status } });
  }
  const answer = decodeAnswer(body);
  if (!equalPublic(answer.report_data, reportData)) {
    throw providerError('evidence.foreign', 'the agent answers another call');
  }
  assertOwnQuote('tdx', answer.quote, reportData);
  const log = utf8(answer.event_log);
  if (log.length > EVENT_LOG_MAX_BYTES) throw providerError('evidence.oversized', 'event_log');
  return {
    tee: 'tdx',
    quote: answer.quote,
    ...(log.length === 0 ? {} : { eventLog: { kind: 'dstack', bytes: log } }),
  };
}

const REPORT_DATA_HEX_CHARS = 128;
const ANSWER_DEPTH_MAX = 2;

/** All members there are. One more would be another agent's answer: tappd adds `hash_algorithm` and `prefix`. */
const ANSWER = z.strictObject({
  quote: z
    .string()
    .max(2 * QUOTE_MAX_BYTES)
    .transform(fromHex),
  event_log: z.string().max(EVENT_LOG_MAX_BYTES),
  report_data: z.string().length(REPORT_DATA_HEX_CHARS).transform(fromHex),
  /** For whoever computes measurements again; nothing here depends on it. */
  vm_config: z.string().max(VM_CONFIG_MAX_CHARS).exactOptional(),
});

function decodeAnswer(body: Uint8Array): z.output<typeof ANSWER> {
  try {
    const { value } = parseStrictJson(body, {
      maxBytes: AGENT_ANSWER_MAX_BYTES,
      maxDepth: ANSWER_DEPTH_MAX,
      numbers: 'integers',
    });
    return ANSWER.parse(value);
  } catch (cause) {
    throw providerError('evidence.malformed', 'the answer of the dstack agent', { cause });
  }
}

/** One connection, one request; whatever status comes is an answer. */
async function call(
  socketPath: string,
  { path, json }: { readonly path: string; readonly json: unknown },
  signal: AbortSignal,
): Promise<FetchedBytes> {
  try {
    const pool = createPinnedPool({
      origin: 'http://localhost',
      trust: { kind: 'unix', socketPath },
      connectionsMax: 1,
      connectTimeoutMs: AGENT_CONNECT_TIMEOUT_MS,
      headersTimeoutMs: COLLECT_TIMEOUT_MS,
      bodyTimeoutMs: COLLECT_TIMEOUT_MS,
    });
    try {
      return await fetchBytes(pool, {
        method: 'POST',
        path,
        headers: { accept: 'application/json', 'content-type': 'application/json' },
        body: utf8(JSON.stringify(json)),
        maxBytes: AGENT_ANSWER_MAX_BYTES,
        timeoutMs: COLLECT_TIMEOUT_MS,
        signal,
      });
    } finally {
      await pool.destroy();
    }
  } catch (error) {
    throw signal.aborted ? stopErrorOf(signal) : translated(error);
  }
}

type ProviderCode = Parameters<typeof providerError>[0];

const HTTP_CODES: Readonly<Record<string, ProviderCode>> = {
  'http.origin': 'evidence.unavailable',
  'http.connect': 'evidence.unavailable',
  'http.size': 'evidence.oversized',
  'http.timeout': 'evidence.timeout',
  'http.broken': 'evidence.host',
};

function translated(cause: unknown): unknown {
  if (!(cause instanceof VeilError)) return cause;
  const denied = ['EACCES', 'EPERM'].includes(systemCodeOf(cause.cause));
  const code = denied ? 'evidence.permission' : HTTP_CODES[cause.code];
  return providerError(code ?? 'evidence.host', 'the dstack agent', { cause });
}

/** Never throws. */
export async function probeDstack(guest: Guest, signal: AbortSignal): Promise<Probe> {
  try {
    const provider = await openDstack({}, guest, signal);
    return { finding: FINDINGS.works, provider };
  } catch (error) {
    const code = error instanceof VeilError ? error.code : '';
    if (code === 'evidence.unsupported') return { finding: FINDINGS.legacy };
    if (code === 'evidence.permission') return { finding: FINDINGS.permission };
    return { finding: (await anySocket(guest)) ? FINDINGS.silent : FINDINGS.absent };
  }
}

async function anySocket(guest: Guest): Promise<boolean> {
  for (const path of guest.paths.dstackSockets) if (await isThere(guest, path)) return true;
  return false;
}

const FINDINGS = {
  works: {
    name: DSTACK,
    found: true,
    reason: 'works',
    detail: 'The guest agent of dstack answers on its socket.',
  },
  absent: {
    name: DSTACK,
    found: false,
    reason: 'absent',
    detail: 'There is no socket of a dstack guest agent.',
    remedy:
      'On dstack only: mount /var/run/dstack.sock of the machine into the container of the worker.',
  },
  silent: {
    name: DSTACK,
    found: true,
    reason: 'silent',
    detail: 'The socket of a dstack guest agent is there, but nobody answers on it.',
    remedy:
      'Start the guest agent of dstack, or remove the socket if this is not a dstack machine.',
  },
  permission: {
    name: DSTACK,
    found: true,
    reason: 'permission',
    detail: 'The socket of a dstack guest agent is there, but this process may not use it.',
    remedy: 'Give the user of the worker write access to /var/run/dstack.sock.',
  },
  legacy: {
    name: DSTACK,
    found: true,
    reason: 'legacy',
    detail:
      'There is only the tappd socket of old dstack images. It hashes the report data, so its quotes cannot carry a statement.',
    remedy: `Use a dstack image of version 0.5 or later, which has /var/run/dstack.sock. See ${WORKERS_PAGE}.`,
  },
} as const satisfies Record<string, Finding>;
