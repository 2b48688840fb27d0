/** Timestamps: what they must say. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeTimestamp, encodeTimestamp } from '../../../attestation/publication/timestamp.ts';
import { fromUtf8, utf8 } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import { parseStrictJson, type Json } from '../../../core/json.ts';
import { timestampOf } from '../../support/publication.ts';

function json(text: string): Json {
  return parseStrictJson(utf8(text), { maxBytes: 65_536, numbers: 'integers' }).value;
}

test('a timestamp comes out as it went in', () => {
  const text = fromUtf8(encodeTimestamp(timestampOf()));
  assert.deepEqual(decodeTimestamp(json(text)), timestampOf());
});

test('no timestamp: members missing, unknown or of another form', () => {
  const text = fromUtf8(encodeTimestamp(timestampOf()));
  for (const changed of [
    text.replace('timestamp/1', 'timestamp/2'),
    text.replace('{', '{"spare":1,'),
    text.replace('"number":1', '"number":0'),
    text.replace('"number":1', '"number":1,"spare":1'),
    text.replace(/"revocations":\{[^}]*\},/, ''),
    text.replace('sha256:', ''),
    text.replace(/"time":"[^"]*"/, '"time":"2026-06-15T12:00:00.5Z"'),
    text.replace(/"time":"[^"]*"/, '"time":"2026-06-31T12:00:00Z"'),
  ]) {
    assert.notEqual(changed, text);
    assert.throws(
      () => decodeTimestamp(json(changed)),
      (error) => hasCode(error, 'publication.malformed'),
      changed,
    );
  }
});
