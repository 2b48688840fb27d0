/** Processes of a test: killed without a word, or left to end with the test. @module */

import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface Child {
  /** What it sent first. */
  readonly said: unknown;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

export async function startChild(file: string, ...args: readonly string[]): Promise<Child> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = fork(path, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [] });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const said = await firstWord(child, gone);
  return {
    said,
    kill: async () => {
      child.kill('SIGKILL');
      await gone;
    },
  };
}

async function firstWord(child: ChildProcess, gone: Promise<void>): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  child.once('message', resolve);
  void gone.then(() => reject(new Error('a child ended before it was ready')));
  return promise;
}
