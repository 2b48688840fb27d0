/**
 * The adapter against llama.cpp's own server, where the variable VEILGATE_TEST_LLAMA_SERVER names its binary; skipped without
 * it, because no package registry has one. @module
 */

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { processEnvironment } from '../../../core/node/config.ts';
import { DEMO_MODEL } from '../../../enclave-worker/demo-model/demo-model.ts';
import { startLlamaCpp } from '../../../enclave-worker/engines/llama-cpp/engine.ts';
import { startOpenAiUpstream } from '../../../enclave-worker/engines/openai-upstream/engine.ts';
import { UPSTREAM_CONFIG } from '../../../enclave-worker/engines/openai-upstream/config.ts';
import type { Engine } from '../../../enclave-worker/engine.ts';
import { generateJob, runJob } from '../../support/engine-jobs.ts';
import { exchangeFixture, jsonOf, MODEL_ID } from '../exchange-fixture.ts';

const binary = processEnvironment()['VEILGATE_TEST_LLAMA_SERVER'];
const skip = binary === undefined ? 'VEILGATE_TEST_LLAMA_SERVER is not set' : false;
const CONTEXT = 256;

let server: ChildProcess | undefined;
let engine: Engine;
let embedded: Engine;

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  assert.ok(typeof address === 'object' && address !== null);
  listener.close();
  return address.port;
}

before(async () => {
  if (binary === undefined) return;
  const port = await freePort();
  const where = ['--host', '127.0.0.1', '--port', `${port}`, '-m', DEMO_MODEL.path, '-a', 'demo'];
  const how = ['-t', '1', '-c', `${2 * CONTEXT}`, '-np', '2', '--no-webui', '--jinja'];
  server = spawn(binary, [...where, ...how], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  const config = UPSTREAM_CONFIG.parse({ kind: 'llama-cpp-server', url, model: 'demo' });
  engine = await startOpenAiUpstream({
    config,
    contextTokens: CONTEXT,
    slots: 2,
    serves: ['chat', 'completions'],
    assertWeights: () => Promise.resolve(),
    onState: () => undefined,
    onProblem: (problem) => assert.fail(problem),
  });
  embedded = await startLlamaCpp({
    modelPath: DEMO_MODEL.path,
    modelSha256Hex: Buffer.from(DEMO_MODEL.sha256).toString('hex'),
    contextTokens: CONTEXT,
    sequences: 1,
    threads: 1,
    gpu: false,
    environment: {},
  });
});
after(async () => {
  if (server === undefined) return;
  await engine.close();
  await embedded.close();
  server.kill();
});

test(
  'the same model says the same, and counts the same, as in the process of our own',
  { skip },
  async () => {
    for (const question of ['What is remote attestation?', 'Tell me a story.']) {
      const job = generateJob(question, { maxOutputTokens: 60 });
      const [one, other] = [await runJob(engine, job), await runJob(embedded, job)];
      assert.deepEqual(one.choices, other.choices);
      assert.equal(one.prompt, other.prompt);
      // The server counts the token that ends an answer too.
      const ends = one.choices[0]?.reason === 'stop' ? 1 : 0;
      assert.equal(one.completion, other.completion + ends);
    }
  },
);

test('several choices are counted together, and their tokens told', { skip }, async () => {
  const job = generateJob('Hello', { choices: 2, maxOutputTokens: 8, topLogprobs: 2 });
  const { choices, completion } = await runJob(engine, job);
  assert.equal(completion, 16);
  for (const { text, tokens } of choices) {
    assert.equal(Buffer.concat(tokens.map(({ bytes }) => bytes)).toString(), text);
  }
});

test('what is written under a grammar is of it', { skip }, async () => {
  const grammar = 'root ::= ("ab" | "ba"){3} "!"';
  const { choices } = await runJob(engine, generateJob('x', { grammar, temperature: 1, seed: 1 }));
  assert.match(choices[0]?.text ?? '', /^(ab|ba){3}!$/);
});

test('stop strings, text completions, and a prompt that is too long', { skip }, async () => {
  const stopped = await runJob(
    engine,
    generateJob('What is remote attestation?', { stop: ['way'] }),
  );
  assert.equal(stopped.choices[0]?.reason, 'stop');
  assert.ok(!(stopped.choices[0]?.text ?? '').includes('way'));
  const prompts = [{ kind: 'text' as const, text: 'One, two,' }];
  const text = generateJob('', { prompts, maxOutputTokens: 5 });
  assert.equal((await runJob(engine, text)).completion, 5);
  const long = generateJob('x '.repeat(400), { maxPromptTokens: 100 });
  await assert.rejects(runJob(engine, long), { code: 'engine.prompt_too_long' });
});

test('a sealed exchange in JSON by a schema', { skip }, async () => {
  const { ask } = exchangeFixture({ engine });
  const schema = {
    type: 'object',
    properties: { ok: { type: 'boolean' } },
    required: ['ok'],
    additionalProperties: false,
  };
  const answer = await ask({
    model: MODEL_ID,
    messages: [{ role: 'user', content: 'Say yes.' }],
    response_format: { type: 'json_schema', json_schema: { name: 'a', schema } },
  });
  assert.equal(answer.status, 200, answer.text);
  assert.match(JSON.stringify(jsonOf(answer.text)), /\{\\"ok\\":\s*(true|false)\s*\}/);
});
