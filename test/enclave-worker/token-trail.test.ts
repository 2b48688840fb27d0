/** Which tokens are told with which text. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../core/bytes.ts';
import { TokenTrail } from '../../enclave-worker/engines/llama-cpp/token-trail.ts';

function token(bytes: Uint8Array | string): Parameters<TokenTrail['add']>[0] {
  return { bytes: typeof bytes === 'string' ? utf8(bytes) : bytes, logprob: -1, top: [] };
}

function said(told: readonly { readonly bytes: readonly number[] }[]): readonly string[] {
  return told.map(({ bytes }) => Buffer.from(bytes).toString('latin1'));
}

test('a token is told with the text that completes it, not before', () => {
  const trail = new TokenTrail();
  trail.add(token('one '));
  trail.became('one ', 'whole');
  assert.deepEqual(said(trail.show('')), []);
  trail.add(token('two'));
  trail.became('two', 'whole');
  assert.deepEqual(said(trail.show('one t')), ['one ']);
  assert.deepEqual(said(trail.show('wo')), ['two']);
  assert.deepEqual(said(trail.end()), []);
});

test('a token of which nothing was shown is not told at the end', () => {
  const trail = new TokenTrail();
  for (const text of ['shown ', 'cut']) {
    trail.add(token(text));
    trail.became(text, 'whole');
  }
  assert.deepEqual(said(trail.show('shown ')), ['shown ']);
  assert.deepEqual(said(trail.end()), []);
});

test('a token that was cut in two is told by the part that was shown', () => {
  const trail = new TokenTrail();
  trail.add(token('abcdef'));
  trail.became('abcdef', 'whole');
  assert.deepEqual(said(trail.show('abc')), []);
  assert.deepEqual(said(trail.end()), ['abc']);
});

test('pieces of a character are told together, each with its own bytes', () => {
  const trail = new TokenTrail();
  const [lead, last] = utf8('é');
  trail.add(token(Uint8Array.of(lead ?? 0)));
  trail.became('', 'held');
  assert.deepEqual(said(trail.show('')), []);
  trail.add(token(Uint8Array.of(last ?? 0)));
  trail.became('é', 'whole');
  assert.deepEqual(said(trail.show('é')), ['\u00c3', '\u00a9']);
});

test('a byte that never becomes a character stands for the mark that is shown for it', () => {
  const trail = new TokenTrail();
  trail.add(token(Uint8Array.of(0x80)));
  trail.became('\uFFFD', 'whole');
  trail.add(token('x'));
  trail.became('x', 'whole');
  assert.deepEqual(said(trail.show('\uFFFD')), ['\u0080']);
  assert.deepEqual(said(trail.show('x')), ['x']);
});

test('where text is not what the vocabulary says, the bytes told are those of the text', () => {
  const trail = new TokenTrail();
  trail.add(token(' Hello'));
  trail.became('Hello', 'whole');
  assert.deepEqual(said(trail.show('Hello')), ['Hello']);
});

test('a token that adds nothing is told too', () => {
  const trail = new TokenTrail();
  trail.add(token(''));
  trail.became('', 'whole');
  assert.deepEqual(said(trail.show('')), ['']);
});
