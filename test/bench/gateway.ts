/**
 * What the gateway adds: CPU of its process per request and per chunk, and milliseconds, for sealed forwarding and for
 * the convenience mode, beside a bare relay of the same bytes over the same pinned link. Spec: openai-gateway-and-engine
 * §3.1, §3.2.
 * @module
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fixed, utf8 } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { parseJson } from '../../core/json.ts';
import { createPinnedPool, fetchBytes } from '../../core/node/http-client.ts';
import { appraise } from '../../attestation/appraise.ts';
import { decodeEvidence } from '../../attestation/evidence.ts';
import { compilePolicy } from '../../attestation/policy/compile.ts';
import type { AttestedKey } from '../../attestation/verdict.ts';
import { keyHashOf } from '../../gateway/accounts.ts';
import { sealRequest } from '../../protocol/sx/seal.ts';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Bench, BenchResult } from './bench.ts';
import { cpuUs, STREAM_CHUNKS, told } from './gateway-process.ts';

export type Kind = 'json' | 'stream';
const LEVELS: readonly { readonly concurrency: number; readonly requests: number }[] = [
  { concurrency: 1, requests: 400 },
  { concurrency: 16, requests: 1200 },
  { concurrency: 64, requests: 1600 },
];
const STREAM_SHARE = 4;
/** Until the JIT has settled: before that, a request costs two to three times what it costs a server that has run a minute. */
const WARM_UP = 1500;
const WARM_UP_CONCURRENCY = 16;

interface Started {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly facts: Readonly<Record<string, string | number>>;
}

function start(...args: readonly string[]): Promise<Started> {
  const child = spawn(process.execPath, ['test/bench/gateway-process.ts', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    child.once('exit', () => reject(new Error(`${args[0]} ended early`)));
    child.stdout.once('data', (chunk: Buffer) => {
      resolve({ child, pid: child.pid ?? 0, facts: told(chunk.toString('utf8').trim()) });
    });
  });
}

interface Shot {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

interface Figures {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuUs: number;
  readonly perSecond: number;
}

async function fire(
  port: number,
  pid: number,
  concurrency: number,
  shots: readonly Shot[],
): Promise<Figures> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  const times: number[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let shot = shots[next++]; shot !== undefined; shot = shots[next++]) {
      const startedMs = performance.now();
      await one(agent, port, shot);
      times.push(performance.now() - startedMs);
    }
  };
  const before = cpuUs(pid);
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: concurrency }, lane));
  const seconds = (performance.now() - startedMs) / 1000;
  const spent = cpuUs(pid) - before;
  agent.destroy();
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor((times.length - 1) * share)] ?? 0;
  return {
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    cpuUs: spent / shots.length,
    perSecond: shots.length / seconds,
  };
}

function one(agent: Agent, port: number, { path, headers, body }: Shot): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      {
        host: '127.0.0.1',
        port,
        path,
        method: 'POST',
        headers: { ...headers, 'content-length': String(body.length) },
        agent,
      },
      (response) => {
        if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
        response.on('data', () => {});
        response.on('end', resolve);
        response.on('error', reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

const EVIDENCE = z.looseObject({ candidates: z.array(z.looseObject({ evidence: z.unknown() })) });

export async function attestedKeys(
  port: number,
  aud: string,
  dataDir: string,
): Promise<readonly AttestedKey[]> {
  const pool = createPinnedPool({
    origin: `http://127.0.0.1:${port}`,
    trust: { kind: 'loopback' },
  });
  const { body } = await fetchBytes(pool, {
    method: 'GET',
    path: '/v1/evidence?model=veilgate-demo',
    headers: {},
    maxBytes: 4_000_000,
    timeoutMs: 5000,
  });
  await pool.destroy();
  const policy = compilePolicy(readFileSync(join(dataDir, 'policy.yaml')));
  return EVIDENCE.parse(parseJson(body, 4_000_000)).candidates.flatMap(({ evidence }) => {
    const found = appraise({
      evidence: decodeEvidence(evidence),
      policy,
      nowMs: systemClock(),
      aud,
      challenge: { waived: 'limits.challenge: gateway' },
      revocations: { waived: 'a measurement', by: 'bench' },
    });
    return found.outcome === 'admitted' ? [found.key] : [];
  });
}

const PROMPT = 'p'.repeat(900);

function chatBody(kind: Kind): Uint8Array {
  return utf8(
    JSON.stringify({
      model: 'veilgate-demo',
      stream: kind === 'stream',
      max_tokens: 64,
      messages: [{ role: 'user', content: PROMPT.slice(0, 60) }],
      // The demo's context is small; the size of the request is made up elsewhere.
      metadata: { pad: PROMPT },
    }),
  );
}

export interface Setting {
  readonly keys: readonly AttestedKey[];
  readonly apiKey: string;
}

export function sealedShots({ keys, apiKey }: Setting, kind: Kind, count: number): readonly Shot[] {
  return Array.from({ length: count }, () => ({
    path: '/sx/v1/exchange',
    headers: { 'content-type': 'application/vnd.sx1.req', authorization: `Bearer ${apiKey}` },
    body: sealRequest({
      keys,
      request: {
        path: '/v1/chat/completions',
        headers: [['content-type', 'application/json']],
        body: chatBody(kind),
      },
      bounds: { maxAmount: 0n, maxPrompt: 128, maxOutput: 64, asset: 0 },
      payer: fixed(keyHashOf(apiKey), 32),
      stream: kind === 'stream',
      ttlS: 300,
      deadlineMs: 300_000,
      nowMs: systemClock(),
    }).bytes,
  }));
}

export function plainShots({ apiKey }: Setting, kind: Kind, count: number): readonly Shot[] {
  const shot: Shot = {
    path: '/v1/chat/completions',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${apiKey}` },
    body: chatBody(kind),
  };
  return Array.from({ length: count }, () => shot);
}

/** What a relay without a thought costs here: `clear` without TLS (the machine and node:http), `bare` over the pinned link. */
type Cell = 'clear' | 'bare' | 'sealed' | 'plain';
const CELLS: readonly Cell[] = ['clear', 'bare', 'sealed', 'plain'];
type Row = Readonly<Record<Cell, Figures>>;

interface Target {
  readonly port: number;
  readonly pid: number;
  readonly shots: (kind: Kind, count: number) => readonly Shot[];
}

async function rowOf(
  targets: Readonly<Record<Cell, Target>>,
  kind: Kind,
  { concurrency, count }: { readonly concurrency: number; readonly count: number },
): Promise<Row> {
  const cell = ({ port, pid, shots }: Target) => fire(port, pid, concurrency, shots(kind, count));
  return {
    clear: await cell(targets.clear),
    bare: await cell(targets.bare),
    sealed: await cell(targets.sealed),
    plain: await cell(targets.plain),
  };
}

async function run(): Promise<BenchResult> {
  const dataDir = mkdtempSync(join(tmpdir(), 'veilgate-bench-'));
  const children: ChildProcess[] = [];
  const begin = async (...args: readonly string[]): Promise<Started> => {
    const started = await start(...args);
    children.push(started.child);
    return started;
  };
  try {
    const gateway = await begin('gateway-process', dataDir, 'full');
    const port = Number(gateway.facts['port']);
    const aud = String(gateway.facts['aud']);
    const worker = await begin('worker-process', dataDir, aud, `http://127.0.0.1:${port}`);
    const stub = await begin('stub-process');
    const relay = await begin(
      'relay-process',
      String(worker.facts['port']),
      String(worker.facts['spki']),
    );
    const clearRelay = await begin('relay-process', String(stub.facts['port']), 'clear');
    const setting = {
      keys: await attestedKeys(port, aud, dataDir),
      apiKey: String(gateway.facts['apiKey']),
    };
    const sealed = (kind: Kind, count: number) => sealedShots(setting, kind, count);
    const at = ({ facts, pid }: Started) => ({ port: Number(facts['port']), pid });
    const targets: Readonly<Record<Cell, Target>> = {
      clear: {
        ...at(clearRelay),
        shots: (kind, count) => sealed(kind, count).map((shot) => ({ ...shot, path: `/${kind}` })),
      },
      bare: { ...at(relay), shots: sealed },
      sealed: { ...at(gateway), shots: sealed },
      plain: { ...at(gateway), shots: (kind, count) => plainShots(setting, kind, count) },
    };
    const figures: Record<string, Row> = {};
    for (const kind of ['json', 'stream'] as const) {
      const share = kind === 'json' ? 1 : STREAM_SHARE;
      await rowOf(targets, kind, { concurrency: WARM_UP_CONCURRENCY, count: WARM_UP / share });
      for (const { concurrency, requests } of LEVELS) {
        const row = await rowOf(targets, kind, { concurrency, count: requests / share });
        figures[`${kind} c=${concurrency}`] = row;
      }
    }
    return { figures, lines: linesOf(figures) };
  } finally {
    for (const child of children) child.kill('SIGKILL');
    rmSync(dataDir, { recursive: true, force: true });
  }
}

function linesOf(figures: Readonly<Record<string, Row>>): readonly string[] {
  const times = ({ cpuUs: cpu, p50Ms, p99Ms }: Figures) =>
    `${cpu.toFixed(0).padStart(6)} µs ${p50Ms.toFixed(1).padStart(6)} /${p99Ms.toFixed(0).padStart(4)} ms`;
  const added = (row: Row, cell: Cell) =>
    ` ${(row[cell].cpuUs / row.bare.cpuUs).toFixed(1)}x, added ${(row[cell].cpuUs - row.bare.cpuUs).toFixed(0).padStart(4)} µs`;
  const rows = Object.entries(figures).map(([name, row]) =>
    [
      name.padEnd(12),
      times(row.clear),
      times(row.bare),
      `${times(row.sealed)}${added(row, 'sealed')}`,
      `${times(row.plain)}${added(row, 'plain')}`,
    ].join('  '),
  );
  const chunks = LEVELS.map(({ concurrency }) => {
    const json = figures[`json c=${concurrency}`];
    const stream = figures[`stream c=${concurrency}`];
    const per = (cell: Cell) =>
      (((stream?.[cell].cpuUs ?? 0) - (json?.[cell].cpuUs ?? 0)) / STREAM_CHUNKS).toFixed(1);
    return `per chunk c=${concurrency}: ${CELLS.map((cell) => `${cell} ${per(cell)} µs`).join(', ')}`;
  });
  return [
    'CPU of the process per request, p50 / p99; clear: a relay without TLS, bare: one over the pinned link,',
    'sealed and plain (convenience): the gateway, beside the bare relay of the same run (2 shared cores)',
    `${''.padEnd(12)}  ${'clear'.padEnd(24)}  ${'bare'.padEnd(24)}  ${'sealed'.padEnd(44)} plain`,
    ...rows,
    ...chunks,
  ];
}

export const bench: Bench = {
  name: 'gateway',
  summary: 'CPU and time that sealed forwarding and the convenience mode add, beside a bare relay',
  run,
};
