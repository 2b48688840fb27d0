/**
 * What `onProof` hears where the gateway, which was verified, does not do as it should: the answer stays whole, and nothing
 * else than its own proof is kept. @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { fromUtf8, toBase64, toHex } from '../../../core/bytes.ts';
import { parseJson } from '../../../core/json.ts';
import { parsePrelude } from '../../../protocol/sx/prelude.ts';
import type { AttestedProofResult } from '../../../client/node/attested-gateway-fetch.ts';
import { parseBill } from '../../../client/pay/bill.ts';
import { startAttestedRogue } from '../../support/attested-rogue.ts';
import { proofOf } from '../../support/proof-lab.ts';

const ANSWER = '{"choices":[]}';

type Answer = (response: ServerResponse, request: IncomingMessage) => void;

/** One answer under this id, and what was heard of its proof. */
async function heard(requestId: string, proof: Answer): Promise<readonly AttestedProofResult[]> {
  const rogue = await startAttestedRogue((request, response) => {
    if (request.url?.startsWith('/v1/chat') === true) {
      response.writeHead(200, { 'x-request-id': requestId }).end(ANSWER);
    } else proof(response, request);
  });
  try {
    const results: AttestedProofResult[] = [];
    const app = rogue.app({ onProof: (result) => void results.push(result) });
    const url = `${rogue.origin}/v1/chat/completions`;
    const response = await app(url, { method: 'POST', body: '{}' });
    assert.equal(response.status, 200, response.headers.get('sx-error') ?? '');
    assert.equal(await response.text(), ANSWER);
    return results;
  } finally {
    await rogue.close();
  }
}

const honest = await proofOf();
const ANSWERED = `sx_${toHex(parsePrelude(parseBill(honest.bill).request.prelude).msgId)}`;
const OTHER = `sx_${'0'.repeat(32)}`;
const MISSING = 'client.proof';

function shown(more: object = {}): string {
  const evidence = parseJson(honest.evidence, honest.evidence.length);
  return JSON.stringify({
    fmt: 'veilgate.answer-proof/1',
    evidence,
    bill: toBase64(honest.bill),
    ...more,
  });
}

test('the proof of this answer is kept', async () => {
  const [result] = await heard(ANSWERED, (response) => response.end(shown()));
  assert.ok(result?.outcome === 'kept');
  assert.match(fromUtf8(result.encode()), /^\{"fmt":"veilgate\.attested-response\/1"/);
});

const REFUSED: readonly (readonly [what: string, id: string, body: string])[] = [
  ['the proof of another answer', OTHER, shown()],
  ['a bill that cannot be read', ANSWERED, shown({ bill: toBase64(Uint8Array.of(1)) })],
  ['evidence that cannot be read', ANSWERED, shown({ evidence: {} })],
  [
    'evidence that is very deep',
    ANSWERED,
    shown({ evidence: 0 }).replace('"evidence":0', `"evidence":${deep(100_000)}`),
  ],
];

function deep(levels: number): string {
  return `${'{"a":'.repeat(levels)}0${'}'.repeat(levels)}`;
}

for (const [what, id, body] of REFUSED) {
  test(`${what} is not kept, and the answer stays whole`, async () => {
    const results = await heard(id, (response) => response.end(body));
    assert.deepEqual(results, [{ outcome: 'missing', requestId: id, code: MISSING }]);
  });
}

test('a proof that does not come in time leaves the answer whole', async (t) => {
  const limits: AbortController[] = [];
  t.mock.method(AbortSignal, 'timeout', () => {
    const limit = new AbortController();
    limits.push(limit);
    return limit.signal;
  });
  const results = await heard(ANSWERED, () => {
    for (const limit of limits) limit.abort(new DOMException('too late', 'TimeoutError'));
  });
  assert.deepEqual(results, [
    { outcome: 'missing', requestId: ANSWERED, code: 'client.unreachable' },
  ]);
});

test('an id that would be another path is asked for nowhere', async () => {
  const asked: unknown[] = [];
  const results = await heard('sx_/../../v1/account', (response, { url }) => {
    asked.push(url);
    response.end();
  });
  assert.deepEqual([results, asked], [[], []]);
});

test('a redirect is an answer: nothing of the request goes where it points', async () => {
  const asked: unknown[] = [];
  const rogue = await startAttestedRogue(({ url }, response) => {
    asked.push(url);
    response.writeHead(307, { location: '/elsewhere' }).end();
  });
  try {
    const response = await rogue.app()(`${rogue.origin}/v1/responses`, {
      method: 'POST',
      body: '{}',
    });
    assert.equal(response.status, 307);
    assert.deepEqual(asked, ['/v1/responses']);
  } finally {
    await rogue.close();
  }
});
