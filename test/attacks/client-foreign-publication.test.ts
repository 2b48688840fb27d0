/** Attack: a gateway answers with documents of another policy, of other people, or under a root of its own. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../core/bytes.ts';
import { ed25519PublicKey, sha256 } from '#primitives';
import { signEnvelope } from '../../attestation/publication/envelope.ts';
import { encodeBundle } from '../../attestation/publication/bundle.ts';
import { encodeRelease } from '../../attestation/publication/release.ts';
import { encodeRevocations } from '../../attestation/publication/revocations.ts';
import { encodeRoot } from '../../attestation/publication/root.ts';
import { encodeTimestamp } from '../../attestation/publication/timestamp.ts';
import { memoryGateway, type MemoryGateway } from '../support/memory-gateway.ts';
import {
  makeBundle,
  makeRelease,
  makeRevocations,
  makeTimestamp,
  named,
  releaseOf,
  revocationsOf,
  rootFields,
  timestampOf,
} from '../support/publication.ts';
import { assertNothingSent, refusedIn, signedApp } from '../support/signed-app.ts';

/** Everything at its place, made anew by the test. */
function show(gateway: MemoryGateway, documents: Readonly<Record<string, Uint8Array>>): void {
  const json = (name: string): unknown => {
    const bytes = documents[name];
    return bytes === undefined ? null : JSON.parse(Buffer.from(bytes).toString('utf8'));
  };
  gateway.mischief.evidence = ({ candidates }) => ({
    candidates,
    publication: {
      root: documents['root/2.json'] === undefined ? 1 : 2,
      release: json('release.json'),
      revocations: json('revocations.json'),
      timestamp: json('timestamp.json'),
    },
  });
  gateway.mischief.document = (name) => documents[name];
}

test('documents of another policy, signed by the same people, are of no use', async () => {
  const gateway = await memoryGateway();
  gateway.publish();
  const policy = gateway.variant({ name: 'other' });
  show(gateway, {
    'release.json': makeRelease({ policy: 'other', current: named(policy) }),
    'bundles/1.json': makeBundle(policy),
    'revocations.json': makeRevocations({ policy: 'other' }),
    'timestamp.json': makeTimestamp({ policy: 'other' }),
  });
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'client.policy_none', app.said());
  assert.deepEqual(
    new Set(refusedIn(app)),
    new Set([
      'revocations publication.other_policy',
      'release publication.other_policy',
      'timestamp publication.other_policy',
    ]),
  );
  assertNothingSent(gateway);
});

test('a bundle of another policy under the name of ours is refused', async () => {
  const gateway = await memoryGateway();
  const publication = gateway.publish();
  publication.documents.set('bundles/1.json', makeBundle(gateway.variant({ name: 'other' })));
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'client.policy_none', app.said());
  assert.ok(refusedIn(app).includes('bundle publication.other_policy'));
});

const MALLORY = sha256(utf8('key of the gateway'));

for (const version of [1, 2]) {
  test(`a root of the gateway’s own, as version ${version}, is never climbed to`, async () => {
    const gateway = await memoryGateway();
    gateway.publish();
    const keys = ['mallory', 'online'].map((name) => ({ name, publicKey: keyOf(name) }));
    const role = { threshold: 1, keys: ['mallory'] };
    const roles = {
      root: role,
      policy: role,
      release: role,
      revocation: role,
      timestamp: { threshold: 1, keys: ['online'] },
    };
    const { policy } = gateway;
    const release = encodeRelease(releaseOf({ current: named(policy) }));
    const list = encodeRevocations(revocationsOf());
    const word = timestampOf({
      release: { number: 1, digest: sha256(release) },
      revocations: { number: 1, digest: sha256(list) },
    });
    const by = [MALLORY];
    show(gateway, {
      'root/1.json': signEnvelope('root', encodeRoot(rootFields({ keys, roles })), by),
      'root/2.json': signEnvelope('root', encodeRoot(rootFields({ version, keys, roles })), by),
      'release.json': signEnvelope('release', release, by),
      'bundles/1.json': signEnvelope('bundle', encodeBundle(policy), by),
      'revocations.json': signEnvelope('revocations', list, by),
      'timestamp.json': signEnvelope('timestamp', encodeTimestamp(word), [secretOf('online')]),
    });
    const app = signedApp(gateway);
    assert.equal(await app.ask(), 'client.policy_none', app.said());
    assert.ok(
      refusedIn(app).some((one) => one.startsWith('root ')),
      refusedIn(app).join(),
    );
    assert.ok(refusedIn(app).includes('release publication.threshold'));
    assertNothingSent(gateway);
  });
}

function secretOf(name: string) {
  return name === 'mallory' ? MALLORY : sha256(utf8(`key of the gateway: ${name}`));
}

function keyOf(name: string) {
  return ed25519PublicKey(secretOf(name));
}

test('two contents under one number: whoever holds one keeps it, says so aloud, and trusts nobody', async () => {
  const gateway = await memoryGateway();
  const publication = gateway.publish();
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'whole', app.said());
  publication.publish(gateway.variant({ serial: 2 }), { number: 1 });
  gateway.advance(200_000);
  await app.ask();
  assert.ok(refusedIn(app).includes('release publication.equivocation'));
  gateway.advance(100_000);
  assert.equal(await app.ask(), 'client.policy_equivocation', app.said());
});

test('numbers that are absurd are no reason to ask for ever', async () => {
  const gateway = await memoryGateway();
  gateway.publish();
  gateway.mischief.evidence = ({ candidates, publication }) => ({
    candidates,
    publication: { ...publication, root: Number.MAX_SAFE_INTEGER },
  });
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'whole', app.said());
  const roots = gateway.asked.filter((path) => path.startsWith('/v1/publication/root/'));
  assert.deepEqual(roots, ['/v1/publication/root/2.json']);
});

for (const [what, publication] of [
  ['no object', 7],
  ['of another form', { root: 'one', release: [] }],
  ['envelopes that are none', { root: 1, release: { a: 1 }, revocations: {}, timestamp: {} }],
  ['__proto__ in an envelope', JSON.parse('{"root":1,"release":{"__proto__":{"payload":""}}}')],
] as const) {
  test(`a staple that is ${what} is a refusal, not a crash`, async () => {
    const gateway = await memoryGateway();
    gateway.publish();
    gateway.mischief.evidence = ({ candidates }) => ({ candidates, publication });
    gateway.mischief.document = () => utf8('<html>');
    const app = signedApp(gateway);
    assert.equal(await app.ask(), 'client.policy_none', app.said());
    assertNothingSent(gateway);
  });
}
