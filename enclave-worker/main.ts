/**
 * The worker process: `node enclave-worker/main.ts --config FILE [--check-config]` inside a confidential VM, with the owner
 * signing elsewhere; or without arguments under a parent that sends `{kind: 'config', config}` over IPC and holds the
 * owner's key itself. Prints log events and nothing else. Spec: overview "Identities"; STYLE §11.
 * @module
 */

import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { toHex } from '../core/bytes.ts';
import { openConfiguredStore, type ConfiguredStore } from '../attestation/collateral/compose.ts';
import { systemClock } from '../core/clock.ts';
import { decodeConfig, loadConfig, redactedConfig } from '../core/node/config.ts';
import { untilSignal } from '../core/node/lifecycle.ts';
import { codeOf, createLog } from '../core/node/log.ts';
import {
  readServiceArguments,
  SERVICE_STATUS,
  whyNotStarted,
  wrongUsage,
  type ServiceArguments,
  type ServiceHelp,
} from '../core/node/service.ts';
import { STORE_PARTS } from '../core/node/store-parts.ts';
import { errorLine, outputLine } from '../core/node/terminal.ts';
import { WORKER_CONFIG, type WorkerConfig } from './config.ts';
import { workerError } from './errors.ts';
import { thisGuest } from './evidence/guest.ts';
import { openProvider } from './evidence/open-provider.ts';
import type { EvidenceProvider } from './evidence/provider.ts';
import { WORKER_EVENTS } from './events.ts';
import { channelToParent, type IpcChannel } from './ipc.ts';
import { agentOwnerSigner } from './owner-agent.ts';
import { ipcOwnerSigner, type OwnerSigner } from './owner.ts';
import { createWorker, type RunningWorker } from './worker.ts';

const PART = 'worker';
const log = createLog({ events: WORKER_EVENTS, part: PART });

const CONFIG_MESSAGE = z.strictObject({ kind: z.literal('config'), config: z.unknown() });

/** What a start depends on: who configures the worker, who signs for it, who is told that it is ready. */
interface Start {
  readonly config: WorkerConfig;
  readonly owner: OwnerSigner;
  readonly ready: (worker: RunningWorker) => void;
}

function startFromFile(filePath: string): Start {
  const config = loadConfig(WORKER_CONFIG, { part: PART, filePath });
  const { owner } = config;
  if (owner === undefined) throw workerError('worker.config', 'owner');
  const { tokenFile, ...address } = owner;
  const signer = agentOwnerSigner({ ...address, token: readToken(tokenFile) });
  return { config, owner: signer, ready: () => undefined };
}

function readToken(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw workerError('worker.config', 'owner.tokenFile cannot be read', { cause });
  }
}

async function startFromParent(stop: AbortSignal): Promise<Start> {
  const channel = channelToParent();
  return {
    config: await configFrom(channel, stop),
    owner: ipcOwnerSigner(channel),
    ready: ({ workerId, endpoint }) =>
      channel.send({ kind: 'ready', workerId: toHex(workerId), pid: process.pid, endpoint }),
  };
}

async function configFrom(channel: IpcChannel, stop: AbortSignal): Promise<WorkerConfig> {
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

/** Real machines bring a quote; what a verifier needs beside it comes from here. */
async function openCollateral({ collateral }: WorkerConfig): Promise<ConfiguredStore> {
  return await openConfiguredStore(collateral, {
    ...STORE_PARTS,
    now: systemClock,
    onEvent: (event) => {
      if (event.kind === 'replaced') return;
      log.event('worker.collateral', {
        kind: event.kind,
        code: 'code' in event ? event.code : 'none',
      });
    },
  });
}

const HELP: ServiceHelp = {
  command: 'node enclave-worker/main.ts',
  about: 'A worker: proves the machine it runs in to a gateway, and answers sealed requests.',
  notes: [
    '',
    'Variables: VEILGATE_WORKER_<KEY>. What stands in the way of a registration: "veilgate doctor".',
    'Everything else is in docs/workers.md and docs/deploy.md.',
  ],
};

/** Without a file the configuration comes from a parent: nobody who types this has one. */
function readArguments(): ServiceArguments {
  const values = readServiceArguments(HELP);
  if (values.config === undefined && process.send === undefined) wrongUsage(HELP);
  return values;
}

async function main(values: ServiceArguments): Promise<void> {
  const stop = new AbortController();
  // Asked to end, or left alone by a parent: both drain.
  const asked = Promise.race([
    untilSignal(),
    new Promise<void>((resolve) => {
      process.once('disconnect', resolve);
    }),
  ]);
  void asked.then(() => stop.abort());
  const start =
    values.config === undefined ? await startFromParent(stop.signal) : startFromFile(values.config);
  if (values['check-config']) {
    outputLine(redactedConfig(start.config));
    return;
  }
  const provider = await providerOf(start.config, stop.signal);
  const collateral = provider.simulated ? undefined : await openCollateral(start.config);
  const worker = await createWorker(
    start.config,
    {
      provider,
      owner: start.owner,
      ...(collateral === undefined ? {} : { endorser: collateral.store }),
      clock: systemClock,
      log,
    },
    stop.signal,
  );
  start.ready(worker);
  const kept = collateral?.store.run(stop.signal).catch((error: unknown) => {
    // Without it collateral is got when it is needed: no reason to cut running exchanges.
    log.event('worker.collateral', { kind: 'stopped', code: codeOf(error) ?? 'none' });
  });
  await asked;
  await worker.close();
  await collateral?.close();
  await kept;
}

// Node would print the error with all its words, which may not be ours.
process.once('uncaughtException', (error) => {
  log.event('worker.failed', { code: codeOf(error) });
  process.exit(SERVICE_STATUS.failed);
});

const values = readArguments();
try {
  await main(values);
  process.exit(SERVICE_STATUS.ended);
} catch (error) {
  log.event('worker.failed', { code: codeOf(error) });
  // Whoever wrote the file is there to read what is wrong with it; a parent has the code.
  if (values.config !== undefined) errorLine(whyNotStarted(error));
  process.exit(SERVICE_STATUS.failed);
}
