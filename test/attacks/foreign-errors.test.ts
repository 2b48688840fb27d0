/** C8. Attack: gateway or worker sends what makes the client throw something that is not its own error. @module */

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { sealedFetch } from '../../client/index.ts';
import type { Fetch } from '../../client/fetch-bounded.ts';
import { DOCUMENT_TIMEOUT_MS } from '../../client/limits.ts';
import { JSON_ANSWER, memoryGateway, MODEL, PROMPT } from '../support/memory-gateway.ts';
import type { MemoryGateway } from '../support/memory-gateway.ts';

const URL_OF_CHAT = 'https://gateway.test/v1/chat/completions';
const BODY = JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: PROMPT }] });

function asked(
  gateway: MemoryGateway,
  fetch: Fetch = gateway.fetch,
  url = URL_OF_CHAT,
): Promise<Response> {
  const { policy, clock } = gateway;
  const sealed = sealedFetch({ fetch, policy, clock });
  return url === URL_OF_CHAT ? sealed(url, { method: 'POST', body: BODY }) : sealed(url);
}

/** Another body for one path. */
function answering(gateway: MemoryGateway, path: string, body: () => Response): Fetch {
  return (url, init) =>
    new URL(url).pathname === path ? Promise.resolve(body()) : gateway.fetch(url, init);
}

for (const status of [204, 205, 304]) {
  test(`a sealed ${status} is an answer without a body`, async () => {
    const gateway = await memoryGateway([{ answer: { ...JSON_ANSWER, status, pieces: [] } }]);
    const answer = await asked(gateway);
    assert.deepEqual([answer.status, await answer.text()], [status, '']);
  });
}

/** Two hundred thousand pieces of one byte each. */
function drip(): Response {
  let left = 200_000;
  const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    for (let i = 0; i < 1000; i++) controller.enqueue(Uint8Array.of(0x20));
    left -= 1000;
    if (left === 0) controller.close();
  };
  return new Response(new ReadableStream({ pull }));
}

for (const [what, body] of [
  ['no JSON', () => new Response('<html>')],
  ['one byte at a time', drip],
] as const) {
  test(`evidence that comes as ${what} is unreadable evidence`, async () => {
    const gateway = await memoryGateway();
    const answer = await asked(gateway, answering(gateway, '/v1/evidence', body));
    assert.deepEqual([answer.status, answer.headers.get('sx-error')], [502, 'client.evidence']);
  });
}

test('a gateway that hangs is one that cannot be reached', async () => {
  const timeout = AbortSignal.timeout.bind(AbortSignal);
  const timedOut = AbortSignal.abort(new DOMException('', 'TimeoutError'));
  mock.method(AbortSignal, 'timeout', (ms: number) =>
    ms === DOCUMENT_TIMEOUT_MS ? timedOut : timeout(ms),
  );
  const answer = await asked(await memoryGateway());
  mock.restoreAll();
  assert.equal(answer.headers.get('sx-error'), 'client.unreachable');
});

test('a path that percent-encodes nothing is refused', async () => {
  const gateway = await memoryGateway();
  const answer = await asked(gateway, gateway.fetch, 'https://gateway.test/v1/models/%zz');
  assert.deepEqual([answer.status, answer.headers.get('sx-error')], [404, 'client.path']);
});

test('a refusal that only a gateway can speak is marked as its word', async () => {
  const gateway = await memoryGateway();
  gateway.mischief.respond = () =>
    Response.json({ error: { message: '', code: 'sx.unsupported' } }, { status: 400 });
  const answer = await asked(gateway);
  assert.equal(answer.headers.get('sx-error-source'), 'gateway');
});
