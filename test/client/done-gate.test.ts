/** The gate that keeps `[DONE]` from an app until the answer is known to be whole. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, fromUtf8, utf8 } from '../../core/bytes.ts';
import { DoneGate } from '../../client/done-gate.ts';

const STREAM = 'data: {"a":"x"}\n\n: ping\n\ndata: {"b":"data: [DONE]"}\n\ndata: [DONE]\n\n';
const BEFORE = STREAM.slice(0, STREAM.lastIndexOf('data: [DONE]'));

function passAll(pieces: readonly Uint8Array[]): { passed: string; released: string } {
  const gate = new DoneGate();
  const passed = fromUtf8(concat(...pieces.map((piece) => gate.pass(piece).slice())));
  return { passed, released: fromUtf8(gate.release()) };
}

test('everything before the mark passes and the mark waits for release', () => {
  assert.deepEqual(passAll([utf8(STREAM)]), { passed: BEFORE, released: 'data: [DONE]\n\n' });
});

test('the mark is held wherever the stream is cut', () => {
  for (let at = 0; at <= STREAM.length; at++) {
    const pieces = [utf8(STREAM.slice(0, at)), utf8(STREAM.slice(at))];
    assert.deepEqual(passAll(pieces), { passed: BEFORE, released: 'data: [DONE]\n\n' }, `${at}`);
  }
});

test('the mark is held when the stream comes byte by byte', () => {
  const pieces = [...utf8(STREAM)].map((byte) => Uint8Array.of(byte));
  assert.deepEqual(passAll(pieces), { passed: BEFORE, released: 'data: [DONE]\n\n' });
});

test('a mark inside an event is content and passes', () => {
  const text = 'data: {"b":"data: [DONE]"}\n\n';
  assert.deepEqual(passAll([utf8(text)]), { passed: text, released: '' });
});

test('a beginning that turns out not to be the mark passes', () => {
  const text = 'data: [DONKEY]\n\n';
  assert.deepEqual(passAll([utf8('data: [DO'), utf8('NKEY]\n\n')]), { passed: text, released: '' });
});

test('what follows the mark waits with it', () => {
  const { passed, released } = passAll([utf8('data: [DONE]\n\n'), utf8('data: more\n\n')]);
  assert.deepEqual([passed, released], ['', 'data: [DONE]\n\ndata: more\n\n']);
});

for (const mark of ['data:[DONE]', '\uFEFFdata: [DONE]', 'data: [DONE] ']) {
  for (const end of ['\n', '\r', '\r\n']) {
    test(`${JSON.stringify(mark + end)} is the mark too, however it is cut`, () => {
      const before = `: ping${end}data: {}${end}${end}`;
      const bytes = utf8(`${before}${mark}${end}`);
      for (let at = 0; at <= bytes.length; at++) {
        const pieces = [bytes.subarray(0, at), bytes.subarray(at)];
        assert.equal(passAll(pieces).passed, before, `${at}`);
      }
    });
  }
}

for (const mark of [
  'event: response.completed',
  'event: response.incomplete',
  'event: message_stop',
]) {
  test(`${mark} is held with all that follows, however it is cut`, () => {
    const before = 'event: response.output_text.done\ndata: {"text":"event: message_stop"}\n\n';
    const end = `${mark}\ndata: {}\n\n`;
    const bytes = utf8(before + end);
    for (let at = 0; at <= bytes.length; at++) {
      const pieces = [bytes.subarray(0, at), bytes.subarray(at)];
      assert.deepEqual(passAll(pieces), { passed: before, released: end }, `${at}`);
    }
  });
}
