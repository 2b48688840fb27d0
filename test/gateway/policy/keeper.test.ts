/** What the keeper takes over, what it keeps, and what it asks for again when something failed on its own side. @module */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { sha256 } from '#primitives';
import { utf8 } from '../../../core/bytes.ts';
import { systemClock } from '../../../core/clock.ts';
import { openPublication } from '../../../attestation/publication/open.ts';
import { Keeper } from '../../../gateway/policy/keeper.ts';
import { directorySource } from '../../../gateway/policy/sources/directory.ts';
import { Publisher } from '../../support/publisher.ts';

const signal = new AbortController().signal;

function opened(context: TestContext, { allowDevelopment = true } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-keeper-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const publisher = new Publisher(join(folder, 'published'), [sha256(utf8('no root'))]);
  publisher.publish(publisher.policy());
  publisher.revocations([]);
  const source = directorySource(publisher.directory);
  context.after(() => source.close());
  const said: string[] = [];
  const statePath = join(folder, 'state', 'accepted.json');
  const keeper = new Keeper(
    {
      source,
      statePath,
      clock: systemClock,
      allowDevelopment,
      on: {
        accepted: ({ kind }) => void said.push(`accepted ${kind}`),
        refused: ({ document, code }) => void said.push(`refused ${document} ${code}`),
        unreachable: (name, code) => void said.push(`unreachable ${name} ${code}`),
        unsaved: (code) => void said.push(`unsaved ${code}`),
      },
    },
    openPublication({ pinnedRoot: readFileSync(publisher.rootFile), nowMs: systemClock() }),
  );
  const allowSaving = (): void => {
    mkdirSync(dirname(statePath));
  };
  const forbidSaving = (): void => rmSync(dirname(statePath), { recursive: true });
  return { publisher, keeper, said, statePath, allowSaving, forbidSaving };
}

test('what grants is not taken over while it cannot be saved, and is as soon as it can', async (context) => {
  const { keeper, said, allowSaving } = opened(context);
  await keeper.look(signal);
  assert.equal(keeper.enforced(), undefined);
  assert.ok(said.includes('unsaved unknown'));
  allowSaving();
  await keeper.look(signal);
  assert.equal(keeper.enforced()?.current.document.serial, 1);
});

test('what takes away is in force even when it cannot be saved', async (context) => {
  const { publisher, keeper, allowSaving, forbidSaving } = opened(context);
  allowSaving();
  await keeper.look(signal);
  forbidSaving();
  publisher.revoke({ kind: 'image', value: 'some-image' });
  await keeper.look(signal);
  assert.ok(keeper.revocations().list.find('image', 'some-image') !== undefined);
});

test('a root that could not be saved is climbed as soon as it can', async (context) => {
  const { publisher, keeper, allowSaving, forbidSaving } = opened(context);
  allowSaving();
  await keeper.look(signal);
  forbidSaving();
  publisher.rotate('release');
  await keeper.look(signal);
  assert.equal(keeper.state().root.payload.version, 1);
  allowSaving();
  await keeper.look(signal);
  assert.equal(keeper.state().root.payload.version, 2);
});

test('under a root that took the keys of the release away nothing is in force', async (context) => {
  const { publisher, keeper, allowSaving } = opened(context);
  allowSaving();
  await keeper.look(signal);
  assert.equal(keeper.revocations().isRetired(), false);
  publisher.rotate('release');
  await keeper.look(signal);
  assert.equal(keeper.revocations().isRetired(), true);
  assert.equal(keeper.enforced(), undefined);
});

test('a pipe in place of a document holds nothing up', async (context) => {
  const { publisher, keeper, allowSaving, said } = opened(context);
  allowSaving();
  execFileSync('mkfifo', [join(publisher.directory, 'root', '2.json')]);
  await keeper.look(signal);
  assert.equal(keeper.enforced()?.current.document.serial, 1);
  assert.ok(said.includes('unreachable root/2.json publication_source.unreadable'));
});

test('a policy for simulated machines is not taken where that is not allowed', async (context) => {
  const { publisher, keeper, allowSaving, said } = opened(context, { allowDevelopment: false });
  allowSaving();
  await keeper.look(signal);
  assert.equal(keeper.enforced(), undefined);
  assert.ok(said.includes('refused release publication.development'));
  const real = publisher.policy((policy) => {
    delete policy['development'];
    delete policy['roots'];
  });
  publisher.publish(real);
  await keeper.look(signal);
  assert.equal(keeper.enforced()?.current.document.serial, 2);
  publisher.candidate(publisher.policy());
  await keeper.look(signal);
  assert.equal(keeper.enforced()?.candidate, undefined);
});

test('a release whose bundle comes after it is taken with it', async (context) => {
  const { publisher, keeper, allowSaving } = opened(context);
  allowSaving();
  await keeper.look(signal);
  const next = publisher.policy();
  publisher.publish(next);
  rmSync(join(publisher.directory, 'bundles', '2.json'));
  await keeper.look(signal);
  assert.equal(keeper.enforced()?.current.document.serial, 1);
  publisher.bundle(next);
  await keeper.look(signal);
  assert.equal(keeper.enforced()?.current.document.serial, 2);
});

test('a release that a new root retired is back when its bundle is signed by the new keys', async (context) => {
  const { publisher, keeper, allowSaving } = opened(context);
  allowSaving();
  await keeper.look(signal);
  const bundle = keeper.enforced()?.current;
  assert.ok(bundle !== undefined);
  publisher.rotate('policy');
  await keeper.look(signal);
  assert.equal(keeper.enforced(), undefined);
  publisher.bundle(bundle);
  await keeper.look(signal);
  assert.equal(keeper.enforced()?.current.document.serial, 1);
});
