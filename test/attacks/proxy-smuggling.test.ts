/**
 * Requests that two readers would take apart differently, and bodies that pretend to be the next request: the local proxy
 * answers one of them at most, and the connection ends. Spec: RFC 9112 §6.3, §11.2.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryGateway } from '../support/memory-gateway.ts';
import { memoryProxy, rawPost, type ProxyLab } from '../support/proxy-lab.ts';

function next(lab: ProxyLab): string {
  return `GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${lab.token}\r\n\r\n`;
}

function answersIn(text: string): number {
  return text.match(/^HTTP\/1\.1 /gm)?.length ?? 0;
}

test('a length and chunks at once are refused', async (context) => {
  const gateway = await memoryGateway();
  const lab = await memoryProxy(context, gateway);
  const orders = [
    ['content-length: 5', 'transfer-encoding: chunked'],
    ['transfer-encoding: chunked', 'content-length: 5'],
    ['transfer-encoding: identity, chunked', 'content-length: 5'],
    ['transfer-encoding: chunked, identity'],
    ['transfer-encoding: xchunked'],
    ['content-length: 5', 'content-length: 6'],
    ['content-length: 5, 6'],
    ['content-length: +5'],
    ['content-length: 0x5'],
    ['transfer-encoding : chunked'],
  ];
  for (const headers of orders) {
    const text = await lab.raw(rawPost(lab, `0\r\n\r\n${next(lab)}`, ...headers));
    assert.match(text, /^HTTP\/1\.1 400 /, headers.join());
    assert.equal(answersIn(text), 1, headers.join());
  }
  assert.ok(!gateway.asked.includes('/sx/v1/exchange'));
});

test('what stands behind a refused body is never read as a request', async (context) => {
  const lab = await memoryProxy(context, await memoryGateway());
  const refusals = [
    // Refused at the door, and for its type: the body is not read.
    rawPost(lab, next(lab), 'origin: https://evil.test', 'content-length: 9000'),
    rawPost(lab, next(lab), 'content-encoding: gzip', 'content-length: 9000'),
    // Refused before and while it arrives.
    rawPost(lab, next(lab), 'content-length: 9000000'),
  ];
  for (const request of refusals) {
    const text = await lab.raw(request);
    assert.match(text, /^HTTP\/1\.1 4\d\d /);
    assert.equal(answersIn(text), 1);
    assert.match(text, /connection: close/i);
  }
});

test('a request that asks for another protocol is one like others', async (context) => {
  const lab = await memoryProxy(context, await memoryGateway());
  const answer = await lab.ask('/v1/models', {
    headers: { connection: 'upgrade', upgrade: 'websocket' },
  });
  assert.equal(answer.status, 200);
  const tunnel = await lab.raw(`CONNECT evil.test:443 HTTP/1.1\r\nhost: evil.test:443\r\n\r\n`);
  assert.equal(tunnel, '');
});

test('a path that leads elsewhere at the gateway is not served', async (context) => {
  const gateway = await memoryGateway();
  const lab = await memoryProxy(context, gateway);
  const paths = [
    '/',
    '/v1',
    '/v2/models',
    '//evil.test/v1/models',
    '/v1/../admin',
    '/v1/%2e%2e/admin/v1/models',
    '/v1/../other\\v1\\models',
    '/other/v1/models',
    '/v1/other/v1/models',
    '/v1/models?x=1',
    '/sx/v1/exchange',
    '/v1/gateway',
  ];
  for (const path of paths) {
    const { status, text } = await lab.ask(path);
    assert.equal(status, 404, path);
    assert.match(text, /unknown_url/);
  }
  assert.equal((await lab.ask('/v1/models', { method: 'PUT' })).status, 405);
  assert.equal((await lab.ask('/v1/models', { method: 'TRACE' })).status, 405);
  const looks = ['/v1/gateway', '/v1/models', '/v1/evidence'];
  assert.deepEqual(
    gateway.asked.filter((path) => !looks.includes(path)),
    [],
  );
});
