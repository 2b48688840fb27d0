/** Starts and steers the processes of the policy benchmark. @module */

import { spawn, type ChildProcess } from 'node:child_process';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { appraise } from '../../attestation/appraise.ts';
import { decodeEvidence } from '../../attestation/evidence.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import type { AttestedKey } from '../../attestation/verdict.ts';
import { toHex } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { parseJson } from '../../core/json.ts';
import { createPinnedPool, fetchBytes } from '../../core/node/http-client.ts';

const STATE = z.looseObject({
  serving: z.number(),
  benched: z.number(),
  rssMiB: z.number(),
  machines: z.array(z.tuple([z.string(), z.string()])),
});
export type GatewayState = z.output<typeof STATE>;

const DELAY = z.looseObject({ p50Ms: z.number(), p99Ms: z.number(), maxMs: z.number() });
export type Delay = Pick<z.output<typeof DELAY>, 'p50Ms' | 'p99Ms' | 'maxMs'>;

const GATEWAY_READY = z.object({
  ready: z.object({ port: z.number(), aud: z.string(), apiKey: z.string() }),
});
const WORKERS_READY = z.object({
  ready: z.object({ workers: z.array(z.tuple([z.string(), z.number()])) }),
});
const MESSAGE = z.union([
  z.looseObject({ id: z.number() }),
  z.object({ event: z.string(), atMs: z.number() }),
]);

const WAIT_MS = 60_000;

async function started<Ready>(
  args: readonly string[],
  errorFile: string,
  ready: z.ZodType<Ready>,
): Promise<{ readonly child: ChildProcess; readonly ready: Ready }> {
  const child = spawn(process.execPath, ['test/bench/policy-process.ts', ...args], {
    stdio: ['ignore', 'inherit', openSync(errorFile, 'a'), 'ipc'],
  });
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  child.once('exit', () => reject(new Error(`${args[0]} ended early; see ${errorFile}`)));
  child.once('message', resolve);
  return { child, ready: ready.parse(await promise) };
}

/** The gateway's process: it answers commands, and tells when a policy is in force. */
export class GatewayProcess {
  readonly child: ChildProcess;
  readonly port: number;
  readonly aud: string;
  readonly apiKey: string;
  readonly #answers = new Map<number, (answer: unknown) => void>();
  readonly #events: { readonly event: string; readonly atMs: number }[] = [];
  #wake = Promise.withResolvers<void>();
  #commands = 0;

  private constructor(child: ChildProcess, ready: z.output<typeof GATEWAY_READY>['ready']) {
    this.child = child;
    this.port = ready.port;
    this.aud = ready.aud;
    this.apiKey = ready.apiKey;
    child.on('message', (raw) => {
      const message = MESSAGE.parse(raw);
      if ('event' in message) {
        this.#events.push({ event: String(message.event), atMs: Number(message.atMs) });
        this.#wake.resolve();
        this.#wake = Promise.withResolvers();
      } else {
        this.#answers.get(message.id)?.(message);
        this.#answers.delete(message.id);
      }
    });
  }

  /** `from`: where it finds what is published, a directory or a URL. */
  static async start(dataDir: string, rootFile: string, from: string): Promise<GatewayProcess> {
    const log = join(dataDir, 'gateway.log');
    const { child, ready } = await started(
      ['gateway', dataDir, rootFile, from],
      log,
      GATEWAY_READY,
    );
    return new GatewayProcess(child, ready.ready);
  }

  async #command(command: object): Promise<unknown> {
    const id = ++this.#commands;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#answers.set(id, resolve);
    this.child.send({ id, ...command });
    return await promise;
  }

  async fill(count: number): Promise<GatewayState> {
    return STATE.parse(await this.#command({ do: 'fill', count }));
  }

  async state(): Promise<GatewayState> {
    return STATE.parse(await this.#command({ do: 'state' }));
  }

  /** Measures the delay of its event loop while `work` runs. */
  async delayDuring<Result>(
    work: () => Promise<Result>,
  ): Promise<{ readonly delay: Delay; readonly result: Result }> {
    await this.#command({ do: 'watch' });
    const result = await work();
    const { p50Ms, p99Ms, maxMs } = DELAY.parse(await this.#command({ do: 'delay' }));
    return { delay: { p50Ms, p99Ms, maxMs }, result };
  }

  /** The instant of the first such event at or after `sinceMs`. */
  async told(event: string, sinceMs: number): Promise<number> {
    const untilMs = performance.now() + WAIT_MS;
    while (performance.now() < untilMs) {
      const found = this.#events.find((one) => one.event === event && one.atMs >= sinceMs);
      if (found !== undefined) return found.atMs;
      await this.#wake.promise;
    }
    throw new Error(`the gateway did not say ${event}`);
  }

  async close(): Promise<void> {
    const exited = new Promise<void>((resolve) => {
      this.child.once('exit', () => resolve());
    });
    await this.#command({ do: 'close' });
    await exited;
  }
}

export interface LiveKey {
  readonly key: AttestedKey;
  readonly group: number;
}

/** Registers the workers that serve, and attests their keys as a client does. */
export async function startWorkers(
  gateway: GatewayProcess,
  dataDir: string,
  policy: CompiledPolicy,
): Promise<{ readonly child: ChildProcess; readonly keys: readonly LiveKey[] }> {
  const url = `http://127.0.0.1:${gateway.port}`;
  const log = join(dataDir, 'workers.log');
  const { child, ready } = await started(
    ['workers', dataDir, gateway.aud, url],
    log,
    WORKERS_READY,
  );
  const groups = new Map(ready.ready.workers);
  const keys = (await attestedKeys(url, gateway.aud, policy)).flatMap((key) => {
    const group = groups.get(toHex(key.workerId));
    return group === undefined ? [] : [{ key, group }];
  });
  return { child, keys };
}

const EVIDENCE_MAX_BYTES = 16_000_000;
const EVIDENCE_TIMEOUT_MS = 20_000;
const EVIDENCE = z.looseObject({ candidates: z.array(z.looseObject({ evidence: z.unknown() })) });

async function attestedKeys(
  url: string,
  aud: string,
  policy: CompiledPolicy,
): Promise<readonly AttestedKey[]> {
  const pool = createPinnedPool({ origin: url, trust: { kind: 'loopback' } });
  const { body } = await fetchBytes(pool, {
    method: 'GET',
    path: '/v1/evidence?model=veilgate-demo',
    headers: {},
    maxBytes: EVIDENCE_MAX_BYTES,
    timeoutMs: EVIDENCE_TIMEOUT_MS,
  });
  await pool.destroy();
  return EVIDENCE.parse(parseJson(body, EVIDENCE_MAX_BYTES)).candidates.flatMap(({ evidence }) => {
    const found = appraise({
      evidence: decodeEvidence(evidence),
      policy,
      nowMs: systemClock(),
      aud,
      challenge: { waived: 'limits.challenge: gateway' },
      revocations: { waived: 'a measurement', by: 'bench' },
    });
    return found.outcome === 'admitted' ? [found.key] : [];
  });
}
