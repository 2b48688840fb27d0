/**
 * A program of this machine, or one that got the token, tries to fill the local proxy: bodies that are too large or never
 * end, headers that trickle, more requests than it takes, answers that nobody reads. @module
 */

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import { BODY_BYTES_IN_FLIGHT_MAX } from '../../cli/proxy/limits.ts';
import { REQUEST_BODY_MAX_BYTES } from '../../client/limits.ts';
import { memoryGateway, MODEL, STREAM_ANSWER } from '../support/memory-gateway.ts';
import { CHAT, memoryProxy, rawPost } from '../support/proxy-lab.ts';
import { until } from '../support/until.ts';

const MESSAGES = [{ role: 'user' as const, content: 'x' }];
/** Nothing has moved when so many looks in a row saw the same. */
const STILL_LOOKS = 20;
const BODY = JSON.stringify({ model: MODEL, messages: MESSAGES });

test('a body that is too large is a 413, by what it announces and by what it sends', async (context) => {
  const gateway = await memoryGateway();
  const lab = await memoryProxy(context, gateway);
  const announced = await lab.raw(
    rawPost(lab, '', `content-length: ${REQUEST_BODY_MAX_BYTES + 1}`),
  );
  assert.match(announced, /^HTTP\/1\.1 413 [\s\S]*request_too_large/);
  const body = JSON.stringify({ pad: 'x'.repeat(REQUEST_BODY_MAX_BYTES) });
  for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
    const { status, text } = await lab.ask(CHAT, { method: 'POST', body, headers });
    assert.equal(status, 413);
    assert.match(text, /request_too_large/);
  }
  assert.ok(!gateway.asked.includes('/sx/v1/exchange'));
});

test('headers and bodies that trickle are cut', async (context) => {
  const listenerLimits = { headersTimeoutMs: 100, requestTimeoutMs: 200 };
  const lab = await memoryProxy(context, await memoryGateway(), {}, { listenerLimits });
  const headers = await lab.raw('GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n');
  assert.match(headers, /^HTTP\/1\.1 4\d\d /);
  const body = await lab.raw(rawPost(lab, '{"a', 'content-length: 100'));
  assert.doesNotMatch(body, /^HTTP\/1\.1 2/);
});

test('headers that are too long are refused', async (context) => {
  const lab = await memoryProxy(context, await memoryGateway());
  const text = await lab.raw(`GET /healthz HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`);
  assert.match(text, /^HTTP\/1\.1 4\d\d /);
});

test('what is no JSON, compressed, or no object is refused here', async (context) => {
  const gateway = await memoryGateway();
  const lab = await memoryProxy(context, gateway);
  const post = (headers: Readonly<Record<string, string>>, body = BODY) =>
    lab.ask(CHAT, { method: 'POST', body, headers });
  assert.equal((await post({ 'content-type': 'text/plain' })).status, 415);
  assert.equal((await post({ 'content-encoding': 'gzip' })).status, 415);
  for (const body of ['', '{', '[]', '"x"', '{"model":7}', '{"stream":"yes","model":"m"}']) {
    const { status } = await post({}, body);
    assert.equal(status, 400, body);
  }
  assert.ok(!gateway.asked.includes('/sx/v1/exchange'));
});

test('more requests than it takes at once are told to come back, and SDKs do', async (context) => {
  const lab = await memoryProxy(context, await memoryGateway(), { concurrency: 1 });
  // Its body never comes, so it stays.
  const holder = connect(lab.port, '127.0.0.1');
  holder.on('error', () => undefined);
  holder.write(rawPost(lab, '{', 'content-length: 50'));
  await until(() => lab.activity.running.length === 1);
  const { status, headers } = await lab.ask(CHAT, { method: 'POST', body: BODY });
  assert.equal(status, 429);
  assert.ok(Number(headers['retry-after-ms']) > 0);
  const patient = lab.sdk.withOptions({ maxRetries: 3 });
  const asked = patient.chat.completions.create({ model: MODEL, messages: MESSAGES });
  holder.destroy();
  const answer = await asked;
  assert.equal(answer.choices[0]?.message.content, 'whole answer');
});

test('bodies that are announced and do not come take their room and no more', async (context) => {
  const lab = await memoryProxy(context, await memoryGateway());
  const fit = Math.floor(BODY_BYTES_IN_FLIGHT_MAX / REQUEST_BODY_MAX_BYTES);
  const announce = rawPost(lab, '{', `content-length: ${REQUEST_BODY_MAX_BYTES}`);
  const holders = Array.from({ length: fit }, () => {
    const socket = connect(lab.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(announce);
    return socket;
  });
  await until(() => lab.activity.running.length === fit);
  assert.match(
    await lab.raw(announce),
    /^HTTP\/1\.1 429 [\s\S]*The bodies of the running requests/,
  );
  assert.equal((await lab.ask(CHAT, { method: 'POST', body: BODY })).status, 200);
  for (const holder of holders) holder.destroy();
  await until(() => lab.activity.running.length === 0);
  const large = JSON.stringify({ model: MODEL, messages: MESSAGES, pad: 'x'.repeat(7_000_000) });
  assert.equal((await lab.ask(CHAT, { method: 'POST', body: large })).status, 200);
});

test('a reader that does not read holds the worker up, not the memory', async (context) => {
  const pieces = STREAM_ANSWER.pieces;
  const big = `: ${'x'.repeat(60_000)}\n\n`;
  const count = 400;
  const answer = {
    ...STREAM_ANSWER,
    pieces: [
      ...pieces.slice(0, 2),
      ...Array.from({ length: count }, () => big),
      ...pieces.slice(2),
    ],
  };
  const gateway = await memoryGateway([{ answer }]);
  // One piece at a time, as it is asked for: how many were, says how far ahead anybody read.
  let pulled = 0;
  const fetch: typeof gateway.fetch = async (url, init) => {
    const response = await gateway.fetch(url, init);
    if (!url.endsWith('/sx/v1/exchange')) return response;
    const bytes = new Uint8Array(await response.arrayBuffer());
    const stream = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        const at = pulled * 60_000;
        if (at >= bytes.length) controller.close();
        else controller.enqueue(bytes.slice(at, at + 60_000));
        pulled++;
      },
    });
    return new Response(stream, { status: response.status, headers: response.headers });
  };
  const lab = await memoryProxy(context, gateway, {}, { fetch });
  const socket = connect(lab.port, '127.0.0.1');
  socket.pause();
  const body = JSON.stringify({ model: MODEL, messages: MESSAGES, stream: true });
  socket.write(rawPost(lab, body, `content-length: ${body.length}`, 'connection: close'));
  let [before, still] = [0, 0];
  await until(() => {
    still = pulled > 0 && pulled === before ? still + 1 : 0;
    before = pulled;
    return still === STILL_LOOKS;
  });
  assert.ok(pulled < count / 2, `${pulled} of ${count}`);
  let size = 0;
  socket.on('data', (bytes: Uint8Array) => (size += bytes.length));
  socket.resume();
  await once(socket, 'close');
  assert.ok(size > count * 60_000);
  assert.equal(lab.activity.counts.answered, 1);
});

test('a reader that never reads is cut after its time, and the worker stops', async (context) => {
  const answer = { ...STREAM_ANSWER, pieces: [`: ${'x'.repeat(9_000_000)}\n\n`] };
  const gateway = await memoryGateway([{ answer }]);
  const timeouts = { lookMs: 1000, slowReaderMs: 100 };
  const lab = await memoryProxy(context, gateway, {}, { timeouts });
  const socket = connect(lab.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.pause();
  const body = JSON.stringify({ model: MODEL, messages: MESSAGES, stream: true });
  socket.write(rawPost(lab, body, `content-length: ${body.length}`));
  await until(() => lab.activity.ended.length === 1);
  assert.equal(lab.activity.ended[0]?.outcome, 'left');
  socket.destroy();
});

test('a gateway that hangs does not hold a list of models for ever', async (context) => {
  const gateway = await memoryGateway();
  const timeouts = { lookMs: 100, slowReaderMs: 1000 };
  const fetch: typeof gateway.fetch = async (_, { signal }) => {
    const { promise, reject } = Promise.withResolvers<Response>();
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    return await promise;
  };
  const lab = await memoryProxy(context, gateway, {}, { fetch, timeouts });
  const { status, text } = await lab.ask('/v1/models');
  assert.equal(status, 504);
  assert.match(text, /"code":"timeout"/);
});
