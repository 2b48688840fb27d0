/** Characters are never cut, and stop strings are found wherever token borders fall. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StopScanner, TokenText } from '../../enclave-worker/engines/llama-cpp/text-stream.ts';

/** A tokenizer whose tokens are arbitrary byte strings. */
function textOf(tokens: readonly Uint8Array[]): TokenText<Uint8Array> {
  void tokens;
  return new TokenText((held) => new TextDecoder().decode(Buffer.concat(held)));
}

function pieces(text: string, size: number): readonly Uint8Array[] {
  const bytes = new TextEncoder().encode(text);
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}

const SAMPLES = ['plain', 'Grüße, 你好', '🌍🚀👩‍👩‍👧 mixed ünïcödé', '🌍'.repeat(40)];

for (const size of [1, 2, 3, 5]) {
  test(`characters come whole from tokens of ${size} bytes`, () => {
    for (const sample of SAMPLES) {
      const tokens = pieces(sample, size);
      const stream = textOf(tokens);
      let out = '';
      for (const token of tokens) {
        const fresh = stream.push(token);
        assert.ok(fresh.isWellFormed() && !fresh.includes('\uFFFD'), 'a cut character');
        out += fresh;
      }
      assert.equal(out + stream.end(), sample);
    }
  });
}

test('an incomplete character at the end shows as a replacement character', () => {
  const stream = textOf([]);
  assert.equal(stream.push(Uint8Array.of(0x61, 0xf0, 0x9f)), 'a');
  assert.equal(stream.end(), '\uFFFD');
});

test('bytes that never become a character are not held for ever', () => {
  const stream = textOf([]);
  let out = '';
  for (let i = 0; i < 100; i++) out += stream.push(Uint8Array.of(0x80));
  assert.ok(out.length > 0);
});

function scan(stops: readonly string[], tokens: readonly string[]): [string, boolean] {
  const scanner = new StopScanner(stops);
  let out = '';
  for (const token of tokens) {
    const { text, stopped } = scanner.push(token);
    out += text;
    if (stopped) return [out, true];
  }
  return [out + scanner.end(), false];
}

test('a stop string is found across every token border', () => {
  const text = 'one two STOP three';
  for (let size = 1; size <= text.length; size++) {
    const tokens = Array.from({ length: Math.ceil(text.length / size) }, (_, index) =>
      text.slice(index * size, (index + 1) * size),
    );
    assert.deepEqual(scan(['STOP'], tokens), ['one two ', true]);
  }
});

test('the first of several stop strings wins', () => {
  assert.deepEqual(scan(['three', 'two'], ['one t', 'wo thr', 'ee']), ['one ', true]);
});

test('text that only began like a stop string is shown in the end', () => {
  assert.deepEqual(scan(['STOP'], ['an ST', 'O', ' and ST']), ['an STO and ST', false]);
});

test('no part of a possible stop string is shown early', () => {
  const scanner = new StopScanner(['\n\nUser:']);
  assert.deepEqual(scanner.push('fine.\n'), { text: 'fine.', stopped: false });
  assert.deepEqual(scanner.push('\nUser'), { text: '', stopped: false });
  assert.deepEqual(scanner.push(':'), { text: '', stopped: true });
});
