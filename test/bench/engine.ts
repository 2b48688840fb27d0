/**
 * `npm run bench -- engine`: the embedded engine with the model that is shipped, and, where llama.cpp for CUDA is installed
 * (docs/adr/0001-dependencies.md), with one of 0.7 billion random parameters on the processor and on the GPU in one run.
 * @module
 */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '#primitives';
import { toHex } from '../../core/bytes.ts';
import { DEMO_MODEL } from '../../enclave-worker/demo-model/demo-model.ts';
import type { Engine } from '../../enclave-worker/engine.ts';
import {
  startLlamaCpp,
  type LlamaCppOptions,
} from '../../enclave-worker/engines/llama-cpp/engine.ts';
import { generateJob, runJob } from '../support/engine-jobs.ts';
import { encodeGguf, largeModel } from '../support/gguf.ts';
import type { Bench, BenchResult } from './bench.ts';

const CUDA = new URL('../../node_modules/@node-llama-cpp/linux-x64-cuda/bins', import.meta.url);
const LARGE = {
  contextLength: 2048,
  width: 2048,
  layers: 16,
  heads: 16,
  keyValueHeads: 4,
  feedForward: 5632,
  seed: 1,
};
const LARGE_CONTEXT = 512;
const SEQUENCES = 32;
const CALLERS = [1, 8, 32] as const;
const TOKENS = 48;
const FIRST_TOKEN_ROUNDS = 10;
/** So long that reading it is what a first token waits for. */
const PROMPT_WORDS = 30;
const SALTED = { cacheNamespace: 'a'.repeat(64) };

interface Figures {
  readonly loadMs: number;
  /** By callers. */
  readonly tokensPerS: Readonly<Record<number, number>>;
  readonly firstTokenMs: { readonly fresh: number; readonly reused: number };
}

async function figuresOf(options: LlamaCppOptions): Promise<Figures> {
  const startedMs = performance.now();
  const engine = await startLlamaCpp(options);
  const loadMs = performance.now() - startedMs;
  try {
    await rate(engine, 1);
    const tokensPerS: Record<number, number> = {};
    for (const callers of CALLERS) tokensPerS[callers] = await rate(engine, callers);
    const fresh = await firstToken(engine, {});
    const reused = await firstToken(engine, SALTED);
    return { loadMs, tokensPerS, firstTokenMs: { fresh, reused } };
  } finally {
    await engine.close();
  }
}

async function rate(engine: Engine, callers: number): Promise<number> {
  const startedMs = performance.now();
  const done = await Promise.all(
    Array.from({ length: callers }, (_, at) =>
      runJob(engine, generateJob(`Tell story ${at}`, { maxOutputTokens: TOKENS, temperature: 1 })),
    ),
  );
  const tokens = done.reduce((sum, { completion }) => sum + completion, 0);
  return tokens / ((performance.now() - startedMs) / 1000);
}

/** Median. The first answer of a namespace is what the others go on with, so it does not count. */
async function firstToken(engine: Engine, more: { cacheNamespace?: string }): Promise<number> {
  const prompt = 'who can read this '.repeat(PROMPT_WORDS / 4);
  const times: number[] = [];
  for (let round = 0; round <= FIRST_TOKEN_ROUNDS; round++) {
    const startedMs = performance.now();
    await runJob(engine, generateJob(prompt, { ...more, maxOutputTokens: 1 }));
    if (round > 0) times.push(performance.now() - startedMs);
  }
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
}

function linesOf(name: string, { loadMs, tokensPerS, firstTokenMs }: Figures): readonly string[] {
  const rates = CALLERS.map((callers) => `${callers}: ${Math.round(tokensPerS[callers] ?? 0)}`);
  return [
    `${name}: loaded in ${Math.round(loadMs)} ms, copy and digest included`,
    `  tokens/s by callers     ${rates.join(', ')}`,
    `  first token p50         ${firstTokenMs.fresh.toFixed(1)} ms, ${firstTokenMs.reused.toFixed(1)} ms behind a prompt of one's own`,
  ];
}

async function run(): Promise<BenchResult> {
  const demo = await figuresOf({
    modelPath: DEMO_MODEL.path,
    modelSha256Hex: toHex(DEMO_MODEL.sha256),
    contextTokens: DEMO_MODEL.contextLength,
    sequences: SEQUENCES,
    threads: 1,
    gpu: false,
    environment: {},
  });
  const figures: Record<string, unknown> = { demo };
  const lines = [...linesOf('the demo model, one thread', demo)];
  if (!existsSync(CUDA)) {
    return {
      figures,
      lines: [...lines, 'CUDA: not installed here (docs/adr/0001-dependencies.md)'],
    };
  }
  const dir = mkdtempSync(join(tmpdir(), 'veilgate-bench-'));
  try {
    const modelPath = join(dir, 'large.gguf');
    writeFileSync(modelPath, encodeGguf(largeModel(LARGE)));
    const large = {
      modelPath,
      modelSha256Hex: toHex(sha256(readFileSync(modelPath))),
      contextTokens: LARGE_CONTEXT,
      sequences: SEQUENCES,
      environment: {},
    };
    const threads = Math.max(1, availableParallelism() / 2);
    const processor = await figuresOf({ ...large, threads, gpu: false });
    const cuda = await figuresOf({ ...large, threads: 1, gpu: 'cuda' });
    lines.push(
      ...linesOf(`0.7 billion parameters, ${threads} threads`, processor),
      ...linesOf('0.7 billion parameters, CUDA', cuda),
    );
    return { figures: { ...figures, processor, cuda, threads }, lines };
  } finally {
    rmSync(dir, { recursive: true });
  }
}

export const bench: Bench = {
  name: 'engine',
  summary: 'the embedded engine: load, tokens a second, first token; on CUDA where it is installed',
  run,
};
