/**
 * A gateway cuts, forges or repeats a stream on its way through the local proxy: every SDK and every plain HTTP client sees
 * that this was not all, by an error event and by a connection that ends without its last chunk. @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { APIError } from 'openai';
import { z } from 'zod';
import { memoryGateway, MODEL, STREAM_ANSWER, type Mischief } from '../support/memory-gateway.ts';
import { CHAT, memoryProxy } from '../support/proxy-lab.ts';

const MESSAGES = [{ role: 'user' as const, content: 'x' }];
const BODY = JSON.stringify({ model: MODEL, messages: MESSAGES, stream: true });

const ERROR = z.object({ error: z.object({ code: z.string() }).loose() });

type Tamper = NonNullable<Mischief['answer']>;

function flipped(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1;
  return copy;
}

const TAMPERS: readonly (readonly [how: string, tamper: Tamper])[] = [
  ['cut after the head and a piece', (pieces) => pieces.slice(0, 3)],
  ['cut before the end', (pieces) => pieces.slice(0, -1)],
  ['cut inside a frame', (pieces) => [...pieces.slice(0, 3), (pieces[3] ?? NONE).slice(0, 9)]],
  ['one bit of a late piece flipped', (pieces) => pieces.map((p, i) => (i === 3 ? flipped(p) : p))],
  ['a piece twice', (pieces) => [...pieces.slice(0, 3), ...pieces.slice(2)]],
  [
    'two pieces exchanged',
    ([a, b, c, d, ...rest]) => [a ?? NONE, b ?? NONE, d ?? NONE, c ?? NONE, ...rest],
  ],
];
const NONE = new Uint8Array(0);

for (const [how, tamper] of TAMPERS) {
  test(`OpenAI's client sees an error and no end: ${how}`, async (context) => {
    const gateway = await memoryGateway([{ answer: STREAM_ANSWER }]);
    const lab = await memoryProxy(context, gateway);
    gateway.mischief.answer = tamper;
    await assert.rejects(async () => {
      const stream = await lab.sdk.chat.completions.create({
        model: MODEL,
        messages: MESSAGES,
        stream: true,
      });
      for await (const part of stream) assert.ok(part.choices.length <= 1);
    }, APIError);
  });

  test(`a plain HTTP client sees no last chunk and no [DONE]: ${how}`, async (context) => {
    const gateway = await memoryGateway([{ answer: STREAM_ANSWER }]);
    const lab = await memoryProxy(context, gateway);
    gateway.mischief.answer = tamper;
    const { status, text, complete } = await lab.ask(CHAT, { method: 'POST', body: BODY });
    assert.ok(!text.includes('[DONE]'));
    if (status === 200) {
      assert.equal(complete, false);
      assert.ok(text.endsWith('\n\n'));
      const last = text.trimEnd().split('\n\n').at(-1) ?? '';
      const { error } = ERROR.parse(JSON.parse(last.replace(/^data: /, '')));
      assert.equal(error.code, 'answer_broken');
    } else assert.equal(status, 502);
    const ended = lab.events.flatMap((event) => (event.kind === 'ended' ? [event.request] : []));
    assert.deepEqual(
      ended.map(({ outcome }) => outcome),
      ['failed'],
    );
    assert.equal(lab.activity.counts.answered, 0);
  });
}

test('a whole answer that was cut is an error with a status, and none of it arrives', async (context) => {
  const gateway = await memoryGateway();
  const lab = await memoryProxy(context, gateway);
  gateway.mischief.answer = (pieces) => pieces.slice(0, -1);
  const body = JSON.stringify({ model: MODEL, messages: MESSAGES });
  const { status, text, complete, headers } = await lab.ask(CHAT, { method: 'POST', body });
  assert.deepEqual([status, complete], [502, true]);
  assert.match(text, /answer_broken/);
  assert.ok(!text.includes('whole answer'));
  assert.equal(headers['x-should-retry'], 'false');
});

test('the untouched stream ends with [DONE] and its last chunk', async (context) => {
  const gateway = await memoryGateway([{ answer: STREAM_ANSWER }]);
  const lab = await memoryProxy(context, gateway);
  const { status, text, complete, headers } = await lab.ask(CHAT, { method: 'POST', body: BODY });
  assert.deepEqual([status, complete], [200, true]);
  assert.equal(text, STREAM_ANSWER.pieces.join(''));
  assert.equal(headers['sx-privacy'], 'end-to-end');
  assert.equal(headers['x-accel-buffering'], 'no');
  assert.equal(headers['content-encoding'], undefined);
});

test('an answer that is not sealed never reaches the program', async (context) => {
  const gateway = await memoryGateway();
  const lab = await memoryProxy(context, gateway);
  gateway.mischief.respond = () => Response.json({ choices: [{ message: { content: 'forged' } }] });
  const body = JSON.stringify({ model: MODEL, messages: MESSAGES });
  const { status, text, headers } = await lab.ask(CHAT, { method: 'POST', body });
  assert.equal(status, 502);
  assert.ok(!text.includes('forged'));
  assert.equal(headers['sx-error'], 'client.not_sealed');
});
