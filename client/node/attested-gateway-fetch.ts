/**
 * A `fetch` for OpenAI's and Anthropic's SDKs that gives plaintext to a gateway in a TEE, and to nothing else: `new OpenAI({
 * baseURL, apiKey, fetch: attestedGatewayFetch({ policy, gateway }) })`. The key of each connection is held against the verified
 * statement before a byte of a request leaves. There is no way around it, and no fallback. For Node: a page cannot see the
 * key of its connection. Spec: docs/attested-gateway.md "Client"; gateways-and-e2ee §7.8 C.
 * @module
 */

import { randomBytes, sha256Stream } from '#primitives';
import { toHex, utf8, type Bytes } from '../../core/bytes.ts';
import { systemClock, type Clock } from '../../core/clock.ts';
import { hasCode, VeilError } from '../../core/errors.ts';
import { createPinnedPool, type HttpPool } from '../../core/node/http-client.ts';
import { encodeGatewayEvidence } from '../../attestation/gateway/gateway-evidence.ts';
import { parseAnswerProof } from '../attested/attested-directory.ts';
import { encodeAttestedProof } from '../attested/attested-proof.ts';
import {
  AttestedSession,
  type GatewayUse,
  type GatewayVerdict,
} from '../attested/attested-session.ts';
import { clientError } from '../errors.ts';
import { failureResponse } from '../failure-response.ts';
import {
  ANSWER_PROOF_MAX_BYTES,
  DOCUMENT_TIMEOUT_MS,
  GATEWAYS_MAX,
  REQUEST_BODY_MAX_BYTES,
} from '../limits.ts';
import { openTrust } from '../open-trust.ts';
import { assertPolicyGiven, type PolicySource } from '../policy-source.ts';
import { policyProof } from '../proof/keep-proof.ts';
import { hashText, textPrefix } from '../proof/response-proof.ts';
import type { PolicyNews } from '../signed-trust.ts';
import type { TrustSource } from '../trust.ts';
import {
  BODILESS_STATUSES,
  documentFetch,
  fetchOver,
  readWhole,
  type PoolAnswer,
} from './pool-fetch.ts';

export interface AttestedGatewayOptions {
  /** Which gateways may hold plaintext: its section `gateways`. Signed under a root, or the app's own. */
  readonly policy: PolicySource;
  /** The gateway's id ("gw1.…"), from a channel other than the gateway. */
  readonly gateway: string;
  readonly onVerdict?: (verdict: GatewayVerdict) => void;
  readonly onPolicy?: (news: PolicyNews) => void;
  /** The proof of each whole answer, to keep, or why there is none: `veilgate verify-response` checks it offline. */
  readonly onProof?: (proof: AttestedProofResult) => void;
  readonly clock?: Clock;
}

export type AttestedProofResult =
  | {
      readonly outcome: 'kept';
      /** As in `sx-request-id`. */
      readonly requestId: string;
      readonly encode: () => Uint8Array;
    }
  | { readonly outcome: 'missing'; readonly requestId: string; readonly code: string };

export interface AttestedGatewayFetch {
  (input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** The latest verdict on each gateway used. */
  verdicts(): readonly GatewayVerdict[];
  /** Ends idle connections; requests under way finish. */
  close(): Promise<void>;
}

/** Throws `client.option` without a policy or a gateway; everything else is the answer to the first request. */
export function attestedGatewayFetch(options: AttestedGatewayOptions): AttestedGatewayFetch {
  assertPolicyGiven(options.policy);
  if (!/^gw1\.[A-Za-z0-9_-]{43}$/.test(options.gateway)) {
    throw clientError('client.option', 'gateway: want its id, gw1.…, from another channel');
  }
  const origins = new Origins(options);
  const run = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    try {
      return await (await origins.at(new URL(request.url).origin)).answer(request);
    } catch (error) {
      request.signal.throwIfAborted();
      return failureResponse(error, new URL(request.url).pathname);
    }
  };
  return Object.assign(run, {
    verdicts: () => origins.verdicts(),
    close: () => origins.close(),
  });
}

class Origins {
  readonly #options: AttestedGatewayOptions;
  readonly #open = new Map<string, AttestedOrigin>();
  #trust: Promise<TrustSource> | undefined;

  constructor(options: AttestedGatewayOptions) {
    this.#options = options;
  }

  async at(origin: string): Promise<AttestedOrigin> {
    if (!origin.startsWith('https://')) throw clientError('client.insecure_url', 'want https');
    const trust = await this.#opened();
    const known = this.#open.get(origin);
    if (known !== undefined) return known;
    if (this.#open.size >= GATEWAYS_MAX) throw clientError('client.option', 'too many gateways');
    const opened = new AttestedOrigin(origin, trust, this.#options);
    this.#open.set(origin, opened);
    return opened;
  }

  async #opened(): Promise<TrustSource> {
    const { policy, onPolicy, clock = systemClock } = this.#options;
    const { fetch } = globalThis;
    const opening = (this.#trust ??= openTrust({
      policy,
      clock,
      fetch,
      ...(onPolicy && { onPolicy }),
    }));
    try {
      return await opening;
    } catch (error) {
      // A file that was not there may be there at the next request.
      if (this.#trust === opening) this.#trust = undefined;
      throw error;
    }
  }

  verdicts(): readonly GatewayVerdict[] {
    return [...this.#open.values()].flatMap((origin) => origin.session.verdict() ?? []);
  }

  async close(): Promise<void> {
    const open = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(open.map((origin) => origin.close()));
  }
}

interface PinnedPool {
  readonly spki: string;
  readonly pool: HttpPool;
}

/** One gateway, and the connections to its attested key. */
class AttestedOrigin {
  readonly session: AttestedSession;
  readonly #origin: string;
  readonly #options: AttestedGatewayOptions;
  /** For evidence and signed documents, which prove themselves: never for a request of the app. */
  readonly #anybody: HttpPool;
  #pinned: PinnedPool | undefined;

  constructor(origin: string, trust: TrustSource, options: AttestedGatewayOptions) {
    const { gateway, onVerdict, clock = systemClock } = options;
    this.#origin = origin;
    this.#options = options;
    this.#anybody = createPinnedPool({ origin, trust: { kind: 'nobody' }, connectionsMax: 2 });
    this.session = new AttestedSession({
      origin,
      gateway,
      trust,
      clock,
      fetch: documentFetch(this.#anybody),
      onVerdict,
    });
  }

  async answer(request: Request): Promise<Response> {
    const body = request.body === null ? undefined : new Uint8Array(await request.arrayBuffer());
    if (body !== undefined && body.length > REQUEST_BODY_MAX_BYTES) {
      throw clientError('client.request', 'size');
    }
    const { use, answer } = await this.#sent(request, body);
    return this.#labelled(use, answer, { request, body });
  }

  /** A gateway that was started anew has another key: looked at once more, which is safe because nothing was sent. */
  async #sent(
    request: Request,
    body: Uint8Array | undefined,
  ): Promise<{ readonly use: GatewayUse; readonly answer: PoolAnswer }> {
    const use = await this.session.use(request.signal);
    try {
      return { use, answer: await this.#send(use, request, body) };
    } catch (error) {
      if (!hasCode(error, 'http.pin')) throw asClientError(error);
    }
    const again = await this.session.renewed(request.signal);
    try {
      return { use: again, answer: await this.#send(again, request, body) };
    } catch (error) {
      throw asClientError(error);
    }
  }

  #send(use: GatewayUse, request: Request, body: Uint8Array | undefined): Promise<PoolAnswer> {
    const { pathname, search } = new URL(request.url);
    return fetchOver(this.#poolTo(use.admission.gateway.tlsSpkiSha256), {
      method: request.method,
      path: `${pathname}${search}`,
      headers: outerHeaders(request.headers),
      body,
      signal: request.signal,
    });
  }

  #poolTo(spkiSha256: Bytes<32>): HttpPool {
    const spki = toHex(spkiSha256);
    if (this.#pinned?.spki === spki) return this.#pinned.pool;
    // Its idle connections end, requests on them finish.
    void this.#pinned?.pool.close();
    const trust = { kind: 'spki', sha256: [spkiSha256] } as const;
    this.#pinned = { spki, pool: createPinnedPool({ origin: this.#origin, trust }) };
    return this.#pinned.pool;
  }

  #labelled(use: GatewayUse, { status, headers, body }: PoolAnswer, asked: Asked): Response {
    const { gateway } = use.admission;
    headers.set('sx-privacy', 'gateway-tee');
    headers.set('sx-authenticated', 'true');
    headers.set('sx-gateway', gateway.aud);
    if (gateway.simulated) headers.set('sx-simulated', 'true');
    // `x-request-id` is the app's own name for it where it gave one.
    const requestId = headers.get('sx-request-id') ?? headers.get('x-request-id') ?? '';
    const isKept =
      this.#options.onProof !== undefined && status === 200 && REQUEST_ID.test(requestId);
    const stream = isKept ? this.#kept(use, body, { ...asked, requestId }) : body;
    return new Response(BODILESS_STATUSES.includes(status) ? null : stream, { status, headers });
  }

  /** The same bytes; at their end the proof is fetched over the same attested connections, and handed to the app. */
  #kept(
    use: GatewayUse,
    body: ReadableStream<Uint8Array>,
    { request, body: sent = new Uint8Array(), requestId }: Asked & { readonly requestId: string },
  ): ReadableStream<Uint8Array> {
    const salt = randomBytes(32);
    const running = sha256Stream();
    for (const part of textPrefix(salt, 'response')) running.update(part);
    const finish = async (): Promise<void> => {
      const texts = { salt, request: hashText(salt, 'request', sent), response: running.digest() };
      this.#options.onProof?.(await this.#proofOf(use, request, { requestId, texts }));
    };
    return body.pipeThrough(
      new TransformStream({
        transform: (chunk, controller) => {
          running.update(chunk);
          controller.enqueue(chunk);
        },
        flush: finish,
      }),
    );
  }

  async #proofOf(
    { admission, trust, atMs }: GatewayUse,
    request: Request,
    { requestId, texts }: { readonly requestId: string; readonly texts: ProofTexts },
  ): Promise<AttestedProofResult> {
    const { gateway, evidence, challenge } = admission;
    const { basis } = trust;
    const signal = AbortSignal.timeout(DOCUMENT_TIMEOUT_MS);
    try {
      if (basis === undefined) throw clientError('client.proof', 'no policy of its own');
      const answer = await fetchOver(this.#poolTo(gateway.tlsSpkiSha256), {
        method: 'GET',
        path: `/v1/proofs/${requestId}`,
        headers: outerHeaders(request.headers),
        signal,
      });
      const bytes = await readWhole(answer.body, ANSWER_PROOF_MAX_BYTES);
      if (answer.status !== 200) throw clientError('client.proof', `status ${answer.status}`);
      const worker = parseAnswerProof(bytes, requestId);
      const encode = (): Uint8Array =>
        encodeAttestedProof({
          gateway: {
            evidence: utf8(JSON.stringify(encodeGatewayEvidence(evidence))),
            host: new URL(this.#origin).hostname,
            spkiSha256: gateway.tlsSpkiSha256,
            challenge: challenge ?? null,
          },
          response: { appraisedAtMs: atMs, ...worker, policy: policyProof(basis), texts },
        });
      return { outcome: 'kept', requestId, encode };
    } catch (error) {
      if (!(error instanceof VeilError) && !signal.aborted) throw error;
      // The answer is whole; whoever keeps proofs hears that of this one there is none.
      const code = error instanceof VeilError ? error.code : 'client.unreachable';
      return { outcome: 'missing', requestId, code };
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#anybody.close(), this.#pinned?.pool.close()]);
  }
}

interface Asked {
  readonly request: Request;
  readonly body: Uint8Array | undefined;
}

interface ProofTexts {
  readonly salt: Bytes<32>;
  readonly request: Bytes<32>;
  readonly response: Bytes<32>;
}

/** Of the answer of a model; anything else could be another path. */
const REQUEST_ID = /^sx_[0-9a-f]{32}$/;

/** Of the connection, which is ours, or what would have the answer come compressed. */
const NOT_PASSED: readonly string[] = [
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'keep-alive',
  'upgrade',
  'te',
  'trailer',
  'expect',
  'accept-encoding',
];

function outerHeaders(headers: Headers): Readonly<Record<string, string>> {
  return Object.fromEntries([...headers].filter(([name]) => !NOT_PASSED.includes(name)));
}

/** What the transport says, in the client's words. */
function asClientError(error: unknown): unknown {
  if (!(error instanceof VeilError) || !error.code.startsWith('http.')) return error;
  if (error.code === 'http.pin') return clientError('client.gateway_key', '', { cause: error });
  return clientError('client.unreachable', error.code, { cause: error });
}
