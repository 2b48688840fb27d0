/** Runs the trainer and says how far it is; an interrupted run is gone on with from its last checkpoint. @module */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import type { LlamaShape } from '../gguf/llama-file.ts';

export interface TrainOptions {
  readonly program: string;
  readonly corpus: string;
  readonly checkpoint: string;
  /** A checkpoint of the same shape, whose weights it begins with. Absent: random ones. */
  readonly beginning?: string | undefined;
  /** Of corpus and recipe, 16 hexadecimal digits: another run's checkpoint is not gone on with. */
  readonly identity: string;
  readonly shape: LlamaShape;
  readonly vocabularySize: number;
  readonly seed: number;
  readonly steps: number;
  readonly batch: number;
  readonly rate: number;
  readonly threads: number;
  readonly onProgress: (progress: TrainProgress) => void;
  readonly signal?: AbortSignal;
}

export interface TrainProgress {
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly heldOut: number | undefined;
  readonly secondsLeft: number;
}

const STEP = /^step (\d+) loss ([\d.]+)$/;
const HELD_OUT = /^held-out \d+ loss ([\d.]+)$/;
const RESUMED = /^resumed (\d+)$/;
const MS_PER_S = 1000;

/** Resolves when the last step is in the checkpoint. Rejects when the trainer fails. */
export async function train(options: TrainOptions): Promise<void> {
  const child = spawn(options.program, argumentsOf(options), {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { OMP_NUM_THREADS: String(options.threads) },
    signal: options.signal,
  });
  // Nobody else is to wait for this.
  if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
  const exited = once(child, 'exit');
  // Told at the end, after the last line.
  exited.catch(() => undefined);
  const startMs = performance.now();
  let first = 0;
  let heldOut: number | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    first = Number(RESUMED.exec(line)?.[1] ?? first);
    heldOut = Number(HELD_OUT.exec(line)?.[1] ?? heldOut) || undefined;
    const [, step, loss] = STEP.exec(line) ?? [];
    if (step === undefined || loss === undefined) continue;
    const done = Number(step);
    const eachS = (performance.now() - startMs) / MS_PER_S / (done - first);
    const secondsLeft = Math.round(eachS * (options.steps - done));
    const { steps } = options;
    options.onProgress({ step: done, steps, loss: Number(loss), heldOut, secondsLeft });
  }
  const [code, signal] = await exited;
  if (code !== 0) throw new Error(`the trainer ended with ${String(code ?? signal)}`);
}

function argumentsOf(options: TrainOptions): string[] {
  const { corpus, checkpoint, identity, shape, vocabularySize, seed, steps, batch, rate } = options;
  const { width, layers, heads, keyValueHeads, feedForward, contextLength } = shape;
  const sizes = [vocabularySize, width, layers, heads, keyValueHeads, feedForward, contextLength];
  return [
    corpus,
    checkpoint,
    identity,
    ...[seed, steps, batch, rate, ...sizes].map((number) => String(number)),
    ...(options.beginning === undefined ? [] : [options.beginning]),
  ];
}
