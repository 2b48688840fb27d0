/**
 * Requests of several tenants one after another and at once, some cut off: whatever a place was used for before, an answer is
 * the one that an empty engine gives, and what is counted as cached is what llama.cpp did not evaluate. @module
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DEMO_MODEL } from '../../enclave-worker/demo-model/demo-model.ts';
import type { RunningJob } from '../../enclave-worker/engines/llama-cpp/choice.ts';
import { generate } from '../../enclave-worker/engines/llama-cpp/generate.ts';
import type {
  FromChild,
  GenerateMessage,
} from '../../enclave-worker/engines/llama-cpp/messages.ts';
import { loadModel, type LoadedModel } from '../../enclave-worker/engines/llama-cpp/model.ts';
import { seededNumbers } from '../support/changes.ts';

const SEQUENCES = 3;
const ROUNDS = 60;
const NAMESPACES = ['a', 'b', undefined].map((letter) => letter?.repeat(64));
const BEGINNINGS = [
  'You know all about the garden, the river, the red fox and the old map in the wooden box.',
  'You know all about the garden, the river, the red fox and the silver key under the bridge.',
];
const QUESTIONS = ['Who can read my prompt?', 'Who can read my mail?', 'Hello!'];

let model: LoadedModel;

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
    prefillTokens: 16,
    serves: ['chat', 'completions'],
    beatMs: 1000,
  });
});

after(() => model.llama.dispose());

interface Asking {
  readonly namespace: string | undefined;
  readonly content: readonly [system: string, user: string];
  readonly maxOutputTokens: number;
  readonly choices: number;
  /** Cut off behind so many texts. */
  readonly cutAfter: number | undefined;
}

interface Asked {
  readonly namespace: string | undefined;
  readonly prompt: number;
  readonly cached: number;
  readonly texts: readonly string[];
}

function messageOf({ namespace, content, maxOutputTokens, choices }: Asking): GenerateMessage {
  const [system, user] = content;
  return {
    kind: 'generate',
    id: 1,
    prompts: [
      {
        kind: 'chat',
        messages: [
          { role: 'system', content: system },
          { role: 'user', content: user },
        ],
      },
    ],
    choices,
    maxPromptTokens: 300,
    maxOutputTokens,
    temperature: 0,
    topP: 1,
    frequencyPenalty: 0,
    presencePenalty: 0,
    logitBias: [],
    seed: 1,
    stop: [],
    ...(namespace === undefined ? {} : { namespace }),
  };
}

async function ask(asking: Asking): Promise<Asked> {
  const texts = Array.from({ length: asking.choices }, () => '');
  const job: RunningJob = { aborted: asking.cutAfter === 0, unread: 0, wake: undefined };
  let started: Extract<FromChild, { kind: 'started' }> | undefined;
  let said = 0;
  await generate(model, messageOf(asking), job, (message) => {
    if (message.kind === 'started') started = message;
    if (message.kind !== 'text') return;
    texts[message.choice] += message.text;
    if (++said === asking.cutAfter) job.aborted = true;
  });
  assert.ok(started !== undefined);
  const { promptTokens: prompt, cachedTokens: cached } = started;
  return { namespace: asking.namespace, prompt, cached, texts };
}

function drawn(next: (bound: number) => number): Asking {
  const pick = (texts: readonly string[]): string => texts[next(texts.length)] ?? '';
  return {
    namespace: NAMESPACES[next(NAMESPACES.length)],
    content: [pick(BEGINNINGS), pick(QUESTIONS)],
    maxOutputTokens: 1 + next(12),
    choices: 1 + next(2),
    cutAfter: next(3) === 0 ? next(4) : undefined,
  };
}

/** As of an engine that has nothing left of anybody. */
const cold = new Map<string, string>();
async function coldText(asking: Asking): Promise<string> {
  const key = JSON.stringify(asking.content);
  const known = cold.get(key);
  if (known !== undefined) return known;
  const whole = {
    ...asking,
    namespace: undefined,
    maxOutputTokens: 12,
    choices: 1,
    cutAfter: undefined,
  };
  const { texts } = await ask(whole);
  const [text = ''] = texts;
  cold.set(key, text);
  return text;
}

test('one after another and at once, every answer is that of an empty engine', async () => {
  const next = seededNumbers('prefix reuse');
  let reused = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const together = Array.from({ length: 1 + next(SEQUENCES) }, () => drawn(next));
    for (const asking of together) await coldText(asking);
    const asked = await Promise.all(together.map(ask));
    for (const [at, { cached, prompt, texts, namespace }] of asked.entries()) {
      const asking = together[at];
      assert.ok(asking !== undefined);
      assert.ok(cached < prompt);
      if (namespace === undefined) assert.equal(cached, 0);
      if (cached > 0) reused++;
      const expected = await coldText(asking);
      for (const text of texts) {
        assert.ok(expected.startsWith(text), `round ${round}: ${text} / ${expected}`);
      }
      if (asking.cutAfter === undefined && asking.maxOutputTokens === 12) {
        assert.deepEqual(
          texts,
          texts.map(() => expected),
        );
      }
    }
  }
  assert.ok(reused > ROUNDS / 3, String(reused));
});
