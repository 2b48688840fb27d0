/** What an app can ask of the engine beside text: choices, probabilities, penalties, bias, plain completions. @module */

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sha256 } from '#primitives';
import { concat, toHex, utf8 } from '../../core/bytes.ts';
import { DEMO_MODEL } from '../../enclave-worker/demo-model/demo-model.ts';
import type { Engine } from '../../enclave-worker/engine.ts';
import { startLlamaCpp } from '../../enclave-worker/engines/llama-cpp/engine.ts';
import { encodeGguf, tinyModel } from '../support/gguf.ts';
import {
  finishAll,
  generateJob as job,
  NEVER,
  runJob as run,
  type FinishedChoice,
  type JobMore,
} from '../support/engine-jobs.ts';

let dir = '';
/** Random weights, one token per byte: token numbers are bytes, and most of what it says is no whole character. */
let tiny: Engine;
let demo: Engine;

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'veilgate-engine-test-'));
  const bytes = encodeGguf(tinyModel());
  const modelPath = join(dir, 'tiny.gguf');
  await writeFile(modelPath, bytes);
  const common = { threads: 1, gpu: false, environment: {}, copyRoot: dir } as const;
  tiny = await startLlamaCpp({
    ...common,
    modelPath,
    modelSha256Hex: toHex(sha256(bytes)),
    contextTokens: 256,
    sequences: 2,
  });
  demo = await startLlamaCpp({
    ...common,
    modelPath: DEMO_MODEL.path,
    modelSha256Hex: toHex(DEMO_MODEL.sha256),
    contextTokens: DEMO_MODEL.contextLength,
    sequences: 2,
    serves: ['chat', 'completions', 'embeddings'],
  });
});

after(async () => {
  await tiny.close();
  await demo.close();
  await rm(dir, { recursive: true, force: true });
});

function only({ choices }: { readonly choices: readonly FinishedChoice[] }): FinishedChoice {
  const [choice] = choices;
  assert.ok(choice !== undefined && choices.length === 1);
  return choice;
}

const QUESTION = 'What is remote attestation?';

test('each choice is what it would be alone with its own seed, and the prompt is counted once', async () => {
  const sampled = { temperature: 1, maxOutputTokens: 12 };
  const alone = [];
  for (const seed of [5, 6, 7]) alone.push(await run(tiny, job('Tell', { ...sampled, seed })));
  const three = await run(tiny, job('Tell', { ...sampled, seed: 5, choices: 3 }));
  assert.deepEqual(
    three.choices.map(({ text }) => text),
    alone.map((one) => only(one).text),
  );
  assert.equal(new Set(three.choices.map(({ text }) => text)).size, 3);
  assert.equal(three.prompt, alone[0]?.prompt);
  assert.equal(three.completion, 36);
  assert.deepEqual(
    three.choices.map(({ reason }) => reason),
    ['length', 'length', 'length'],
  );
});

test('greedy choices of a longer prompt are all the same', async () => {
  const question = { maxOutputTokens: 80, choices: 2 };
  const { choices } = await run(demo, job(QUESTION, question));
  assert.equal(choices.length, 2);
  assert.equal(choices[0]?.text, choices[1]?.text);
  assert.match(choices[1]?.text ?? '', /^Remote attestation is a way/);
});

test('what is said under a grammar is of it, in every choice', async () => {
  const grammar = 'root ::= ("ab" | "ba"){3} "!"';
  const { choices } = await run(tiny, job('x', { grammar, choices: 3, temperature: 1, seed: 1 }));
  for (const { text, reason } of choices) {
    assert.match(text, /^(ab|ba){3}!$/);
    assert.equal(reason, 'stop');
  }
});

test('with every slot taken, the next generation may begin as soon as one has ended', async () => {
  // Under a grammar each token is evaluated on its own, beside those of the other generation.
  const grammar = 'root ::= [a-z]{30}';
  const lane = async (): Promise<void> => {
    for (let at = 0; at < 40; at++) {
      const { text } = only(await run(tiny, job('x', { grammar, temperature: 1, seed: at })));
      assert.equal(text.length, 30);
    }
  };
  await Promise.all(Array.from({ length: tiny.slots }, lane));
});

test('an abort between two choices ends them all', async () => {
  const stop = new AbortController();
  const generation = tiny.generate(
    job('go', { temperature: 1, choices: 3, maxOutputTokens: 20 }),
    stop.signal,
  );
  let reason = '';
  let ended = 0;
  for await (const event of generation.events) {
    if (event.kind === 'choice-end' && ++ended === 1) stop.abort();
    if (event.kind === 'end') reason = event.reason;
  }
  assert.equal(ended, 1);
  assert.equal(reason, 'aborted');
});

for (const choices of [1, 2]) {
  test(`the bytes of the tokens are those of the text, in ${choices} choices of broken characters`, async () => {
    const asked = job('z', {
      temperature: 2,
      seed: 5,
      choices,
      maxOutputTokens: 100,
      topLogprobs: 3,
    });
    for (const choice of (await run(tiny, asked)).choices) {
      assert.equal(choice.tokens.length, 100);
      const bytes = concat(...choice.tokens.map((token) => token.bytes));
      assert.equal(new TextDecoder().decode(bytes), choice.text);
      assert.ok(choice.text.includes('\uFFFD'));
    }
  });
}

test('a character spread over tokens is told token by token', async () => {
  const [lead, trail] = utf8('é');
  assert.ok(lead !== undefined && trail !== undefined);
  const forced = job('z', {
    temperature: 0,
    maxOutputTokens: 8,
    topLogprobs: 0,
    frequencyPenalty: 2,
    logitBias: [
      [lead, 100],
      [trail, 99],
    ],
  });
  const choice = only(await run(tiny, forced));
  assert.match(choice.text, /é/);
  const bytes = concat(...choice.tokens.map((token) => token.bytes));
  assert.equal(new TextDecoder().decode(bytes), choice.text);
  assert.ok(choice.tokens.every((token) => token.bytes.length === 1));
});

test('probabilities are the model’s own: they sum to at most one, greedy draws the likeliest', async () => {
  const answer = only(await run(demo, job(QUESTION, { topLogprobs: 20, maxOutputTokens: 40 })));
  assert.equal(answer.tokens.length, 40);
  assert.equal(
    new TextDecoder().decode(concat(...answer.tokens.map(({ bytes }) => bytes))),
    answer.text,
  );
  for (const { bytes, logprob, top } of answer.tokens) {
    assert.equal(top.length, 20);
    const sum = top.reduce((total, other) => total + Math.exp(other.logprob), 0);
    assert.ok(sum <= 1 + 1e-12 && sum > 0.5, `${sum}`);
    assert.ok(logprob <= 0);
    assert.deepEqual(top[0]?.bytes, bytes);
    assert.equal(top[0]?.logprob, logprob);
    const falling = top.every(
      (other, at) => at === 0 || other.logprob <= (top[at - 1]?.logprob ?? 0),
    );
    assert.ok(falling);
  }
});

test('probabilities do not change with temperature, penalties and bias', async () => {
  const first = async (more: object): Promise<readonly number[]> => {
    const asked = job(QUESTION, { topLogprobs: 5, maxOutputTokens: 1, seed: 1, ...more });
    const [token] = only(await run(demo, asked)).tokens;
    return (token?.top ?? []).map(({ logprob }) => Math.round(logprob * 1000));
  };
  const plain = await first({});
  assert.equal(plain.length, 5);
  assert.deepEqual(await first({ temperature: 2 }), plain);
  assert.deepEqual(await first({ frequencyPenalty: 2, logitBias: [[65, 100]] }), plain);
});

test('being asked for probabilities changes nothing in the text', async () => {
  for (const more of [{}, { temperature: 1, seed: 3 }]) {
    const plain = await run(demo, job('Tell me a story about a fox.', more));
    const told = await run(demo, job('Tell me a story about a fox.', { ...more, topLogprobs: 2 }));
    assert.equal(only(told).text, only(plain).text);
    assert.equal(told.completion, plain.completion);
  }
});

test('tokens that a stop string cut away are not told', async () => {
  const stop = ['software it', '!!'];
  const answer = only(await run(demo, job(QUESTION, { stop, topLogprobs: 0 })));
  assert.equal(answer.reason, 'stop');
  assert.equal(answer.text, 'Remote attestation is a way for a machine to prove which ');
  const bytes = concat(...answer.tokens.map((token) => token.bytes));
  assert.equal(new TextDecoder().decode(bytes), answer.text);
});

test('a token that a stop string cut in two is told as far as it was shown', async () => {
  // "attestation" comes in more than one token, and no border of them is here.
  for (const stop of ['ttest', 'est', 'station', 'tation is', 'n is', 's a way']) {
    const answer = only(await run(demo, job(QUESTION, { stop: [stop], topLogprobs: 1 })));
    const bytes = concat(...answer.tokens.map((token) => token.bytes));
    assert.equal(new TextDecoder().decode(bytes), answer.text, stop);
    assert.ok(!answer.text.includes(stop));
  }
});

test('a bias of a hundred forces a token, and one of minus a hundred forbids it', async () => {
  const [letter = 0] = utf8('A');
  const forced = job('x', { logitBias: [[letter, 100]], maxOutputTokens: 5 });
  assert.equal(only(await run(tiny, forced)).text, 'AAAAA');
  const first = { maxOutputTokens: 1, topLogprobs: 0 };
  const [free] = only(await run(tiny, job('x', first))).tokens;
  const [byte] = free?.bytes ?? [];
  assert.ok(byte !== undefined);
  const [other] = only(await run(tiny, job('x', { ...first, logitBias: [[byte, -100]] }))).tokens;
  assert.notDeepEqual(other?.bytes, free?.bytes);
});

test('a bias for a token that the model does not have, or that ends an answer, is refused', async () => {
  const endOfAnswer = 258;
  for (const token of [1_000_000, 0xffff_ffff, endOfAnswer]) {
    const generation = tiny.generate(job('x', { logitBias: [[token, 1]] }), NEVER);
    await assert.rejects(finishAll(generation), { code: 'engine.logit_bias' });
    assert.equal(generation.usage().prompt, 0);
  }
});

const [LETTER_A = 0, LETTER_B = 0] = utf8('AB');

/** What is said of A and B alone, B so much less likely than A beside the model's own opinion. */
async function saidWith(gap: number, more: JobMore): Promise<string> {
  const logitBias = [
    [LETTER_A, 80],
    [LETTER_B, 80 - gap],
  ] as const;
  return only(await run(tiny, job('AAAA', { logitBias, ...more }))).text;
}

test('a frequency penalty grows with each token, a presence penalty does not', async () => {
  const far = { maxOutputTokens: 40 };
  assert.equal(await saidWith(40, far), 'A'.repeat(40));
  assert.equal(await saidWith(40, { ...far, presencePenalty: 2 }), 'A'.repeat(40));
  const frequency = await saidWith(40, { ...far, frequencyPenalty: 2 });
  assert.match(frequency, /^A{8,30}B/);
});

test('penalties count what was generated and nothing of the prompt', async () => {
  const two = { maxOutputTokens: 2 };
  const turned = { lower: 0, higher: 0 };
  for (let gap = -15; gap <= 15; gap += 0.5) {
    const plain = await saidWith(gap, two);
    const lower = await saidWith(gap, { ...two, presencePenalty: 2 });
    const higher = await saidWith(gap, { ...two, presencePenalty: -2 });
    // The first is drawn before anything was generated, whatever the prompt is full of.
    assert.equal(lower[0], plain[0]);
    assert.equal(higher[0], plain[0]);
    if (plain[0] === plain[1] && lower[0] !== lower[1]) turned.lower++;
    if (plain[0] !== plain[1] && higher[0] === higher[1]) turned.higher++;
    assert.ok(plain[0] === plain[1] || lower[0] !== lower[1], 'a penalty makes nothing likelier');
    assert.ok(plain[0] !== plain[1] || higher[0] === higher[1], 'a reward makes it no less likely');
  }
  // It moves the border between the two by as much as it is: two units, of steps of a half.
  assert.ok(turned.lower >= 2 && turned.higher >= 1, JSON.stringify(turned));
});

test('a plain text is gone on with, without a template around it', async () => {
  const text = 'Remote attestation is a way for a machine to';
  const plain = job('', { prompts: [{ kind: 'text', text }], maxOutputTokens: 8 });
  const answer = await run(demo, plain);
  assert.match(only(answer).text, /^ prove which sof/);
  const chat = await run(demo, job(text, { maxOutputTokens: 1 }));
  assert.ok(answer.prompt < chat.prompt);
});

test('control tokens spelled out in a plain text stay text', async () => {
  const of = async (text: string): Promise<number> =>
    (await run(tiny, job('', { prompts: [{ kind: 'text', text }], maxOutputTokens: 1 }))).prompt;
  assert.equal((await of('a<|im_end|>')) - (await of('a')), '<|im_end|>'.length);
});

test('several prompts have their choices one after the other, and are counted together', async () => {
  const prompts = [
    { kind: 'text', text: 'Remote attestation is a way for a machine to' },
    { kind: 'text', text: 'The hardware signs a measurement, and you' },
  ] as const;
  const { choices, prompt } = await run(demo, job('', { prompts, choices: 2, maxOutputTokens: 3 }));
  const alone = [];
  for (const one of prompts) {
    alone.push(await run(demo, job('', { prompts: [one], maxOutputTokens: 3 })));
  }
  const [first = '', second = ''] = alone.map((one) => only(one).text);
  assert.deepEqual(
    choices.map(({ text }) => text),
    [first, first, second, second],
  );
  assert.equal(
    prompt,
    alone.reduce((sum, one) => sum + one.prompt, 0),
  );
  const bounded = job('', { prompts, maxPromptTokens: prompt - 1 });
  await assert.rejects(run(demo, bounded), { code: 'engine.prompt_too_long' });
});

test('texts become vectors of length one, in order, each as if alone', async () => {
  const inputs = ['remote attestation', 'a fox in the wood', 'remote attestation'];
  const embedding = demo.embed({ inputs, maxPromptTokens: 100 }, NEVER);
  const vectors = await embedding.vectors;
  assert.equal(vectors.length, 3);
  for (const vector of vectors) {
    assert.equal(vector.length, 128);
    const length = Math.hypot(...vector);
    assert.ok(Math.abs(length - 1) < 1e-6, `${length}`);
  }
  assert.deepEqual(vectors[0], vectors[2]);
  assert.notDeepEqual(vectors[0], vectors[1]);
  const [alone] = await demo.embed({ inputs: ['a fox in the wood'], maxPromptTokens: 100 }, NEVER)
    .vectors;
  assert.deepEqual(alone, vectors[1]);
  const { prompt, completion } = embedding.usage();
  assert.ok(prompt > 10 && completion === 0);
});

test('inputs that are too long together are refused before anything runs', async () => {
  const inputs = ['one two three', 'four five six'];
  const counted = demo.embed({ inputs, maxPromptTokens: 100 }, NEVER);
  await counted.vectors;
  const { prompt } = counted.usage();
  const bounded = demo.embed({ inputs, maxPromptTokens: prompt - 1 }, NEVER);
  await assert.rejects(bounded.vectors, { code: 'engine.prompt_too_long' });
  assert.equal(bounded.usage().prompt, 0);
  await demo.embed({ inputs, maxPromptTokens: prompt }, NEVER).vectors;
});

test('embeddings at the same time, some of them aborted, are each as if alone', async () => {
  const [alone] = await demo.embed({ inputs: ['a fox'], maxPromptTokens: 100 }, NEVER).vectors;
  const stop = new AbortController();
  const many = Array.from({ length: 20 }, () => 'remote attestation');
  const left = demo.embed({ inputs: many, maxPromptTokens: 1000 }, stop.signal);
  const kept = demo.embed({ inputs: ['a fox', 'a fox'], maxPromptTokens: 100 }, NEVER);
  stop.abort();
  await assert.rejects(left.vectors, { code: 'engine.aborted' });
  assert.deepEqual(await kept.vectors, [alone, alone]);
});

test('a model without a chat template goes on with texts and has no chats', async () => {
  const gguf = tinyModel();
  const metadata = new Map(gguf.metadata);
  metadata.delete('tokenizer.chat_template');
  const bytes = encodeGguf({ ...gguf, metadata });
  const modelPath = join(dir, 'no-template.gguf');
  await writeFile(modelPath, bytes);
  const bare = await startLlamaCpp({
    modelPath,
    modelSha256Hex: toHex(sha256(bytes)),
    contextTokens: 64,
    sequences: 1,
    threads: 1,
    gpu: false,
    environment: {},
    copyRoot: dir,
    serves: ['completions'],
  });
  try {
    assert.deepEqual(bare.capabilities, ['completions']);
    const prompts = [{ kind: 'text', text: 'x' }] as const;
    const answer = await run(bare, job('', { prompts, maxOutputTokens: 3, maxPromptTokens: 60 }));
    assert.equal(answer.completion, 3);
  } finally {
    await bare.close();
  }
});

test('an aborted embedding ends at once and frees its place', async () => {
  const inputs = Array.from({ length: 200 }, (_, at) => `text ${at}`);
  const stop = new AbortController();
  const embedding = demo.embed({ inputs, maxPromptTokens: 10_000 }, stop.signal);
  stop.abort();
  await assert.rejects(embedding.vectors, { code: 'engine.aborted' });
  const after = demo.embed({ inputs: ['next'], maxPromptTokens: 100 }, NEVER);
  assert.equal((await after.vectors).length, 1);
});

for (const only of [{ topK: 1 }, { minP: 1 }]) {
  test(`${JSON.stringify(only)} leaves the likeliest token alone, however hot`, async () => {
    const greedy = await run(demo, job(QUESTION, { maxOutputTokens: 24 }));
    const hot = { maxOutputTokens: 24, temperature: 2, seed: 3 };
    assert.equal(textOf(await run(demo, job(QUESTION, { ...hot, ...only }))), textOf(greedy));
    assert.notEqual(textOf(await run(demo, job(QUESTION, hot))), textOf(greedy));
  });
}

test('a penalty on repetition changes what repeats', async () => {
  const story = { maxOutputTokens: 80 };
  const plain = await run(demo, job('Tell me a story.', story));
  const fresh = await run(demo, job('Tell me a story.', { ...story, repetitionPenalty: 2 }));
  assert.notEqual(textOf(fresh), textOf(plain));
});

function textOf(finished: { readonly choices: readonly FinishedChoice[] }): string {
  return only(finished).text;
}
