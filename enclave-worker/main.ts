/**
 * The worker process: `node enclave-worker/main.ts --config FILE`, or without arguments under a parent that sends
 * `{kind: 'config', config}` over IPC. The parent also holds the owner's key and answers `owner.sign`. Prints log events
 * and nothing else. Spec: overview "Identities"; STYLE §11.
 * @module
 */

import { parseArgs } from 'node:util';
import { z } from 'zod';
import { toHex } from '../core/bytes.ts';
import { systemClock } from '../core/clock.ts';
import { decodeConfig, loadConfig } from '../core/node/config.ts';
import { untilSignal } from '../core/node/lifecycle.ts';
import { codeOf, createLog } from '../core/node/log.ts';
import { WORKER_CONFIG, type WorkerConfig } from './config.ts';
import { workerError } from './errors.ts';
import { thisGuest } from './evidence/guest.ts';
import { openProvider } from './evidence/open-provider.ts';
import type { EvidenceProvider } from './evidence/provider.ts';
import { WORKER_EVENTS } from './events.ts';
import { channelToParent, type IpcChannel } from './ipc.ts';
import { ipcOwnerSigner } from './owner.ts';
import { createWorker } from './worker.ts';

const PART = 'worker';
const log = createLog({ events: WORKER_EVENTS, part: PART });

const CONFIG_MESSAGE = z.strictObject({ kind: z.literal('config'), config: z.unknown() });

async function configOf(channel: IpcChannel, stop: AbortSignal): Promise<WorkerConfig> {
  const { values } = parseArgs({ options: { config: { type: 'string' } }, strict: true });
  if (values.config !== undefined) {
    return loadConfig(WORKER_CONFIG, { part: PART, filePath: values.config });
  }
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  stop.addEventListener('abort', () => reject(workerError('worker.closed')), { once: true });
  const deafen = channel.onMessage((raw) => {
    const message = CONFIG_MESSAGE.safeParse(raw);
    if (message.success) resolve(message.data.config);
  });
  try {
    return decodeConfig(WORKER_CONFIG, await promise);
  } finally {
    deafen();
  }
}

async function providerOf(
  { evidence }: WorkerConfig,
  signal: AbortSignal,
): Promise<EvidenceProvider> {
  const provider = await openProvider(evidence, {
    guest: thisGuest,
    signal,
    onFinding: ({ name, found, reason }) =>
      log.event('worker.evidence_tried', { provider: name, found, reason }),
  });
  const { name, tee, simulated } = provider;
  log.event('worker.evidence', { provider: name, tee, simulated });
  return provider;
}

async function main(): Promise<void> {
  // Without a parent there is no owner to sign.
  const channel = channelToParent();
  const stop = new AbortController();
  // Asked to end, or left alone: both drain.
  const asked = Promise.race([
    untilSignal(),
    new Promise<void>((resolve) => {
      process.once('disconnect', resolve);
    }),
  ]);
  void asked.then(() => stop.abort());
  const config = await configOf(channel, stop.signal);
  const worker = await createWorker(
    config,
    {
      provider: await providerOf(config, stop.signal),
      owner: ipcOwnerSigner(channel),
      clock: systemClock,
      log,
    },
    stop.signal,
  );
  channel.send({
    kind: 'ready',
    workerId: toHex(worker.workerId),
    pid: process.pid,
    endpoint: worker.endpoint,
  });
  await asked;
  await worker.close();
}

try {
  await main();
  process.exit(0);
} catch (error) {
  log.event('worker.failed', { code: codeOf(error) });
  process.exit(1);
}
