/**
 * From start to a quiet end: what was opened last is closed first, each within the time that is left. One signal
 * drains, a second one ends the process at once.
 * @module
 */

import { setTimeout as sleep } from 'node:timers/promises';

/** Aborts its signal when the deadline has passed; a closer that ignores it is left behind. */
export type Closer = (deadline: AbortSignal) => Promise<void> | void;

export interface Lifecycle {
  /** Closed in reverse order of registration. */
  onClose(name: string, close: Closer): void;
  /** Idempotent: every caller waits for the same drain. Resolves with the names that failed or ran late. */
  close(): Promise<readonly string[]>;
  /** Aborts when draining begins. */
  readonly closing: AbortSignal;
}

export interface LifecycleOptions {
  /** For everything together. */
  readonly graceMs: number;
}

export function createLifecycle(options: LifecycleOptions): Lifecycle {
  const closers: { readonly name: string; readonly close: Closer }[] = [];
  const closing = new AbortController();
  let drain: Promise<readonly string[]> | undefined;
  return {
    onClose: (name, close) => void closers.push({ name, close }),
    close: () => {
      closing.abort();
      drain ??= closeAll(closers.reverse(), options.graceMs);
      return drain;
    },
    closing: closing.signal,
  };
}

async function closeAll(
  closers: readonly { readonly name: string; readonly close: Closer }[],
  graceMs: number,
): Promise<readonly string[]> {
  const deadline = AbortSignal.timeout(graceMs);
  const late: string[] = [];
  for (const { name, close } of closers) {
    if (!(await closedInTime(close, deadline))) late.push(name);
  }
  return late;
}

async function closedInTime(close: Closer, deadline: AbortSignal): Promise<boolean> {
  const done = new AbortController();
  const expiry = new Promise<boolean>((resolve) => {
    deadline.addEventListener('abort', () => resolve(false), { once: true, signal: done.signal });
    if (deadline.aborted) resolve(false);
  });
  try {
    const closed = Promise.resolve(close(deadline)).then(
      () => true,
      () => false,
    );
    return await Promise.race([closed, expiry]);
  } catch {
    // A closer that throws at once has failed like one that rejects: reported by name.
    return false;
  } finally {
    done.abort();
  }
}

const SECOND_SIGNAL_STATUS = 130;

/** Resolves when the process was asked to end; a second signal ends it without waiting. */
export function untilSignal(): Promise<'SIGINT' | 'SIGTERM'> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = (name: 'SIGINT' | 'SIGTERM') => {
      if (asked) process.exit(SECOND_SIGNAL_STATUS);
      asked = true;
      resolve(name);
    };
    process.on('SIGINT', () => onSignal('SIGINT'));
    process.on('SIGTERM', () => onSignal('SIGTERM'));
  });
}

/** A pause that ends early, quietly, when `signal` aborts. Resolves to false then. */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(ms, undefined, { signal });
    return true;
  } catch {
    // The only rejection is the abort that was asked for.
    return false;
  }
}
