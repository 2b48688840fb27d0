/**
 * The client as one file for browsers, without any `node:` import: the portable side of `#primitives`, what it depends on
 * inside, and a refusal where Node would read a file. @module
 */

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Metafile, type Plugin } from 'esbuild';

const ROOT = join(import.meta.dirname, '..', '..');
const NO_FILES = join(ROOT, 'client/package/no-files.ts');
/** Chromium 111, Firefox 113, Safari 16.4: BigInt, top-level classes with private members, `structuredClone`. */
const TARGET = 'es2022';

export interface BrowserModule {
  readonly code: Uint8Array;
  /** What the packages inside ask to be said. */
  readonly licences: string;
  /** Packages inside, by name. */
  readonly packages: readonly string[];
}

export async function bundleBrowserModule(entry = 'client/index.ts'): Promise<BrowserModule> {
  const { outputFiles, metafile, warnings } = await build({
    absWorkingDir: ROOT,
    entryPoints: [entry],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: TARGET,
    // `portable` is the repository's own name for the side of #primitives without node:crypto.
    conditions: ['portable'],
    minify: true,
    legalComments: 'none',
    metafile: true,
    write: false,
    logLevel: 'silent',
    plugins: [withoutFiles, oneLanguage],
  });
  assert.deepEqual(warnings, []);
  const [output] = outputFiles;
  assert.ok(output !== undefined && outputFiles.length === 1);
  const packages = packagesOf(metafile);
  return { code: output.contents, licences: packages.map(licenceOf).join('\n\n'), packages };
}

const withoutFiles: Plugin = {
  name: 'without files',
  setup: (bundler) => {
    bundler.onResolve({ filter: /\/node\/[a-z-]+\.ts$/ }, () => ({ path: NO_FILES }));
  },
};

/** zod speaks fifty languages, and errors of ours never show what it says. */
const oneLanguage: Plugin = {
  name: 'one language',
  setup: (bundler) => {
    bundler.onLoad({ filter: /\/zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
    }));
  },
};

const PACKAGE = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\//;

function packagesOf({ inputs }: Metafile): readonly string[] {
  const names = Object.keys(inputs).flatMap((path) => PACKAGE.exec(path)?.[1] ?? []);
  return [...new Set(names)].sort();
}

function licenceOf(name: string): string {
  const folder = join(ROOT, 'node_modules', name);
  const [file] = globSync('LICEN[CS]E*', { cwd: folder });
  assert.ok(file !== undefined, `${name} says under which licence it comes`);
  return `${name}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
}
