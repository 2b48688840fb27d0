/** C6. Attack: whoever sits between app and gateway cuts the connection or repeats a request. Real gateway, real worker. @module */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { z } from 'zod';
import { sealedFetch } from '../../client/index.ts';
import { createApiKey } from '../../gateway/accounts.ts';
import { askWith, assertError, MODES } from '../support/hostile.ts';
import { startStack, STACK_MODEL, type Stack } from '../support/stack.ts';

const EXCHANGE = '/sx/v1/exchange';

let stack: Stack;
let proxyUrl: string;
/** So many bytes at the end of an answer are kept back, and the connection is reset instead; 0 lets it pass. */
let withheldBytes = 0;
let lastRequest: Buffer = Buffer.alloc(0);

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of message) chunks.push(z.instanceof(Uint8Array).parse(chunk));
  return Buffer.concat(chunks);
}

async function relay(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await bodyOf(request);
  const { pathname } = new URL(request.url ?? '/', stack.baseUrl);
  if (pathname === EXCHANGE) lastRequest = body;
  const forward = httpRequest(new URL(request.url ?? '/', stack.baseUrl), {
    method: request.method,
    headers: { ...request.headers, 'content-length': body.length },
  });
  forward.end(body);
  const [answer]: unknown[] = await once(forward, 'response');
  const upstream = z.custom<IncomingMessage>().parse(answer);
  response.writeHead(upstream.statusCode ?? 500, upstream.headers);
  if (pathname !== EXCHANGE) {
    response.end(await bodyOf(upstream));
    return;
  }
  let held: Buffer = Buffer.alloc(0);
  upstream.on('data', (chunk: Uint8Array) => {
    held = Buffer.concat([held, chunk]);
    const free = Math.max(0, held.length - withheldBytes);
    response.write(held.subarray(0, free));
    held = held.subarray(free);
  });
  upstream.on('end', () => {
    if (withheldBytes === 0) response.end();
    // Behind everything that was let through.
    else response.write('', () => response.destroy());
  });
}

const proxy = createServer((request, response) => void relay(request, response));

before(async () => {
  stack = await startStack();
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const { port } = z.object({ port: z.number() }).parse(proxy.address());
  proxyUrl = `http://127.0.0.1:${port}/v1`;
});
after(async () => {
  proxy.closeAllConnections();
  proxy.close();
  await stack.close();
});

function client(): OpenAI {
  const { apiKey, policyPath } = stack;
  const fetch = sealedFetch({ policy: policyPath });
  return new OpenAI({ baseURL: proxyUrl, apiKey, maxRetries: 0, fetch });
}

for (const mode of MODES) {
  test(`a connection reset at any point is an error and never a shorter answer (${mode})`, async () => {
    const app = client();
    for (const withheld of [1, 60, 300, 1000, 1_000_000]) {
      await untilWhole(app, mode);
      withheldBytes = withheld;
      const seen = await askWith(app, mode, STACK_MODEL);
      assertError(seen, ['gateway_unreachable', 'answer_broken', 'sx.truncated']);
    }
    withheldBytes = 0;
  });
}

const WHOLE_TRIES = 20;

/** A worker needs up to a second to notice the last cut; until then its slots may be taken. */
async function untilWhole(app: OpenAI, mode: (typeof MODES)[number]): Promise<void> {
  withheldBytes = 0;
  for (let tries = 1; ; tries++) {
    const seen = await askWith(app, mode, STACK_MODEL);
    if (seen.outcome === 'whole') return;
    assert.ok(tries < WHOLE_TRIES, `no whole answer between two cuts: ${seen.code}`);
  }
}

test('a request repeated at the gateway is refused and runs nowhere', async () => {
  assert.equal((await askWith(client(), 'unary', STACK_MODEL)).outcome, 'whole');
  const again = await fetch(`${new URL(stack.baseUrl).origin}${EXCHANGE}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${stack.apiKey}`,
      'content-type': 'application/vnd.sx1.req',
    },
    body: Uint8Array.from(lastRequest),
  });
  assert.equal(again.status, 409);
  assert.match(await again.text(), /"sx\.replay"/);
});

test("another account's key on a sealed request is refused", async () => {
  const thief = createApiKey(stack.gateway.store, 'thief', 0);
  const app = client();
  const stolen = app.withOptions({
    fetch: async (url, init) => {
      const sealing = sealedFetch({
        policy: stack.policyPath,
        fetch: (target, options) =>
          fetch(target, {
            ...options,
            headers: { ...options.headers, authorization: `Bearer ${thief.apiKey}` },
          }),
      });
      return sealing(url, init);
    },
  });
  assertError(await askWith(stolen, 'unary', STACK_MODEL), ['policy_denied']);
});
