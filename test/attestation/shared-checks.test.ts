/** Checks that verdicts share say what they were asked for, whatever was asked before. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  passedAt,
  passedCheck,
  skippedCheck,
  waivedCheck,
} from '../../attestation/shared-checks.ts';

test('the same words are one object, and nobody can change them', () => {
  assert.equal(passedCheck('a'), passedCheck('a'));
  assert.equal(passedAt('a', 'p:1'), passedAt('a', 'p:1'));
  assert.equal(skippedCheck('a', 'b'), skippedCheck('a', 'b'));
  assert.equal(waivedCheck('a', 'p:1', 'n'), waivedCheck('a', 'p:1', 'n'));
  assert.ok(Object.isFrozen(passedAt('a', 'p:1')));
});

test('other words are other checks, also on the same line of another policy', () => {
  assert.deepEqual(passedAt('a', 'p:2'), { id: 'a', outcome: 'pass', at: 'p:2' });
  assert.deepEqual(passedCheck('a'), { id: 'a', outcome: 'pass' });
  const waived = { id: 'a', outcome: 'waived', by: 'p:1' };
  assert.deepEqual(waivedCheck('a', 'p:1', 'first'), { ...waived, note: 'first' });
  assert.deepEqual(waivedCheck('a', 'p:1', 'second'), { ...waived, note: 'second' });
  assert.deepEqual(waivedCheck('a', 'p:1', 'first'), { ...waived, note: 'first' });
});

test('however many policies come and go, the answer is right', () => {
  for (let round = 0; round < 3; round++) {
    for (let line = 0; line < 200; line++) {
      const at = `p:${line}`;
      assert.deepEqual(passedAt('b', at), { id: 'b', outcome: 'pass', at });
    }
  }
});
