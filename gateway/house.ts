/**
 * What a running gateway does besides requests: judges its workers anew, forgets what is past, shows its numbers to this
 * machine. Spec: overview "Key life"; openai-gateway-and-engine §2.8.
 * @module
 */

import type { ServerResponse } from 'node:http';
import { pause, type Lifecycle } from '../core/node/lifecycle.ts';
import { codeOf } from '../core/node/log.ts';
import type { Metrics } from '../core/node/metrics.ts';
import type { GatewayParts } from './parts.ts';
import type { GatewayLog } from './events.ts';
import { PURGE_INTERVAL_MS, RECEIPTS_KEPT_MS, SWEEP_INTERVAL_MS } from './limits.ts';
import { listen } from './listeners.ts';
import type { Registrar } from './workers/register.ts';

export interface HouseInput {
  readonly parts: GatewayParts;
  readonly registrar: Registrar;
  readonly lifecycle: Lifecycle;
  readonly log: GatewayLog;
  readonly sweepIntervalMs: number | undefined;
}

/** Until the gateway closes. */
export function keepHouse(input: HouseInput): void {
  const { parts, registrar, lifecycle, log } = input;
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
    registrar.sweep(lifecycle.closing),
  );
  const purges = repeat(PURGE_INTERVAL_MS, () => {
    const nowMs = parts.clock();
    parts.store.purge(nowMs, nowMs - RECEIPTS_KEPT_MS);
  });
  lifecycle.onClose('rounds', async () => {
    await Promise.all([sweeps, purges]);
  });
}

/** Loopback only, whatever the main listeners do. Resolves to the port, if there is to be one. */
export async function openAdmin(
  port: number | null,
  metrics: Metrics,
  lifecycle: Lifecycle,
): Promise<number | undefined> {
  if (port === null) return undefined;
  const listener = await listen({
    host: '127.0.0.1',
    port,
    handler: (request, response) => {
      if (request.method === 'GET' && request.url === '/metrics') void show(metrics, response);
      else response.writeHead(404).end();
    },
  });
  lifecycle.onClose('admin', (deadline) => listener.close(deadline));
  return listener.port;
}

async function show(metrics: Metrics, response: ServerResponse): Promise<void> {
  const text = await metrics.text();
  response.writeHead(200, { 'content-type': metrics.contentType });
  response.end(text);
}
