/**
 * Attack: a gateway serves whole answers and signs for more than they cost, counting on apps that stop reading at the end of
 * a stream. The end stays away from them until the line was looked at, on every surface. Spec: P§9.5; overview "One receipt".
 * @module
 */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { fromUtf8, utf8 } from '../../core/bytes.ts';
import { sealedFetch } from '../../client/index.ts';
import { amount } from '../../settlement/money.ts';
import { MODEL, STREAM_ANSWER } from '../support/memory-gateway.ts';
import {
  channelParts,
  COST,
  paidGateway,
  TestMemory,
  type PaidGateway,
} from '../support/paying.ts';
import { memoryProxy } from '../support/proxy-lab.ts';
import { scriptedPieces } from '../support/scripted-answers.ts';
import { SDK_READERS, type SdkReader, type SdkSeen } from '../support/sdk-readers.ts';

const PATHS = {
  chat: '/v1/chat/completions',
  responses: '/v1/responses',
  messages: '/v1/messages',
} as const;

const ASKED = {
  chat: {},
  responses: { model: MODEL, input: 'x', stream: true },
  messages: {
    model: MODEL,
    max_tokens: 16,
    messages: [{ role: 'user', content: 'x' }],
    stream: true,
  },
} as const;

/** One that bills an API key, its worker ready for what this SDK asks. */
function billing(context: TestContext, { surface, mode }: SdkReader): Promise<PaidGateway> {
  const body = utf8(JSON.stringify(ASKED[surface]));
  const streams = mode === 'stream';
  const pieces = scriptedPieces(PATHS[surface], body, streams).map((piece) => fromUtf8(piece));
  const type = streams ? STREAM_ANSWER.type : 'application/json';
  return paidGateway(context, { answer: { status: 200, type, pieces } });
}

function overcharge({ books }: PaidGateway): void {
  books.mischief.line = (line) => ({ ...line, amount: amount(COST + 1n), cum: amount(COST + 1n) });
}

const NOT_STARTED = ['openai, chat', 'anthropic'];

for (const reader of SDK_READERS) {
  const ask = ({ fetch, policy, clock }: PaidGateway): Promise<SdkSeen> =>
    reader.read({
      baseUrl: 'https://gateway.test/v1',
      apiKey: 'vg_key',
      model: MODEL,
      fetch: sealedFetch({ fetch, policy, clock }),
    });

  test(`a line that holds ends the answer: ${reader.name}`, async (context) => {
    const seen = await ask(await billing(context, reader));
    assert.equal(seen.outcome, 'whole', seen.outcome === 'error' ? seen.reason : '');
    assert.equal(seen.text, 'a whole answer');
  });

  test(`a line that charges more than the receipt is an error: ${reader.name}`, async (context) => {
    const gateway = await billing(context, reader);
    overcharge(gateway);
    const seen = await ask(gateway);
    assert.equal(seen.outcome, 'error', 'taken for whole');
    if (NOT_STARTED.includes(reader.name)) assert.equal(seen.text, '');
  });
}

test('through the local proxy it is an error too, and the end never comes', async (context) => {
  const gateway = await paidGateway(context, { answer: STREAM_ANSWER });
  overcharge(gateway);
  const lab = await memoryProxy(context, gateway, { apiKey: 'vg_key' });
  const body = JSON.stringify({ model: MODEL, messages: [], stream: true });
  const { text, complete } = await lab.ask(PATHS.chat, { method: 'POST', body });
  assert.ok(!text.includes('[DONE]'));
  assert.equal(complete, false);
  assert.match(text, /whole/);
});

test('an answer whose line nobody vouches for is an error, and none that an SDK repeats', async (context) => {
  const gateway = await paidGateway(context);
  const { policy, clock, fetch } = gateway;
  let lost = false;
  const sealed = sealedFetch({
    policy,
    clock,
    fetch: async (url, init) => {
      const isDocument = url.endsWith('/v1/gateway');
      if (isDocument && lost) throw new TypeError('fetch failed');
      const response = await fetch(url, init);
      if (!isDocument) {
        // The document that was shown before ends while the answer is on its way.
        lost = url.endsWith('/sx/v1/exchange');
        if (lost) gateway.advance(3_600_001);
      }
      return response;
    },
  });
  const answer = await sealed('https://gateway.test/v1/chat/completions', {
    method: 'POST',
    headers: { authorization: 'Bearer vg_key' },
    body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'x' }] }),
  });
  assert.equal(answer.headers.get('sx-error'), 'client.ledger_line');
  assert.equal(answer.headers.get('x-should-retry'), 'false');
  assert.doesNotMatch(await answer.text(), /whole answer/);
});

test('where a channel pays the answer is given out, and the app heard of the bill before its end', async (context) => {
  const gateway = await paidGateway(context, { answer: STREAM_ANSWER });
  overcharge(gateway);
  const { policy, clock, fetch } = gateway;
  const told: string[] = [];
  const sealed = sealedFetch({
    policy,
    clock,
    fetch,
    pay: {
      ...channelParts(gateway, new TestMemory()),
      onFault: ({ faults }) => void told.push(...faults),
    },
  });
  const answer = await sealed('https://gateway.test/v1/chat/completions', {
    method: 'POST',
    body: JSON.stringify({
      model: MODEL,
      messages: [{ role: 'user', content: 'x' }],
      stream: true,
    }),
  });
  const reader = answer.body?.getReader();
  assert.ok(reader);
  for (let text = ''; !text.includes('[DONE]');) {
    const { value, done } = await reader.read();
    assert.ok(!done, 'ended without its end');
    text += fromUtf8(value);
    if (text.includes('[DONE]')) assert.deepEqual(told, ['amount']);
  }
});
