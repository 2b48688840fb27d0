/** The clients of the policy benchmark: sealed streams with the instant of every frame, and requests that ask who is still served. @module */

import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { fixed, utf8 } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import type { AttestedKey } from '../../attestation/verdict.ts';
import { keyHashOf } from '../../gateway/accounts.ts';
import { FRAME, FrameSplitter } from '../../protocol/sx/frames.ts';
import { OPENING_BYTES } from '../../protocol/sx/response-stream.ts';
import { sealRequest } from '../../protocol/sx/seal.ts';

export interface Target {
  readonly port: number;
  readonly apiKey: string;
}

/** On the clock that processes of one machine share. */
export function sharedMs(): number {
  return performance.timeOrigin + performance.now();
}

export interface Stream {
  readonly group: number;
  lastDataMs: number;
  errorFrameMs: number | undefined;
  endedMs: number | undefined;
}

export interface Pace {
  readonly tokensPerSecond: number;
  /** Between two tokens of one stream. */
  readonly gapP50Ms: number;
  readonly gapP99Ms: number;
  readonly gapMaxMs: number;
}

const STREAM_DEADLINE_MS = 900_000;
const TTL_S = 300;

function sealed({ apiKey }: Target, key: AttestedKey, stream: boolean): Uint8Array {
  return sealRequest({
    keys: [key],
    request: {
      path: '/v1/chat/completions',
      headers: [['content-type', 'application/json']],
      body: utf8(JSON.stringify({ stream })),
    },
    bounds: { maxAmount: 0n, maxPrompt: 64, maxOutput: 64, asset: 0 },
    payer: fixed(keyHashOf(apiKey), 32),
    stream,
    ttlS: TTL_S,
    deadlineMs: STREAM_DEADLINE_MS,
    nowMs: systemClock(),
  }).bytes;
}

/** All streams of one run, and what came of them since `reset`. */
export class Streams {
  readonly #target: Target;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1024 });
  readonly #open = new Set<Stream>();
  #gaps: number[] = [];
  #sinceMs = sharedMs();

  constructor(target: Target) {
    this.#target = target;
  }

  get open(): readonly Stream[] {
    return [...this.#open];
  }

  /** Resolves with the first token. */
  async begin(key: AttestedKey, group: number): Promise<Stream> {
    const response = await this.#post(sealed(this.#target, key, true));
    if (response.statusCode !== 200) throw new Error(`a stream: status ${response.statusCode}`);
    const stream: Stream = { group, lastDataMs: 0, errorFrameMs: undefined, endedMs: undefined };
    this.#open.add(stream);
    const { promise, resolve } = Promise.withResolvers<Stream>();
    const splitter = new FrameSplitter({
      onHeader: () => undefined,
      onFrame: (type) => {
        if (type === FRAME.gatewayError) stream.errorFrameMs = sharedMs();
        if (type !== FRAME.data) return;
        this.#token(stream);
        resolve(stream);
      },
    });
    let skip = OPENING_BYTES;
    response.on('data', (chunk: Uint8Array) => {
      const from = Math.min(skip, chunk.length);
      skip -= from;
      splitter.push(chunk.subarray(from));
    });
    const ended = (): void => {
      stream.endedMs ??= sharedMs();
      this.#open.delete(stream);
    };
    response.once('end', ended);
    response.once('error', ended);
    return await promise;
  }

  #token(stream: Stream): void {
    const nowMs = sharedMs();
    if (stream.lastDataMs > 0) this.#gaps.push(nowMs - stream.lastDataMs);
    stream.lastDataMs = nowMs;
  }

  reset(): void {
    this.#gaps = [];
    this.#sinceMs = sharedMs();
  }

  pace(): Pace {
    const seconds = (sharedMs() - this.#sinceMs) / 1000;
    const gaps = Float64Array.from(this.#gaps).sort();
    return {
      tokensPerSecond: gaps.length / seconds,
      gapP50Ms: percentile(gaps, 0.5),
      gapP99Ms: percentile(gaps, 0.99),
      gapMaxMs: gaps.at(-1) ?? 0,
    };
  }

  /** Asks this worker again and again; resolves with the instant of the first refusal. */
  async firstRefusal(key: AttestedKey): Promise<number> {
    for (;;) {
      const response = await this.#post(sealed(this.#target, key, false));
      response.resume();
      const { promise, resolve } = Promise.withResolvers<void>();
      response.once('close', resolve);
      await promise;
      if (response.statusCode !== 200) return sharedMs();
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #post(body: Uint8Array): Promise<IncomingMessage> {
    const { port, apiKey } = this.#target;
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const outgoing = httpRequest(
      {
        host: '127.0.0.1',
        port,
        path: '/sx/v1/exchange',
        method: 'POST',
        agent: this.#agent,
        headers: {
          'content-type': 'application/vnd.sx1.req',
          'content-length': String(body.length),
          authorization: `Bearer ${apiKey}`,
        },
      },
      resolve,
    );
    outgoing.on('error', reject);
    outgoing.end(body);
    return promise;
  }
}

/** Of sorted values. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
