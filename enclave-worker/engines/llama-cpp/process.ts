/**
 * One life of the engine process: start it, wait until the model is loaded, watch its heartbeat, take it down.
 * Spec: openai-gateway-and-engine §5.4.
 * @module
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { engineError } from '../../errors.ts';
import { FROM_CHILD, type FromChild, type LoadMessage, type ToChild } from './messages.ts';

const CHILD_FILE = fileURLToPath(new URL('child.ts', import.meta.url));
/** The shell only takes core files away and then becomes the engine: a core file would hold prompts. */
const WITHOUT_CORE_FILES = ['-c', 'ulimit -c 0 && exec "$0" "$@"'];

export const BEAT_MS = 1000;
const BEATS_MISSED_MAX = 15;

export interface EngineProcessOptions {
  readonly load: Omit<LoadMessage, 'kind' | 'privateDir' | 'beatMs'>;
  /** Where the private copy of the model is made, best a tmpfs. */
  readonly copyRoot: string;
  /** All the environment that the process gets but a home. For GPU libraries only. */
  readonly environment: Readonly<Record<string, string>>;
  readonly onMessage: (message: FromChild) => void;
  /** Once, and only after a successful start. */
  readonly onExit: () => void;
}

export interface EngineProcess {
  readonly pid: number;
  readonly send: (message: ToChild) => void;
  /** Resolves when the process is gone and its directory is removed. */
  readonly kill: () => Promise<void>;
}

/** Throws `engine.digest`, `engine.copy`, `engine.load`, `engine.template`; then the process is gone. */
export async function startEngineProcess(
  options: EngineProcessOptions,
  signal: AbortSignal,
): Promise<EngineProcess> {
  const privateDir = await mkdtemp(join(options.copyRoot, 'veilgate-model-')).catch(
    (cause: unknown) => {
      throw engineError('engine.copy', 'no private directory', { cause });
    },
  );
  const child = spawn('/bin/sh', [...WITHOUT_CORE_FILES, process.execPath, CHILD_FILE], {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    // The library dies without a home, and a user that is only a number has none. This one holds nothing to find.
    env: { ...options.environment, HOME: privateDir },
    cwd: privateDir,
  });
  const gone = goneOf(child, privateDir);
  const kill = (): Promise<void> => {
    child.kill('SIGKILL');
    return gone;
  };
  const watch = watchBeats(child);
  try {
    await loaded(child, { ...options.load, kind: 'load', privateDir, beatMs: BEAT_MS }, signal);
  } catch (error) {
    await kill();
    throw error;
  }
  // From here on messages belong to the engine; none was lost, because the child only answers.
  child.on('message', (raw) => {
    const message = FROM_CHILD.safeParse(raw);
    watch.beat();
    if (!message.success) child.kill('SIGKILL');
    else if (message.data.kind !== 'beat') options.onMessage(message.data);
  });
  void gone.then(options.onExit);
  return { pid: child.pid ?? 0, send: (message) => sendTo(child, message), kill };
}

function sendTo(child: ChildProcess, message: ToChild): void {
  // A message to a dying child is lost; its exit fails what waits for the answer.
  if (child.connected) child.send(message, () => undefined);
}

function goneOf(child: ChildProcess, privateDir: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const finish = (): void => {
    void rm(privateDir, { recursive: true, force: true }).finally(resolve);
  };
  child.once('exit', finish);
  child.once('error', () => {
    if (child.pid === undefined) finish();
  });
  return promise;
}

/** Counts missed beats instead of reading a clock, so that a machine that slept does not kill its engine. */
function watchBeats(child: ChildProcess): { readonly beat: () => void } {
  let missed = 0;
  const beat = (): void => {
    missed = 0;
  };
  child.on('message', beat);
  const timer = setInterval(() => {
    missed++;
    if (missed > BEATS_MISSED_MAX) child.kill('SIGKILL');
  }, BEAT_MS);
  timer.unref();
  child.once('exit', () => clearInterval(timer));
  return { beat };
}

function loaded(child: ChildProcess, load: LoadMessage, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onMessage = (raw: unknown): void => {
    const message = FROM_CHILD.safeParse(raw);
    if (!message.success) reject(engineError('engine.load', 'unknown message'));
    else if (message.data.kind === 'ready') resolve();
    else if (message.data.kind === 'load-failed') reject(engineError(message.data.code));
  };
  const onExit = (code: number | null, sig: NodeJS.Signals | null): void =>
    reject(engineError('engine.load', 'the process died', { facts: { exit: sig ?? code ?? -1 } }));
  const onError = (cause: Error): void => reject(engineError('engine.load', '', { cause }));
  const onAbort = (): void => reject(engineError('engine.load', 'aborted'));
  child.on('message', onMessage);
  child.once('exit', onExit);
  child.once('error', onError);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  sendTo(child, load);
  return promise.finally(() => {
    child.off('message', onMessage);
    child.off('exit', onExit);
    signal.removeEventListener('abort', onAbort);
  });
}
