/**
 * `npm run bench -- peers [--install]`: this gateway beside nginx, haproxy and Portkey, in one run, in turns: CPU of the proxy
 * per request and per chunk, milliseconds, and three behaviours as pass or fail. The others pass bytes on and keep no books;
 * ours are the blind relay of the same hot path (comparable with them), sealed forwarding and the convenience mode, whose
 * worker answers as many bytes, sealed, over mutual TLS, and whose ledger is on the disk. Spec: openai-gateway-and-engine §3.
 * @module
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { utf8 } from '../../core/bytes.ts';
import { errorLine } from '../../core/node/terminal.ts';
import { fetchBytes, createPinnedPool } from '../../core/node/http-client.ts';
import type { Bench, BenchResult } from './bench.ts';
import { attestedKeys, plainShots, sealedShots, type Kind } from './gateway.ts';
import { STREAM_CHUNKS } from './gateway-process.ts';
import { behavioursOf, ourBehaviours, type Behaviours } from './peers/behaviours.ts';
import { figuresOf, fire, type Figures, type Sample, type Shot } from './peers/load.ts';
import {
  findPeers,
  startPeer,
  startTelling,
  startUpstream,
  type FoundPeer,
  type PeerPlan,
  type Started,
} from './peers/start.ts';

const ROUNDS = 3;
const LEVELS: readonly { readonly concurrency: number; readonly requests: number }[] = [
  { concurrency: 1, requests: 200 },
  { concurrency: 16, requests: 800 },
  { concurrency: 64, requests: 1200 },
];
const STREAM_SHARE = 4;
const WARM_UP = 1200;
const WARM_UP_CONCURRENCY = 16;
const KINDS: readonly Kind[] = ['json', 'stream'];

interface Contestant {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  readonly shots: (kind: Kind, count: number) => readonly Shot[];
}

type Cells = Map<string, Map<string, Sample[]>>;

async function run(args: readonly string[]): Promise<BenchResult> {
  const dir = mkdtempSync(join(tmpdir(), 'veilgate-peers-'));
  const stops: (() => void)[] = [];
  try {
    errorLine('looking for the others');
    const peers = await findPeers(dir, args.includes('--install'));
    const upstream = await startUpstream(dir, 'fast');
    stops.push(upstream.stop);
    const contestants = [
      { name: 'direct', port: upstream.port, pid: upstream.pid, shots: clearShots({}) },
      ...(await ours(join(dir, 'ours'), upstream.port, stops)),
      ...(await others(peers, dir, upstream.port, stops)),
    ];
    errorLine(`measuring ${contestants.map(({ name }) => name).join(', ')}`);
    const loadBefore = loadavg();
    const cells = await measured(contestants);
    for (const stop of stops.splice(0)) stop();
    errorLine('trying the three behaviours');
    const behaviours = await allBehaviours(peers, dir, stops);
    const load = { before: loadBefore, after: loadavg() };
    const rows = rowsOf(cells);
    const figures = { upstream: upstream.kind, load, rows, behaviours, peers: peers.map(told) };
    return { figures, lines: linesOf({ ...figures, peers }) };
  } finally {
    for (const stop of stops) stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

function told(peer: FoundPeer) {
  return peer.outcome === 'found'
    ? { name: peer.plan.name, version: peer.version }
    : { name: peer.name, absent: peer.because };
}

const PROMPT = 'p'.repeat(900);

/** What whoever passes bytes on is asked: a kilobyte of prompt. */
function clearShots(headers: Readonly<Record<string, string>>): Contestant['shots'] {
  return (kind, count) => {
    const shot: Shot = {
      path: '/v1/chat/completions',
      headers: { ...headers, 'content-type': 'application/json', authorization: 'Bearer none' },
      body: utf8(
        JSON.stringify({
          model: 'm',
          stream: kind === 'stream',
          messages: [{ role: 'user', content: PROMPT }],
        }),
      ),
    };
    return Array.from({ length: count }, () => shot);
  };
}

async function ours(
  dir: string,
  upstreamPort: number,
  stops: (() => void)[],
): Promise<readonly Contestant[]> {
  const begin = async (...args: readonly string[]) => {
    const started = await startTelling(process.execPath, [
      'test/bench/gateway-process.ts',
      ...args,
    ]);
    stops.push(started.stop);
    return started;
  };
  const relay = await begin('relay-process', String(upstreamPort), 'clear');
  const gateway = await begin('gateway-process', dir, 'full');
  const aud = String(gateway.facts['aud']);
  await begin('worker-process', dir, aud, `http://127.0.0.1:${gateway.port}`);
  const apiKey = String(gateway.facts['apiKey']);
  const setting = { keys: await attestedKeys(gateway.port, aud, dir), apiKey };
  const at = ({ port, pid }: Started) => ({ port, pid });
  return [
    { name: 'blind relay', ...at(relay), shots: clearShots({}) },
    {
      name: 'sealed',
      ...at(gateway),
      shots: (kind, count) => sealedShots(setting, kind, count),
    },
    {
      name: 'convenience',
      ...at(gateway),
      shots: (kind, count) => plainShots(setting, kind, count),
    },
  ];
}

async function others(
  peers: readonly FoundPeer[],
  dir: string,
  upstreamPort: number,
  stops: (() => void)[],
): Promise<readonly Contestant[]> {
  const started: Contestant[] = [];
  for (const plan of plansOf(peers)) {
    // As installed it answers no stream: that is its row below.
    if (plan.name.endsWith('unpinned')) continue;
    const { port, pid, stop } = await startPeer(plan, dir, upstreamPort);
    stops.push(stop);
    started.push({ name: plan.name, port, pid, shots: clearShots(plan.headers(upstreamPort)) });
  }
  return started;
}

function plansOf(peers: readonly FoundPeer[]): readonly PeerPlan[] {
  return peers.flatMap((peer) => (peer.outcome === 'found' ? [peer.plan] : []));
}

/** In turns, so that a machine that is busy for a while is so for everybody. */
async function measured(contestants: readonly Contestant[]): Promise<Cells> {
  const cells: Cells = new Map();
  for (const kind of KINDS) {
    const share = kind === 'json' ? 1 : STREAM_SHARE;
    for (const contestant of contestants) {
      await shoot(contestant, kind, WARM_UP_CONCURRENCY, WARM_UP / share);
    }
    for (let round = 0; round < ROUNDS; round++) {
      errorLine(`${kind}, round ${round + 1} of ${ROUNDS}`);
      for (const { concurrency, requests } of LEVELS) {
        const cell = `${kind} c=${concurrency}`;
        const order = [...contestants.slice(round), ...contestants.slice(0, round)];
        for (const contestant of order) {
          const sample = await shoot(contestant, kind, concurrency, requests / share);
          keep(cells, cell, contestant.name, sample);
        }
      }
    }
  }
  return cells;
}

function shoot(
  { port, pid, shots }: Contestant,
  kind: Kind,
  concurrency: number,
  count: number,
): Promise<Sample> {
  return fire({ port, pid, concurrency, shots: shots(kind, count) });
}

function keep(cells: Cells, cell: string, name: string, sample: Sample): void {
  const row = cells.get(cell) ?? new Map<string, Sample[]>();
  cells.set(cell, row);
  row.set(name, [...(row.get(name) ?? []), sample]);
}

type Rows = Readonly<Record<string, Readonly<Record<string, Figures>>>>;

function rowsOf(cells: Cells): Rows {
  return Object.fromEntries(
    [...cells].map(([cell, row]) => [
      cell,
      Object.fromEntries([...row].map(([name, samples]) => [name, figuresOf(samples)])),
    ]),
  );
}

async function allBehaviours(
  peers: readonly FoundPeer[],
  dir: string,
  stops: (() => void)[],
): Promise<Readonly<Record<string, Behaviours>>> {
  const upstream = await startUpstream(dir, 'misbehaving');
  stops.push(upstream.stop);
  const pool = createPinnedPool({
    origin: `http://127.0.0.1:${upstream.port}`,
    trust: { kind: 'loopback' },
  });
  const open = async (): Promise<number> => {
    const request = { method: 'GET', path: '/open', headers: {} } as const;
    const { body } = await fetchBytes(pool, { ...request, maxBytes: 16, timeoutMs: 5000 });
    return Number(Buffer.from(body).toString('latin1'));
  };
  const found: Record<string, Behaviours> = { veilgate: await ourBehaviours() };
  for (const plan of plansOf(peers)) {
    const { port, stop } = await startPeer(plan, dir, upstream.port);
    stops.push(stop);
    const headers = { ...plan.headers(upstream.port), authorization: 'Bearer none' };
    found[plan.name] = await behavioursOf({ port, headers, open });
    stop();
  }
  await pool.destroy();
  return found;
}

interface Report {
  readonly upstream: string;
  readonly load: { readonly before: readonly number[]; readonly after: readonly number[] };
  readonly rows: Rows;
  readonly behaviours: Readonly<Record<string, Behaviours>>;
  readonly peers: readonly FoundPeer[];
}

function linesOf({ upstream, load, rows, behaviours, peers }: Report): readonly string[] {
  const loads = [...load.before, ...load.after].map((value) => value.toFixed(1)).join(' ');
  return [
    `upstream in ${upstream}; ${ROUNDS} rounds in turns; load of the machine before and after: ${loads}`,
    ...peers.map((peer) =>
      peer.outcome === 'found'
        ? `${peer.plan.name} ${peer.version}`
        : `${peer.name}: absent, ${peer.because}`,
    ),
    '',
    'CPU of the proxy, p50 / p99 in ms, requests a second. direct: the upstream itself.',
    ...Object.entries(rows).flatMap(([cell, row]) => [cell, ...cellLines(row)]),
    '',
    'CPU per chunk of a burst, at c=1, 16, 64:',
    ...chunkLines(rows),
    '',
    'a stream as installed | a reset of the upstream is visible | a client that leaves stops the upstream',
    ...Object.entries(behaviours).map(([name, { streams, resetVisible, abortPropagated }]) =>
      [name.padEnd(18), ...[streams, resetVisible, abortPropagated].map(passed)].join(' '),
    ),
    '',
    ...targetLines(rows),
  ];
}

function passed(is: boolean): string {
  return is ? 'pass' : 'FAIL';
}

function cellLines(row: Readonly<Record<string, Figures>>): readonly string[] {
  return Object.entries(row).map(([name, { cpuUs, p50Ms, p99Ms, perSecond, failed }]) =>
    [
      `  ${name.padEnd(16)}`,
      `${cpuUs.toFixed(0).padStart(6)} µs`,
      `${p50Ms.toFixed(2).padStart(8)} /${p99Ms.toFixed(1).padStart(7)} ms`,
      `${perSecond.toFixed(0).padStart(6)} /s`,
      failed === 0 ? '' : `${failed} failed`,
    ].join('  '),
  );
}

/** Of a stream without what one request costs. */
function chunkUs(rows: Rows, name: string, concurrency: number): number | undefined {
  const stream = rows[`stream c=${concurrency}`]?.[name];
  const json = rows[`json c=${concurrency}`]?.[name];
  if (stream === undefined || json === undefined) return undefined;
  return (stream.cpuUs - json.cpuUs) / STREAM_CHUNKS;
}

function chunkLines(rows: Rows): readonly string[] {
  const names = Object.keys(Object.values(rows)[0] ?? {});
  return names.map((name) => {
    const cells = LEVELS.map(({ concurrency }) => chunkUs(rows, name, concurrency) ?? Number.NaN);
    return `  ${name.padEnd(16)} ${cells.map((us) => `${us.toFixed(1).padStart(6)} µs`).join(' ')}`;
  });
}

/** Meant for a blind path; sealed and convenience carry mutual TLS, the ledger and the seal on top. */
function targetLines(rows: Rows): readonly string[] {
  return ['blind relay', 'sealed', 'convenience'].map((name) => {
    const json = rows['json c=64']?.[name];
    const alone = rows['json c=1'];
    const added = (alone?.[name]?.p50Ms ?? Number.NaN) - (alone?.['direct']?.p50Ms ?? Number.NaN);
    const portkey = rows['json c=64']?.['portkey'];
    const share = (json?.cpuUs ?? Number.NaN) / (portkey?.cpuUs ?? Number.NaN);
    const parts = [
      `JSON ${(json?.cpuUs ?? Number.NaN).toFixed(0)} µs (≤ 200)`,
      `chunk ${(chunkUs(rows, name, 64) ?? Number.NaN).toFixed(1)} µs (≤ 10)`,
      `added p50 ${added.toFixed(2)} ms (≤ 0.5)`,
      `of Portkey's CPU ${Number.isNaN(share) ? 'not measured' : share.toFixed(2)} (≤ 0.20)`,
    ];
    return `targets, ${name}: ${parts.join(', ')}`;
  });
}

export const bench: Bench = {
  name: 'peers',
  summary: 'this gateway beside nginx, haproxy and Portkey; --install gets those that are absent',
  run,
};
