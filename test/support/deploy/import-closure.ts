/**
 * What a program loads, read from its sources: every file it reaches, and every package. Types do not count; files that are
 * named by a URL beside the module do. @module
 */

import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

export interface Closure {
  /** From the top of the repository. */
  readonly files: readonly string[];
  /** Names as package.json has them. */
  readonly packages: readonly string[];
}

const IMPORT =
  /(?:import|export)\s+(?!type\s)(?:[\w*{}\s,$]+?\sfrom\s+)?'([^']+)'|import\s*\(\s*'([^']+)'\s*\)|new URL\(\s*'([^']+)'\s*,\s*import\.meta\.url/g;
const ALIASES: Readonly<Record<string, string>> = { '#primitives': 'core/node/primitives.ts' };

export function closureOf(...entries: readonly string[]): Closure {
  const files = new Set<string>();
  const packages = new Set<string>();
  const visit = (path: string): void => {
    if (path === '' || files.has(path)) return;
    files.add(path);
    if (!/\.(ts|mjs)$/.test(path)) return;
    for (const [, from = '', dynamic, beside] of withoutComments(path).matchAll(IMPORT)) {
      const name = dynamic ?? beside ?? from;
      if (name.startsWith('.') || beside !== undefined) visit(besideOf(path, name));
      else if (name in ALIASES) visit(ALIASES[name] ?? '');
      else if (!name.startsWith('node:')) packages.add(packageOf(name));
    }
  };
  for (const entry of entries) visit(entry);
  return { files: [...files].sort(), packages: [...packages].sort() };
}

function withoutComments(path: string): string {
  return readFileSync(path, 'utf8')
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/(^|\s)\/\/.*$/gm, '$1');
}

/** The top of the repository itself is no file. */
function besideOf(path: string, name: string): string {
  const found = normalize(join(dirname(path), name));
  return found === './' ? '' : found;
}

/** `hono/body-limit` → `hono`. */
function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
}
