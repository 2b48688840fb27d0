/**
 * One worker of `veilgate up`: what its owner's card says, and how its process is configured.
 * @module
 */

import { ed25519PublicKey } from '#primitives';
import { toHex } from '../../core/bytes.ts';
import { encodeCard } from '../../attestation/card.ts';
import type { PriceList } from '../../attestation/verdict.ts';
import { DEMO_MODEL, DEMO_WORKLOAD } from '../../enclave-worker/demo-model/demo-model.ts';
import type { DataDirectory } from './data-directory.ts';
import type { DevMoney } from './money.ts';
import { originOf, type RunningGateway } from './trial-gateway.ts';
import { startWorkerProcess, type WorkerProcess } from './worker-process.ts';

const WORKER_DRAIN_MS = 5000;
/** Per worker; the demo model answers from one thread. */
const CONCURRENT_MAX = 4;
const OUTPUT_TOKENS_MAX = 160;
/** nanoTON per million tokens. */
const PRICES: PriceList = {
  asset: 'TON',
  base: 0n,
  prompt: 100_000_000n,
  cached: 100_000_000n,
  completion: 400_000_000n,
  reasoning: 400_000_000n,
};

export interface TrialWorkerOptions {
  readonly name: string;
  readonly data: DataDirectory;
  readonly gateway: RunningGateway;
  readonly money: DevMoney;
  readonly pkiDir: string;
  readonly provider: 'simulator' | 'simulator-snp';
  readonly onProgress: (line: string) => void;
}

export async function startTrialWorker(options: TrialWorkerOptions): Promise<WorkerProcess> {
  const { name, data, gateway, money, pkiDir, provider, onProgress } = options;
  const ownerKey = data.seed(`${name}-owner`);
  const worker = await startWorkerProcess({
    name,
    card: encodeCard({
      owner: ed25519PublicKey(ownerKey),
      model: {
        id: DEMO_MODEL.id,
        contextLength: DEMO_MODEL.contextLength,
        capabilities: ['chat', 'completions', 'embeddings'],
        weights: DEMO_MODEL.sha256,
      },
      limits: {
        maxPromptTokens: DEMO_MODEL.contextLength,
        maxOutputTokens: OUTPUT_TOKENS_MAX,
        maxConcurrent: CONCURRENT_MAX,
      },
      prices: PRICES,
      payout: money.payoutAddress,
    }),
    ownerKey,
    log: data.openLog(`${name}.log`),
    onEnded: (which, next) => onProgress(`${which} ended unexpectedly; ${next} (see its log)`),
    config: {
      gateway: { url: originOf(gateway), aud: gateway.gateway.aud },
      workload: { image: toHex(DEMO_WORKLOAD.image), config: toHex(DEMO_WORKLOAD.config) },
      engine: { modelPath: DEMO_MODEL.path },
      evidence: { provider, pkiDir },
      settlement: { network: 'devnet', withdrawDelayMinS: money.withdrawDelayMinS },
      earnings: { dir: earningsPath(data, name) },
      drainMs: WORKER_DRAIN_MS,
    },
  });
  onProgress(`${name} was verified and admitted`);
  return worker;
}

/** For `veilgate worker earnings --dir`. */
export function earningsPath(data: DataDirectory, name: string): string {
  return data.path(`${name}-earnings`);
}
