/** Builds the trainer with whatever C compiler is here; it is a tool of developers and of nobody else. @module */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

const COMPILERS = ['cc', 'gcc', 'clang'] as const;
const COMMON = ['gemm.c', 'model.c', 'corpus.c'] as const;
const PROGRAMS = {
  train: { sources: [...COMMON, 'checkpoint.c', 'train.c'], flags: [] },
  'check-gradients': { sources: [...COMMON, 'check-gradients.c'], flags: ['-DCHECK_IN_DOUBLE'] },
} as const;
export type TrainerProgram = keyof typeof PROGRAMS;

/** No reordering of sums: the same numbers come out wherever the machine has fused multiplication. */
const FLAGS = ['-std=gnu17', '-O3', '-march=native', '-ffp-contract=fast', '-fno-math-errno'];
const STRICT = ['-Wall', '-Wextra', '-Werror'];
const COMPILE_TIMEOUT_MS = 120_000;

/** Undefined: there is none. */
export async function findCompiler(): Promise<string | undefined> {
  for (const compiler of COMPILERS) {
    try {
      await run(compiler, ['--version'], { timeout: COMPILE_TIMEOUT_MS });
      return compiler;
    } catch {
      // Not here: the next one may be.
    }
  }
  return undefined;
}

/** Path of the program. With threads where the compiler has OpenMP. Rejects with what the compiler says. */
export async function compileTrainer(
  compiler: string,
  program: TrainerProgram,
  directory: string,
): Promise<string> {
  const { sources, flags } = PROGRAMS[program];
  const output = join(directory, program);
  const paths = sources.map((source) => fileURLToPath(new URL(source, import.meta.url)));
  const build = (threads: string): Promise<unknown> =>
    run(compiler, [...FLAGS, ...STRICT, ...flags, threads, ...paths, '-lm', '-o', output], {
      timeout: COMPILE_TIMEOUT_MS,
    });
  try {
    await build('-fopenmp');
  } catch {
    // Without OpenMP the pragmas mean nothing, and the result is the same on one thread.
    await build('-Wno-unknown-pragmas');
  }
  return output;
}
