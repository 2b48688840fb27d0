/**
 * One end of the IPC between a worker and the process that started it. Messages are objects; each side decodes what it
 * receives. @module
 */

import type { ChildProcess } from 'node:child_process';
import { workerError } from './errors.ts';

export interface IpcChannel {
  /** A message to a process that is gone is lost. */
  readonly send: (message: object) => void;
  /** Returns the way to stop listening. */
  readonly onMessage: (listener: (message: unknown) => void) => () => void;
}

/** The end of whoever forked `child`. */
export function channelTo(child: ChildProcess): IpcChannel {
  return {
    send: (message) => {
      if (child.connected) child.send(message, () => undefined);
    },
    onMessage: (listener) => {
      child.on('message', listener);
      return () => void child.off('message', listener);
    },
  };
}

/** The end of the forked process. Throws `worker.config` when nobody forked it. */
export function channelToParent(): IpcChannel {
  if (process.send === undefined) throw workerError('worker.config', 'start it with IPC');
  return {
    send: (message) => {
      if (process.connected) process.send?.(message);
    },
    onMessage: (listener) => {
      process.on('message', listener);
      return () => void process.off('message', listener);
    },
  };
}
