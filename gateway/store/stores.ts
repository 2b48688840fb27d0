/** Every store the gateway can keep its records in. To add one: write the file, add its line here. @module */

import { join } from 'node:path';
import { openSqliteStore } from './sqlite.ts';
import type { Store } from './store.ts';

export const STORES = [
  {
    name: 'sqlite',
    open: (dataDir: string, durability: 'full' | 'normal'): Store =>
      openSqliteStore({ path: join(dataDir, 'gateway.sqlite'), durability }),
  },
] as const;
export type StoreName = (typeof STORES)[number]['name'];
