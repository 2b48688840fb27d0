/** A real worker of a lab, in this process or in one that can be killed, over an engine that the test brings. @module */

import { z } from 'zod';
import { fixed, fromHex, toHex, utf8 } from '../../../core/bytes.ts';
import { systemClock } from '../../../core/clock.ts';
import { decodeConfig } from '../../../core/node/config.ts';
import { createLog } from '../../../core/node/log.ts';
import { WORKER_CONFIG } from '../../../enclave-worker/config.ts';
import { DEMO_MODEL, DEMO_WORKLOAD } from '../../../enclave-worker/demo-model/demo-model.ts';
import type { Engine } from '../../../enclave-worker/engine.ts';
import type { EvidenceProvider } from '../../../enclave-worker/evidence/provider.ts';
import { WORKER_EVENTS } from '../../../enclave-worker/events.ts';
import { localOwnerSigner } from '../../../enclave-worker/owner.ts';
import { createWorker, type RunningWorker } from '../../../enclave-worker/worker.ts';

/** Plain values: a process can be told them. */
export const WORKER_SEAT = z.strictObject({
  gatewayUrl: z.string(),
  aud: z.string(),
  pkiDir: z.string(),
  card: z.string(),
  ownerKeyHex: z.string(),
});

export type WorkerSeat = Readonly<z.output<typeof WORKER_SEAT>>;

export interface LabWorkerParts {
  readonly engine: Engine;
  readonly provider: EvidenceProvider;
  readonly log: (line: string) => void;
}

export function startLabWorker(
  { gatewayUrl, aud, pkiDir, card, ownerKeyHex }: WorkerSeat,
  { engine, provider, log }: LabWorkerParts,
): Promise<RunningWorker> {
  const config = decodeConfig(WORKER_CONFIG, {
    gateway: { url: gatewayUrl, aud },
    card,
    workload: { image: toHex(DEMO_WORKLOAD.image), config: toHex(DEMO_WORKLOAD.config) },
    // The engine below takes its place.
    engine: { modelPath: DEMO_MODEL.path },
    evidence: { provider: 'simulator', pkiDir },
    settlement: { creditMax: '1000000' },
    drainMs: 1000,
  });
  return createWorker(config, {
    provider,
    owner: localOwnerSigner(fixed(fromHex(ownerKeyHex), 32), utf8(card)),
    clock: systemClock,
    log: createLog({ events: WORKER_EVENTS, part: 'worker', destination: { write: log } }),
    engine,
  });
}
