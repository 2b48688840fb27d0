/**
 * D4. Attack: a few kilobytes that unpack to gigabytes. From a client: at the gateway's doors, at the local proxy, inside the
 * seal. From a gateway: in every document and every answer that a client reads. Nobody unpacks for a stranger, and what a
 * `fetch` unpacks by itself is counted unpacked. @module
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { plainModeSealer } from '../../cli/plain-mode.ts';
import { fromUtf8, utf8 } from '../../core/bytes.ts';
import { sealedFetch } from '../../client/index.ts';
import { exchangeFixture, MODEL_ID, scriptedEngine } from '../enclave-worker/exchange-fixture.ts';
import { sendTo } from '../support/attacked-worker.ts';
import { craftRequest, framesOver, innerBytes } from '../support/crafted-request.ts';
import { openLab, post, type Lab } from '../support/gateway-lab.ts';
import { memoryGateway, MODEL } from '../support/memory-gateway.ts';
import { memoryProxy } from '../support/proxy-lab.ts';
import { portOf } from '../support/relay.ts';

const UNPACKED_BYTES = 134_217_728;
const BOMB = gzipSync(new Uint8Array(UNPACKED_BYTES).fill(0x20));
const BODY = JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'x' }] });
const CODINGS = ['gzip', 'deflate', 'br', 'zstd', 'x-gzip', 'gzip, gzip', 'identity, gzip', 'GZIP'];

let lab: Lab;
before(async () => {
  lab = await openLab({
    config: { plaintext: 'operator-can-read' },
    deps: { sealer: plainModeSealer },
  });
});
after(() => lab.close());

for (const coding of CODINGS) {
  test(`D4: a body in ${coding} is refused at every door of the gateway`, async () => {
    for (const [path, type] of [
      ['/sx/v1/exchange', 'application/vnd.sx1.req'],
      ['/v1/chat/completions', 'application/json'],
      ['/v1/responses', 'application/json'],
      ['/v1/messages', 'application/json'],
      ['/v1/workers', 'application/json'],
      ['/v1/channels', 'application/json'],
    ] as const) {
      const { status } = await post(lab, path, BOMB, {
        'content-type': type,
        'content-encoding': coding,
        authorization: `Bearer ${lab.apiKey}`,
      });
      assert.ok([400, 404, 413, 415].includes(status), `${path}: ${status}`);
    }
  });
}

test('D4: the local proxy unpacks nothing', async (context) => {
  const proxy = await memoryProxy(context, await memoryGateway());
  for (const coding of CODINGS) {
    const { status } = await proxy.ask('/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-encoding': coding },
      body: BODY,
    });
    assert.equal(status, 415, coding);
  }
});

test('D4: inside the seal there is no coding, said or unsaid', async () => {
  const engine = scriptedEngine(async function* nothing() {
    yield { kind: 'started' };
    yield { kind: 'end', reason: 'stop' };
  });
  const fixture = exchangeFixture({ engine });
  const body = utf8(
    JSON.stringify({ model: MODEL_ID, messages: [{ role: 'user', content: 'x' }] }),
  );
  const packed = new Uint8Array(gzipSync(body));
  const { key } = fixture.worker;
  for (const inner of [
    innerBytes(packed, { fields: [['content-encoding', 'gzip']] }),
    innerBytes(packed),
    innerBytes(new Uint8Array(brotliCompressSync(body))),
  ]) {
    const like = fixture.seal({ model: MODEL_ID, messages: [] });
    const sealed = craftRequest({ keys: [key], like, frames: framesOver(inner) });
    assert.deepEqual((await sendTo(fixture, sealed)).inner, 400);
  }
  assert.equal(engine.jobs.length, 0);
});

for (const path of ['/v1/gateway', '/v1/evidence', '/v1/models', '/sx/v1/exchange']) {
  test(`D4: a gateway that answers ${path} with a bomb is not unpacked to its end`, async (context) => {
    const gateway = await memoryGateway();
    const bomber = createServer((_, response) => {
      response.writeHead(200, {
        'content-encoding': 'gzip',
        'content-type': path.startsWith('/sx') ? 'application/vnd.sx1.res' : 'application/json',
      });
      response.end(BOMB);
    });
    bomber.listen(0, '127.0.0.1');
    await once(bomber, 'listening');
    context.after(() => {
      bomber.closeAllConnections();
      bomber.close();
    });
    let unpacked = 0;
    const { policy, clock } = gateway;
    const sealed = sealedFetch({
      policy,
      clock,
      fetch: async (url, init) => {
        if (!new URL(url).pathname.startsWith(path)) return gateway.fetch(url, init);
        const { signal } = init;
        const bomb = await fetch(`http://127.0.0.1:${portOf(bomber)}/`, { signal });
        const counted = new TransformStream<Uint8Array, Uint8Array>({
          transform: (chunk, controller) => {
            unpacked += chunk.length;
            controller.enqueue(chunk);
          },
        });
        return new Response(bomb.body?.pipeThrough(counted), { headers: bomb.headers });
      },
    });
    const answer =
      path === '/v1/models'
        ? await sealed('https://gateway.test/v1/models')
        : await sealed('https://gateway.test/v1/chat/completions', { method: 'POST', body: BODY });
    assert.equal(answer.status, 502);
    assert.ok(unpacked < UNPACKED_BYTES / 2, `${unpacked}`);
  });
}

test('D4: a refusal in clear is a bomb at most as large as what is read of it', async () => {
  const gateway = await memoryGateway();
  gateway.mischief.respond = () => new Response(new Uint8Array(UNPACKED_BYTES), { status: 500 });
  const { fetch, policy, clock } = gateway;
  const answer = await sealedFetch({ fetch, policy, clock })(
    'https://gateway.test/v1/chat/completions',
    { method: 'POST', body: BODY },
  );
  assert.equal(answer.status, 502);
  assert.ok(fromUtf8(new Uint8Array(await answer.arrayBuffer())).length < 1000);
});
