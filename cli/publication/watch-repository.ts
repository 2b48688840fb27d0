/**
 * Tells when somebody published. Where the system cannot watch a directory (too many watches, some network file systems),
 * looking every second has to do. Spec: inotify(7), "Limitations and caveats".
 * @module
 */

import { watch, type FSWatcher } from 'node:fs';
import { join } from 'node:path';
import { pause } from '../../core/node/lifecycle.ts';
import { BUNDLE_FOLDER, isPublication, ROOT_FOLDER } from './repository.ts';

const LOOK_MS = 1000;

export interface RepositoryWatch {
  /** Resolves at the next change, at once if there was one since the last time, and after `ms` at the latest. */
  readonly next: (ms: number, signal: AbortSignal) => Promise<'changed' | 'passed'>;
  readonly close: () => void;
}

export function watchRepository(directory: string): RepositoryWatch {
  const watchers = new Map<string, FSWatcher>();
  let hasChanged = false;
  let wake = new AbortController();
  const onChange = (name: string | null): void => {
    if (name !== null && !isPublication(name)) return;
    hasChanged = true;
    wake.abort();
  };
  const start = (folder: string): void => {
    if (watchers.has(folder)) return;
    try {
      const watcher = watch(folder, (_, name) => onChange(name));
      const forget = (): void => {
        watchers.delete(folder);
        watcher.close();
      };
      watcher.on('error', forget);
      watchers.set(folder, watcher);
    } catch {
      // Not there yet, or cannot be watched: looked at again the next time.
    }
  };
  const startAll = (): void => {
    for (const folder of ['', ROOT_FOLDER, BUNDLE_FOLDER]) start(join(directory, folder));
  };
  const close = (): void => {
    for (const watcher of watchers.values()) watcher.close();
    watchers.clear();
  };
  startAll();
  return {
    next: async (ms, signal) => {
      startAll();
      if (!hasChanged) {
        const longestMs = watchers.has(join(directory, '')) ? ms : Math.min(ms, LOOK_MS);
        await pause(longestMs, AbortSignal.any([signal, wake.signal]));
        if (!hasChanged && longestMs === ms) {
          // A directory that somebody replaced is another one: what is watched is not what has its name.
          close();
          startAll();
          return 'passed';
        }
      }
      hasChanged = false;
      wake = new AbortController();
      return 'changed';
    },
    close,
  };
}
