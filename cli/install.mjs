/**
 * Runs before `npm start` and `npm test` on whatever Node the machine has (20 or later): installs exactly what
 * package-lock.json says, only when that changed, and says what it is doing. The lock brings the Node that
 * everything else runs on, so this file alone must keep to Node 20.
 */

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const MODULES = join(ROOT, 'node_modules');
const STAMP = join(MODULES, '.veilgate-installed');
const HEARTBEAT_MS = 5000;
const NODE_MAJOR_MIN = 24;

function lockDigest() {
  const lock = readFileSync(join(ROOT, 'package-lock.json'));
  return createHash('sha256')
    .update(lock)
    .update(process.platform)
    .update(process.arch)
    .digest('hex');
}

function isInstalled(digest) {
  return existsSync(STAMP) && readFileSync(STAMP, 'utf8') === digest;
}

function packageCount() {
  try {
    return readdirSync(MODULES).length;
  } catch {
    return 0; // not there yet
  }
}

function npmCi() {
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env['npm_execpath'];
  const options = { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] };
  const child = npm
    ? spawn(process.execPath, [npm, ...args], options)
    : spawn('npm', args, options);
  const startedAt = Date.now();
  const heartbeat = setInterval(() => {
    const seconds = Math.round((Date.now() - startedAt) / 1000);
    process.stderr.write(`  … ${seconds} s, ${packageCount()} folders in node_modules\n`);
  }, HEARTBEAT_MS);
  return new Promise((resolve) => {
    child.on('error', (error) => {
      clearInterval(heartbeat);
      process.stderr.write(`npm could not be started: ${error.message}\n`);
      resolve(1);
    });
    child.on('exit', (code) => {
      clearInterval(heartbeat);
      resolve(code ?? 1);
    });
  });
}

function requireNode() {
  if (existsSync(join(MODULES, '.bin', 'node'))) return;
  if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN) return;
  process.stderr.write(
    `Veilgate needs Node ${NODE_MAJOR_MIN} or later. The lock brings it for Linux on x64 and arm64; on ` +
      `${process.platform} ${process.arch} install Node ${NODE_MAJOR_MIN} yourself (found ${process.version}).\n`,
  );
  process.exit(1);
}

const digest = lockDigest();
if (!isInstalled(digest)) {
  process.stderr.write(
    'Installing the locked dependencies (about 450 MB, once; under a minute on most lines)\n',
  );
  const code = await npmCi();
  if (code !== 0) {
    process.stderr.write(
      'npm ci failed; its message is above. Nothing was started. Run the same command again.\n',
    );
    process.exit(code);
  }
  writeFileSync(STAMP, digest);
  process.stderr.write('Installed.\n');
}
requireNode();
