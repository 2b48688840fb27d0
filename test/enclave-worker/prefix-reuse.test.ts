/** What a request goes on with of an earlier one, held against what llama.cpp has counted as evaluated. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { LlamaContextSequence } from 'node-llama-cpp';
import { DEMO_MODEL } from '../../enclave-worker/demo-model/demo-model.ts';
import { generate } from '../../enclave-worker/engines/llama-cpp/generate.ts';
import type {
  FromChild,
  GenerateMessage,
} from '../../enclave-worker/engines/llama-cpp/messages.ts';
import { loadModel, type LoadedModel } from '../../enclave-worker/engines/llama-cpp/model.ts';
import { SequencePool } from '../../enclave-worker/engines/llama-cpp/sequence-pool.ts';
import { PREFIX_KEEP_MS, PREFIX_TOKENS_MIN } from '../../enclave-worker/limits.ts';

const SEQUENCES = 2;
const MINE = 'a'.repeat(64);
const OTHER = 'b'.repeat(64);
const THIRD = 'c'.repeat(64);

let model: LoadedModel;
let sequences: readonly LlamaContextSequence[] = [];

before(async () => {
  model = await loadModel(DEMO_MODEL.path, {
    kind: 'load',
    modelPath: DEMO_MODEL.path,
    modelSha256Hex: '0'.repeat(64),
    privateDir: '/nonexistent',
    gpu: false,
    threads: 1,
    contextTokens: DEMO_MODEL.contextLength,
    sequences: SEQUENCES,
    prefillTokens: 32,
    serves: ['chat', 'completions'],
    beatMs: 1000,
  });
  const taken = [await model.pool.take(undefined, []), await model.pool.take(undefined, [])];
  sequences = taken.flatMap((place) => (place === undefined ? [] : [place.sequence]));
  assert.equal(sequences.length, SEQUENCES);
});

after(() => model.llama.dispose());

/** Sequences that nothing is left in, in a pool of their own. */
async function fresh(): Promise<LoadedModel> {
  for (const sequence of sequences) await sequence.clearHistory();
  return { ...model, pool: new SequencePool(sequences) };
}

const SYSTEM =
  'Answer briefly. You know all about the garden, the river, the red fox and the old map in the wooden box.';

interface Asked {
  readonly prompt: number;
  readonly cached: number;
  /** By llama.cpp's own count, with the tokens of the answer but the last. */
  readonly evaluated: number;
  readonly text: string;
}

function counted(): number {
  return sequences.reduce((sum, { tokenMeter }) => {
    return sum + tokenMeter.usedInputTokens + tokenMeter.usedOutputTokens;
  }, 0);
}

async function ask(
  loaded: LoadedModel,
  namespace: string | undefined,
  more: Partial<GenerateMessage> & { readonly question?: string } = {},
): Promise<Asked> {
  const { question = 'Who can read my prompt?', ...rest } = more;
  const sent: FromChild[] = [];
  const before = counted();
  await generate(
    loaded,
    {
      kind: 'generate',
      id: 1,
      prompts: [
        {
          kind: 'chat',
          messages: [
            { role: 'system', content: SYSTEM },
            { role: 'user', content: question },
          ],
        },
      ],
      choices: 1,
      maxPromptTokens: 300,
      maxOutputTokens: 1,
      temperature: 0,
      topP: 1,
      frequencyPenalty: 0,
      presencePenalty: 0,
      logitBias: [],
      seed: 1,
      stop: [],
      ...(namespace === undefined ? {} : { namespace }),
      ...rest,
    },
    { aborted: false, unread: 0, wake: undefined },
    (message) => void sent.push(message),
  );
  const started = sent.find((message) => message.kind === 'started');
  assert.ok(started !== undefined);
  const texts = sent.flatMap((message) => (message.kind === 'text' ? [message.text] : []));
  return {
    prompt: started.promptTokens,
    cached: started.cachedTokens,
    evaluated: counted() - before,
    text: texts.join(''),
  };
}

test('the same prompt again is evaluated only in its last token, and says so', async () => {
  const loaded = await fresh();
  const first = await ask(loaded, MINE);
  assert.equal(first.cached, 0);
  assert.equal(first.evaluated, first.prompt);
  const again = await ask(loaded, MINE);
  assert.equal(again.prompt, first.prompt);
  assert.equal(again.cached, first.prompt - 1);
  assert.equal(again.evaluated, 1);
});

test('in another namespace every token is evaluated, and none is said to be cached', async () => {
  const loaded = await fresh();
  await ask(loaded, MINE);
  for (const namespace of [OTHER, undefined]) {
    const stranger = await ask(loaded, namespace);
    assert.equal(stranger.cached, 0);
    assert.equal(stranger.evaluated, stranger.prompt);
  }
});

test('without a namespace nothing stays, not even for the same request', async () => {
  const loaded = await fresh();
  await ask(loaded, undefined);
  for (const sequence of sequences) assert.equal(sequence.nextTokenIndex, 0);
  for (const namespace of [undefined, MINE]) {
    const next = await ask(loaded, namespace);
    assert.equal(next.cached, 0);
    assert.equal(next.evaluated, next.prompt);
  }
});

test('another question behind the same beginning reuses the beginning', async () => {
  const loaded = await fresh();
  const first = await ask(loaded, MINE);
  const other = await ask(loaded, MINE, { question: 'Hello!' });
  assert.ok(other.cached >= PREFIX_TOKENS_MIN && other.cached < first.prompt - 1);
  assert.equal(other.evaluated, other.prompt - other.cached);
});

test('a short beginning in common is not worth it', async () => {
  const loaded = await fresh();
  await ask(loaded, MINE);
  const prompts = [{ kind: 'text' as const, text: 'Hello! Who can read my prompt?' }];
  const short = await ask(loaded, MINE, { prompts });
  assert.equal(short.cached, 0);
  assert.equal(short.evaluated, short.prompt);
});

test('an answer that goes on with a kept prompt is the answer of a new one', async () => {
  const loaded = await fresh();
  const long = { maxOutputTokens: 40 };
  const cold = await ask(loaded, MINE, long);
  const warm = await ask(loaded, MINE, long);
  assert.ok(warm.cached > 0);
  assert.equal(warm.text, cold.text);
  assert.equal(warm.evaluated, cold.evaluated - warm.cached);
});

test('of several prompts only the first goes on with what was kept', async () => {
  const loaded = await fresh();
  const [prompt] = [{ kind: 'text' as const, text: SYSTEM }];
  await ask(loaded, MINE, { prompts: [prompt] });
  const both = await ask(loaded, MINE, { prompts: [prompt, prompt] });
  assert.equal(both.cached, both.prompt / 2 - 1);
  assert.equal(both.evaluated, both.prompt - both.cached);
});

test('a place goes to whoever needs it, the oldest first', async () => {
  const loaded = await fresh();
  await ask(loaded, MINE);
  await ask(loaded, OTHER);
  const third = await ask(loaded, THIRD);
  assert.equal(third.cached, 0);
  assert.equal(third.evaluated, third.prompt);
  assert.ok((await ask(loaded, OTHER)).cached > 0, 'the younger one is still there');
  assert.equal((await ask(loaded, MINE)).cached, 0, 'the older one is gone');
});

test('what nobody comes back for is forgotten', async () => {
  const loaded = await fresh();
  const startMs = performance.now();
  await ask(loaded, MINE);
  loaded.pool.forgetIdle(startMs + PREFIX_KEEP_MS - 1);
  assert.ok(sequences.some(({ nextTokenIndex }) => nextTokenIndex > 0));
  loaded.pool.forgetIdle(performance.now() + PREFIX_KEEP_MS);
  const next = await ask(loaded, MINE);
  assert.equal(next.cached, 0);
  assert.equal(next.evaluated, next.prompt);
});

test('a request that was refused leaves nothing behind', async () => {
  const loaded = await fresh();
  await assert.rejects(ask(loaded, MINE, { logitBias: [[1_000_000, 1]] }), {
    code: 'engine.logit_bias',
  });
  assert.equal((await ask(loaded, MINE)).cached, 0);
});

test('a request that ended before anything was evaluated leaves its place as it was', async () => {
  const loaded = await fresh();
  const [sequence] = sequences;
  assert.ok(sequence !== undefined);
  const pool = new SequencePool([sequence]);
  for (let at = 0; at < 3; at++) {
    const taken = await pool.take(MINE, []);
    assert.ok(taken !== undefined);
    pool.empty(sequence);
  }
  assert.equal((await ask({ ...loaded, pool }, MINE)).cached, 0);
});

test('a place in which a failed decode has left cells is found, and the pool says so', async () => {
  await fresh();
  const [sequence] = sequences;
  assert.ok(sequence !== undefined);
  const tokens = model.model.tokenize(SYSTEM);
  const pool = new SequencePool([sequence]);
  await pool.take(MINE, tokens);
  await sequence.evaluateWithoutGeneratingNewTokens(tokens);
  // What the library then knows of it.
  Object.assign(sequence, { _nextTokenIndex: 0, _contextTokens: [] });
  try {
    pool.empty(sequence);
    await pool.broken;
    await assert.rejects(pool.take(OTHER, tokens));
  } finally {
    Object.assign(sequence, { _nextTokenIndex: tokens.length, _contextTokens: tokens });
    await sequence.clearHistory();
  }
});
