/** Events of a stream, however they are cut and whoever writes them. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, utf8 } from '../../../core/bytes.ts';
import { VeilError } from '../../../core/errors.ts';
import {
  SseReader,
  type SseEvent,
} from '../../../enclave-worker/engines/openai-upstream/sse-reader.ts';

function read(bytes: Uint8Array, step: number): readonly SseEvent[] {
  const reader = new SseReader();
  const events: SseEvent[] = [];
  for (let at = 0; at < bytes.length; at += step) {
    events.push(...reader.push(bytes.subarray(at, at + step)));
  }
  return events;
}

const message = (data: string): SseEvent => ({ name: 'message', data });

const CASES: readonly (readonly [what: string, text: string, events: readonly SseEvent[]])[] = [
  ['line feeds', 'data: one\n\ndata: two\n\n', [message('one'), message('two')]],
  ['CRLF', 'data: one\r\n\r\ndata: two\r\n\r\n', [message('one'), message('two')]],
  ['carriage returns', 'data: one\r\rdata: two\r\r', [message('one'), message('two')]],
  ['a mixture of line ends', 'data: one\r\n\ndata: two\n\r\n', [message('one'), message('two')]],
  ['comments before, inside and alone', ': ping\n\n:x\ndata: one\n: y\n\n:\n\n', [message('one')]],
  ['several lines of data', 'data: {"a":\ndata: 1}\n\n', [message('{"a":\n1}')]],
  [
    'one space and no more is taken off',
    'data:  one\n\ndata:two\n\n',
    [message(' one'), message('two')],
  ],
  ['a field without a colon', 'data\n\n', [message('')]],
  ['fields that say nothing here', 'id: 7\nretry: 10\nfoo: bar\ndata: one\n\n', [message('one')]],
  [
    'a name',
    'event: error\ndata: {}\n\ndata: x\n\n',
    [{ name: 'error', data: '{}' }, message('x')],
  ],
  ['an event that is not ended', 'data: one\n\ndata: two\n', [message('one')]],
  ['a mark of the byte order at the start', '\uFEFFdata: one\n\n', [message('one')]],
  ['characters of several bytes', 'data: é€🙂\n\n', [message('é€🙂')]],
];

for (const [what, text, events] of CASES) {
  test(`${what}, whole and byte by byte`, () => {
    for (const step of [1, 2, 3, 7, 4096]) assert.deepEqual(read(utf8(text), step), events);
  });
}

function problemOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    if (error instanceof VeilError) return error.facts['problem'];
    throw error;
  }
  return undefined;
}

test('what is not UTF-8 is an error, and so is half a character', () => {
  for (const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80]]) {
    const line = concat(utf8('data: x'), Uint8Array.from(bytes), utf8('\n\n'));
    assert.equal(
      problemOf(() => read(line, 1)),
      'utf8',
    );
  }
});

test('an event has a limit, whether it is data, comments or a line without an end', () => {
  const limit = 64;
  for (const piece of ['data: xxxxxxxxxxxxxxxx\n', ': xxxxxxxxxxxxxxxx\n', 'xxxxxxxxxxxxxxxx']) {
    const reader = new SseReader(limit);
    assert.equal(
      problemOf(() => reader.push(utf8(piece.repeat(8)))),
      'event-size',
    );
  }
  const reader = new SseReader(limit);
  for (let at = 0; at < 100; at++)
    assert.equal(reader.push(utf8('data: xxxxxxxxxxxxxxxx\n\n')).length, 1);
});
