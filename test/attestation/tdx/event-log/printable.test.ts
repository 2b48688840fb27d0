/** Texts of a log on a terminal: no byte of it reaches the terminal as anything but ink. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  printableBytes,
  printableText,
  printableUtf16,
} from '../../../../attestation/tdx/event-log/printable.ts';
import { concat, utf8 } from '../../../../core/bytes.ts';
import { utf16 } from '../../../support/tdx/event-log.ts';

const INK = /^[ -;=?-~]*$/;

test('every byte and every character leaves as printable ASCII without angle brackets', () => {
  for (let unit = 0; unit <= 0xffff; unit++) {
    assert.match(printableText(String.fromCharCode(unit), 100), INK);
  }
  for (let byte = 0; byte <= 0xff; byte++) {
    for (const filler of [0x00, 0x20, 0x41, 0xff]) {
      assert.match(printableBytes(Uint8Array.of(byte, filler, byte), 100), INK);
      assert.match(printableUtf16(Uint8Array.of(byte, filler), 100), INK);
    }
  }
});

test('what moves cursors, changes colours or turns text around is shown as what it is', () => {
  assert.equal(printableText('a\u001b[2Jb', 100), 'a\\x1b[2Jb');
  assert.equal(printableText('a\u009b31mb', 100), 'a\\x9b31mb');
  assert.equal(printableText('a\u202eb', 100), 'a\\u202eb');
  assert.equal(printableText('a\rb\nc\td\0', 100), 'a\\rb\\nc\\td\\0');
});

test('an escape cannot be written by hand', () => {
  assert.equal(printableText('\\x1b', 100), '\\\\x1b');
  assert.notEqual(printableText('\\n', 100), printableText('\n', 100));
});

test('a claim cannot close its own brackets', () => {
  assert.equal(printableText('a> b <c', 100), 'a\\x3e b \\x3cc');
});

test('text is shown as text, with or without the zero that ends it, bytes as hex', () => {
  assert.equal(printableBytes(utf8('MokList\0'), 100), 'MokList');
  assert.equal(printableBytes(utf8('two\nlines'), 100), 'two\\nlines');
  assert.equal(printableBytes(utf16('Linux\0'), 100), 'Linux');
  assert.equal(printableBytes(Uint8Array.of(1, 2, 0xab), 100), '0x0102ab');
  assert.equal(printableBytes(new Uint8Array(0), 100), '');
});

test('a text that looks like hex is told from bytes', () => {
  assert.equal(printableBytes(utf8('0xab'), 100), '\\x30xab');
  assert.equal(printableBytes(Uint8Array.of(0xab), 100), '0xab');
});

test('a long text is cut and says so, whatever it consists of', () => {
  for (const char of ['a', '\u001b', '\u202e', '\\', '0']) {
    const text = printableText(char.repeat(1000), 50);
    assert.ok(text.length <= 50, char);
    assert.ok(text.endsWith('...'), char);
  }
  assert.equal(printableText('a'.repeat(50), 50), 'a'.repeat(50));
  const bytes = concat(Uint8Array.of(0xff), new Uint8Array(1000));
  assert.equal(printableBytes(bytes, 50).length, 50);
});
