/** A worker's configuration for tests: the demo model, the simulator, a free card. @module */

import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateEd25519, type KeyPair } from '#primitives';
import { fromUtf8, toHex } from '../../core/bytes.ts';
import { encodeCard } from '../../attestation/card.ts';
import type { WorkerConfigInput } from '../../enclave-worker/config.ts';
import { DEMO_MODEL, DEMO_WORKLOAD } from '../../enclave-worker/demo-model/demo-model.ts';
import { FREE_PRICES } from '../support/attested-key.ts';

export interface WorkerSetup {
  readonly dir: string;
  /** Of the simulator that the configuration names. */
  readonly pkiDir: string;
  readonly owner: KeyPair;
  readonly cardBytes: Uint8Array;
  readonly config: (gateway: { readonly url: string; readonly aud: string }) => WorkerConfigInput;
}

export async function workerSetup(): Promise<WorkerSetup> {
  const dir = await mkdtemp(join(tmpdir(), 'veilgate-worker-test-'));
  const owner = generateEd25519();
  const cardBytes = encodeCard({
    owner: owner.publicKey,
    model: {
      id: DEMO_MODEL.id,
      contextLength: DEMO_MODEL.contextLength,
      capabilities: ['chat'],
      weights: DEMO_MODEL.sha256,
    },
    limits: { maxPromptTokens: 150, maxOutputTokens: 100, maxConcurrent: 2 },
    prices: FREE_PRICES,
    payout: null,
  });
  const pkiDir = join(dir, 'pki');
  return {
    dir,
    pkiDir,
    owner,
    cardBytes,
    config: ({ url, aud }) => ({
      gateway: { url, aud },
      card: fromUtf8(cardBytes),
      workload: {
        image: toHex(DEMO_WORKLOAD.image),
        config: toHex(DEMO_WORKLOAD.config),
      },
      engine: { modelPath: DEMO_MODEL.path },
      evidence: { provider: 'simulator', pkiDir },
      drainMs: 1000,
    }),
  };
}
