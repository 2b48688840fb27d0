/**
 * How a worker proves itself to its gateway, again and again: challenge, keys, statement, quote, owner's signature,
 * registration. Spec: overview "Identities", "Key life"; gpu-and-policy §4.3.
 * @module
 */

import { z } from 'zod';
import { fixed, fromBase64Url, toBase64, toHex, type Bytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { VeilError } from '../core/errors.ts';
import {
  createPinnedPool,
  fetchJson,
  type FetchedJson,
  type HttpPool,
  type Trust,
} from '../core/node/http-client.ts';
import { encodeEvidence } from '../attestation/evidence.ts';
import { verifyGatewayDocument, type GatewaySettlement } from '../protocol/gateway-document.ts';
import type { WorkerConfig } from './config.ts';
import { workerError } from './errors.ts';
import type { WorkerLog } from './events.ts';
import type { Epoch, Epochs } from './keys.ts';
import { GATEWAY_ANSWER_MAX_BYTES, REGISTER_TIMEOUT_MS } from './limits.ts';
import type { OwnerSigner } from './owner.ts';

export interface RegisterDeps {
  readonly gateway: WorkerConfig['gateway'];
  readonly endpoint: string;
  readonly epochs: Epochs;
  readonly owner: OwnerSigner;
  readonly clock: Clock;
  readonly log: WorkerLog;
  /** Told how the gateway settles, before anything is sent to it. Throws what ends the registration. */
  readonly onSettlement: (settlement: GatewaySettlement) => void;
  /** Fresh keys, and a quote over a statement that answers the challenge. */
  readonly makeEpoch: (challenge: Bytes<32>, signal: AbortSignal) => Promise<Epoch>;
}

const CHALLENGE = z.looseObject({
  challenge: z.string().length(43),
  aud: z.string().max(256),
});
const ADMITTED = z.looseObject({ workerId: z.string().max(128), publishUntilMs: z.number() });
const DENIED = z.looseObject({
  verdict: z.looseObject({
    checks: z
      .array(z.looseObject({ id: z.string().max(128), outcome: z.string().max(16) }))
      .max(1024),
  }),
});

/**
 * One attempt. Throws `http.*`, `worker.gateway_identity`, `worker.gateway_fee`, `worker.gateway_refused`,
 * `worker.owner_*`; then the epoch it made is gone.
 */
export async function register(deps: RegisterDeps, signal: AbortSignal): Promise<Epoch> {
  const pool = await provenGateway(deps, signal);
  try {
    const challenge = await fetchChallenge(deps, pool, signal);
    const epoch = await deps.makeEpoch(challenge, signal);
    // Open before it is known: requests may come sooner than the answer.
    deps.epochs.open(epoch);
    try {
      await post(deps, { pool, epoch, signal });
    } catch (error) {
      deps.epochs.withdraw(epoch);
      throw error;
    }
    return epoch;
  } finally {
    await pool.destroy();
  }
}

/** Best effort: a gateway that does not hear it finds out by the closed port. */
export async function leave(
  deps: RegisterDeps,
  workerId: Bytes<32>,
  epoch: Epoch,
  signal: AbortSignal,
): Promise<void> {
  const pool = createPinnedPool({ origin: deps.gateway.url, trust: trustOf(deps.gateway) });
  try {
    await call(pool, {
      method: 'DELETE',
      path: `/v1/workers/${toHex(workerId)}`,
      json: {
        statementHash: toHex(epoch.statementHash),
        signature: toBase64(epoch.signLeave()),
      },
      signal,
    });
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
  } finally {
    await pool.destroy();
  }
}

function trustOf({ url, tlsSpkiSha256 }: WorkerConfig['gateway']): Trust {
  if (url.startsWith('http:')) return { kind: 'loopback' };
  return tlsSpkiSha256 === undefined ? { kind: 'webpki' } : { kind: 'spki', sha256: tlsSpkiSha256 };
}

/** A pool to the gateway after it has shown a document signed by the identity we are configured for. */
async function provenGateway(deps: RegisterDeps, signal: AbortSignal): Promise<HttpPool> {
  const { gateway } = deps;
  const pool = createPinnedPool({ origin: gateway.url, trust: trustOf(gateway) });
  try {
    const answer = await call(pool, { method: 'GET', path: '/v1/gateway', signal });
    const document = verifyGatewayDocument(answer.json, deps.clock());
    if (document.aud !== gateway.aud) throw workerError('worker.gateway_identity');
    deps.onSettlement(document.settlement);
    if (gateway.url.startsWith('http:')) return pool;
    // From here on only the TLS keys that the identity vouches for.
    await pool.destroy();
    return createPinnedPool({
      origin: gateway.url,
      trust: { kind: 'spki', sha256: document.tlsSpkiSha256 },
    });
  } catch (error) {
    await pool.destroy();
    throw error;
  }
}

async function fetchChallenge(
  { gateway }: RegisterDeps,
  pool: HttpPool,
  signal: AbortSignal,
): Promise<Bytes<32>> {
  const answer = await call(pool, {
    method: 'POST',
    path: '/v1/workers/challenge',
    // A type that no web page may send unasked: the gateway answers nothing else.
    json: {},
    signal,
  });
  const decoded = CHALLENGE.safeParse(answer.json);
  if (answer.status !== 200 || !decoded.success) throw workerError('worker.gateway_refused');
  if (decoded.data.aud !== gateway.aud) throw workerError('worker.gateway_identity');
  return fixed(fromBase64Url(decoded.data.challenge), 32, 'challenge');
}

async function post(
  deps: RegisterDeps,
  {
    pool,
    epoch,
    signal,
  }: { readonly pool: HttpPool; readonly epoch: Epoch; readonly signal: AbortSignal },
): Promise<void> {
  const { evidence } = epoch;
  const signature = await deps.owner.sign(evidence.statement, evidence.card);
  const answer = await call(pool, {
    method: 'POST',
    path: '/v1/workers',
    json: {
      evidence: encodeEvidence(evidence),
      endpoint: deps.endpoint,
      ownerSignature: toBase64(signature),
    },
    signal,
  });
  if (answer.status === 200 && ADMITTED.safeParse(answer.json).success) return;
  const denied = DENIED.safeParse(answer.json);
  const checks = denied.success ? denied.data.verdict.checks : [];
  for (const check of checks) {
    if (check.outcome === 'fail') deps.log.event('worker.denied', { check: check.id });
  }
  // A gateway in trouble is not one that said no.
  throw answer.status >= 500 || answer.status === 429
    ? workerError('worker.gateway_unreachable', '', { facts: { status: answer.status } })
    : workerError('worker.gateway_refused', '', { facts: { status: answer.status } });
}

function call(
  pool: HttpPool,
  request: {
    readonly method: 'GET' | 'POST' | 'DELETE';
    readonly path: string;
    readonly json?: unknown;
    readonly signal: AbortSignal;
  },
): Promise<FetchedJson> {
  return fetchJson(pool, {
    ...request,
    maxBytes: GATEWAY_ANSWER_MAX_BYTES,
    timeoutMs: REGISTER_TIMEOUT_MS,
  });
}
