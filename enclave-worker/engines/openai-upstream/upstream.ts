/**
 * The one upstream that an engine talks to, and what is known of it. Every way to it leads over the loopback interface or a
 * socket of this machine, follows no redirect and carries no credential. Spec: openai-gateway-and-engine §6 rules 1 and 6.
 * @module
 */

import { z } from 'zod';
import { hasCode } from '../../../core/errors.ts';
import {
  createPinnedPool,
  fetchJson,
  type FetchedJson,
  type HttpPool,
} from '../../../core/node/http-client.ts';
import { workerError } from '../../errors.ts';
import type { UpstreamConfig } from './config.ts';
import { probeError } from './errors.ts';
import { kindNamed, type UpstreamKind } from './kinds.ts';
import {
  ANSWER_MAX_BYTES,
  CONNECT_TIMEOUT_MS,
  CONNECTIONS_MARGIN,
  CONTROL_TIMEOUT_MS,
  KEEP_ALIVE_MS,
} from './limits.ts';

export interface Upstream {
  readonly kind: UpstreamKind;
  readonly config: UpstreamConfig;
  readonly pool: HttpPool;
  readonly slots: number;
  readonly conversations: 'taken' | 'written';
}

/** Throws `engine.probe` for an address that is not of this machine. */
export function openUpstream(config: UpstreamConfig, slots: number): Upstream {
  const kind = kindNamed(config.kind);
  const { socketPath, queueMs, idleMs } = config;
  if (config.kind === 'ollama' && CLOUD.test(config.model)) throw probeError('model');
  const conversations = config.conversations ?? kind.conversations;
  if (conversations === 'written' && kind.grammar === undefined) {
    throw workerError('worker.config', 'engine.upstream.conversations: this kind takes no grammar');
  }
  try {
    const pool = createPinnedPool({
      origin: config.url,
      trust: socketPath === undefined ? { kind: 'loopback' } : { kind: 'unix', socketPath },
      connectionsMax: slots + CONNECTIONS_MARGIN,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      headersTimeoutMs: queueMs,
      bodyTimeoutMs: Math.max(queueMs, idleMs),
      keepAliveMs: KEEP_ALIVE_MS,
    });
    return { kind, config, pool, slots, conversations };
  } catch (cause) {
    if (hasCode(cause, 'http.origin')) throw probeError('address', cause);
    throw cause;
  }
}

/** Such names have Ollama send what it is asked to its maker's machines. */
const CLOUD = /[:-]cloud$/i;

export interface AskOptions {
  /** Sent as JSON with POST; absent: GET. */
  readonly json?: unknown;
  readonly maxBytes?: number;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** A question beside the answers. Throws `http.*`. */
export function ask(
  { pool }: Upstream,
  path: string,
  options: AskOptions = {},
): Promise<FetchedJson> {
  const { json, signal, maxBytes = ANSWER_MAX_BYTES, timeoutMs = CONTROL_TIMEOUT_MS } = options;
  return fetchJson(pool, {
    method: json === undefined ? 'GET' : 'POST',
    path,
    maxBytes,
    timeoutMs,
    ...(json === undefined ? {} : { json }),
    ...(signal === undefined ? {} : { signal }),
  });
}

const MODELS = z.object({
  data: z
    .array(
      z.object({
        id: z.string(),
        max_model_len: z.int().min(1).nullish(),
        meta: z
          .object({ n_ctx: z.int().min(1).nullish(), n_vocab: z.int().min(1).nullish() })
          .nullish(),
      }),
    )
    .max(4096),
});

export interface ListedModel {
  /** Where it says so: prompt and answer together. */
  readonly contextTokens: number | undefined;
  /** Where it says so: how many tokens there are. */
  readonly vocabulary: number | undefined;
}

/** What the upstream lists under the configured name; undefined when it does not. Throws `http.*`. */
export async function listedModel(
  upstream: Upstream,
  options: AskOptions = {},
): Promise<ListedModel | undefined> {
  const { status, json } = await ask(upstream, '/v1/models', options);
  const listed = MODELS.safeParse(json);
  if (status !== 200 || !listed.success) return undefined;
  const model = listed.data.data.find(({ id }) => id === upstream.config.model);
  if (model === undefined) return undefined;
  return {
    contextTokens: model.max_model_len ?? model.meta?.n_ctx ?? undefined,
    vocabulary: model.meta?.n_vocab ?? undefined,
  };
}
