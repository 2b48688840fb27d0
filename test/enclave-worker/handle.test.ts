/** A request from sealed bytes to the signed receipt, with the real engine: what is served and what it says. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { toHex } from '../../core/bytes.ts';
import { DEMO_MODEL } from '../../enclave-worker/demo-model/demo-model.ts';
import type { Engine } from '../../enclave-worker/engine.ts';
import { startLlamaCpp } from '../../enclave-worker/engines/llama-cpp/engine.ts';
import { amountOf } from '../../protocol/price.ts';
import { TEST_PRICES } from '../support/attested-key.ts';
import {
  exchangeFixture,
  jsonOf,
  MODEL_ID,
  msgIdHex,
  openWire,
  sseData,
  type Answer,
  type Fixture,
} from './exchange-fixture.ts';

let engine: Engine;
let fixture: Fixture;

before(async () => {
  engine = await startLlamaCpp({
    modelPath: DEMO_MODEL.path,
    modelSha256Hex: toHex(DEMO_MODEL.sha256),
    contextTokens: DEMO_MODEL.contextLength,
    sequences: 2,
    threads: 1,
    gpu: false,
    environment: {},
  });
  fixture = exchangeFixture({ engine });
});

after(() => engine.close());

const ANSWER =
  'Remote attestation is a way for a machine to prove which software it runs. ' +
  'The hardware signs a measurement, and you check the signature before you send any data.';

const QUESTION = {
  model: MODEL_ID,
  messages: [{ role: 'user', content: 'What is remote attestation?' }],
  temperature: 0,
};

const COMPLETION = z.strictObject({
  id: z.string(),
  object: z.literal('chat.completion'),
  created: z.int(),
  model: z.literal(MODEL_ID),
  choices: z.tuple([
    z.strictObject({
      index: z.literal(0),
      message: z.strictObject({
        role: z.literal('assistant'),
        content: z.string(),
        refusal: z.null(),
      }),
      logprobs: z.null(),
      finish_reason: z.enum(['stop', 'length']),
    }),
  ]),
  usage: z.strictObject({
    prompt_tokens: z.int(),
    completion_tokens: z.int(),
    total_tokens: z.int(),
    prompt_tokens_details: z.strictObject({ cached_tokens: z.literal(0) }),
    completion_tokens_details: z.strictObject({ reasoning_tokens: z.literal(0) }),
  }),
  system_fingerprint: z.string().regex(/^fp_[0-9a-f]{12}$/),
});

const CHUNK = z.strictObject({
  id: z.string(),
  object: z.literal('chat.completion.chunk'),
  created: z.int(),
  model: z.literal(MODEL_ID),
  system_fingerprint: z.string(),
  choices: z.array(
    z.strictObject({
      index: z.literal(0),
      delta: z.strictObject({
        role: z.literal('assistant').exactOptional(),
        content: z.string().exactOptional(),
      }),
      logprobs: z.null(),
      finish_reason: z.enum(['stop', 'length']).nullable(),
    }),
  ),
  usage: z.unknown().exactOptional(),
});

function errorOf(answer: Answer): { code: string | null; param: string | null } {
  return z
    .object({ error: z.object({ code: z.string().nullable(), param: z.string().nullable() }) })
    .parse(jsonOf(answer.text)).error;
}

test('a whole answer is one completion with a receipt that says the same', async () => {
  const sealed = fixture.seal(QUESTION);
  const answer = await fixture.exchange(sealed);
  assert.equal(answer.outerStatus, 200);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('content-type'), 'application/json');
  const completion = COMPLETION.parse(jsonOf(answer.text));
  assert.equal(completion.id, `chatcmpl-${msgIdHex(sealed)}`);
  assert.equal(completion.choices[0].message.content, ANSWER);
  assert.equal(completion.choices[0].finish_reason, 'stop');
  assert.equal(answer.receipt?.receipt.outcome, 'ok');
  assert.equal(answer.receipt?.receipt.usage.prompt, completion.usage.prompt_tokens);
  assert.equal(answer.receipt?.receipt.usage.completion, completion.usage.completion_tokens);
  assert.equal(answer.receipt?.receipt.simulated, true);
  assert.ok(answer.final);
});

test('a stream begins with the role and ends with the reason and [DONE]', async () => {
  const answer = await fixture.ask({ ...QUESTION, stream: true });
  assert.equal(answer.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  const events = sseData(answer.text);
  assert.equal(events.at(-1), '[DONE]');
  const chunks = events.slice(0, -1).map((event) => CHUNK.parse(jsonOf(event)));
  assert.equal(chunks[0]?.choices[0]?.delta.role, 'assistant');
  assert.ok(chunks.slice(1).every((chunk) => chunk.choices[0]?.delta.role === undefined));
  assert.equal(chunks.at(-1)?.choices[0]?.finish_reason, 'stop');
  assert.ok(chunks.slice(0, -1).every((chunk) => chunk.choices[0]?.finish_reason === null));
  assert.ok(chunks.every((chunk) => chunk.usage === undefined && chunk.choices.length === 1));
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join(''), ANSWER);
  assert.equal(answer.receipt?.receipt.outcome, 'ok');
});

test('usage comes as an extra chunk without choices, only when asked for', async () => {
  const answer = await fixture.ask({
    ...QUESTION,
    stream: true,
    stream_options: { include_usage: true },
  });
  const events = sseData(answer.text);
  const last = CHUNK.parse(jsonOf(events.at(-2) ?? ''));
  assert.deepEqual(last.choices, []);
  const usage = z.object({ completion_tokens: z.int() }).parse(last.usage);
  assert.equal(usage.completion_tokens, answer.receipt?.receipt.usage.completion);
});

test('max_tokens, stop and seed reach the engine', async () => {
  const short = await fixture.ask({ ...QUESTION, max_tokens: 4 });
  const completion = COMPLETION.parse(jsonOf(short.text));
  assert.equal(completion.choices[0].finish_reason, 'length');
  assert.equal(completion.usage.completion_tokens, 4);
  const stopped = await fixture.ask({ ...QUESTION, stop: ' which' });
  assert.equal(
    COMPLETION.parse(jsonOf(stopped.text)).choices[0].message.content,
    'Remote attestation is a way for a machine to prove',
  );
  const sampled = { ...QUESTION, temperature: 1, seed: 42 };
  const [one, two] = [await fixture.ask(sampled), await fixture.ask(sampled)];
  assert.deepEqual(
    COMPLETION.parse(jsonOf(one.text)).choices,
    COMPLETION.parse(jsonOf(two.text)).choices,
  );
});

test("the client's signed bound on output holds, whatever the request asks", async () => {
  const bounds = { maxAmount: 0n, maxPrompt: 150, maxOutput: 3, asset: 0 } as const;
  const answer = await fixture.ask({ ...QUESTION, max_tokens: 90 }, { bounds });
  assert.equal(answer.receipt?.receipt.usage.completion, 3);
  assert.equal(COMPLETION.parse(jsonOf(answer.text)).choices[0].finish_reason, 'length');
});

test("the client's signed bound on the prompt holds", async () => {
  const bounds = { maxAmount: 0n, maxPrompt: 5, maxOutput: 10, asset: 0 } as const;
  const answer = await fixture.ask(QUESTION, { bounds });
  assert.equal(answer.status, 400);
  assert.deepEqual(errorOf(answer), {
    ...errorOf(answer),
    code: 'context_length_exceeded',
    param: 'messages',
  });
  assert.equal(answer.receipt?.receipt.usage.prompt, 0);
});

test('a prompt beyond the context is refused, sealed', async () => {
  const content = 'What is a measurement? '.repeat(60);
  const bounds = { maxAmount: 0n, maxPrompt: 5000, maxOutput: 10, asset: 0 } as const;
  const answer = await fixture.ask(
    { ...QUESTION, messages: [{ role: 'user', content }] },
    { bounds },
  );
  assert.equal(answer.status, 400);
  assert.equal(errorOf(answer).code, 'context_length_exceeded');
  assert.equal(answer.receipt?.receipt.outcome, 'error');
});

test('the amount on the receipt is the price of the usage', async () => {
  const paid = exchangeFixture({ engine, prices: TEST_PRICES });
  const bounds = { maxAmount: 10_000n, maxPrompt: 150, maxOutput: 100, asset: 0 } as const;
  const answer = await paid.ask(QUESTION, { bounds });
  const receipt = answer.receipt?.receipt;
  assert.ok(receipt !== undefined);
  assert.equal(receipt.amount, amountOf(TEST_PRICES, receipt.usage));
  assert.ok(receipt.amount > TEST_PRICES.base);
});

test('receipts chain, and each can be fetched by its msg_id', async () => {
  const chained = exchangeFixture({ engine });
  const sealed = chained.seal(QUESTION);
  const first = await chained.exchange(sealed);
  const second = await chained.ask({ model: MODEL_ID });
  assert.equal(first.receipt?.receipt.workerSeq, 1n);
  assert.equal(second.receipt?.receipt.workerSeq, 2n);
  assert.deepEqual(
    Buffer.from(first.receipt?.receipt.prevReceiptHash ?? []),
    Buffer.from(chained.worker.key.statementHash),
  );
  assert.deepEqual(
    Buffer.from(second.receipt?.receipt.prevReceiptHash ?? []),
    Buffer.from(first.receipt?.hash ?? []),
  );
  const stored = chained.deps.receipts.get(msgIdHex(sealed), chained.deps.clock());
  assert.deepEqual(Buffer.from(stored ?? []), Buffer.from(first.receipt?.payload ?? []));
  const later = chained.deps.clock() + 15 * 60_000 + 1000;
  assert.ok(chained.deps.receipts.get(msgIdHex(sealed), later) !== undefined);
  chained.deps.receipts.acknowledge(toHex(chained.worker.key.statementHash), 1n);
  assert.equal(chained.deps.receipts.get(msgIdHex(sealed), later), undefined);
});

test('a client that goes away stops the engine within a second and leaves a receipt', async () => {
  const own = exchangeFixture({ engine });
  const sealed = own.seal({
    ...QUESTION,
    messages: [{ role: 'user', content: 'Tell me a story.' }],
    stream: true,
  });
  const wire = openWire();
  let seen = 0;
  let goneAt = 0;
  const sink = {
    ...wire.sink,
    write: (bytes: Uint8Array): boolean => {
      if (++seen === 2) {
        goneAt = performance.now();
        wire.gone.abort();
      }
      return wire.sink.write(bytes);
    },
  };
  await own.exchange(sealed, { ...wire, sink });
  assert.ok(performance.now() - goneAt < 1000);
  assert.ok(own.deps.receipts.get(msgIdHex(sealed), own.deps.clock()) !== undefined);
  assert.equal(own.deps.load.active, 0);
  assert.ok(own.logLines.some((line) => line.includes('"outcome":"cancelled"')));
});

test('neither prompt nor answer is in what the worker logs', async () => {
  const canary = 'CANARY-7f3a';
  await fixture.ask({ ...QUESTION, messages: [{ role: 'user', content: `Repeat: ${canary}` }] });
  await fixture.ask({ ...QUESTION, [canary]: canary });
  await fixture.ask({ ...QUESTION, messages: [{ role: canary, content: canary }] });
  const lines = fixture.logLines.join('\n');
  assert.ok(lines.length > 0);
  assert.ok(!lines.includes(canary) && !lines.includes('attestation is'));
});
