/**
 * `npm run build:client`: from `client/` and what it imports to one package, `@veilgate/client`, in `dist/client/`. Node gets
 * TypeScript's own emit, module by module, as reviewed; browsers get one file. @module
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { fromUtf8 } from '../../core/bytes.ts';
import { parseJson } from '../../core/json.ts';
import { outputLine } from '../../core/node/terminal.ts';
import { z } from 'zod';
import { bundleBrowserModule } from './browser-module.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const MANIFEST_MAX_BYTES = 65_536;
const ROOT_MANIFEST = z.object({
  version: z.string(),
  license: z.string(),
  dependencies: z.record(z.string(), z.string()),
});

export const CLIENT_PACKAGE = '@veilgate/client';

/** Everything under `out` is replaced. Throws when the sources use what Node 20 does not have. */
export async function buildClient(out: string): Promise<void> {
  rmSync(out, { recursive: true, force: true });
  emitModules(join(out, 'esm'));
  mkdirSync(join(out, 'browser'));
  const { code, licences } = await bundleBrowserModule();
  assert.doesNotMatch(
    fromUtf8(code),
    /["']node:[a-z]/,
    'the browser module imports nothing of Node',
  );
  writeFileSync(join(out, 'browser', 'veilgate-client.js'), code);
  writeFileSync(join(out, 'browser', 'LICENCES.txt'), licences);
  writeFileSync(join(out, 'package.json'), `${JSON.stringify(manifest(out), undefined, 2)}\n`);
  copyFileSync(join(ROOT, 'client/package/README.md'), join(out, 'README.md'));
  copyFileSync(join(ROOT, 'LICENSE'), join(out, 'LICENSE'));
}

function emitModules(out: string): void {
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  const project = join(ROOT, 'client/package/tsconfig.json');
  const result = spawnSync(tsc, ['-p', project, '--outDir', out], { encoding: 'utf8' });
  assert.equal(result.status, 0, `${result.stdout}${result.stderr}`);
}

function manifest(out: string): object {
  const text = readFileSync(join(ROOT, 'package.json'));
  const root = ROOT_MANIFEST.parse(parseJson(text, MANIFEST_MAX_BYTES));
  const types = './esm/client/index.d.ts';
  const browser = './browser/veilgate-client.js';
  return {
    name: CLIENT_PACKAGE,
    version: root.version,
    private: false,
    description: 'Sealed, verified, receipted answers for programs that speak OpenAI.',
    license: root.license,
    type: 'module',
    sideEffects: false,
    engines: { node: '>=20.12' },
    files: ['esm', 'browser'],
    imports: {
      '#primitives': {
        node: './esm/core/node/primitives.js',
        default: './esm/core/primitives.js',
      },
    },
    exports: {
      '.': { types, node: './esm/client/index.js', default: browser },
      './browser': { types, default: browser },
      './package.json': './package.json',
    },
    dependencies: Object.fromEntries(
      dependenciesOf(out).map((name) => {
        const version = root.dependencies[name];
        assert.ok(version !== undefined, `${name} is a dependency of the repository`);
        return [name, version];
      }),
    ),
  };
}

/** Imports, exports and dynamic imports of emitted code: one form each, as TypeScript writes them. */
const SPECIFIER = /(?:\bfrom|\bimport\(|^import) ?['"]([^'"]+)['"]/gm;

/** By what is imported, so that nothing is installed that is not used. */
export function dependenciesOf(out: string): readonly string[] {
  const names = globSync('esm/**/*.js', { cwd: out })
    .flatMap((path) => [...readFileSync(join(out, path), 'utf8').matchAll(SPECIFIER)])
    .map(([, specifier = '']) => specifier)
    .filter((specifier) => !/^[.#]/.test(specifier) && !isBuiltin(specifier))
    .map((specifier) =>
      specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/'),
    );
  return [...new Set(names)].sort();
}

if (import.meta.main) {
  const out = join(ROOT, 'dist/client');
  await buildClient(out);
  outputLine(`${CLIENT_PACKAGE}: ${out}; publish with: npm publish --access public dist/client`);
}
