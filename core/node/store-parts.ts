/** What a store of fetched documents needs of this machine: a way out, a folder, files, time. @module */

import { readFile } from 'node:fs/promises';
import { openBlobFiles } from './blob-files.ts';
import { createOriginFetcher } from './fetch-origins.ts';
import { pause } from './lifecycle.ts';

export const STORE_PARTS = {
  createFetcher: createOriginFetcher,
  openBlobs: openBlobFiles,
  pause,
  readText: async (path: string): Promise<string> => await readFile(path, 'utf8'),
} as const;
