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
import { PURGE_INTERVAL_MS, RECOVERY_INTERVAL_MS, SWEEP_INTERVAL_MS } from './limits.ts';
import { listen } from './listeners.ts';
import { respondClear } from './respond-clear.ts';
import type { Cashier } from './payments/cashier.ts';
import type { PaymentRecovery } from './payments/recovery.ts';
import { settlementsSince } from './payments/settlements.ts';
import type { Rounds } from './workers/rounds.ts';

export interface HouseInput {
  readonly parts: GatewayParts;
  readonly rounds: Rounds;
  readonly recovery: PaymentRecovery;
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
  const recoveries = repeat(RECOVERY_INTERVAL_MS, () => input.recovery.round(lifecycle.closing));
  const purges = repeat(PURGE_INTERVAL_MS, async () => {
    await parts.ledger.purge(parts.clock());
  });
  lifecycle.onClose('rounds', async () => {
    await Promise.all([sweeps, recoveries, purges]);
  });
}

export interface AdminInput {
  readonly metrics: Metrics;
  readonly status: () => JsonObject;
  readonly settlement: () => JsonObject | Promise<JsonObject>;
  readonly cashier: Cashier;
  readonly lifecycle: Lifecycle;
}

/** Loopback only, whatever the main listeners do; shows and changes nothing. Resolves to the port, if there is to be one. */
export async function openAdmin(
  port: number | null,
  input: AdminInput,
): Promise<number | undefined> {
  if (port === null) return undefined;
  const { metrics, status, settlement, cashier, lifecycle } = input;
  const pages: Readonly<
    Record<string, (query: URLSearchParams) => JsonObject | Promise<JsonObject>>
  > = {
    '/policy': status,
    '/settlement': settlement,
    '/settlements': (query) => settlementsSince(cashier, query, lifecycle.closing),
  };
  const listener = await listen({
    host: '127.0.0.1',
    port,
    handler: (request, response) => {
      const [path = '', query] = (request.url ?? '').split('?', 2);
      const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
      if (request.method !== 'GET') response.writeHead(405, { allow: 'GET' }).end();
      else if (path === '/metrics') void showMetrics(metrics, response);
      else if (page === undefined) response.writeHead(404).end();
      else void showJson(page(new URLSearchParams(query)), response);
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

async function showJson(
  value: JsonObject | Promise<JsonObject>,
  response: ServerResponse,
): Promise<void> {
  try {
    const text = JSON.stringify(await value, undefined, 2);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(`${text}\n`);
  } catch (error) {
    respondClear(response, codeOf(error) ?? 'internal.invariant');
  }
}
