/**
 * A few kilobytes that unpack to many: headers beyond their list size, by length, by number, or by pointing again and again
 * at one long entry of the compression table. Spec: RFC 7541 §6.1; RFC 9113 §6.5.2, §10.5.1.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, utf8 } from '../../core/bytes.ts';
import {
  END_HEADERS,
  END_STREAM,
  frame,
  FRAME,
  headerBlock,
  openRaw,
  requestBlock,
  serveHttp2,
} from '../support/http2.ts';

/** Literal with indexing of a long value (RFC 7541 §6.2.1), then the index of the newest entry (62), often. */
function bomb(): Uint8Array {
  const value = 'v'.repeat(2000);
  const stored = concat(
    Uint8Array.of(0x40, 5),
    utf8('x-pad'),
    Uint8Array.of(0x7f, ((2000 - 127) % 128) | 0x80, Math.floor((2000 - 127) / 128)),
    utf8(value),
  );
  return concat(stored, new Uint8Array(2000).fill(0x80 | 62));
}

const BLOCKS: readonly (readonly [string, Uint8Array])[] = [
  ['one that is too long', headerBlock([['x-pad', 'a'.repeat(16_384)]])],
  [
    'too many',
    headerBlock(Array.from({ length: 200 }, (_, at): [string, string] => [`x-${at}`, 'a'])),
  ],
  ['one of the table, again and again', bomb()],
];

for (const [name, block] of BLOCKS) {
  test(`headers that unpack beyond their limit reach no handler: ${name}`, async (t) => {
    let requests = 0;
    const listener = await serveHttp2(t, (_request, response) => {
      requests++;
      response.end();
    });
    const raw = await openRaw(t, listener.port);
    const bytes = concat(requestBlock('/'), block);
    const half = Math.min(bytes.length, 16_000);
    raw.write(frame(FRAME.headers, END_STREAM, 1, bytes.subarray(0, half)));
    raw.write(frame(FRAME.continuation, END_HEADERS, 1, bytes.slice(half)));
    await raw.until((it) => it.resetCode(1) !== undefined || it.isClosed);
    assert.equal(requests, 0);
  });
}
