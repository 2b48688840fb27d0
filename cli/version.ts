/** The version that package.json states. @module */

import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { parseJson } from '../core/json.ts';

const MANIFEST_MAX_BYTES = 65_536;

export const VERSION = z
  .object({ version: z.string() })
  .parse(
    parseJson(readFileSync(new URL('../package.json', import.meta.url)), MANIFEST_MAX_BYTES),
  ).version;
