/** A recount sees each text of an answer once, whatever surface it comes in. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../core/bytes.ts';
import { Recount } from '../../client/pay/recount.ts';
import { visibleIn } from '../../client/pay/visible.ts';
import { FRONTS } from '../../protocol/fronts.ts';
import { sseEvent } from '../../protocol/openai/sse.ts';
import { typedEvents } from '../../protocol/typed-event.ts';
import { chunksOf, completionOf, decodedBy, eventsOf } from '../support/chat-front.ts';

const BODIES: Readonly<Record<string, object>> = {
  '/v1/responses': { model: 'm', input: 'x' },
  '/v1/messages': { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'x' }] },
};
const SCRIPT = {
  text: 'héllo',
  calls: [
    { id: 'a', name: 'add', arguments: '{"a":1}' },
    { id: 'b', name: 'sub', arguments: '{"b":2}' },
  ],
};

function counted(type: string, bytes: Uint8Array): number {
  const recount = new Recount({ body: utf8('{}'), choices: 1 });
  recount.head(type);
  recount.push(bytes);
  return recount.bounds().completion;
}

const WHOLE = counted('application/json', utf8(JSON.stringify(completionOf(SCRIPT))));

test('a chat stream counts as the whole answer does', () => {
  const bytes = chunksOf(SCRIPT).map((chunk) => sseEvent(chunk));
  assert.equal(counted('text/event-stream', Buffer.concat(bytes)), WHOLE);
});

for (const front of FRONTS) {
  test(`an answer of ${front.path} counts what the chat answer in it counts`, () => {
    const request = decodedBy(front, BODIES[front.path]);
    const whole = utf8(JSON.stringify(request.whole(completionOf(SCRIPT))));
    const count = counted('application/json', whole);
    // Anthropic's form has the arguments read, and not as the model wrote them.
    if (front.path === '/v1/messages') assert.ok(count >= WHOLE && count <= 2 * WHOLE);
    else assert.equal(count, WHOLE);
    const stream = typedEvents(eventsOf(request, chunksOf(SCRIPT)));
    assert.equal(counted('text/event-stream', stream), WHOLE);
  });
}

test('arguments that the answer has read count as long as the model may have written them', () => {
  const written = String.raw`{ "name": "\u00e9\u65e5\u672c", "list": [ 1, 2, 3 ] }`;
  const script = { text: '', calls: [{ id: 'a', name: 'add', arguments: written }] };
  const [front] = FRONTS.filter(({ path }) => path === '/v1/messages');
  assert.ok(front !== undefined);
  const message = decodedBy(front, BODIES[front.path]).whole(completionOf(script));
  const recount = new Recount({ body: utf8('{}'), choices: 1, countTokens: (text) => text.length });
  recount.head('application/json');
  recount.push(utf8(JSON.stringify(message)));
  const raw = counted('application/json', utf8(JSON.stringify(completionOf(script))));
  assert.ok(recount.bounds().completion >= raw);
});

test('the text of a text completion is seen', () => {
  assert.deepEqual(visibleIn({ choices: [{ index: 1, text: 'abc' }] }), [
    { choice: 1, texts: ['abc'], calls: 0 },
  ]);
});

test('what has no known form is not said to be empty', () => {
  for (const strange of [7, null, {}, { type: 'response.strange', delta: 'x' }, { data: [] }]) {
    assert.equal(visibleIn(strange), undefined);
  }
});
