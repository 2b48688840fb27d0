/** Calls of tools on Responses and Messages, with the vendors' own clients against a worker and a real engine. @module */

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { z } from 'zod';
import { sha256 } from '#primitives';
import { toHex, utf8 } from '../../core/bytes.ts';
import type { Engine } from '../../enclave-worker/engine.ts';
import { startLlamaCpp } from '../../enclave-worker/engines/llama-cpp/engine.ts';
import { encodeGguf, TINY_SHAPE, tinyModel } from '../support/gguf.ts';
import { exchangeFixture, MODEL_ID } from './exchange-fixture.ts';

const CONTEXT = 4096;
const LIMITS = { maxPromptTokens: 3000, maxOutputTokens: 600, maxConcurrent: 2 };
const BOUNDS = { maxAmount: 0n, maxPrompt: 3000, maxOutput: 600, asset: 0 } as const;

/** Random weights: what it says under a grammar is of the grammar's form, and nothing else about it can be foreseen. */
let engine: Engine;
let dir = '';

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'veilgate-surface-tools-test-'));
  const bytes = encodeGguf(tinyModel({ ...TINY_SHAPE, contextLength: CONTEXT }));
  const modelPath = join(dir, 'tiny.gguf');
  await writeFile(modelPath, bytes);
  engine = await startLlamaCpp({
    modelPath,
    modelSha256Hex: toHex(sha256(bytes)),
    contextTokens: CONTEXT,
    sequences: 2,
    threads: 1,
    gpu: false,
    environment: {},
    copyRoot: dir,
  });
});

after(async () => {
  await engine.close();
  await rm(dir, { recursive: true, force: true });
});

/** Seals what an SDK sends to the worker at once. */
function sealing(): typeof globalThis.fetch {
  const fixture = exchangeFixture({ engine, limits: LIMITS });
  return async (url, init) => {
    const path = new URL(z.string().parse(url)).pathname;
    const body = utf8(z.string().parse(init?.body));
    const request = { path, headers: [['content-type', 'application/json']] as const, body };
    const { status, headers, text } = await fixture.ask({}, { bounds: BOUNDS, request });
    return new Response(text, { status, headers: Object.fromEntries(headers) });
  };
}

const COMMON = { apiKey: 'none', maxRetries: 0 };
const SCHEMA = {
  type: 'object' as const,
  properties: { city: { enum: ['Rome', 'Oslo'] } },
  required: ['city'],
  additionalProperties: false,
};
const ARGUMENTS = z.strictObject({ city: z.enum(['Rome', 'Oslo']) });
const TEXT = 'How is the weather?';

test('a call comes on a response, whole and streamed, and its result goes back', async () => {
  const client = new OpenAI({ ...COMMON, baseURL: 'http://worker.invalid/v1', fetch: sealing() });
  const asked = {
    model: MODEL_ID,
    input: TEXT,
    tools: [{ type: 'function' as const, name: 'weather', parameters: SCHEMA, strict: true }],
    tool_choice: { type: 'function' as const, name: 'weather' },
    parallel_tool_calls: false,
  };
  for (const response of [
    await client.responses.create(asked),
    await client.responses.stream(asked).finalResponse(),
  ]) {
    const [call, ...more] = response.output;
    assert.ok(call?.type === 'function_call');
    assert.deepEqual([call.name, call.status, more], ['weather', 'completed', []]);
    ARGUMENTS.parse(JSON.parse(call.arguments));
    assert.equal(response.status, 'completed');
    const { status } = await client.responses.create({
      ...asked,
      tool_choice: 'none',
      max_output_tokens: 4,
      input: [
        { role: 'user', content: TEXT },
        call,
        { type: 'function_call_output', call_id: call.call_id, output: '21' },
      ],
    });
    assert.ok(status === 'completed' || status === 'incomplete');
  }
});

test('a call comes in a message, whole and streamed, and its result goes back', async () => {
  const client = new Anthropic({ ...COMMON, baseURL: 'http://worker.invalid', fetch: sealing() });
  const asked = {
    model: MODEL_ID,
    max_tokens: 200,
    messages: [{ role: 'user' as const, content: TEXT }],
    tools: [{ name: 'weather', input_schema: SCHEMA }],
    tool_choice: { type: 'tool' as const, name: 'weather', disable_parallel_tool_use: true },
  };
  for (const message of [
    await client.messages.create(asked),
    await client.messages.stream(asked).finalMessage(),
  ]) {
    const [call, ...more] = message.content;
    assert.ok(call?.type === 'tool_use');
    assert.deepEqual([call.name, more], ['weather', []]);
    ARGUMENTS.parse(call.input);
    assert.equal(message.stop_reason, 'tool_use');
    const then = await client.messages.create({
      ...asked,
      max_tokens: 4,
      tool_choice: { type: 'none' },
      messages: [
        ...asked.messages,
        { role: 'assistant', content: message.content },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: '21' }] },
      ],
    });
    assert.notEqual(then.stop_reason, 'tool_use');
  }
});

test('several calls at once are several blocks, each with an input of its schema', async () => {
  const client = new Anthropic({ ...COMMON, baseURL: 'http://worker.invalid', fetch: sealing() });
  const message = await client.messages.create({
    model: MODEL_ID,
    max_tokens: 600,
    messages: [{ role: 'user', content: TEXT }],
    tools: [{ name: 'weather', input_schema: SCHEMA }],
    tool_choice: { type: 'any' },
  });
  assert.ok(message.content.length > 0);
  for (const block of message.content) {
    assert.ok(block.type === 'tool_use');
    ARGUMENTS.parse(block.input);
  }
});
