/** The reader's step: what is taken, what is refused for which reason, and that a refusal changes nothing. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { advance } from '../../../attestation/publication/advance.ts';
import { freshness } from '../../../attestation/publication/freshness.ts';
import { encodeState } from '../../../attestation/publication/saved-state.ts';
import { openPublication } from '../../../attestation/publication/open.ts';
import { blankReader, firstDay, makeRoot, reader } from '../../support/publication.ts';
import { NOW_MS } from '../../support/tdx/pki.ts';

test('the first day is taken whole, is fresh, and survives a restart', () => {
  const { state, accepted, refused } = advance(blankReader(), firstDay(), NOW_MS);
  assert.deepEqual(refused, []);
  assert.deepEqual(
    accepted.map(({ kind }) => kind),
    ['revocations', 'release', 'timestamp'],
  );
  assert.deepEqual(freshness(state, 60_000, NOW_MS), { fresh: true, untilMs: NOW_MS + 60_000 });
  const again = openPublication({
    pinnedRoot: makeRoot(),
    saved: encodeState(state),
    nowMs: NOW_MS,
  });
  assert.deepEqual(encodeState(again), encodeState(state));
  assert.deepEqual(freshness(again, 60_000, NOW_MS), freshness(state, 60_000, NOW_MS));
});

test('what is offered again changes nothing', () => {
  const state = reader();
  const again = advance(state, firstDay(), NOW_MS);
  assert.equal(again.state, state);
  assert.deepEqual([...again.accepted, ...again.refused], []);
});
