/**
 * What a new user waits for and what it costs: `veilgate up` from start to ready, the first and a later answer, and the
 * memory of every process it runs.
 * @module
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { sealedFetch } from '../../client/index.ts';
import { parseJson } from '../../core/json.ts';
import { utf8 } from '../../core/bytes.ts';
import type { Bench, BenchResult } from './bench.ts';

const STARTS = 5;
const ANSWERS = 20;
const LINE_MAX_BYTES = 262_144;
const READY = z.object({
  baseUrl: z.string(),
  apiKey: z.string(),
  model: z.string(),
  root: z.string(),
});
type Ready = z.output<typeof READY>;

interface Run {
  readonly readyMs: number;
  readonly firstMs: number;
  readonly laterMs: number;
  /** MiB by role. */
  readonly memory: readonly (readonly [role: string, mib: number])[];
}

export const bench: Bench = {
  name: 'up',
  summary: 'start to ready, first sealed answer, memory of every process',
  run: async (): Promise<BenchResult> => {
    const runs: Run[] = [];
    for (let i = 0; i < STARTS; i++) runs.push(await oneRun());
    const median = (pick: (run: Run) => number): number => {
      const sorted = runs.map(pick).sort((a, b) => a - b);
      return sorted[Math.floor(sorted.length / 2)] ?? 0;
    };
    const memory = runs.at(-1)?.memory ?? [];
    const figures = {
      readyMs: median((run) => run.readyMs),
      firstAnswerMs: median((run) => run.firstMs),
      laterAnswerMs: median((run) => run.laterMs),
      memory,
    };
    return {
      figures,
      lines: [
        `ready            ${figures.readyMs.toFixed(0)} ms (median of ${STARTS} starts, fresh data directory, two workers)`,
        `first answer     ${figures.firstAnswerMs.toFixed(0)} ms (sealed, both workers verified first)`,
        `later answers    ${figures.laterAnswerMs.toFixed(0)} ms (median of ${ANSWERS})`,
        ...memory.map(([role, mib]) => `memory ${role.padEnd(9)} ${mib.toFixed(0)} MiB`),
      ],
    };
  },
};

async function oneRun(): Promise<Run> {
  const data = mkdtempSync(join(tmpdir(), 'veilgate-bench-'));
  const startedMs = performance.now();
  const child = spawn(
    process.execPath,
    ['cli/veilgate.ts', 'up', '--json', '--port', '0', '--data', data],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  try {
    const ready = await readyOf(child);
    const readyMs = performance.now() - startedMs;
    const fetch = sealedFetch({ policy: { root: ready.root } });
    const firstMs = await answerMs(fetch, ready);
    const later: number[] = [];
    for (let i = 0; i < ANSWERS; i++) later.push(await answerMs(fetch, ready));
    later.sort((a, b) => a - b);
    return {
      readyMs,
      firstMs,
      laterMs: later[ANSWERS / 2] ?? 0,
      memory: memoryOf(child.pid ?? 0),
    };
  } finally {
    child.kill('SIGINT');
    await once(child, 'exit');
    rmSync(data, { recursive: true, force: true });
  }
}

async function readyOf(child: ChildProcess): Promise<Ready> {
  if (child.stdout === null) throw new Error('no output');
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  return READY.parse(parseJson(utf8(String(line)), LINE_MAX_BYTES));
}

async function answerMs(fetch: ReturnType<typeof sealedFetch>, ready: Ready): Promise<number> {
  const startedMs = performance.now();
  const response = await fetch(`${ready.baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ready.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: ready.model,
      temperature: 0,
      messages: [{ role: 'user', content: 'What is remote attestation?' }],
    }),
  });
  if (!response.ok) throw new Error(await response.text());
  await response.text();
  return performance.now() - startedMs;
}

/** From /proc: the process itself is the gateway, its children are workers, theirs are engines. */
function memoryOf(root: number): readonly (readonly [string, number])[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (Number.isInteger(pid)) parents.set(pid, statusNumber(pid, 'PPid'));
  }
  const childrenOf = (pid: number): number[] =>
    [...parents].filter(([, parent]) => parent === pid).map(([child]) => child);
  const workers = childrenOf(root);
  const mib = (pid: number): number => statusNumber(pid, 'VmRSS') / 1024;
  return [
    ['gateway', mib(root)],
    ...workers.map((pid) => ['worker', mib(pid)] as const),
    ...workers.flatMap(childrenOf).map((pid) => ['engine', mib(pid)] as const),
  ];
}

function statusNumber(pid: number, field: string): number {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  } catch {
    return 0; // it has ended meanwhile
  }
}
