/**
 * One worker of `veilgate up`: a process of its own, because keys and prompts of a worker must not share memory with
 * the gateway. This side holds the owner's key and answers the worker's requests for a signature.
 * @module
 */

import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { fromUtf8, type Bytes } from '../../core/bytes.ts';
import { processEnvironment } from '../../core/node/config.ts';
import { pause } from '../../core/node/lifecycle.ts';
import type { WorkerConfigInput } from '../../enclave-worker/config.ts';
import { channelTo } from '../../enclave-worker/ipc.ts';
import { localOwnerSigner, serveOwner } from '../../enclave-worker/owner.ts';
import { cliError } from '../errors.ts';

const MAIN = fileURLToPath(new URL('../../enclave-worker/main.ts', import.meta.url));
const READY_TIMEOUT_MS = 90_000;
const RESTART_PAUSE_MS = 1000;
const RESTARTS_MAX = 5;
/** What a worker may know of its surroundings: nothing but where to find programs and scratch space. */
const PASSED_VARIABLES = ['PATH', 'TMPDIR', 'LANG'] as const;

export interface WorkerProcessOptions {
  readonly name: string;
  readonly config: Omit<WorkerConfigInput, 'card'>;
  readonly card: Uint8Array;
  readonly ownerKey: Bytes<32>;
  /** File descriptor that takes everything the process prints. */
  readonly log: number;
  readonly onEnded: (name: string, restart: 'restarting' | 'given up') => void;
}

export interface WorkerReady {
  readonly name: string;
  readonly workerId: string;
  readonly pid: number;
  readonly endpoint: string;
}

export interface WorkerProcess {
  /** The latest start. */
  readonly ready: () => WorkerReady;
  close(graceMs: number): Promise<void>;
}

const READY = z.looseObject({
  kind: z.literal('ready'),
  workerId: z.string(),
  pid: z.int(),
  endpoint: z.string(),
});

/** Resolves when the gateway has admitted the worker. Throws `cli.worker_failed`, `cli.worker_late`. */
export async function startWorkerProcess(options: WorkerProcessOptions): Promise<WorkerProcess> {
  const closing = new AbortController();
  let child = spawn(options);
  let current = await untilReady(child, options.name);
  const supervise = async (): Promise<void> => {
    for (let restarts = 0; !closing.signal.aborted; restarts++) {
      await ended(child);
      if (closing.signal.aborted) return;
      const isLast = restarts >= RESTARTS_MAX;
      options.onEnded(options.name, isLast ? 'given up' : 'restarting');
      if (isLast || !(await pause(RESTART_PAUSE_MS * 2 ** restarts, closing.signal))) return;
      child = spawn(options);
      current = await untilReady(child, options.name).catch(() => current);
    }
  };
  const supervised = supervise();
  return {
    ready: () => current,
    close: async (graceMs) => {
      closing.abort();
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await Promise.all([ended(child), supervised]);
      clearTimeout(late);
    },
  };
}

function spawn({ config, card, ownerKey, log }: WorkerProcessOptions): ChildProcess {
  const environment = processEnvironment();
  const child = fork(MAIN, {
    stdio: ['ignore', log, log, 'ipc'],
    execArgv: [],
    env: Object.fromEntries(PASSED_VARIABLES.map((name) => [name, environment[name]])),
  });
  const channel = channelTo(child);
  serveOwner(channel, localOwnerSigner(ownerKey, card));
  channel.send({ kind: 'config', config: { ...config, card: fromUtf8(card) } });
  return child;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function ended(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
}

async function untilReady(child: ChildProcess, name: string): Promise<WorkerReady> {
  const { promise, resolve, reject } = Promise.withResolvers<WorkerReady>();
  const late = setTimeout(() => {
    child.kill('SIGKILL');
    reject(cliError('cli.worker_late', name));
  }, READY_TIMEOUT_MS);
  child.on('message', (raw) => {
    const message = READY.safeParse(raw);
    if (message.success) resolve({ ...message.data, name });
  });
  void ended(child).then(() => reject(cliError('cli.worker_failed', `${name}: its log says why`)));
  try {
    return await promise;
  } finally {
    clearTimeout(late);
  }
}
