/**
 * D2. Attack: what a worker must not be asked is put inside the seal, where no gateway can see it: other paths, hosts,
 * schemes and methods, headers of the transport, line breaks, a second message behind the first. Spec: P§7.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, utf8 } from '../../core/bytes.ts';
import type { BinaryRequest } from '../../protocol/bhttp.ts';
import { exchangeFixture, MODEL_ID, scriptedEngine } from '../enclave-worker/exchange-fixture.ts';
import { sendTo } from '../support/attacked-worker.ts';
import { craftRequest, framesOver, innerBytes } from '../support/crafted-request.ts';

const BODY = { model: MODEL_ID, messages: [{ role: 'user', content: 'x' }] };
const JSON_BODY = utf8(JSON.stringify(BODY));

const engine = scriptedEngine(async function* hello() {
  yield { kind: 'started' };
  yield { kind: 'text', text: 'Hello' };
  yield { kind: 'end', reason: 'stop' };
});
const fixture = exchangeFixture({ engine });

async function asked(inner: Uint8Array): Promise<readonly [outer: number, inner: number]> {
  const { key } = fixture.worker;
  const sealed = craftRequest({ keys: [key], like: fixture.seal(BODY), frames: framesOver(inner) });
  const heard = await sendTo(fixture, sealed);
  return [heard.outer, heard.inner];
}

test('D2: the same message without a trick is served', async () => {
  const before = engine.jobs.length;
  assert.deepEqual(await asked(innerBytes(JSON_BODY)), [200, 200]);
  assert.equal(engine.jobs.length, before + 1);
});

const PATHS = [
  '',
  '/',
  '*',
  '/metrics',
  '/slots',
  '/props',
  '/completion',
  '/tokenize',
  '/v1/models',
  '/v1/workers',
  '/v1/chat/completions/',
  '/v1/chat/completions?model=other',
  '/v1/chat/completions#x',
  '/v1/chat/completions/../../metrics',
  '/v1/./chat/completions',
  '//v1/chat/completions',
  '/v1//chat/completions',
  '/v1/chat%2fcompletions',
  '/%761/chat/completions',
  '/V1/chat/completions',
  '/v1/chat/completions\r\nhost: 127.0.0.1',
  '/v1/chat/completions\0',
  '/v1/chat/completions HTTP/1.1',
  '\\v1\\chat\\completions',
  'http://127.0.0.1:8080/v1/chat/completions',
  'https://worker.invalid/v1/chat/completions',
  'file:///etc/passwd',
];
const CONTROL: readonly (readonly [what: string, change: Partial<BinaryRequest>])[] = [
  ...PATHS.map((path) => [`path ${JSON.stringify(path)}`, { path }] as const),
  ...['GET', 'CONNECT', 'OPTIONS', 'post', 'POST ', ''].map(
    (method) => [`method ${JSON.stringify(method)}`, { method }] as const,
  ),
  ...['http', 'file', 'unix', 'HTTPS', ''].map(
    (scheme) => [`scheme ${JSON.stringify(scheme)}`, { scheme }] as const,
  ),
  ...['', '127.0.0.1:8080', 'localhost', 'worker.invalid:443', 'a@worker.invalid', '[::1]'].map(
    (authority) => [`authority ${JSON.stringify(authority)}`, { authority }] as const,
  ),
];

const HEADERS: readonly (readonly [name: string, value: string])[] = [
  ['host', '127.0.0.1'],
  ['transfer-encoding', 'chunked'],
  ['content-length', '0'],
  ['content-encoding', 'gzip'],
  ['connection', 'upgrade'],
  ['upgrade', 'websocket'],
  ['expect', '100-continue'],
  ['authorization', 'Bearer x'],
  ['cookie', 'a=b'],
  ['x-forwarded-for', '127.0.0.1'],
  [':path', '/metrics'],
  ['te', 'trailers'],
  ['trailer', 'x'],
  ['Content-Type', 'text/plain'],
  ['content-type', 'text/plain'],
  ['sx-policy', 'B'.repeat(43)],
  ['accept', 'a\r\nhost: 127.0.0.1'],
  ['accept', 'a\nb'],
  ['accept', 'a\0b'],
  ['accept', ' a'],
  ['accept', ''],
  ['accept', 'a'.repeat(257)],
  ['accept', 'é'],
  ['sx-meter', '1'],
];

for (const [what, inner] of [
  ...CONTROL.map(([name, change]) => [name, () => innerBytes(JSON_BODY, change)] as const),
  ...HEADERS.map(
    (header) =>
      [
        `header ${JSON.stringify(header.map((part) => part.slice(0, 40)))}`,
        () => innerBytes(JSON_BODY, { fields: [header] }),
      ] as const,
  ),
  ['a second message behind it', () => concat(innerBytes(JSON_BODY), innerBytes(JSON_BODY))],
  ['a byte behind it', () => concat(innerBytes(JSON_BODY), Uint8Array.of(0))],
  ['a message without its end', () => innerBytes(JSON_BODY).slice(0, -1)],
  [
    'an answer in place of a request',
    () => concat(Uint8Array.of(1), innerBytes(JSON_BODY).slice(1)),
  ],
  [
    'a message of indeterminate length',
    () => concat(Uint8Array.of(2), innerBytes(JSON_BODY).slice(1)),
  ],
  ['HTTP/1.1 as text', () => utf8('POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n\r\n')],
  ['nothing', () => new Uint8Array()],
] as const) {
  test(`D2: ${what} is refused under the seal, and no engine hears of it`, async () => {
    const before = engine.jobs.length;
    assert.deepEqual(await asked(inner()), [200, 400]);
    assert.equal(engine.jobs.length, before);
  });
}
