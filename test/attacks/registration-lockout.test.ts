/** Strangers without any key try to keep honest workers from registering. @module */

import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { generateEd25519, signEd25519 } from '#primitives';
import { toBase64 } from '../../core/bytes.ts';
import { ownerSignatureInput } from '../../attestation/card.ts';
import { CONTROL_BODIES_MAX } from '../../gateway/limits.ts';
import { openLab, post, type Lab } from '../support/gateway-lab.ts';
import { startSxWorker } from '../support/sx-worker.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const EMPTY_OBJECT = Buffer.from('{}');

let lab: Lab;
before(async () => {
  lab = await openLab();
});
after(() => lab.close());

test('empty registrations without number do not use up the rate of others', async () => {
  for (let i = 0; i < 150; i++) await post(lab, '/v1/workers', EMPTY_OBJECT, JSON_TYPE);
  await assert.doesNotReject(lab.worker());
});

test('challenges without number leave one for everybody', async () => {
  for (let i = 0; i < 4200; i++) {
    const answer = await post(lab, '/v1/workers/challenge', EMPTY_OBJECT, JSON_TYPE);
    assert.equal(answer.status, 200);
  }
  await assert.doesNotReject(lab.worker());
});

test('a registration that the owner did not sign leaves the challenge to the owner', async () => {
  const worker = await startSxWorker({
    provider: lab.provider,
    aud: lab.gateway.aud,
    gatewayUrl: lab.url,
  });
  after(() => worker.close());
  const thief = generateEd25519();
  const signed = ownerSignatureInput(worker.epoch.statementHash);
  const ownerSignature = toBase64(signEd25519(thief.secretKey, signed));
  const body = Buffer.from(JSON.stringify({ ...worker.registration(), ownerSignature }));
  assert.equal((await post(lab, '/v1/workers', body, JSON_TYPE)).status, 403);
  assert.equal((await worker.register()).status, 200);
});

test('what a web page may send unasked has no effect', async () => {
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', '']) {
    for (const path of ['/v1/workers', '/v1/workers/challenge']) {
      const headers = type === '' ? {} : { 'content-type': type };
      assert.equal((await post(lab, path, EMPTY_OBJECT, headers)).status, 415, path);
    }
  }
});

test('bodies that trickle are bounded in number and in time', async () => {
  const sockets = Array.from({ length: CONTROL_BODIES_MAX }, () => trickle());
  after(() => sockets.forEach((socket) => socket.destroy()));
  const ends = sockets.map((socket) => answered(socket));
  let busy = await post(lab, '/v1/workers', EMPTY_OBJECT, JSON_TYPE);
  for (let i = 0; busy.status === 400 && i < 100; i++) {
    busy = await post(lab, '/v1/workers', EMPTY_OBJECT, JSON_TYPE);
  }
  assert.equal(busy.status, 503);
  assert.equal(busy.headers['retry-after'], '1');
  for (const text of await Promise.all(ends)) assert.match(text, /^HTTP\/1\.1 504 /);
  await assert.doesNotReject(lab.worker());
});

function trickle(): Socket {
  const socket = connect(lab.port, '127.0.0.1');
  const head = ['POST /v1/workers HTTP/1.1', 'host: gateway', 'content-type: application/json'];
  socket.write([...head, 'content-length: 1000', '', '{'].join('\r\n'));
  return socket;
}

function answered(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once('data', (bytes) => resolve(bytes.toString('latin1')));
    socket.once('error', () => resolve(''));
    socket.once('close', () => resolve(''));
  });
}
