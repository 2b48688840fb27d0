/** Binary HTTP: one byte string per message, and nothing smuggled inside a seal. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, toHex, utf8 } from '../../core/bytes.ts';
import {
  encodeContentChunk,
  encodeInteger,
  encodeRequest,
  encodeResponseHead,
  RESPONSE_END,
  ResponseDecoder,
  type BinaryRequest,
} from '../../protocol/bhttp.ts';
import { INNER_REQUEST_MAX_BYTES } from '../../protocol/sx/limits.ts';
import { sxError } from '../../protocol/sx/errors.ts';
import { checkResponseHead, decodeInner, encodeInner } from '../../protocol/sx/inner.ts';
import { TEST_POLICY_DIGEST } from '../support/attested-key.ts';
import { refuses } from './sx/stage.ts';

const POLICY: readonly [string, string] = ['sx-policy', 'A'.repeat(43)];

const GOOD: BinaryRequest = {
  method: 'POST',
  scheme: 'https',
  authority: 'worker.invalid',
  path: '/v1/chat/completions',
  fields: [['content-type', 'application/json'], POLICY],
  content: utf8('{}'),
};

test('integers take their shortest form (RFC 9000 §16)', () => {
  assert.equal(toHex(encodeInteger(63)), '3f');
  assert.equal(toHex(encodeInteger(64)), '4040');
  assert.equal(toHex(encodeInteger(16_383)), '7fff');
  assert.equal(toHex(encodeInteger(16_384)), '80004000');
});

test('a request reads back as it was written', () => {
  const request = {
    path: '/v1/chat/completions',
    headers: [
      ['content-type', 'application/json'],
      ['idempotency-key', 'a b'],
    ],
    body: new Uint8Array(20_000).fill(3),
  } as const;
  const decoded = decodeInner(encodeInner(request, TEST_POLICY_DIGEST));
  assert.deepEqual(decoded.request, request);
  assert.equal(toHex(decoded.policyDigest), toHex(TEST_POLICY_DIGEST));
});

const SMUGGLED: readonly (readonly [string, Partial<BinaryRequest>])[] = [
  ['another method', { method: 'GET' }],
  ['a method in lower case', { method: 'post' }],
  ['another scheme', { scheme: 'http' }],
  ['another authority', { authority: '169.254.169.254' }],
  ['an empty authority', { authority: '' }],
  ['a path off the list', { path: '/v1/models' }],
  ['a path that nothing but this list keeps out', { path: '/v1/completions/' }],
  ['an admin path of the engine', { path: '/metrics' }],
  ['path traversal', { path: '/v1/chat/completions/../../admin' }],
  ['an absolute URI as path', { path: 'http://10.0.0.1/v1/chat/completions' }],
  ['a query', { path: '/v1/chat/completions?x=1' }],
  ['a fragment', { path: '/v1/chat/completions#x' }],
  ['CR LF in the path', { path: '/v1/chat/completions\r\nhost: x' }],
  ['host', { fields: [POLICY, ['host', 'x']] }],
  ['transfer-encoding', { fields: [POLICY, ['transfer-encoding', 'chunked']] }],
  ['content-length', { fields: [POLICY, ['content-length', '2']] }],
  ['content-encoding (compression bombs)', { fields: [POLICY, ['content-encoding', 'gzip']] }],
  ['authorization', { fields: [POLICY, ['authorization', 'Bearer x']] }],
  ['cookie', { fields: [POLICY, ['cookie', 'a=b']] }],
  ['a header name in upper case', { fields: [POLICY, ['Content-Type', 'text/plain']] }],
  ['a header twice', { fields: [POLICY, ['accept', 'a'], ['accept', 'b']] }],
  ['CR LF in a value', { fields: [POLICY, ['accept', 'a\r\nhost: x']] }],
  ['NUL in a value', { fields: [POLICY, ['accept', 'a\0b']] }],
  ['a value that starts with a space', { fields: [POLICY, ['accept', ' a']] }],
  ['an empty value', { fields: [POLICY, ['accept', '']] }],
  ['a value outside ASCII', { fields: [POLICY, ['accept', 'é']] }],
  ['a value of 257 bytes', { fields: [POLICY, ['accept', 'a'.repeat(257)]] }],
  ['a pseudo-header', { fields: [POLICY, [':path', '/']] }],
  ['no sx-policy', { fields: [] }],
  ['an sx-policy of another size', { fields: [['sx-policy', 'AAAA']] }],
  ['an sx-policy with loose bits', { fields: [['sx-policy', `${'A'.repeat(42)}B`]] }],
  [
    'seventeen headers',
    { fields: Array.from({ length: 17 }, (_, i): readonly [string, string] => [`x${i}`, 'a']) },
  ],
];

for (const [what, change] of SMUGGLED) {
  test(`refused inside a seal: ${what}`, () => {
    decodeInner(encodeRequest(GOOD));
    refuses(() => decodeInner(encodeRequest({ ...GOOD, ...change })), 'sx.inner');
  });
}

test('refused inside a seal: trailing bytes, trailers, long integers, the response form, a cut', () => {
  const good = encodeRequest(GOOD);
  const body = good.subarray(1);
  refuses(() => decodeInner(concat(good, Uint8Array.of(0))), 'sx.inner');
  refuses(() => decodeInner(concat(good.subarray(0, -1), Uint8Array.of(1, 0))), 'sx.inner');
  refuses(() => decodeInner(good.subarray(0, -1)), 'sx.inner');
  refuses(() => decodeInner(concat(Uint8Array.of(0x40, 0), body)), 'sx.inner');
  refuses(() => decodeInner(concat(Uint8Array.of(0xc0), new Uint8Array(7), body)), 'sx.inner');
  for (const framing of [1, 2, 3, 4]) {
    refuses(() => decodeInner(concat(Uint8Array.of(framing), body)), 'sx.inner');
  }
  for (let end = 0; end < good.length; end++) {
    refuses(() => decodeInner(good.subarray(0, end)), 'sx.inner');
  }
});

test('what a worker would refuse does not leave the client', () => {
  const make = (headers: readonly (readonly [string, string])[]) => () =>
    encodeInner({ path: '/v1/chat/completions', headers, body: utf8('') }, TEST_POLICY_DIGEST);
  refuses(make([['sx-policy', 'A'.repeat(43)]]), 'sx.inner');
  refuses(make([['authorization', 'Bearer key']]), 'sx.inner');
  const huge = {
    path: '/v1/chat/completions',
    headers: [],
    body: new Uint8Array(INNER_REQUEST_MAX_BYTES),
  };
  refuses(() => encodeInner(huge, TEST_POLICY_DIGEST), 'sx.inner');
});

const bad = (what: string) => sxError('sx.response', what);
const decoder = () => new ResponseDecoder({ countMax: 16, valueMaxBytes: 256 }, bad);

test('a response in pieces: head first and whole, chunks whole, one end', () => {
  const head = encodeResponseHead({ status: 200, fields: [['content-type', 'text/plain']] });
  const reader = decoder();
  assert.equal(reader.push(concat(head, encodeContentChunk(utf8('a')))).head?.status, 200);
  assert.equal(reader.push(encodeContentChunk(new Uint8Array(500))).content[0]?.length, 500);
  assert.ok(!reader.isComplete);
  reader.push(RESPONSE_END);
  assert.ok(reader.isComplete);
  refuses(() => reader.push(Uint8Array.of(0)), 'sx.response');
});

test('responses refused: split head, split chunk, trailers, early hints, wild statuses', () => {
  const head = encodeResponseHead({ status: 200, fields: [] });
  refuses(() => decoder().push(head.subarray(0, -1)), 'sx.response');
  const cut = decoder();
  cut.push(head);
  refuses(() => cut.push(encodeContentChunk(utf8('abc')).subarray(0, 2)), 'sx.response');
  const trailers = decoder();
  refuses(() => trailers.push(concat(head, Uint8Array.of(0, 1, 0x61, 1, 0x62))), 'sx.response');
  for (const status of [100, 103, 199, 600]) {
    refuses(
      () => decoder().push(concat(Uint8Array.of(3), encodeInteger(status), Uint8Array.of(0))),
      'sx.response',
    );
  }
  refuses(
    () => checkResponseHead({ status: 200, fields: [['set-cookie', 'a']] }, bad),
    'sx.response',
  );
});
