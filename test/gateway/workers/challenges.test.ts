/** What a challenge is good for, and what an owner may spend. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixed } from '../../../core/bytes.ts';
import {
  APPRAISALS_OF_NEWCOMERS_MAX,
  CHALLENGE_LIFETIME_MS,
  REGISTRATIONS_PER_OWNER_MAX,
} from '../../../gateway/limits.ts';
import { AppraisalBudget } from '../../../gateway/workers/admission.ts';
import { Challenges } from '../../../gateway/workers/challenges.ts';

const NOW_MS = 1_800_000_000_000;
const REFUSED = { code: 'registration.challenge' };

test('a challenge is good once', () => {
  const challenges = new Challenges();
  const { challenge } = challenges.issue(NOW_MS);
  challenges.verify(challenge, NOW_MS);
  challenges.consume(challenge, 'newcomer', NOW_MS);
  assert.throws(() => challenges.verify(challenge, NOW_MS), REFUSED);
  assert.throws(() => challenges.consume(challenge, 'known', NOW_MS), REFUSED);
});

test('a challenge ends with its minute', () => {
  const challenges = new Challenges();
  const { challenge, expiresAtMs } = challenges.issue(NOW_MS);
  assert.equal(expiresAtMs, NOW_MS + CHALLENGE_LIFETIME_MS);
  assert.doesNotThrow(() => challenges.verify(challenge, expiresAtMs - 1));
  assert.throws(() => challenges.verify(challenge, expiresAtMs), REFUSED);
});

test('a challenge with any byte changed, or of another process, is refused', () => {
  const challenges = new Challenges();
  const { challenge } = challenges.issue(NOW_MS);
  for (let at = 0; at < challenge.length; at++) {
    const changed = fixed(
      challenge.map((byte, i) => (i === at ? byte ^ 1 : byte)),
      32,
    );
    assert.throws(() => challenges.verify(changed, NOW_MS), REFUSED);
  }
  assert.throws(() => new Challenges().verify(challenge, NOW_MS), REFUSED);
});

test('an owner in a loop spends only its own rate', () => {
  const budget = new AppraisalBudget();
  for (let i = 0; i < REGISTRATIONS_PER_OWNER_MAX; i++) budget.enter('a', 'newcomer', NOW_MS)();
  assert.throws(() => budget.enter('a', 'newcomer', NOW_MS), { code: 'registration.rate' });
  assert.doesNotThrow(() => budget.enter('b', 'newcomer', NOW_MS)());
  assert.doesNotThrow(() => budget.enter('a', 'newcomer', NOW_MS + 60_000)());
});

test('newcomers in all their places leave those of the workers that are in', () => {
  const budget = new AppraisalBudget();
  for (let i = 0; i < APPRAISALS_OF_NEWCOMERS_MAX; i++) budget.enter(`n${i}`, 'newcomer', NOW_MS);
  assert.throws(() => budget.enter('late', 'newcomer', NOW_MS), { code: 'registration.full' });
  assert.doesNotThrow(() => budget.enter('worker', 'known', NOW_MS)());
});
