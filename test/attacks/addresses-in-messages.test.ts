/**
 * D10. Attack: a message names an address, so that the enclave fetches it: of this machine, of its cloud's metadata, of a
 * file, of an attacker who learns that somebody asked. No surface takes one, and nobody is contacted. @module
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { after, before, test } from 'node:test';
import { utf8 } from '../../core/bytes.ts';
import { exchangeFixture, MODEL_ID, scriptedEngine } from '../enclave-worker/exchange-fixture.ts';
import { sendTo } from '../support/attacked-worker.ts';

let contacted = 0;
let server: Server;
let here = '';
before(async () => {
  server = createServer((socket) => {
    contacted++;
    socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  here = `http://127.0.0.1:${address.port}/x.png`;
});
after(() => server.close());

const engine = scriptedEngine(async function* hello() {
  yield { kind: 'started' };
  yield { kind: 'end', reason: 'stop' };
});
const fixture = exchangeFixture({ engine });

const ADDRESSES = (): readonly string[] => [
  here,
  here.replace('127.0.0.1', 'localhost'),
  'http://169.254.169.254/latest/meta-data/',
  'http://[::ffff:127.0.0.1]/',
  'http://0x7f000001/',
  'file:///etc/passwd',
  'unix:/var/run/docker.sock',
  'data:text/html,<script>',
  'gopher://127.0.0.1:6379/_',
];

const chat = (part: object) => ({ messages: [{ role: 'user', content: [part] }] });
const respond = (part: object) => ({ input: [{ role: 'user', content: [part] }] });
const message = (part: object) => ({
  max_tokens: 16,
  messages: [{ role: 'user', content: [part] }],
});

/** Wherever a surface of either vendor has room for an address. */
const SHAPES: readonly (readonly [what: string, path: string, bodyOf: (url: string) => object])[] =
  [
    ['a picture', '/v1/chat/completions', (url) => chat({ type: 'image_url', image_url: { url } })],
    [
      'a picture as text',
      '/v1/chat/completions',
      (url) => chat({ type: 'image_url', image_url: url }),
    ],
    ['a file', '/v1/chat/completions', (url) => chat({ type: 'file', file: { file_data: url } })],
    [
      'a file by its id',
      '/v1/chat/completions',
      (url) => chat({ type: 'file', file: { file_id: url } }),
    ],
    [
      'sound',
      '/v1/chat/completions',
      (url) => chat({ type: 'input_audio', input_audio: { data: url, format: 'wav' } }),
    ],
    ['video', '/v1/chat/completions', (url) => chat({ type: 'video_url', video_url: { url } })],
    ['a picture', '/v1/responses', (url) => respond({ type: 'input_image', image_url: url })],
    ['a file', '/v1/responses', (url) => respond({ type: 'input_file', file_url: url })],
    ['a file by its id', '/v1/responses', (url) => respond({ type: 'input_file', file_id: url })],
    [
      'a server of tools',
      '/v1/responses',
      (url) => ({ input: 'x', tools: [{ type: 'mcp', server_label: 'a', server_url: url }] }),
    ],
    ['a search', '/v1/responses', () => ({ input: 'x', tools: [{ type: 'web_search' }] })],
    ['an earlier answer', '/v1/responses', (url) => ({ input: 'x', previous_response_id: url })],
    ['a stored prompt', '/v1/responses', (url) => ({ input: 'x', prompt: { id: url } })],
    [
      'a picture',
      '/v1/messages',
      (url) => message({ type: 'image', source: { type: 'url', url } }),
    ],
    [
      'a document',
      '/v1/messages',
      (url) => message({ type: 'document', source: { type: 'url', url } }),
    ],
    [
      'a document by its id',
      '/v1/messages',
      (url) => message({ type: 'document', source: { type: 'file', file_id: url } }),
    ],
    [
      'a server of tools',
      '/v1/messages',
      (url) => ({
        ...message({ type: 'text', text: 'x' }),
        mcp_servers: [{ type: 'url', url, name: 'a' }],
      }),
    ],
  ];

for (const [what, path, bodyOf] of SHAPES) {
  test(`D10: ${what} by an address is refused at ${path}, and nobody is contacted`, async () => {
    for (const url of ADDRESSES()) {
      const body = utf8(JSON.stringify({ model: MODEL_ID, ...bodyOf(url) }));
      const sealed = fixture.seal(
        {},
        { request: { path, headers: [['content-type', 'application/json']], body }, stream: false },
      );
      const { inner } = await sendTo(fixture, sealed);
      assert.ok(inner >= 400 && inner < 500, `${url}: ${inner}`);
    }
    assert.equal(engine.jobs.length, 0);
    assert.equal(contacted, 0);
  });
}

test('D10: a schema that refers to an address is refused, and nobody is contacted', async () => {
  for (const url of ADDRESSES()) {
    const body = {
      model: MODEL_ID,
      messages: [{ role: 'user', content: 'x' }],
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'a', strict: true, schema: { $ref: url } },
      },
    };
    const { inner } = await sendTo(fixture, fixture.seal(body));
    assert.ok(inner >= 400 && inner < 500, `${url}: ${inner}`);
  }
  assert.equal(contacted, 0);
});

for (const [path, body] of [
  ['/v1/chat/completions', chat({ type: 'text', text: 'x' })],
  ['/v1/responses', respond({ type: 'input_text', text: 'x' })],
  ['/v1/messages', message({ type: 'text', text: 'x' })],
] as const) {
  test(`D10: the same message with an address in its words is served at ${path}: words are words`, async () => {
    const before = engine.jobs.length;
    const named = JSON.stringify({ model: MODEL_ID, ...body }).replace(
      '"text":"x"',
      `"text":"${here}"`,
    );
    const headers = [['content-type', 'application/json']] as const;
    const sealed = fixture.seal(
      {},
      { request: { path, headers, body: utf8(named) }, stream: false },
    );
    assert.equal((await sendTo(fixture, sealed)).inner, 200);
    assert.equal(engine.jobs.length, before + 1);
    assert.equal(contacted, 0);
  });
}
