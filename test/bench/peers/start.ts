/**
 * Other people's proxies: found on this machine, or installed on request into a temporary folder (Portkey) or by apt
 * (nginx, haproxy). What is absent is told as absent.
 * @module
 */

import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { told } from '../gateway-process.ts';

const run = promisify(execFile);

export interface Started {
  readonly port: number;
  readonly pid: number;
  readonly stop: () => void;
}

export interface PeerPlan {
  readonly name: string;
  /** Beside those of the request. */
  readonly headers: (upstreamPort: number) => Readonly<Record<string, string>>;
  /** What to run, once its configuration is written. */
  readonly command: (place: Place) => { readonly file: string; readonly args: readonly string[] };
}

interface Place {
  readonly dir: string;
  readonly port: number;
  readonly upstreamPort: number;
}

export type FoundPeer =
  | { readonly outcome: 'found'; readonly plan: PeerPlan; readonly version: string }
  | { readonly outcome: 'absent'; readonly name: string; readonly because: string };

const NOTHING = () => ({});
const PORTKEY = '@portkey-ai/gateway';
const PORTKEY_VERSION = '1.15.2';
/** What its own lockfile names. */
const PORTKEY_PINNED = { hono: '4.9.7', '@hono/node-server': '1.13.5' };
const INSTALL_TIMEOUT_MS = 300_000;
const START_TIMEOUT_MS = 20_000;

export async function findPeers(dir: string, install: boolean): Promise<readonly FoundPeer[]> {
  if (install) await installSystemPeers();
  return [
    await systemPeer('nginx', ['-v'], nginxPlan),
    await systemPeer('haproxy', ['-v'], haproxyPlan),
    await portkey(join(dir, 'portkey'), 'portkey', install, PORTKEY_PINNED),
    await portkey(join(dir, 'portkey-unpinned'), 'portkey unpinned', install, {}),
  ];
}

async function installSystemPeers(): Promise<void> {
  if (process.getuid?.() !== 0) return;
  // No service is to begin with it.
  const env = { ...pathOnly(), DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const packages = ['nginx-light', 'haproxy'];
  try {
    await run('apt-get', ['install', '-y', '--no-install-recommends', ...packages], {
      env,
      timeout: INSTALL_TIMEOUT_MS,
    });
  } catch {
    // Told as absent below.
  }
}

function pathOnly(): { readonly PATH: string } {
  return { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
}

async function systemPeer(
  file: string,
  versionArgs: readonly string[],
  plan: PeerPlan,
): Promise<FoundPeer> {
  try {
    const { stdout, stderr } = await run(file, versionArgs, { env: pathOnly() });
    const version = /\d+\.\d+\.\d+/.exec(`${stdout}${stderr}`)?.[0] ?? '';
    return { outcome: 'found', plan, version };
  } catch {
    return {
      outcome: 'absent',
      name: plan.name,
      because: 'not on this machine; --install gets it',
    };
  }
}

const nginxPlan: PeerPlan = {
  name: 'nginx',
  headers: NOTHING,
  command: ({ dir, port, upstreamPort }) => {
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((name) => `${name}_temp_path ${dir}/${name};`)
      .join(' ');
    const file = join(dir, 'nginx.conf');
    writeFileSync(
      file,
      `daemon off; worker_processes 1; pid ${dir}/nginx.pid; error_log ${dir}/error.log crit;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 4096; }
http {
  access_log off; ${temporary} keepalive_requests 1000000;
  upstream u { server 127.0.0.1:${upstreamPort}; keepalive 128; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }
  }
}
`,
    );
    return { file: 'nginx', args: ['-c', file, '-e', `${dir}/error.log`] };
  },
};

const haproxyPlan: PeerPlan = {
  name: 'haproxy',
  headers: NOTHING,
  command: ({ dir, port, upstreamPort }) => {
    const file = join(dir, 'haproxy.cfg');
    writeFileSync(
      file,
      `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
frontend f
  bind 127.0.0.1:${port}
  default_backend b
backend b
  http-reuse always
  server u 127.0.0.1:${upstreamPort}
`,
    );
    return { file: 'haproxy', args: ['-db', '-f', file] };
  },
};

async function portkey(
  dir: string,
  name: string,
  install: boolean,
  overrides: Readonly<Record<string, string>>,
): Promise<FoundPeer> {
  if (!install) return { outcome: 'absent', name, because: '--install gets it' };
  mkdirSync(dir);
  const dependencies = { [PORTKEY]: PORTKEY_VERSION };
  writeFileSync(
    join(dir, 'package.json'),
    JSON.stringify({ private: true, dependencies, overrides }),
  );
  const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts'];
  try {
    await run('npm', args, { cwd: dir, timeout: INSTALL_TIMEOUT_MS });
  } catch {
    return { outcome: 'absent', name, because: 'npm could not install it' };
  }
  const server = join(dir, 'node_modules', PORTKEY, 'build', 'start-server.js');
  const plan: PeerPlan = {
    name,
    headers: (upstreamPort) => ({
      'x-portkey-provider': 'openai',
      'x-portkey-custom-host': `http://127.0.0.1:${upstreamPort}/v1`,
    }),
    command: ({ port }) => ({
      file: process.execPath,
      args: [server, `--port=${port}`, '--headless'],
    }),
  };
  return { outcome: 'found', plan, version: PORTKEY_VERSION };
}

let places = 0;

/** Rejects when it does not listen in time. */
export async function startPeer(
  plan: PeerPlan,
  dir: string,
  upstreamPort: number,
): Promise<Started> {
  const place = { dir: join(dir, `place-${places++}`), port: await freePort(), upstreamPort };
  mkdirSync(place.dir);
  const { file, args } = plan.command(place);
  const child = spawn(file, args, {
    stdio: 'ignore',
    env: { ...pathOnly(), NODE_ENV: 'production' },
  });
  await untilListening(child, place.port);
  return { port: place.port, pid: child.pid ?? 0, stop: () => void child.kill('SIGTERM') };
}

async function untilListening(child: ChildProcess, port: number): Promise<void> {
  for (let waitedMs = 0; waitedMs < START_TIMEOUT_MS; waitedMs += 100) {
    if (child.exitCode !== null) break;
    if (await answers(port)) return;
    await pause(100);
  }
  child.kill('SIGKILL');
  throw new Error(`${child.spawnfile} does not listen`);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
      server.close(() => resolve(port));
    });
  });
}

export type Upstream = Started & { readonly kind: 'C' | 'Node' };

/** One in C where there is a compiler; `misbehaving` is always ours in Node. */
export async function startUpstream(dir: string, kind: 'fast' | 'misbehaving'): Promise<Upstream> {
  const script = new URL('upstream-process.ts', import.meta.url).pathname;
  if (kind === 'fast') {
    const binary = join(dir, 'upstream');
    try {
      await run('cc', ['-O2', '-o', binary, new URL('upstream.c', import.meta.url).pathname]);
      return { ...(await startTelling(binary, [])), kind: 'C' };
    } catch {
      // No compiler here: Node is slower, and the same for everybody.
    }
  }
  return { ...(await startTelling(process.execPath, [script])), kind: 'Node' };
}

/** A process whose first line of output says its port. */
export function startTelling(file: string, args: readonly string[]): Promise<Started & Told> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`${file} ended early`)));
    child.stdout.once('data', (chunk: Buffer) => {
      const facts = told(chunk.toString('utf8').trim());
      const stop = (): void => void child.kill('SIGKILL');
      resolve({ port: Number(facts['port']), pid: child.pid ?? 0, stop, facts });
    });
  });
}

export interface Told {
  readonly facts: Readonly<Record<string, string | number>>;
}
