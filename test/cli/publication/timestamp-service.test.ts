/** The service that says "still the newest": what it names, what it refuses to name, how fast. @module */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { openPublication } from '../../../attestation/publication/open.ts';
import { freshness } from '../../../attestation/publication/freshness.ts';
import { ownState } from '../../../cli/publication/own-state.ts';
import { readRepository } from '../../../cli/publication/repository.ts';
import {
  runTimestampService,
  signTimestampOnce,
  type TimestampReport,
} from '../../../cli/publication/timestamp-service.ts';
import { openTimestamper, type TimestamperOptions } from '../../../cli/publication/timestamper.ts';
import { manualClock, systemClock } from '../../../core/clock.ts';
import { NOW_MS } from '../../support/tdx/pki.ts';
import {
  bundlesOf,
  entry,
  makeRelease,
  makeRevocations,
  makeRoot,
  named,
  policyOf,
  rootFields,
  secretKeyOf,
} from '../../support/publication.ts';
import { bareRepository, firstRepository, type TestRepository } from '../../support/repository.ts';

function optionsFor(
  repository: TestRepository,
  overrides: Partial<TimestamperOptions> = {},
): TimestamperOptions {
  return {
    directory: repository.directory,
    secretKey: secretKeyOf('server'),
    memoryPath: repository.path('seen.json'),
    now: () => NOW_MS,
    ...overrides,
  };
}

test('a reader of what was signed is fresh', () => {
  using repository = firstRepository();
  const tick = signTimestampOnce(optionsFor(repository));
  assert.equal(tick.outcome, 'signed');
  const { state, refused } = ownState(readRepository(repository.directory), NOW_MS);
  assert.deepEqual(refused, []);
  assert.equal(freshness(state, 60_000, NOW_MS).fresh, true);
});

test('what is not published yet is waited for', () => {
  using repository = bareRepository();
  const tick = signTimestampOnce(optionsFor(repository));
  assert.deepEqual(tick.outcome === 'waiting' && tick.missing, ['release', 'revocations']);
});

test('a key without the role signs nothing', () => {
  using repository = firstRepository();
  const tick = signTimestampOnce(optionsFor(repository, { secretKey: secretKeyOf('alice') }));
  assert.equal(tick.outcome === 'unable' && tick.refusal.code, 'publication.threshold');
  assert.equal(readRepository(repository.directory).timestamp, undefined);
});

test('a root that has expired vouches for nothing', () => {
  using repository = firstRepository();
  repository.write('root/1.json', makeRoot({ expiresMs: NOW_MS + 1000 }));
  const clock = manualClock(NOW_MS);
  const timestamper = openTimestamper(optionsFor(repository, { now: clock.now }));
  assert.equal(timestamper.tick('due').outcome, 'signed');
  clock.advance(2000);
  const tick = timestamper.tick('due');
  timestamper.close();
  assert.equal(tick.outcome === 'unable' && tick.refusal.code, 'publication.root_expired');
});

test('a list whose keys a new root took away is not vouched for', () => {
  using repository = firstRepository();
  assert.equal(signTimestampOnce(optionsFor(repository)).outcome, 'signed');
  const { roles } = rootFields();
  const revocation = { threshold: 1, keys: ['alice', 'bob'] };
  repository.write('root/2.json', makeRoot({ version: 2, roles: { ...roles, revocation } }));
  const tick = signTimestampOnce(optionsFor(repository));
  assert.deepEqual(tick.outcome === 'waiting' && tick.missing, ['revocations']);
});

test('a repository restored from yesterday is not believed, also after a restart', () => {
  using repository = firstRepository();
  const yesterday = readRepository(repository.directory);
  repository.write(
    'revocations.json',
    makeRevocations({ number: 2, entries: [entry('rule', 'a')] }),
  );
  assert.equal(signTimestampOnce(optionsFor(repository)).outcome, 'signed');
  if (yesterday.revocations) repository.write('revocations.json', yesterday.revocations);
  const tick = signTimestampOnce(optionsFor(repository));
  assert.deepEqual(
    tick.refused.map(({ code }) => code),
    ['publication.rollback'],
  );
  assert.equal(tick.outcome === 'signed' && tick.named.revocations, 2);
});

test('two contents under one number: the first one stays named', () => {
  using repository = firstRepository();
  signTimestampOnce(optionsFor(repository));
  repository.write('revocations.json', makeRevocations({ entries: [entry('rule', 'a')] }));
  const tick = signTimestampOnce(optionsFor(repository));
  assert.deepEqual(
    tick.refused.map(({ code }) => code),
    ['publication.equivocation'],
  );
});

test('a document that its role did not sign is not named', () => {
  using repository = firstRepository();
  signTimestampOnce(optionsFor(repository));
  repository.write('revocations.json', makeRevocations({ number: 2 }, ['dave']));
  const tick = signTimestampOnce(optionsFor(repository));
  assert.deepEqual(
    tick.refused.map(({ code }) => code),
    ['publication.threshold'],
  );
  assert.equal(tick.outcome === 'signed' && tick.named.revocations, 1);
});

test('another chain of roots than the remembered one stops it', () => {
  using repository = firstRepository();
  signTimestampOnce(optionsFor(repository));
  repository.write('root/1.json', makeRoot({ expiresMs: NOW_MS + 5000 }));
  assert.throws(() => signTimestampOnce(optionsFor(repository)), /publication\.saved_state/);
});

test('a damaged memory stops it: nothing is believed on the word of a disk', () => {
  using repository = firstRepository();
  signTimestampOnce(optionsFor(repository));
  writeFileSync(repository.path('seen.json'), '{}');
  assert.throws(() => signTimestampOnce(optionsFor(repository)), /publication\.saved_state/);
});

test('one service at a time for one memory', () => {
  using repository = firstRepository();
  const first = openTimestamper(optionsFor(repository));
  assert.throws(() => openTimestamper(optionsFor(repository)), /writer_lock\.held/);
  first.close();
  openTimestamper(optionsFor(repository)).close();
});

test('several changes in one second get several instants, as far as readers take them', () => {
  using repository = firstRepository();
  const timestamper = openTimestamper(optionsFor(repository));
  const times: number[] = [];
  let outcome = '';
  for (let number = 2; outcome !== 'later' && number < 40; number++) {
    const entries = Array.from({ length: number }, (_, at) => entry('rule', `rule-${at}`));
    repository.write('revocations.json', makeRevocations({ number, entries }));
    const tick = timestamper.tick('changes');
    outcome = tick.outcome;
    if (tick.outcome === 'signed') times.push(tick.timeMs - NOW_MS);
  }
  timestamper.close();
  assert.deepEqual(
    times,
    Array.from({ length: 11 }, (_, at) => at * 1000),
  );
  assert.equal(outcome, 'later');
});

test('what was accepted is on the disk before a timestamp names it', () => {
  using repository = firstRepository();
  const clock = manualClock(NOW_MS);
  const timestamper = openTimestamper(optionsFor(repository, { now: clock.now }));
  const bundles = bundlesOf([policyOf(2)]);
  for (const [serial, bytes] of bundles) repository.write(`bundles/${serial}.json`, bytes);
  repository.write('release.json', makeRelease({ number: 2, current: named(policyOf(2)) }));
  timestamper.tick('changes');
  timestamper.close();
  const pinnedRoot = makeRoot();
  const saved = new Uint8Array(readFileSync(repository.path('seen.json')));
  const state = openPublication({ pinnedRoot, saved, nowMs: NOW_MS });
  assert.equal(state.release?.document.payload.number, 2);
});

/** Of several, because a machine under load is late with everything. */
const PUBLICATIONS = 6;

test('a publication gets its timestamp within a tenth of a second', async () => {
  using repository = firstRepository();
  const startMs = systemClock();
  const now = (): number => NOW_MS + systemClock() - startMs;
  const stop = new AbortController();
  const tookMs: number[] = [];
  let wroteAtMs = 0;
  const publish = (number: number): void => {
    const entries = Array.from({ length: number }, (_, at) => entry('rule', `rule-${at}`));
    repository.write('revocations.json', makeRevocations({ number, entries }));
    wroteAtMs = systemClock();
  };
  const onTick = (report: TimestampReport): void => {
    if (report.outcome !== 'signed') return;
    const { revocations } = report.named;
    if (revocations > 1) tookMs.push(systemClock() - wroteAtMs);
    if (revocations > PUBLICATIONS) stop.abort();
    else queueMicrotask(() => publish(revocations + 1));
  };
  await runTimestampService({ ...optionsFor(repository, { now }), signal: stop.signal, onTick });
  assert.equal(tookMs.length, PUBLICATIONS);
  assert.ok(Math.min(...tookMs) < 100, `${tookMs.join(', ')} ms`);
  // Nobody is left behind: the memory can be opened again.
  openTimestamper(optionsFor(repository, { now })).close();
});
