/**
 * Documents in a directory of this machine, filled by whoever publishes. Watched; looked at every second besides, because a
 * watch may miss what happens on a network file system. @module
 */

import { constants, watch, type FSWatcher } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pause } from '../../../core/node/lifecycle.ts';
import { publicationSourceError } from '../errors.ts';
import type { PublicationSource } from '../source.ts';

const INTERVAL_MS = 1000;
/** Files of one publication come in a burst: what follows within this is one change. */
const SETTLE_MS = 20;
/** From one answer to the next: who can write there must not keep this process reading. */
const REST_MS = 250;

export function directorySource(directory: string): PublicationSource {
  return new DirectorySource(directory);
}

class DirectorySource implements PublicationSource {
  readonly #directory: string;
  /** What was answered last, by size, time and place on the disk. */
  readonly #known = new Map<string, string>();
  readonly #watcher: FSWatcher | undefined;
  #hint = Promise.withResolvers<void>();
  #rest: Promise<unknown> = Promise.resolve();

  constructor(directory: string) {
    this.#directory = directory;
    this.#watcher = watched(directory, () => this.#hint.resolve());
  }

  async fetch(name: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const path = join(this.#directory, name);
    const now = await stampOf(path);
    if (now === undefined || now === this.#known.get(name)) return undefined;
    const bytes = await readBounded(path, maxBytes);
    // Stamped before it was read: what is written in between is read again.
    if (bytes !== undefined) this.#known.set(name, now);
    return bytes;
  }

  forget(name: string): void {
    this.#known.delete(name);
  }

  async changed(signal: AbortSignal): Promise<boolean> {
    const waiting = new AbortController();
    const both = AbortSignal.any([signal, waiting.signal]);
    const rest = this.#rest;
    const isHint = await Promise.race([
      this.#hint.promise.then(() => rest).then(() => true),
      pause(INTERVAL_MS, both).then(() => false),
    ]);
    waiting.abort();
    if (signal.aborted) return false;
    if (isHint && !(await pause(SETTLE_MS, signal))) return false;
    // What is written from here on is another hint.
    this.#hint = Promise.withResolvers<void>();
    this.#rest = pause(REST_MS, signal);
    return true;
  }

  async close(): Promise<void> {
    this.#watcher?.close();
    await Promise.resolve();
  }
}

/** Undefined where the system cannot watch: then the interval is all there is. */
function watched(directory: string, onChange: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, { persistent: false }, onChange);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    // The directory may come later, or watches may be used up; it is looked at every second anyway.
    return undefined;
  }
}

async function stampOf(path: string): Promise<string | undefined> {
  try {
    const { mtimeMs, ctimeMs, size, ino } = await stat(path);
    return `${mtimeMs} ${ctimeMs} ${size} ${ino}`;
  } catch (cause) {
    if (isAbsent(cause)) return undefined;
    throw publicationSourceError('publication_source.unreadable', '', { cause });
  }
}

async function readBounded(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
  try {
    // A pipe would hold the caller, and a thread of this process, until somebody writes to it.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const found = await file.stat();
      if (!found.isFile()) throw publicationSourceError('publication_source.unreadable');
      const { size } = found;
      if (size > maxBytes) throw publicationSourceError('publication_source.size', `${size} bytes`);
      const bytes = new Uint8Array(size);
      const { bytesRead } = await file.read(bytes, 0, size, 0);
      return bytes.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (isAbsent(cause)) return undefined;
    throw cause;
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
