/** A program of this repository as a process of its own: what it said, and how it ended. @module */

import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

const LONGEST_MS = 60_000;
/** Of one that serves others until it is told to end: as long as the slowest machine takes for everything that it serves. */
export const SERVING_LONGEST_MS = 900_000;

export interface Ended {
  /** A number, or the signal. */
  readonly status: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Service extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** The first line on standard output. Rejects with what was said when there will be none. */
  readonly firstLine: Promise<string>;
}

export interface ServiceOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** After this it is killed. Absent: a minute. */
  readonly longestMs?: number;
}

/** It is killed when it is disposed of, and when it takes too long. */
export function startService(words: readonly string[], options: ServiceOptions = {}): Service {
  const child = spawn(process.execPath, words, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...options.env },
    timeout: options.longestMs ?? LONGEST_MS,
    killSignal: 'SIGKILL',
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => (stdout += String(chunk)));
  child.stderr.on('data', (chunk) => (stderr += String(chunk)));
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) =>
      resolve({ status: signal ?? code ?? 'unknown', stdout, stderr }),
    );
  });
  const firstLine = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    void ended.then(({ status }) => reject(new Error(`ended with ${status}: ${stderr}`)));
  });
  firstLine.catch(() => undefined);
  return {
    child,
    ended,
    firstLine,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
