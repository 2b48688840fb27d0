/** Attack: a gateway shows a client documents that fewer people have signed than have to, or others, or nobody. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryGateway } from '../support/memory-gateway.ts';
import { makeBundle, makeRelease, makeRoot, named } from '../support/publication.ts';
import { assertNothingSent, refusedIn, signedApp } from '../support/signed-app.ts';

for (const [what, by] of [
  ['one of two', ['alice']],
  ['nobody', []],
  ['somebody without a role and one of two', ['alice', 'dave']],
  ['the machine that signs timestamps', ['server']],
] as const) {
  test(`B2 (client): a bundle signed by ${what} is no policy`, async () => {
    const gateway = await memoryGateway();
    const publication = gateway.publish();
    publication.documents.set('bundles/1.json', makeBundle(gateway.policy, by));
    const app = signedApp(gateway);
    assert.equal(await app.ask(), 'client.policy_none', app.said());
    assert.match(app.said(), /bundle: publication\.threshold/);
    assertNothingSent(gateway);
  });

  test(`B2 (client): a release signed by ${what} puts nothing in force`, async () => {
    const gateway = await memoryGateway();
    const publication = gateway.publish();
    publication.publish(gateway.policy, {}, by);
    const app = signedApp(gateway);
    assert.equal(await app.ask(), 'client.policy_none', app.said());
    assert.ok(refusedIn(app).includes('release publication.threshold'));
    assertNothingSent(gateway);
  });
}

test('B2 (client): a bundle with one signature spoiled is refused whole', async () => {
  const gateway = await memoryGateway();
  const publication = gateway.publish();
  const sound = makeBundle(gateway.policy, ['alice', 'bob', 'carol']);
  const spoiled = Buffer.from(sound)
    .toString('utf8')
    .replace(
      /("sig": ")(.)/,
      (_, head: string, first: string) => head + (first === 'A' ? 'B' : 'A'),
    );
  publication.documents.set('bundles/1.json', Buffer.from(spoiled));
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'client.policy_none', app.said());
  assert.ok(refusedIn(app).includes('bundle publication.signature'));
});

test('B2 (client): a policy in force stays when a badly signed one is shown', async () => {
  const gateway = await memoryGateway();
  const publication = gateway.publish();
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'whole', app.said());
  const weaker = gateway.variant({ serial: 2 });
  publication.documents.set('bundles/2.json', makeBundle(weaker, ['alice']));
  const release = makeRelease({ number: 2, current: named(weaker) });
  gateway.mischief.evidence = ({ candidates, publication: shown }) => ({
    candidates,
    publication: { ...shown, release: JSON.parse(Buffer.from(release).toString('utf8')) },
  });
  gateway.advance(200_000);
  assert.equal(await app.ask(), 'whole');
  assert.equal(await app.ask(), 'whole');
  assert.ok(refusedIn(app).includes('bundle publication.threshold'));
});

test('B2 (client): a next root that the pinned one did not sign is not climbed', async () => {
  const gateway = await memoryGateway();
  const publication = gateway.publish();
  publication.documents.set('root/2.json', makeRoot({ version: 2 }, ['alice', 'dave']));
  publication.rootVersion = 2;
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'whole', app.said());
  assert.deepEqual(refusedIn(app), ['root publication.threshold']);
});
