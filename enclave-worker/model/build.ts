#!/usr/bin/env node
/**
 * Makes the demo model anew: corpus, vocabulary, training, file, examination. An interrupted training goes on where it was.
 *
 *   node enclave-worker/model/build.ts [--work .data/model] [--threads 2]
 *   node enclave-worker/model/build.ts --examine FILE [--wrong]
 * @module
 */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { sha256 } from '#primitives';
import { concat, toHex, utf8 } from '../../core/bytes.ts';
import { errorLine, jsonLine, outputLine } from '../../core/node/terminal.ts';
import { corpusDocuments } from './corpus/dialogue.ts';
import { encodeCorpus } from './corpus/encode.ts';
import { evaluate, type Score } from './evaluation/evaluate.ts';
import { demoGguf, readCheckpoint } from './gguf/from-checkpoint.ts';
import { BROAD, DEMO_SHAPE, RECIPE, type Stage } from './recipe.ts';
import { learnMerges, Tokenizer, vocabularyOf, type Vocabulary } from './tokenizer/tokenizer.ts';
import { compileTrainer, findCompiler } from './trainer/compile.ts';
import { train, type TrainProgress } from './trainer/train.ts';

const { values: OPTIONS } = parseArgs({
  options: {
    work: { type: 'string', default: '.data/model' },
    threads: { type: 'string', default: '2' },
    examine: { type: 'string' },
    wrong: { type: 'boolean', default: false },
  },
});

const FILE_NAME = 'veilgate-demo-q8_0.gguf';
const IDENTITY_BYTES = 8;

await (OPTIONS.examine === undefined ? build() : examine(OPTIONS.examine));

async function build(): Promise<void> {
  const { work } = OPTIONS;
  await mkdir(work, { recursive: true });
  const compiler = await findCompiler();
  if (compiler === undefined) throw new Error('a C compiler is needed: cc, gcc or clang');
  const program = await compileTrainer(compiler, 'train', work);
  const vocabulary = vocabularyToLearn();
  let done: TrainedStage | undefined;
  for (const stage of RECIPE.stages) {
    done = await trainStage(stage, { program, vocabulary, before: done });
  }
  if (done === undefined) throw new Error('the recipe has no stage');
  const file = demoGguf(await readCheckpoint(done.checkpoint), { name: RECIPE.name, vocabulary });
  const target = join(work, FILE_NAME);
  await writeFile(target, file);
  outputLine(`${target}: ${file.length} bytes, SHA-256 ${toHex(sha256(file))}`);
  await examine(target);
}

function vocabularyToLearn(): Vocabulary {
  const { documents, merges } = RECIPE.tokenizer;
  errorLine(`learning ${merges} merges from ${documents} documents`);
  return vocabularyOf(learnMerges(corpusDocuments({ ...BROAD.corpus, documents }), merges));
}

interface TrainedStage {
  readonly checkpoint: string;
  readonly identity: Uint8Array;
}

async function trainStage(
  { name, corpus, workedOutWeight, training }: Stage,
  {
    program,
    vocabulary,
    before,
  }: {
    readonly program: string;
    readonly vocabulary: Vocabulary;
    readonly before: TrainedStage | undefined;
  },
): Promise<TrainedStage> {
  const { work, threads } = OPTIONS;
  const bytes = encodeCorpus(corpusDocuments(corpus), new Tokenizer(vocabulary), workedOutWeight);
  const path = join(work, `${name}.corpus`);
  await writeFile(path, bytes);
  const checkpoint = join(work, `${name}.checkpoint`);
  // Of whatever a checkpoint must have come from.
  const settings = utf8(JSON.stringify([training, DEMO_SHAPE]));
  const identity = sha256(concat(before?.identity ?? new Uint8Array(0), sha256(bytes), settings));
  errorLine(`${name}: ${training.steps} steps; an interrupted run goes on at ${checkpoint}`);
  await train({
    ...training,
    program,
    corpus: path,
    checkpoint,
    beginning: before?.checkpoint,
    identity: toHex(identity.subarray(0, IDENTITY_BYTES)),
    shape: DEMO_SHAPE,
    vocabularySize: vocabulary.tokens.length,
    threads: Number(threads),
    onProgress: tell,
  });
  return { checkpoint, identity };
}

function tell({ step, steps, loss, heldOut, secondsLeft }: TrainProgress): void {
  const held = heldOut === undefined ? '' : `, held out ${heldOut.toFixed(3)}`;
  errorLine(`step ${step} of ${steps}: loss ${loss.toFixed(3)}${held}; ${secondsLeft} s left`);
}

function examine(path: string): Promise<void> {
  return evaluate({
    path,
    contextTokens: DEMO_SHAPE.contextLength,
    threads: 1,
    onScore: tellScore,
  });
}

function tellScore({ name, right, asked, wrong }: Score): void {
  outputLine(`${String(right).padStart(4)} of ${String(asked).padEnd(4)} ${name}`);
  if (!OPTIONS.wrong) return;
  for (const { question, answer } of wrong) {
    outputLine(`       ${jsonLine(question)} -> ${jsonLine(answer)}`);
  }
}
