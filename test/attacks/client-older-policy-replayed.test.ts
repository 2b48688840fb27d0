/** Attack: a gateway shows a client an older publication than it has accepted, soundly signed in its day. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryGateway } from '../support/memory-gateway.ts';
import { entry } from '../support/publication.ts';
import { admittedVerdicts, refusedIn, signedApp } from '../support/signed-app.ts';

test('B1 (client): an older release with its own timestamp is refused by its number', async () => {
  const gateway = await memoryGateway();
  const publication = gateway.publish();
  const older = publication.staple();
  publication.publish(gateway.variant({ serial: 2 }));
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'whole', app.said());
  gateway.mischief.evidence = ({ candidates }) => ({ candidates, publication: older });
  gateway.advance(200_000);
  assert.equal(await app.ask(), 'whole');
  assert.equal(await app.ask(), 'whole');
  assert.deepEqual(refusedIn(app), [
    'release publication.rollback',
    'timestamp publication.rollback',
  ]);
  assert.equal(admittedVerdicts(app)[0]?.policy.serial, 2);
});

test('B1 (client): an older release beside the newest timestamp changes nothing either', async () => {
  const gateway = await memoryGateway();
  const publication = gateway.publish();
  const { release } = publication.staple();
  publication.publish(gateway.variant({ serial: 2, rules: [] }));
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'client.none_admitted', app.said());
  gateway.mischief.evidence = ({ candidates, publication: shown }) => ({
    candidates,
    publication: { ...shown, release },
  });
  assert.equal(await app.ask(), 'client.none_admitted');
  assert.deepEqual(refusedIn(app), ['release publication.rollback']);
});

test('B1 (client): at first sight of an older release the newest timestamp tells', async () => {
  const gateway = await memoryGateway();
  const publication = gateway.publish();
  const { release } = publication.staple();
  publication.publish(gateway.variant({ serial: 2 }));
  gateway.mischief.evidence = ({ candidates, publication: shown }) => ({
    candidates,
    publication: { ...shown, release },
  });
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'client.policy_stale', app.said());
  assert.match(app.said(), /newer release or list/);
});

test('B1 (client): an older list of revocations gives nothing back', async () => {
  const gateway = await memoryGateway();
  const publication = gateway.publish();
  const { revocations } = publication.staple();
  publication.revoke(entry('image', 'test-image'));
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'client.none_admitted', app.said());
  gateway.mischief.evidence = ({ candidates, publication: shown }) => ({
    candidates,
    publication: { ...shown, revocations },
  });
  assert.equal(await app.ask(), 'client.none_admitted');
  assert.deepEqual(refusedIn(app), ['revocations publication.rollback']);
});
