/** From a text to a file that llama.cpp goes on with, and training that an interruption does not change. @module */

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { sha256 } from '#primitives';
import { toHex } from '../../../core/bytes.ts';
import { startLlamaCpp } from '../../../enclave-worker/engines/llama-cpp/engine.ts';
import type { Document } from '../../../enclave-worker/model/corpus/dialogue.ts';
import { encodeCorpus } from '../../../enclave-worker/model/corpus/encode.ts';
import { demoGguf, readCheckpoint } from '../../../enclave-worker/model/gguf/from-checkpoint.ts';
import {
  learnMerges,
  Tokenizer,
  vocabularyOf,
} from '../../../enclave-worker/model/tokenizer/tokenizer.ts';
import { compileTrainer, findCompiler } from '../../../enclave-worker/model/trainer/compile.ts';
import { train, type TrainOptions } from '../../../enclave-worker/model/trainer/train.ts';
import { generateJob, runJob } from '../../support/engine-jobs.ts';

const SHAPE = {
  contextLength: 32,
  width: 32,
  layers: 2,
  heads: 2,
  keyValueHeads: 1,
  feedForward: 64,
};

const RHYME = 'tick tock goes the clock and the mouse runs down again. ';
const DOCUMENTS: readonly Document[] = Array.from({ length: 120 }, () => [
  { kind: 'text', text: RHYME.repeat(3), learnt: true },
  { kind: 'control', text: '<|endoftext|>', learnt: true },
]);

let directory = '';
let program: string | undefined;
const vocabulary = vocabularyOf(learnMerges(DOCUMENTS, 20));

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'veilgate-trainer-'));
  const compiler = await findCompiler();
  if (compiler === undefined) return;
  program = await compileTrainer(compiler, 'train', directory);
  await writeFile(
    join(directory, 'corpus.bin'),
    encodeCorpus(DOCUMENTS, new Tokenizer(vocabulary), 1),
  );
});

after(() => rm(directory, { recursive: true }));

/** Undefined, and the test skipped: there is no compiler. */
async function trained(
  context: TestContext,
  name: string,
  more: Partial<TrainOptions>,
): Promise<string | undefined> {
  if (program === undefined) {
    context.skip('no C compiler here: cc, gcc or clang');
    return undefined;
  }
  const checkpoint = join(directory, name);
  await train({
    program,
    corpus: join(directory, 'corpus.bin'),
    checkpoint,
    identity: '00000000000000aa',
    shape: SHAPE,
    vocabularySize: vocabulary.tokens.length,
    seed: 5,
    steps: 300,
    batch: 4,
    rate: 0.004,
    threads: 1,
    onProgress: () => undefined,
    ...more,
  });
  return checkpoint;
}

test('what was learnt is what llama.cpp says', async (context) => {
  const losses: number[] = [];
  const checkpoint = await trained(context, 'rhyme', {
    onProgress: ({ loss }) => void losses.push(loss),
  });
  if (checkpoint === undefined) return;
  assert.ok((losses[0] ?? 0) > 1 && (losses.at(-1) ?? 9) < 0.2, losses.join(' '));
  const file = demoGguf(await readCheckpoint(checkpoint), { name: 'rhyme', vocabulary });
  const modelPath = join(directory, 'rhyme.gguf');
  await writeFile(modelPath, file);
  const engine = await startLlamaCpp({
    modelPath,
    modelSha256Hex: toHex(sha256(file)),
    contextTokens: SHAPE.contextLength,
    sequences: 1,
    threads: 1,
    gpu: false,
    environment: {},
    serves: ['completions'],
  });
  try {
    const asked = { prompts: [{ kind: 'text', text: 'tick tock' }] as const, maxOutputTokens: 12 };
    const { choices } = await runJob(engine, generateJob('', asked));
    const said = `tick tock${choices[0]?.text}`;
    assert.ok(said.length > 15 && RHYME.startsWith(said), said);
  } finally {
    await engine.close();
  }
});

test('an interrupted run ends where one without interruption does', async (context) => {
  const whole = await trained(context, 'whole', { steps: 200 });
  if (whole === undefined) return;
  const resumedAt: number[] = [];
  // A run is what its steps are: the first half of 200 is no run of 100, so it is cut at a checkpoint.
  const stop = new AbortController();
  await assert.rejects(
    trained(context, 'cut', {
      steps: 200,
      onProgress: ({ step }) => {
        if (step > 100) stop.abort();
      },
      signal: stop.signal,
    }),
  );
  const cut = await trained(context, 'cut', {
    steps: 200,
    onProgress: ({ step }) => void resumedAt.push(step),
  });
  assert.ok((resumedAt[0] ?? 0) > 100, 'it went on from a checkpoint');
  assert.ok(cut !== undefined);
  assert.deepEqual(await readFile(cut), await readFile(whole));
});

test('the number of threads changes nothing', async (context) => {
  const one = await trained(context, 'one', { steps: 30 });
  const two = await trained(context, 'two', { steps: 30, threads: 2 });
  if (one === undefined || two === undefined) return;
  assert.deepEqual(await readFile(two), await readFile(one));
});

test('a checkpoint of another run is not gone on with', async (context) => {
  const first = await trained(context, 'other', { steps: 20 });
  if (first === undefined) return;
  const before = await readFile(first);
  await trained(context, 'other', { steps: 20 });
  assert.deepEqual(await readFile(first), before, 'there was nothing left to do');
  await trained(context, 'other', { steps: 20, identity: '00000000000000bb', seed: 6 });
  assert.notDeepEqual(await readFile(first), before);
});

test('a run can begin with the weights of another, and with nothing else', async (context) => {
  const first = await trained(context, 'stage-one', { steps: 40 });
  if (first === undefined) return;
  const losses: number[] = [];
  const second = { steps: 20, rate: 0.0001, beginning: first };
  await trained(context, 'stage-two', {
    ...second,
    onProgress: ({ loss }) => void losses.push(loss),
  });
  await trained(context, 'from-nothing', {
    steps: 20,
    rate: 0.0001,
    onProgress: ({ loss }) => void losses.push(loss),
  });
  const [went = 9, began = 0] = losses;
  assert.ok(went < began - 0.5, losses.join(' '));
  const broken = { ...second, beginning: join(directory, 'corpus.bin') };
  await assert.rejects(trained(context, 'nowhere', broken), /ended with 2/);
});

test('a checkpoint that broke off is no checkpoint', async (context) => {
  const good = await trained(context, 'good', { steps: 20 });
  if (good === undefined) return;
  const whole = await readFile(good);
  await writeFile(good, whole.subarray(0, whole.length - 1000));
  await assert.rejects(readCheckpoint(good), /whole checkpoint/);
  await trained(context, 'good', { steps: 20 });
  assert.deepEqual(await readFile(good), whole);
});

test('what is no corpus ends the trainer', async (context) => {
  const corpus = join(directory, 'broken.bin');
  const whole = await readFile(join(directory, 'corpus.bin')).catch(() => Buffer.alloc(100));
  for (const bytes of [whole.subarray(0, 50), Buffer.from('VGCORPUX'), Buffer.alloc(0)]) {
    await writeFile(corpus, bytes);
    if (program === undefined) context.skip('no C compiler here: cc, gcc or clang');
    else await assert.rejects(trained(context, 'broken', { corpus }), /ended with 2/);
  }
});
