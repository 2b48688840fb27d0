/** What `wholeAnswers` takes for whole, and by what it judges. Spec: docs/ehbp.md "What is not promised". @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { wholeAnswers } from '../../client/index.ts';

const ADDRESS = `https://gateway.test/e/${'0'.repeat(32)}/v1/chat/completions`;
const MESSAGES = '"messages":[{"role":"user","content":"hi"}]';
const STREAM = `{"model":"m","stream":true,${MESSAGES}}`;
const WHOLE = `{"model":"m",${MESSAGES}}`;

async function refusesAsync(work: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(work, { code });
}

/** The answer in these pieces, to whatever was asked. */
async function read(
  asked: string,
  pieces: readonly string[],
  init: ResponseInit = {},
  url = ADDRESS,
): Promise<string> {
  const fetch = wholeAnswers(async () => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        for (const piece of pieces) controller.enqueue(Buffer.from(piece));
        controller.close();
      },
    });
    return await Promise.resolve(new Response(body, init));
  });
  return (await fetch(url, { method: 'POST', body: asked })).text();
}

test('a stream is whole with its mark, in whatever pieces', async () => {
  const text = 'data: {"a":1}\n\ndata: [DONE]\n\n';
  for (const pieces of [[text], text.split(''), ['data: {"a":1}\n\nda', 'ta: [DO', 'NE]\n\n']]) {
    assert.equal(await read(STREAM, pieces), text);
  }
  const url = ADDRESS.replace('chat/completions', 'responses');
  const last = 'event: response.completed\ndata: {}\n\n';
  assert.equal(await read('{"model":"m","stream":true,"input":"x"}', [last], {}, url), last);
});

test('without it it is an error, whatever the headers say', async () => {
  for (const type of ['text/event-stream', 'application/json', 'text/plain']) {
    const headers = { 'content-type': type };
    for (const cut of [[], ['data: {"a":1}\n\n'], ['data: {"text":"data: [DONE]"}\n\n']]) {
      await refusesAsync(read(STREAM, cut, { headers }), 'sx.truncated');
    }
  }
});

test('a stream is not whole before its last event is', async () => {
  const url = ADDRESS.replace('chat/completions', 'responses');
  const asked = '{"model":"m","stream":true,"input":"x"}';
  // With all of an answer in it, it may take several chunks.
  const pieces = ['event: response.completed\ndata: {"response":{"a":', '"b"}}\n', '\n', ':  \n'];
  assert.equal(await read(asked, pieces, {}, url), pieces.join(''));
  for (const kept of [1, 2]) {
    await refusesAsync(read(asked, pieces.slice(0, kept), {}, url), 'sx.truncated');
  }
});

test('a status that has no body is no answer', async () => {
  for (const status of [204, 205]) {
    const fetch = wholeAnswers(() => Promise.resolve(new Response(null, { status })));
    for (const body of [STREAM, WHOLE]) {
      await refusesAsync(fetch(ADDRESS, { method: 'POST', body }), 'sx.truncated');
    }
    const models = await fetch('https://gateway.test/v1/models');
    assert.equal(models.status, status);
  }
});

test('an answer in one piece must not be nothing', async () => {
  assert.equal(await read(WHOLE, ['{}']), '{}');
  await refusesAsync(read(WHOLE, [], { headers: { 'content-length': '0' } }), 'sx.truncated');
  const text = wholeAnswers(() =>
    Promise.resolve(new Response('{}', { headers: { 'content-length': '0' } })),
  );
  const response = await text(ADDRESS, { method: 'POST', body: WHOLE });
  assert.equal(response.headers.get('content-length'), null);
});

test('half an object is an error of whoever parses it, whatever the headers call it', async () => {
  const headers = { 'content-type': 'text/plain' };
  const half = (): Promise<Response> => Promise.resolve(new Response('{"choices":[', { headers }));
  const ask = (fetch: typeof globalThis.fetch): Promise<unknown> =>
    new OpenAI({
      baseURL: ADDRESS.replace('/chat/completions', ''),
      apiKey: 'k',
      maxRetries: 0,
      fetch,
    }).chat.completions.create({ model: 'm', messages: [{ role: 'user', content: 'hi' }] });
  await assert.rejects(ask(wholeAnswers(half)), SyntaxError);
  // Without it the SDK is content.
  assert.equal(await ask(half), '{"choices":[');
});

test('errors, and what was asked without a body, pass as they are', async () => {
  assert.equal(await read(STREAM, ['no'], { status: 429 }), 'no');
  assert.equal(await read(STREAM, [], { status: 503 }), '');
  const fetch = wholeAnswers(() => Promise.resolve(new Response('')));
  assert.equal(await (await fetch('https://gateway.test/v1/models')).text(), '');
});

test('a request that is no JSON is the worker’s to refuse', async () => {
  assert.equal(await read('{', ['{}']), '{}');
});

test('what cannot be judged is not sent', async () => {
  const fetch = wholeAnswers(() => assert.fail('sent'));
  const body = new Uint8Array([1]);
  await refusesAsync(fetch(ADDRESS, { method: 'POST', body }), 'client.request');
  const request = new Request(ADDRESS, { method: 'POST', body: WHOLE });
  await refusesAsync(fetch(request), 'client.request');
  const elsewhere = 'https://gateway.test/v1/files';
  await refusesAsync(fetch(elsewhere, { method: 'POST', body: WHOLE }), 'client.request');
});
