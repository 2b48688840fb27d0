/**
 * Load, and what it costs the proxy: CPU of its process and everything that it started. Spec: openai-gateway-and-engine §3.1;
 * proc_pid_stat(5).
 * @module
 */

import { readdirSync, readFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';

export interface Shot {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface Sample {
  readonly requests: number;
  /** Answered with an error or not at all: part of the times, and told. */
  readonly failed: number;
  readonly cpuUs: number;
  readonly seconds: number;
  readonly timesMs: readonly number[];
}

export interface LoadInput {
  readonly port: number;
  readonly pid: number;
  readonly concurrency: number;
  readonly shots: readonly Shot[];
}

export async function fire({ port, pid, concurrency, shots }: LoadInput): Promise<Sample> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  const timesMs: number[] = [];
  let next = 0;
  let failed = 0;
  const lane = async (): Promise<void> => {
    for (let shot = shots[next++]; shot !== undefined; shot = shots[next++]) {
      const startedMs = performance.now();
      if (!(await isAnswered(agent, port, shot))) failed++;
      timesMs.push(performance.now() - startedMs);
    }
  };
  const before = treeCpuUs(pid);
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: concurrency }, lane));
  const seconds = (performance.now() - startedMs) / 1000;
  const cpuUs = treeCpuUs(pid) - before;
  agent.destroy();
  return { requests: shots.length, failed, cpuUs, seconds, timesMs };
}

function isAnswered(agent: Agent, port: number, { path, headers, body }: Shot): Promise<boolean> {
  return new Promise((resolve) => {
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
        response.on('data', () => {});
        response.on('error', () => undefined);
        response.once('close', () => resolve(response.statusCode === 200 && response.complete));
      },
    );
    outgoing.once('error', () => resolve(false));
    outgoing.end(body);
  });
}

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly cpuUs: number;
}

const TICKS_PER_S = 100;
const US_PER_TICK = 1_000_000 / TICKS_PER_S;

/** User and system time, of children that have ended too. Undefined for a process that is gone. */
function statOf(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0);
    return { pid, parent: Number(fields[1]), cpuUs: ticks * US_PER_TICK };
  } catch {
    return undefined; // it ended between the list and the look
  }
}

function treeCpuUs(root: number): number {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(Number(name)))
    .filter((stat) => stat !== undefined);
  const tree = new Set([root]);
  for (let size = 0; size !== tree.size;) {
    size = tree.size;
    for (const { pid, parent } of all) if (tree.has(parent)) tree.add(pid);
  }
  return all.filter(({ pid }) => tree.has(pid)).reduce((sum, { cpuUs }) => sum + cpuUs, 0);
}

export interface Figures {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuUs: number;
  readonly perSecond: number;
  readonly failed: number;
}

/** All rounds of one cell together: a tick of the clock is more than a request of the cheapest. */
export function figuresOf(samples: readonly Sample[]): Figures {
  const requests = samples.reduce((sum, sample) => sum + sample.requests, 0);
  const cpuUs = samples.reduce((sum, sample) => sum + sample.cpuUs, 0);
  const seconds = samples.reduce((sum, sample) => sum + sample.seconds, 0);
  const times = samples.flatMap(({ timesMs }) => timesMs).toSorted((a, b) => a - b);
  const at = (share: number): number => times[Math.floor((times.length - 1) * share)] ?? 0;
  return {
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    cpuUs: cpuUs / requests,
    perSecond: requests / seconds,
    failed: samples.reduce((sum, sample) => sum + sample.failed, 0),
  };
}
