/**
 * An unmodified EHBP client, OpenAI's SDK on top, a running gateway, a real worker; first of all the example of the
 * documentation. Spec: docs/ehbp.md.
 * @module
 */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { fixed, fromBase64, fromHex, toHex } from '../../core/bytes.ts';
import { openEhbp, wholeAnswers } from '../../client/index.ts';
import { parseReceiptUnverified } from '../../protocol/receipt.ts';
import { parsePaymentResponse } from '../../settlement/x402.ts';
import { jsonOf } from '../enclave-worker/exchange-fixture.ts';
import { ehbpKeyOf, ehbpOpenAi, transportOf } from '../support/ehbp.ts';
import { STACK_MODEL, startStack, type Stack } from '../support/stack.ts';
import { until } from '../support/until.ts';

const ASKED = {
  model: STACK_MODEL,
  messages: [{ role: 'user' as const, content: 'What is remote attestation?' }],
  max_tokens: 24,
  temperature: 0,
};

let stack: Stack;

before(async () => {
  stack = await startStack({
    workers: 2,
    gateway: { ehbp: 'serve' },
    workerConfig: () => ({ ehbp: 'offer' }),
  });
});
after(() => stack.close());

/** The code of the page as it stands there, with the names that a reader fills in. */
function exampleOf(page: string): string {
  const [, code] = /```ts\n([\s\S]*?)```/.exec(page) ?? [];
  assert.ok(code !== undefined, 'the page shows an example');
  const client = pathToFileURL('client/index.ts').href;
  const resolved = (name: string): string => import.meta.resolve(name);
  return [
    `const { baseUrl, apiKey, policy, model } = globalThis.ehbpExample;`,
    code
      .replace("'@veilgate/client'", `'${client}'`)
      .replace("'ehbp'", `'${resolved('ehbp')}'`)
      .replace("'openai'", `'${resolved('openai')}'`),
  ].join('\n');
}

test('the example of the page asks, and asks again when its key is gone', async (context) => {
  const file = join(stack.dataDir, 'example.ts');
  writeFileSync(file, exampleOf(readFileSync('docs/ehbp.md', 'utf8')));
  const given = { ...stack, policy: { root: stack.rootFile }, model: STACK_MODEL };
  Object.assign(globalThis, { ehbpExample: { ...given, baseUrl: stack.baseUrl } });
  context.after(() => Reflect.deleteProperty(globalThis, 'ehbpExample'));
  const example: unknown = await import(pathToFileURL(file).href);
  assert.ok(typeof example === 'object' && example !== null && 'ask' in example);
  const { ask } = example;
  assert.ok(typeof ask === 'function');
  assert.match(String(await ask('What is remote attestation?')), /\w+ \w+/);
  // The key that it holds goes out of service; another worker has one.
  const asked = stack.gateway.registry.all().find(({ load }) => load.lastChosen > 0);
  assert.ok(asked !== undefined);
  stack.gateway.registry.remove(asked.kid, 'key_gone');
  assert.match(String(await ask('What is remote attestation?')), /\w+ \w+/);
});

test('a whole answer, with its bill beside it', async () => {
  const client = await ehbpOpenAi(stack, ehbpKeyOf(stack));
  const { data: answer, response } = await client.chat.completions.create(ASKED).withResponse();
  assert.equal(answer.choices[0]?.finish_reason, 'length');
  assert.equal(answer.usage?.completion_tokens, 24);
  const { receipt } = parsePaymentResponse(response.headers.get('payment-response') ?? '');
  const { usage, kid, amount } = receipt.receipt;
  assert.deepEqual([usage.completion, toHex(kid)], [24, toHex(ehbpKeyOf(stack).kid)]);
  assert.ok(amount > 0n);
});

test('a stream, and its bill on request', async () => {
  const client = await ehbpOpenAi(stack, ehbpKeyOf(stack));
  const { data: stream, response } = await client.chat.completions
    .create({ ...ASKED, stream: true, stream_options: { include_usage: true } })
    .withResponse();
  let text = '';
  let tokens = 0;
  for await (const part of stream) {
    text += part.choices[0]?.delta.content ?? '';
    tokens = part.usage?.completion_tokens ?? tokens;
  }
  assert.match(text, /\w+ \w+ \w+/);
  assert.equal(tokens, 24);
  const id = response.headers.get('x-request-id') ?? '';
  const authorization = `Bearer ${stack.apiKey}`;
  const bill = await fetch(`${stack.baseUrl}/settlements/${id}`, { headers: { authorization } });
  const told = jsonOf(await bill.text());
  assert.ok(typeof told === 'object' && told !== null && 'state' in told && 'receipt' in told);
  assert.equal(told.state, 'settled');
  const { receipt } = parseReceiptUnverified(fromBase64(String(told.receipt)));
  assert.equal(receipt.usage.completion, 24);
});

test('embeddings, completions and Responses', async () => {
  const client = await ehbpOpenAi(stack, ehbpKeyOf(stack));
  const model = STACK_MODEL;
  const { data } = await client.embeddings.create({ model, input: ['one', 'two'] });
  assert.deepEqual([data.length, data[0]?.embedding.length], [2, data[1]?.embedding.length]);
  const { choices } = await client.completions.create({ model, prompt: 'The', max_tokens: 4 });
  assert.equal(choices.length, 1);
  const input = 'What is remote attestation?';
  const stream = client.responses.stream({ model, input, max_output_tokens: 16 });
  assert.equal((await stream.finalResponse()).status, 'incomplete');
  assert.equal((await client.models.list()).data[0]?.id, model);
});

test('bounds in headers are the worker’s too', async () => {
  const bounded = await ehbpOpenAi(stack, ehbpKeyOf(stack), { 'x-vg-max-output': '6' });
  const answer = await bounded.chat.completions.create(ASKED);
  assert.equal(answer.usage?.completion_tokens, 6);
  assert.equal(answer.choices[0]?.finish_reason, 'length');
  const none = { ...ASKED, n: 2 };
  const two = await ehbpOpenAi(stack, ehbpKeyOf(stack), { 'x-vg-max-output': '1' });
  await assert.rejects(two.chat.completions.create(none), { status: 400, param: 'n' });
});

test('errors are those of the worker, typed, and those of the gateway by their status', async () => {
  const client = await ehbpOpenAi(stack, ehbpKeyOf(stack));
  const wrong = { ...ASKED, temperature: 99 };
  await assert.rejects(client.chat.completions.create(wrong), {
    status: 400,
    code: 'invalid_value',
    param: 'temperature',
  });
  const other = { ...ASKED, model: 'other' };
  await assert.rejects(client.chat.completions.create(other), { code: 'model_not_found' });
  const stranger = client.withOptions({ apiKey: 'nobody' });
  await assert.rejects(stranger.chat.completions.create(ASKED), { status: 401 });
});

test('an app that leaves ends its answer, and the worker is paid for what there was', async () => {
  const client = await ehbpOpenAi(stack, ehbpKeyOf(stack));
  const { data: stream, response } = await client.chat.completions
    .create({ ...ASKED, max_tokens: 128, stream: true })
    .withResponse();
  for await (const part of stream) if ((part.choices[0]?.delta.content ?? '') !== '') break;
  const id = fixed(fromHex((response.headers.get('x-request-id') ?? '').slice('req_'.length)), 16);
  await until(async () => (await stack.gateway.ledger.findRequest(id))?.state === 'settled');
});

test('wholeAnswers lets whole ones through', async () => {
  const options = {
    baseUrl: stack.baseUrl,
    apiKey: stack.apiKey,
    policy: { root: stack.rootFile },
  };
  const workers = await openEhbp({ ...options, allowedKems: ['X25519'] });
  const [worker] = await workers.addresses(STACK_MODEL);
  assert.ok(worker !== undefined);
  assert.equal(worker.publicKeyHex, toHex(ehbpKeyOf(stack).publicKey));
  const plain = await ehbpOpenAi(stack, ehbpKeyOf(stack));
  const transport = await transportOf(stack.baseUrl, ehbpKeyOf(stack));
  const fetch = wholeAnswers((input, init) => transport.request(input, init));
  const client = plain.withOptions({ baseURL: worker.baseUrl, fetch });
  assert.equal((await client.chat.completions.create(ASKED)).choices.length, 1);
  const stream = await client.chat.completions.create({ ...ASKED, stream: true });
  let last: string | null | undefined;
  for await (const part of stream) last = part.choices[0]?.finish_reason;
  assert.equal(last, 'length');
  const input = 'What is remote attestation?';
  const spoken = client.responses.stream({ model: STACK_MODEL, input, max_output_tokens: 16 });
  assert.equal((await spoken.finalResponse()).status, 'incomplete');
  await workers.close();
});
