/**
 * C9. Attack: the gateway offers everything but the sealed way: no exchange path, other surfaces, older forms, another scheme.
 * Sealed or not at all: nothing of a request is ever sent otherwise. @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sealedFetch } from '../../client/index.ts';
import { appOf } from '../support/hostile.ts';
import { isAbsent, memoryGateway, MODEL, PROMPT } from '../support/memory-gateway.ts';
import { SDK_READERS } from '../support/sdk-readers.ts';

const SEALED_PATHS = ['/v1/gateway', '/v1/evidence', '/v1/models', '/sx/v1/exchange'];

for (const status of [404, 405, 415, 426, 501]) {
  test(`C9: a gateway that answers ${status} at the sealed path is asked nowhere else`, async () => {
    const gateway = await memoryGateway();
    gateway.mischief.respond = () =>
      Response.json(
        { error: { message: 'use /v1/chat/completions', code: 'unknown_url' } },
        { status, headers: { upgrade: 'ehbp', 'ehbp-encapsulated-key': '00', link: '</v1>' } },
      );
    for (const mode of ['unary', 'stream'] as const) {
      assert.equal((await appOf(gateway)(mode)).outcome, 'error');
    }
    assert.ok(gateway.asked.every((path) => SEALED_PATHS.includes(path)));
    assert.ok(isAbsent(PROMPT, gateway.sent));
  });
}

test('C9: evidence of an older or foreign form is no worker, and nothing is sent', async () => {
  const gateway = await memoryGateway();
  const [worker] = gateway.workers;
  for (const evidence of [
    { ...worker?.evidence, fmt: 'veilgate.evidence/0' },
    { ...worker?.evidence, tee: 'none' },
    { ehbp: { publicKey: 'AAAA' } },
    { ...worker?.evidence, statement: '' },
  ]) {
    gateway.mischief.evidence = () => ({
      candidates: [{ workerId: worker?.workerId, evidence }],
      publication: null,
    });
    assert.equal((await appOf(gateway)('unary')).outcome, 'error');
  }
  assert.ok(!gateway.asked.includes('/sx/v1/exchange'));
});

for (const reader of SDK_READERS) {
  test(`C9: what ${reader.name} asks leaves sealed or not at all`, async () => {
    const gateway = await memoryGateway([{ unlisted: true }]);
    const { fetch, policy, clock } = gateway;
    const bare = globalThis.fetch;
    const elsewhere: string[] = [];
    globalThis.fetch = (input) => {
      elsewhere.push(String(input instanceof Request ? input.url : input));
      return Promise.reject(new TypeError('fetch failed'));
    };
    try {
      const seen = await reader.read({
        baseUrl: 'https://gateway.test/v1',
        apiKey: 'k',
        model: MODEL,
        fetch: sealedFetch({ fetch, policy, clock }),
      });
      assert.equal(seen.outcome, 'error');
    } finally {
      globalThis.fetch = bare;
    }
    assert.deepEqual(elsewhere, []);
    assert.ok(!gateway.asked.includes('/sx/v1/exchange'));
    assert.ok(isAbsent('What is remote attestation?', gateway.sent));
  });
}
