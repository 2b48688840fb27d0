/**
 * What a running gateway does besides requests: judges its workers anew, forgets what is past, shows its numbers to this
 * machine. Spec: overview "Key life"; openai-gateway-and-engine §2.8.
 * @module
 */

import type { ServerResponse } from 'node:http';
import { pause, type Lifecycle } from '../core/node/lifecycle.ts';
import { codeOf } from '../core/node/log.ts';
import type { JsonObject } from '../core/json.ts';
import type { Metrics } from '../core/node/metrics.ts';
import type { GatewayParts } from './parts.ts';
import type { GatewayLog } from './events.ts';
import { PURGE_INTERVAL_MS, SWEEP_INTERVAL_MS } from './limits.ts';
import { listen } from './listeners.ts';
import type { Rounds } from './workers/rounds.ts';

export interface HouseInput {
  readonly parts: GatewayParts;
  readonly rounds: Rounds;
  readonly lifecycle: Lifecycle;
  readonly log: GatewayLog;
  readonly sweepIntervalMs: number | undefined;
}

/** Until the gateway closes. */
export function keepHouse(input: HouseInput): void {
  const { parts, rounds: workers, lifecycle, log } = input;
  const repeat = async (intervalMs: number, work: () => Promise<void> | void): Promise<void> => {
    while (await pause(intervalMs, lifecycle.closing)) {
      try {
        await work();
      } catch (error) {
        // One bad round must not end the rounds.
        log.event('gateway.failed', { code: codeOf(error) });
      }
    }
  };
  const sweeps = repeat(input.sweepIntervalMs ?? SWEEP_INTERVAL_MS, () =>
    workers.sweep(lifecycle.closing),
  );
  const purges = repeat(PURGE_INTERVAL_MS, async () => {
    await parts.ledger.purge(parts.clock());
  });
  lifecycle.onClose('rounds', async () => {
    await Promise.all([sweeps, purges]);
  });
}

export interface AdminInput {
  readonly metrics: Metrics;
  readonly status: () => JsonObject;
  readonly lifecycle: Lifecycle;
}

/** Loopback only, whatever the main listeners do; shows and changes nothing. Resolves to the port, if there is to be one. */
export async function openAdmin(
  port: number | null,
  { metrics, status, lifecycle }: AdminInput,
): Promise<number | undefined> {
  if (port === null) return undefined;
  const listener = await listen({
    host: '127.0.0.1',
    port,
    handler: (request, response) => {
      if (request.method !== 'GET') response.writeHead(405, { allow: 'GET' }).end();
      else if (request.url === '/metrics') void showMetrics(metrics, response);
      else if (request.url === '/policy') showJson(status(), response);
      else response.writeHead(404).end();
    },
  });
  lifecycle.onClose('admin', (deadline) => listener.close(deadline));
  return listener.port;
}

async function showMetrics(metrics: Metrics, response: ServerResponse): Promise<void> {
  const text = await metrics.text();
  response.writeHead(200, { 'content-type': metrics.contentType });
  response.end(text);
}

function showJson(value: JsonObject, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(value, undefined, 2)}\n`);
}
