/**
 * A page in a browser on the same machine asks the local proxy, by its address or by a name of its own that it has pointed
 * there (DNS rebinding). Even with the token it is refused, and the gateway hears nothing. @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryGateway } from '../support/memory-gateway.ts';
import { CHAT, memoryProxy } from '../support/proxy-lab.ts';

const BODY = '{"model":"test/model","messages":[]}';
const PAGES = [
  { origin: 'https://evil.test' },
  { origin: 'null' },
  { origin: 'http://127.0.0.1' },
  { origin: '' },
  { 'sec-fetch-site': 'cross-site' },
  { 'sec-fetch-site': 'same-origin' },
  { 'sec-fetch-site': 'none' },
] as const;

test('a request with an origin or a site is refused, whatever else it knows', async (context) => {
  const gateway = await memoryGateway();
  const lab = await memoryProxy(context, gateway);
  for (const headers of PAGES) {
    for (const path of [CHAT, '/v1/models', '/healthz', '/v1/verification']) {
      const method = path === CHAT ? 'POST' : 'GET';
      const body = path === CHAT ? { body: BODY } : {};
      const { status, headers: back } = await lab.ask(path, { method, headers, ...body });
      assert.equal(status, 403, JSON.stringify(headers));
      assert.ok(Object.keys(back).every((name) => !name.startsWith('access-control-')));
    }
  }
  assert.ok(!gateway.asked.includes('/sx/v1/exchange'));
  assert.ok(lab.events.some((event) => event.kind === 'refused' && event.reason === 'browser'));
});

test('a preflight is refused too, and allows nothing', async (context) => {
  const lab = await memoryProxy(context, await memoryGateway());
  const { status, headers } = await lab.ask(CHAT, {
    method: 'OPTIONS',
    headers: { origin: 'https://evil.test', 'access-control-request-method': 'POST' },
  });
  assert.equal(status, 403);
  assert.equal(headers['access-control-allow-origin'], undefined);
});

test('a name that leads here but is not one of this machine is refused', async (context) => {
  const gateway = await memoryGateway();
  const lab = await memoryProxy(context, gateway);
  const names = [
    'evil.test',
    `evil.test:${lab.port}`,
    'localhost.evil.test',
    '127.0.0.1.evil.test',
    '127.0.0.1@evil.test',
    'localhost:80:80',
    '0.0.0.0',
    '[::]',
    '10.0.0.1',
  ];
  for (const host of names) {
    const { status } = await lab.ask('/v1/models', { headers: { host } });
    assert.equal(status, 403, host);
  }
  for (const host of ['localhost', `LOCALHOST:${lab.port}`, `127.0.0.1:${lab.port}`, '[::1]:1']) {
    const { status } = await lab.ask('/v1/models', { headers: { host } });
    assert.equal(status, 200, host);
  }
});

test('two Host headers, or one in the target, are refused', async (context) => {
  const lab = await memoryProxy(context, await memoryGateway());
  const auth = `authorization: Bearer ${lab.token}`;
  const twice = await lab.raw(
    `GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\nhost: evil.test\r\n${auth}\r\n\r\n`,
  );
  assert.match(twice, /^HTTP\/1\.1 40[03] /);
  const absolute = await lab.raw(
    `GET http://evil.test/v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\n${auth}\r\n\r\n`,
  );
  assert.match(absolute, /^HTTP\/1\.1 403 /);
});
