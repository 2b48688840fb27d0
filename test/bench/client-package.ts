/**
 * What an app takes on with the client: bytes packed and unpacked, packages and time to install them from npm's cache, and
 * how long the first import takes on each Node that is here. @module
 */

import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CLIENT_PACKAGE } from '../client-package/build.ts';
import {
  installedPackages,
  installInto,
  nodesHere,
  packClient,
} from '../support/client-package.ts';
import type { Bench, BenchResult } from './bench.ts';

const IMPORTS = 7;
const KIB = 1024;

async function run(): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-bench-'));
  try {
    return await measured(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measured(folder: string): Promise<BenchResult> {
  const startedMs = performance.now();
  const packed = await packClient(folder);
  const buildMs = performance.now() - startedMs;
  const { packedBytes, unpackedBytes, paths } = packed;
  const lines = [
    `package: ${kib(packedBytes)} packed, ${kib(unpackedBytes)} unpacked, ${paths.length} files; built and packed in ${seconds(buildMs)}`,
  ];
  const app = join(folder, 'app');
  installInto(join(folder, 'warm-up'), [packed.tarball]); // fills npm's cache
  const installed = installInto(app, [packed.tarball]);
  const figures = { packedBytes, unpackedBytes, files: paths.length, buildMs };
  if (installed.outcome === 'unreachable') {
    return { figures, lines: [...lines, `not installed: ${installed.because}`] };
  }
  const names = installedPackages(app);
  const bytes = bytesUnder(join(app, 'node_modules'));
  lines.push(
    `install: ${names.length} packages, ${kib(bytes)} on the disk, ${seconds(installed.spentMs)} with a warm cache`,
  );
  const imports = nodesHere().map(({ path, version }) => ({ version, ms: importMs(path, app) }));
  for (const { version, ms } of imports) lines.push(`import on ${version}: ${ms.toFixed(0)} ms`);
  const install = { packages: names.length, bytes, ms: installed.spentMs };
  return { figures: { ...figures, install, imports }, lines };
}

/** The median of several processes, each of which loads it for the first time. */
function importMs(node: string, cwd: string): number {
  const code = `const t = performance.now(); await import('${CLIENT_PACKAGE}'); console.log(performance.now() - t)`;
  const times = Array.from({ length: IMPORTS }, () =>
    Number(spawnSync(node, ['--input-type=module', '-e', code], { cwd, encoding: 'utf8' }).stdout),
  );
  return times.toSorted((a, b) => a - b)[Math.floor(IMPORTS / 2)] ?? Number.NaN;
}

function bytesUnder(folder: string): number {
  return globSync('**/*', { cwd: folder })
    .map((path) => statSync(join(folder, path)))
    .reduce((sum, found) => sum + (found.isFile() ? found.size : 0), 0);
}

function kib(bytes: number): string {
  return `${(bytes / KIB).toFixed(0)} KiB`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export const bench: Bench = {
  name: 'client-package',
  summary: 'the client as npm installs it: bytes, packages, time',
  run,
};
