/**
 * The client as an app gets it: built, packed, and installed by npm into a folder of its own, from npm's cache where that
 * has what is asked for and from the registry where not. @module
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { parseJson } from '../../core/json.ts';
import { utf8 } from '../../core/bytes.ts';
import { buildClient } from '../client-package/build.ts';

const NPM_TIMEOUT_MS = 90_000;
const JSON_MAX_BYTES = 1_048_576;

const PACKED = z.array(
  z.object({
    filename: z.string(),
    size: z.int(),
    unpackedSize: z.int(),
    entryCount: z.int(),
    files: z.array(z.object({ path: z.string() })),
  }),
);

export interface Packed {
  readonly tarball: string;
  readonly packedBytes: number;
  readonly unpackedBytes: number;
  readonly paths: readonly string[];
}

/** Builds into `folder` and packs there. */
export async function packClient(folder: string): Promise<Packed> {
  const built = join(folder, 'built');
  await buildClient(built);
  const result = npm(folder, ['pack', '--json', '--pack-destination', folder, built]);
  assert.equal(result.status, 0, result.text);
  const [packed] = PACKED.parse(parseJson(utf8(result.output), JSON_MAX_BYTES));
  assert.ok(packed !== undefined);
  return {
    tarball: join(folder, packed.filename),
    packedBytes: packed.size,
    unpackedBytes: packed.unpackedSize,
    paths: packed.files.map(({ path }) => path),
  };
}

export type Installed =
  | { readonly outcome: 'installed'; readonly spentMs: number }
  /** No line to the registry and not in the cache: nothing about the package. */
  | { readonly outcome: 'unreachable'; readonly because: string };

const UNREACHABLE = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTCACHED|E5\d\d)\b/;

/** Into a project with nothing else in it. */
export function installInto(project: string, packages: readonly string[]): Installed {
  mkdirSync(project, { recursive: true });
  const manifest = { name: 'an-app', private: true, type: 'module' };
  writeFileSync(join(project, 'package.json'), JSON.stringify(manifest));
  const startedMs = performance.now();
  const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  const result = npm(project, ['install', '--prefer-offline', ...quiet, ...packages]);
  const spentMs = performance.now() - startedMs;
  if (result.status === 0) return { outcome: 'installed', spentMs };
  const because = UNREACHABLE.exec(result.text)?.[1] ?? (result.isLate ? 'no answer in time' : '');
  assert.notEqual(because, '', result.text);
  return { outcome: 'unreachable', because };
}

/** By the lock that npm wrote: each package in the project. */
export function installedPackages(project: string): readonly string[] {
  const lock = readFileSync(join(project, 'package-lock.json'));
  const { packages } = z
    .object({ packages: z.record(z.string(), z.unknown()) })
    .parse(parseJson(lock, JSON_MAX_BYTES));
  return Object.keys(packages)
    .filter((path) => path !== '')
    .map((path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length));
}

/** What the repository has of a package, so that an app's tests install the same. */
export function versionHere(name: string): string {
  const path = new URL(`../../node_modules/${name}/package.json`, import.meta.url);
  const { version } = z
    .object({ version: z.string() })
    .parse(parseJson(readFileSync(path), JSON_MAX_BYTES));
  return version;
}

interface NpmResult {
  readonly status: number | null;
  readonly output: string;
  readonly text: string;
  readonly isLate: boolean;
}

function npm(cwd: string, args: readonly string[]): NpmResult {
  const { status, stdout, stderr, error } = spawnSync('npm', args, {
    cwd,
    encoding: 'utf8',
    timeout: NPM_TIMEOUT_MS,
  });
  const isLate = status === null && error !== undefined;
  return { status, output: stdout, text: `${stdout}${stderr}${error?.message ?? ''}`, isLate };
}

export interface OtherNode {
  readonly path: string;
  readonly version: string;
}

/** The Node of this process, and the first on the path that is older than this repository allows itself. */
export function nodesHere(): readonly OtherNode[] {
  const own = { path: process.execPath, version: process.version };
  const older = (process.env['PATH'] ?? '')
    .split(':')
    .map((folder) => join(folder, 'node'))
    .map((path) => ({ path, version: versionOf(path) }))
    .find(({ version }) => /^v2[0-3]\./.test(version));
  return older === undefined ? [own] : [own, older];
}

function versionOf(path: string): string {
  return spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout?.trim() ?? '';
}
