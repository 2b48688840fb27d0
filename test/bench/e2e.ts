/**
 * What each way in adds to asking the engine directly: milliseconds to the first token, and CPU for each token in the app's own
 * process and in the proxy's. The engine answers at once and then a token each millisecond, so that what is measured is the
 * way. Spec: openai-gateway-and-engine §3.1.
 * @module
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Identity, Transport } from 'ehbp';
import { openEhbp, sealedFetch } from '../../client/index.ts';
import type { Bench, BenchResult } from './bench.ts';
import { cpuUs, told } from './gateway-process.ts';

const WAYS = ['engine', 'plain', 'sealed', 'ehbp', 'proxy'] as const;
type Way = (typeof WAYS)[number];

const WARM_UP = 60;
const FIRST_TOKEN_ROUNDS = 240;
/** Streams of both lengths, so many at once; what one token costs is what their difference costs. */
const SHORT_TOKENS = 8;
const LONG_TOKENS = 128;
const STREAMS = 64;
const STREAMS_AT_ONCE = 4;
const TOKEN_ROUNDS = 5;

interface Target {
  readonly ask: (tokens: number) => Promise<Response>;
  /** Beside this process. */
  readonly pid?: number;
}

interface Figures {
  readonly firstP50Ms: number;
  readonly firstP95Ms: number;
  /** Of this process: reading, and where it seals, opening. */
  readonly clientCpuUs: number;
  readonly proxyCpuUs: number | undefined;
}

interface Started {
  readonly pid: number;
  readonly facts: Readonly<Record<string, string | number>>;
}

type Start = (file: string, ...args: readonly string[]) => Promise<Started>;

function starter(children: ChildProcess[]): Start {
  return (file, ...args) => {
    const child = spawn(process.execPath, [`test/bench/${file}`, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    return new Promise((resolve, reject) => {
      child.once('exit', () => reject(new Error(`${args[0]} ended early`)));
      child.stdout.once('data', (chunk: Buffer) => {
        resolve({ pid: child.pid ?? 0, facts: told(chunk.toString('utf8').trim()) });
      });
    });
  };
}

async function targets(dataDir: string, start: Start): Promise<Readonly<Record<Way, Target>>> {
  const gateway = await start('gateway-process.ts', 'gateway-process', dataDir, 'normal');
  const gatewayUrl = `http://127.0.0.1:${gateway.facts['port']}`;
  const apiKey = String(gateway.facts['apiKey']);
  const engine = await start('e2e-process.ts', 'engine');
  await start('e2e-process.ts', 'worker', dataDir, String(gateway.facts['aud']), gatewayUrl);
  const proxy = await start('e2e-process.ts', 'proxy', dataDir, gatewayUrl, apiKey);
  const sealed = sealedFetch({ policy: readFileSync(join(dataDir, 'policy.yaml'), 'utf8') });
  const at = (
    fetch: (url: string, init: RequestInit) => Promise<Response>,
    origin: string,
    key: string,
  ): Target['ask'] => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    return (tokens) =>
      fetch(`${origin}/v1/chat/completions`, { method: 'POST', headers, body: bodyOf(tokens) });
  };
  const ehbp = await ehbpOf(gatewayUrl, apiKey, dataDir);
  const local = (port: unknown): string => `http://127.0.0.1:${String(port)}`;
  const token = String(proxy.facts['token']);
  return {
    engine: { ask: at(fetch, local(engine.facts['port']), 'none') },
    plain: { ask: at(fetch, gatewayUrl, apiKey) },
    sealed: { ask: at(sealed, gatewayUrl, apiKey) },
    ehbp: { ask: ehbp },
    proxy: { ask: at(fetch, local(proxy.facts['port']), token), pid: proxy.pid },
  };
}

/** The published client, with a key that was verified as `sealedFetch` does. */
async function ehbpOf(baseUrl: string, apiKey: string, dataDir: string): Promise<Target['ask']> {
  const policy = readFileSync(join(dataDir, 'policy.yaml'), 'utf8');
  const directory = await openEhbp({ baseUrl, apiKey, policy, allowedKems: ['X25519'] });
  const [address] = await directory.addresses('veilgate-demo');
  await directory.close();
  if (address === undefined) throw new Error('no worker offers a key');
  const identity = await Identity.fromPublicKeyHex(address.publicKeyHex);
  const transport = new Transport(identity, address.host);
  const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' };
  return (tokens) =>
    transport.request(`${address.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { ...headers, 'x-vg-max-output': String(tokens) },
      body: bodyOf(tokens),
    });
}

function bodyOf(tokens: number): string {
  const messages = [{ role: 'user', content: 'p'.repeat(60) }];
  return JSON.stringify({ model: 'veilgate-demo', stream: true, max_tokens: tokens, messages });
}

/** Reads to the end; resolves with the milliseconds to the first piece. */
async function read(target: Target, tokens: number): Promise<number> {
  const startedMs = performance.now();
  const response = await target.ask(tokens);
  const reader = response.body?.getReader();
  if (response.status !== 200 || reader === undefined) throw new Error(await response.text());
  let firstMs = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return firstMs;
    if (firstMs === 0 && value.length > 0) firstMs = performance.now() - startedMs;
  }
}

/** Round by round over all ways, so that what else the machine does meets each alike. */
async function firstTokens(all: Readonly<Record<Way, Target>>): Promise<Record<Way, number[]>> {
  const times: Record<Way, number[]> = {
    engine: [],
    plain: [],
    sealed: [],
    ehbp: [],
    proxy: [],
  };
  for (let round = 0; round < FIRST_TOKEN_ROUNDS; round++) {
    for (const way of WAYS) times[way].push(await read(all[way], 1));
  }
  for (const way of WAYS) times[way].sort((a, b) => a - b);
  return times;
}

interface Cpu {
  readonly client: number;
  readonly beside: number;
}

async function streams(target: Target, tokens: number): Promise<Cpu> {
  const besideBefore = target.pid === undefined ? 0 : cpuUs(target.pid);
  const before = process.cpuUsage();
  let left = STREAMS;
  const lane = async (): Promise<void> => {
    while (left-- > 0) await read(target, tokens);
  };
  await Promise.all(Array.from({ length: STREAMS_AT_ONCE }, lane));
  const { user, system } = process.cpuUsage(before);
  const beside = target.pid === undefined ? 0 : cpuUs(target.pid) - besideBefore;
  return { client: user + system, beside };
}

async function perToken(target: Target): Promise<Cpu> {
  const short = await streams(target, SHORT_TOKENS);
  const long = await streams(target, LONG_TOKENS);
  const tokens = STREAMS * (LONG_TOKENS - SHORT_TOKENS);
  return {
    client: (long.client - short.client) / tokens,
    beside: (long.beside - short.beside) / tokens,
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

async function run(): Promise<BenchResult> {
  const dataDir = mkdtempSync(join(tmpdir(), 'veilgate-bench-'));
  const children: ChildProcess[] = [];
  try {
    const all = await targets(dataDir, starter(children));
    for (const way of WAYS) {
      for (let n = 0; n < WARM_UP; n++) await read(all[way], SHORT_TOKENS);
    }
    const cpu: Record<Way, Cpu[]> = { engine: [], plain: [], sealed: [], ehbp: [], proxy: [] };
    for (let round = 0; round < TOKEN_ROUNDS; round++) {
      for (const way of WAYS) cpu[way].push(await perToken(all[way]));
    }
    const times = await firstTokens(all);
    const figuresOf = (way: Way): Figures => ({
      firstP50Ms: at(times[way], 0.5),
      firstP95Ms: at(times[way], 0.95),
      clientCpuUs: median(cpu[way].map(({ client }) => client)),
      proxyCpuUs: way === 'proxy' ? median(cpu[way].map(({ beside }) => beside)) : undefined,
    });
    const figures: Readonly<Record<Way, Figures>> = {
      engine: figuresOf('engine'),
      plain: figuresOf('plain'),
      sealed: figuresOf('sealed'),
      ehbp: figuresOf('ehbp'),
      proxy: figuresOf('proxy'),
    };
    return { figures, lines: linesOf(figures) };
  } finally {
    for (const child of children) child.kill('SIGKILL');
    rmSync(dataDir, { recursive: true, force: true });
  }
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
}

const NAMES: Readonly<Record<Way, string>> = {
  engine: 'engine directly',
  plain: 'gateway, plain',
  sealed: 'sealedFetch',
  ehbp: 'EHBP client',
  proxy: 'local proxy',
};

function linesOf(figures: Readonly<Record<Way, Figures>>): readonly string[] {
  const { engine } = figures;
  const signed = (value: number, digits: number): string =>
    `${value < 0 ? '' : '+'}${value.toFixed(digits)}`;
  const rows = WAYS.map((way) => {
    const { firstP50Ms, firstP95Ms, clientCpuUs, proxyCpuUs } = figures[way];
    return [
      NAMES[way].padEnd(16),
      `${firstP50Ms.toFixed(2).padStart(6)} ms ${signed(firstP50Ms - engine.firstP50Ms, 2).padStart(6)}`,
      `${firstP95Ms.toFixed(2).padStart(6)} ms`,
      `${clientCpuUs.toFixed(1).padStart(6)} µs ${signed(clientCpuUs - engine.clientCpuUs, 1).padStart(6)}`,
      proxyCpuUs === undefined ? '' : `${proxyCpuUs.toFixed(1).padStart(6)} µs`,
    ].join('   ');
  });
  return [
    'first token at concurrency 1 (p50 and what is added, p95); CPU for each streamed token in the app’s process',
    `(and what is added) and in the proxy’s; ${STREAMS_AT_ONCE} streams at once, a token each millisecond`,
    `${''.padEnd(16)}   first p50  added   first p95   app CPU/token added   proxy CPU/token`,
    ...rows,
  ];
}

export const bench: Bench = {
  name: 'e2e',
  summary: 'time to first token and CPU per token that each way in adds to the engine directly',
  run,
};
