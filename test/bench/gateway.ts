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

type Kind = 'json' | 'stream';
const LEVELS: readonly { readonly concurrency: number; readonly requests: number }[] = [
  { concurrency: 1, requests: 400 },
  { concurrency: 16, requests: 1200 },
  { concurrency: 64, requests: 1600 },
];
const STREAM_SHARE = 4;
const WARM_UP = 150;

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

async function attestedKeys(
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

interface Setting {
  readonly keys: readonly AttestedKey[];
  readonly apiKey: string;
}

function sealedShots({ keys, apiKey }: Setting, kind: Kind, count: number): readonly Shot[] {
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

function plainShots({ apiKey }: Setting, kind: Kind, count: number): readonly Shot[] {
  const shot: Shot = {
    path: '/v1/chat/completions',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${apiKey}` },
    body: chatBody(kind),
  };
  return Array.from({ length: count }, () => shot);
}

type Row = Readonly<Record<'bare' | 'sealed' | 'plain', Figures>>;

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
    const relay = await begin(
      'relay-process',
      String(worker.facts['port']),
      String(worker.facts['spki']),
    );
    const relayPort = Number(relay.facts['port']);
    const setting = {
      keys: await attestedKeys(port, aud, dataDir),
      apiKey: String(gateway.facts['apiKey']),
    };
    const figures: Record<string, Row> = {};
    for (const kind of ['json', 'stream'] as const) {
      await fire(relayPort, relay.pid, 8, sealedShots(setting, kind, WARM_UP));
      await fire(port, gateway.pid, 8, sealedShots(setting, kind, WARM_UP));
      await fire(port, gateway.pid, 8, plainShots(setting, kind, WARM_UP));
      for (const { concurrency, requests } of LEVELS) {
        const count = kind === 'json' ? requests : requests / STREAM_SHARE;
        figures[`${kind} c=${concurrency}`] = {
          bare: await fire(relayPort, relay.pid, concurrency, sealedShots(setting, kind, count)),
          sealed: await fire(port, gateway.pid, concurrency, sealedShots(setting, kind, count)),
          plain: await fire(port, gateway.pid, concurrency, plainShots(setting, kind, count)),
        };
      }
    }
    return { figures, lines: linesOf(figures) };
  } finally {
    for (const child of children) child.kill('SIGKILL');
    rmSync(dataDir, { recursive: true, force: true });
  }
}

function linesOf(figures: Readonly<Record<string, Row>>): readonly string[] {
  const cell = ({ cpuUs: cpu, p50Ms, p99Ms, perSecond }: Figures) =>
    `${cpu.toFixed(0).padStart(6)} µs ${p50Ms.toFixed(2).padStart(7)} /${p99Ms.toFixed(1).padStart(7)} ms ${perSecond.toFixed(0).padStart(5)}/s`;
  const rows = Object.entries(figures).map(
    ([name, row]) =>
      `${name.padEnd(12)} ${cell(row.bare)}   ${cell(row.sealed)}   ${cell(row.plain)}`,
  );
  const chunks = [1, 16, 64].map((concurrency) => {
    const json = figures[`json c=${concurrency}`];
    const stream = figures[`stream c=${concurrency}`];
    const per = (mode: keyof Row) =>
      (((stream?.[mode].cpuUs ?? 0) - (json?.[mode].cpuUs ?? 0)) / STREAM_CHUNKS).toFixed(1);
    return `per chunk c=${concurrency}: bare ${per('bare')} µs, sealed ${per('sealed')} µs, convenience ${per('plain')} µs`;
  });
  return [
    'CPU of the process per request, p50 / p99, requests a second (HTTP in, pinned TLS 1.3 out, 2 shared cores)',
    `${''.padEnd(12)} ${'bare relay'.padEnd(36)} ${'sealed'.padEnd(36)} convenience`,
    ...rows,
    ...chunks,
  ];
}

export const bench: Bench = {
  name: 'gateway',
  summary: 'CPU and time that sealed forwarding and the convenience mode add, beside a bare relay',
  run,
};
