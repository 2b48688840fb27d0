/** Attack: somebody was revoked, and the gateway would rather that the client did not know. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryGateway, type MemoryGateway } from '../support/memory-gateway.ts';
import type { MemoryPublication } from '../support/memory-publication.ts';
import { entry } from '../support/publication.ts';
import { assertNothingSent, sealedTo, signedApp } from '../support/signed-app.ts';

const HALF_LIFE_MS = 200_000;

async function published(): Promise<[MemoryGateway, MemoryPublication]> {
  const gateway = await memoryGateway([{}, {}]);
  return [gateway, gateway.publish()];
}

/** The list of before everywhere, the newest timestamp beside it. */
function withholdList(gateway: MemoryGateway, publication: MemoryPublication): void {
  const { revocations } = publication.staple();
  const older = publication.document('revocations.json');
  gateway.mischief.evidence = ({ candidates, publication: shown }) => ({
    candidates,
    publication: { ...shown, revocations },
  });
  gateway.mischief.document = (name, bytes) => (name === 'revocations.json' ? older : bytes);
}

test('a timestamp that names a newer list than is shown admits nobody', async () => {
  const [gateway, publication] = await published();
  withholdList(gateway, publication);
  publication.revoke(entry('kid', gateway.workers[0]?.kid ?? ''));
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'client.policy_stale', app.said());
  assert.match(app.said(), /newer release or list/);
  assertNothingSent(gateway);
});

test('it ends a session at once, held keys and all', async () => {
  const [gateway, publication] = await published();
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'whole', app.said());
  withholdList(gateway, publication);
  publication.revoke(entry('kid', gateway.workers[0]?.kid ?? ''));
  gateway.advance(HALF_LIFE_MS);
  await app.ask();
  assert.equal(await app.ask(), 'client.policy_stale');
});

test('a gateway that serves a revoked worker’s evidence gets nothing sealed to it', async () => {
  const [gateway, publication] = await published();
  const [revoked, other] = gateway.workers;
  assert.ok(revoked && other);
  publication.revoke(entry('key', revoked.workerId));
  const kids = sealedTo(gateway);
  const app = signedApp(gateway, {}, { recipients: 8 });
  assert.equal(await app.ask(), 'whole', app.said());
  assert.deepEqual(kids, [other.kid]);
  gateway.mischief.route = ([first]) => (first === undefined ? [] : [first]);
  assert.equal(await app.ask(), 'sx.key_unknown');
  assert.equal(revoked.opened.length, 0);
});

test('a staple that is stripped is asked for by name, and nobody is admitted without it', async () => {
  const [gateway] = await published();
  gateway.mischief.evidence = ({ candidates }) => ({ candidates });
  const honest = signedApp(gateway);
  assert.equal(await honest.ask(), 'whole', honest.said());
  gateway.mischief.document = () => undefined;
  const before = gateway.sent.length;
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'client.policy_none', app.said());
  assert.ok(gateway.sent.length > before);
});

test('a staple that is stripped in the middle of a session ends it with the word that is held', async () => {
  const [gateway] = await published();
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'whole', app.said());
  gateway.mischief.evidence = ({ candidates }) => ({ candidates });
  gateway.mischief.document = () => undefined;
  gateway.advance(299_000);
  assert.equal(await app.ask(), 'whole');
  gateway.advance(1000);
  assert.equal(await app.ask(), 'client.policy_stale');
});

for (const [what, member] of [
  ['the timestamp', 'timestamp'],
  ['the list', 'revocations'],
] as const) {
  test(`${what} alone taken out of the staple and of the gateway admits nobody`, async () => {
    const [gateway] = await published();
    gateway.mischief.evidence = ({ candidates, publication }) => ({
      candidates,
      publication: { ...publication, [member]: null },
    });
    gateway.mischief.document = (name, bytes) => (name === `${member}.json` ? undefined : bytes);
    const app = signedApp(gateway);
    assert.equal(await app.ask(), 'client.policy_stale', app.said());
    assertNothingSent(gateway);
  });
}

test('a timestamp of yesterday is no word', async () => {
  const [gateway, publication] = await published();
  publication.staple();
  publication.frozen = true;
  gateway.advance(300_000);
  await gateway.addWorker();
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'client.policy_stale', app.said());
  assert.match(app.said(), /too old/);
  assertNothingSent(gateway);
});

test('what is held is not renewed by showing the same timestamp again', async () => {
  const [gateway, publication] = await published();
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'whole', app.said());
  publication.frozen = true;
  for (let turn = 0; turn < 4; turn++) {
    gateway.advance(74_000);
    assert.equal(await app.ask(), 'whole');
  }
  gateway.advance(4000);
  await gateway.addWorker();
  assert.equal(await app.ask(), 'client.policy_stale');
});
