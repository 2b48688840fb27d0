/**
 * One worker of `veilgate up`: what its owner's card says, and how its process is configured.
 * @module
 */

import { ed25519PublicKey } from '#primitives';
import { toHex } from '../../core/bytes.ts';
import { encodeCard } from '../../attestation/card.ts';
import { DEMO_MODEL, DEMO_WORKLOAD } from '../../enclave-worker/demo-model/demo-model.ts';
import type { DataDirectory } from './data-directory.ts';
import type { RunningGateway } from './trial-gateway.ts';
import { startWorkerProcess, type WorkerProcess } from './worker-process.ts';

const WORKER_DRAIN_MS = 5000;
/** Per worker; the demo model answers from one thread. */
const CONCURRENT_MAX = 4;
const OUTPUT_TOKENS_MAX = 160;
const FREE = { base: 0n, prompt: 0n, cached: 0n, completion: 0n, reasoning: 0n };

export interface TrialWorkerOptions {
  readonly name: string;
  readonly data: DataDirectory;
  readonly gateway: RunningGateway;
  readonly pkiDir: string;
  readonly provider: 'simulator' | 'simulator-snp';
  readonly onProgress: (line: string) => void;
}

export async function startTrialWorker(options: TrialWorkerOptions): Promise<WorkerProcess> {
  const { name, data, gateway, pkiDir, provider, onProgress } = options;
  const ownerKey = data.seed(`${name}-owner`);
  const worker = await startWorkerProcess({
    name,
    card: encodeCard({
      owner: ed25519PublicKey(ownerKey),
      model: {
        id: DEMO_MODEL.id,
        contextLength: DEMO_MODEL.contextLength,
        capabilities: ['chat'],
        weights: DEMO_MODEL.sha256,
      },
      limits: {
        maxPromptTokens: DEMO_MODEL.contextLength,
        maxOutputTokens: OUTPUT_TOKENS_MAX,
        maxConcurrent: CONCURRENT_MAX,
      },
      prices: { asset: 'TON', ...FREE },
      payout: null,
    }),
    ownerKey,
    log: data.openLog(`${name}.log`),
    onEnded: (which, next) => onProgress(`${which} ended unexpectedly; ${next} (see its log)`),
    config: {
      gateway: { url: new URL(gateway.baseUrl).origin, aud: gateway.gateway.aud },
      workload: { image: toHex(DEMO_WORKLOAD.image), config: toHex(DEMO_WORKLOAD.config) },
      engine: { modelPath: DEMO_MODEL.path },
      evidence: { provider, pkiDir },
      drainMs: WORKER_DRAIN_MS,
    },
  });
  onProgress(`${name} was verified and admitted`);
  return worker;
}
