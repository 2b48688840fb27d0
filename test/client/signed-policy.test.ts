/** A policy that is signed: first word, renewal, change, memory, and doing without a network. Spec: docs/publication.md §4. @module */

import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdtempSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fromUtf8, toHex } from '../../core/bytes.ts';
import { parsePolicyMemory } from '../../attestation/publication/policy-memory.ts';
import type { PolicyStore, StoredPolicy } from '../../client/policy-memory.ts';
import type { MemoryPublication } from '../support/memory-publication.ts';
import { memoryGateway, type MemoryGateway } from '../support/memory-gateway.ts';
import { entry, makeBundle, makeRoot, named, sign } from '../support/publication.ts';
import {
  admittedVerdicts,
  assertNothingSent,
  refusedIn,
  sealedTo,
  signedApp,
} from '../support/signed-app.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'veilgate-policy-'));
after(() => rmSync(FOLDER, { recursive: true }));
let files = 0;

function freshPath(): string {
  return join(FOLDER, `memory-${++files}.json`);
}

/** As a publisher lays them out. */
function directoryOf(publication: MemoryPublication): string {
  const folder = join(FOLDER, `published-${++files}`);
  publication.document('timestamp.json');
  for (const [name, bytes] of publication.documents) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
  return folder;
}

async function published(workers = 1): Promise<[MemoryGateway, MemoryPublication]> {
  const gateway = await memoryGateway(Array.from({ length: workers }, () => ({})));
  return [gateway, gateway.publish()];
}

const TURNS = 20;

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('with the root alone everything comes through the gateway, and only the bundle is fetched', async () => {
  const [gateway] = await published();
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'whole', app.said());
  assert.equal(await app.ask(), 'whole');
  const fetched = gateway.asked.filter((path) => path.startsWith('/v1/publication/'));
  assert.deepEqual(fetched, ['/v1/publication/bundles/1.json']);
  const [verdict] = admittedVerdicts(app);
  assert.equal(toHex(verdict?.policy.digest ?? new Uint8Array()), toHex(gateway.policy.digest));
  const fresh = verdict?.checks.find(({ id }) => id === 'revocation.fresh');
  assert.equal(fresh?.outcome, 'pass');
  assert.deepEqual(refusedIn(app), []);
});

test('steady traffic neither waits nor fails while word of revocations is renewed', async () => {
  const [gateway] = await published();
  let gate = Promise.withResolvers<void>();
  gate.resolve();
  const fetch: typeof gateway.fetch = async (url, init) => {
    if (url.includes('/v1/evidence')) await gate.promise;
    return gateway.fetch(url, init);
  };
  const app = signedApp(gateway, {}, { fetch });
  assert.equal(await app.ask(), 'whole', app.said());
  for (let minute = 0; minute < 8; minute++) {
    gateway.advance(60_000);
    gate = Promise.withResolvers<void>();
    // The look-up hangs until this is answered: whoever waits for it waits for ever.
    assert.equal(await app.ask(), 'whole', `minute ${minute}: ${app.said()}`);
    gate.resolve();
    for (let turn = 0; turn < TURNS; turn++) await nextTurn();
  }
  const count = gateway.asked.filter((path) => path === '/v1/evidence').length;
  assert.ok(count >= 3 && count <= 5, `${count} look-ups in eight minutes`);
});

test('keys end with the word on revocations: five minutes without any and nobody is sealed to', async () => {
  const [gateway, publication] = await published();
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'whole', app.said());
  publication.frozen = true;
  gateway.advance(299_000);
  assert.equal(await app.ask(), 'whole');
  gateway.advance(1000);
  assert.equal(await app.ask(), 'client.policy_stale');
  assert.match(app.said(), /the newest timestamp is too old/);
  publication.frozen = false;
  assert.equal(await app.ask(), 'whole');
});

test('a new policy drops the keys of the old one with the first look-up that shows it', async () => {
  const [gateway, publication] = await published();
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'whole', app.said());
  publication.publish(gateway.variant({ serial: 2, rules: [] }));
  gateway.advance(200_000);
  await app.ask(); // the held keys serve while the look-up runs behind them
  assert.equal(await app.ask(), 'client.none_admitted');
});

test('a worker that is named is not sealed to any more, although its keys are held', async () => {
  const [gateway, publication] = await published(2);
  const [bad, good] = gateway.workers;
  assert.ok(bad && good);
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'whole', app.said());
  publication.revoke(entry('kid', bad.kid));
  gateway.advance(200_000);
  await app.ask();
  const kids = sealedTo(gateway);
  assert.equal(await app.ask(), 'whole');
  assert.deepEqual([...new Set(kids)], [good.kid]);
});

test('what one gateway shows is known at the other of the same app', async () => {
  const [gateway, publication] = await published(1);
  const silent = 'silent.test';
  const fetch: typeof gateway.fetch = async (url, init) => {
    const response = await gateway.fetch(url, init);
    if (!url.startsWith(`https://${silent}/v1/evidence`)) return response;
    const list: { candidates: unknown } = JSON.parse(await response.text());
    return Response.json({ candidates: list.candidates });
  };
  const app = signedApp(gateway, {}, { fetch });
  assert.equal(await app.ask(), 'whole', app.said());
  gateway.mischief.document = () => undefined;
  assert.equal(await app.ask(silent), 'whole', app.said());
  publication.revoke(entry('image', 'test-image'));
  gateway.advance(200_000);
  await app.ask();
  assert.equal(await app.ask(silent), 'client.none_admitted');
  assert.match(app.said(), /first failed check/);
});

test('a root in rotation is climbed through the gateway', async () => {
  const [gateway, publication] = await published();
  publication.documents.set('root/2.json', makeRoot({ version: 2 }));
  publication.rootVersion = 2;
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'whole', app.said());
  assert.ok(app.news.some((one) => one.outcome === 'accepted' && one.event.kind === 'root'));
});

test('a candidate is in force for its share of the workers, and one request has one policy', async () => {
  const [gateway, publication] = await published(8);
  const candidate = gateway.variant({ serial: 2, note: 'candidate' });
  publication.addBundle(candidate);
  publication.publish(gateway.policy, { candidate: { ...named(candidate), share: 50 } });
  const app = signedApp(gateway, {}, { recipients: 8 });
  const counts: number[] = [];
  gateway.mischief.request = (sealed) => {
    counts.push(sealed[3] ?? 0);
    return sealed;
  };
  for (let turn = 0; turn < 6; turn++) assert.equal(await app.ask(), 'whole', app.said());
  const digests = admittedVerdicts(app).map(({ policy }) => toHex(policy.digest));
  const byCandidate = digests.filter((digest) => digest === toHex(candidate.digest)).length;
  assert.equal(digests.length, 8);
  assert.ok(counts.every((count) => count === byCandidate || count === 8 - byCandidate));
});

test('a place of the app’s own shows what the gateway withholds', async () => {
  const [gateway, publication] = await published();
  const place = 'https://policy.test/v1/publication';
  const fetch: typeof gateway.fetch = (url, init) => {
    if (!url.startsWith(place)) return gateway.fetch(url, init);
    assert.equal(init.headers['authorization'], undefined);
    const bytes = publication.document(url.slice(place.length + 1));
    const body = bytes === undefined ? null : Uint8Array.from(bytes);
    return Promise.resolve(new Response(body, { status: bytes ? 200 : 404 }));
  };
  gateway.mischief.evidence = ({ candidates }) => ({ candidates, publication: null });
  gateway.mischief.document = () => undefined;
  const alone = signedApp(gateway);
  assert.equal(await alone.ask(), 'client.policy_none');
  const app = signedApp(gateway, { publication: place }, { fetch });
  assert.equal(await app.ask(), 'whole', app.said());
});

test('memory: after a restart an older publication is refused, and the list can be read', async () => {
  const [gateway, publication] = await published();
  const memory = freshPath();
  const old = publication.staple();
  publication.publish(gateway.variant({ serial: 2 }));
  assert.equal(await signedApp(gateway, { memory }).ask(), 'whole');
  assert.equal(statSync(memory).mode & 0o777, 0o600);
  assert.equal(statSync(`${memory}.state`).mode & 0o777, 0o600);
  const { policy, accepted } = parsePolicyMemory(readFileSync(memory));
  assert.equal(policy, 'test');
  assert.deepEqual(
    accepted.map(({ document, number }) => [document, number]),
    [
      ['root', 1],
      ['revocations', 1],
      ['release', 2],
    ],
  );
  gateway.advance(10_000);
  gateway.mischief.evidence = ({ candidates }) => ({ candidates, publication: old });
  const again = signedApp(gateway, { memory });
  assert.equal(await again.ask(), 'whole', again.said());
  assert.deepEqual(refusedIn(again), [
    'release publication.rollback',
    'timestamp publication.rollback',
  ]);
  assert.equal(admittedVerdicts(again)[0]?.policy.serial, 2);
});

test('memory: two processes with one file keep the newer of both', async () => {
  const [gateway, publication] = await published();
  const memory = freshPath();
  const first = signedApp(gateway, { memory });
  const second = signedApp(gateway, { memory });
  assert.equal(await first.ask(), 'whole', first.said());
  const old = publication.staple();
  publication.publish(gateway.variant({ serial: 2 }));
  gateway.advance(1000);
  assert.equal(await second.ask(), 'whole');
  gateway.mischief.evidence = ({ candidates }) => ({ candidates, publication: old });
  gateway.advance(200_000);
  await first.ask();
  await first.ask();
  const { accepted } = parsePolicyMemory(readFileSync(memory));
  assert.equal(accepted.filter(({ document }) => document === 'release').length, 2);
  const third = signedApp(gateway, { memory, offline: true });
  assert.equal(await third.ask(), 'whole', third.said());
  assert.equal(admittedVerdicts(third)[0]?.policy.serial, 2);
});

test('memory: one that is not this root’s is refused and left alone', async () => {
  const [gateway] = await published();
  const memory = freshPath();
  assert.equal(await signedApp(gateway, { memory }).ask(), 'whole');
  const before = readFileSync(`${memory}.state`);
  const other = signedApp(gateway, { memory, root: makeRoot({ issuedMs: 0 }) });
  assert.equal(await other.ask(), 'client.policy_memory');
  assert.match(other.said(), /another chain of roots/);
  assert.deepEqual(readFileSync(`${memory}.state`), before);
});

test('memory: the list of another policy, or one that is spoilt, is left alone', async () => {
  const [gateway] = await published();
  for (const [text, words] of [
    ['{"accepted":[],"format":"veilgate.policy-memory/1","policy":"other"}', /another policy/],
    ['{"accepted":', /the list of what was accepted/],
  ] as const) {
    const memory = freshPath();
    writeFileSync(memory, text, { mode: 0o600 });
    const app = signedApp(gateway, { memory });
    assert.equal(await app.ask(), 'client.policy_memory', app.said());
    assert.match(app.said(), words);
    assert.equal(readFileSync(memory, 'utf8'), text);
  }
});

test('memory: a file that others may write is not believed', async () => {
  const [gateway] = await published();
  const memory = freshPath();
  assert.equal(await signedApp(gateway, { memory }).ask(), 'whole');
  chmodSync(`${memory}.state`, 0o666);
  const app = signedApp(gateway, { memory });
  assert.equal(await app.ask(), 'client.policy_memory', app.said());
  assert.match(app.said(), /others may read or write it/);
});

test('memory: a folder that is not there is said by its name', async () => {
  const [gateway] = await published();
  const app = signedApp(gateway, { memory: join(FOLDER, 'nowhere', 'memory.json') });
  assert.equal(await app.ask(), 'client.policy_memory');
  assert.match(app.said(), /memory\.json cannot be written \(ENOENT\)/);
});

test('memory: a timestamp alone is not written', async () => {
  const [gateway] = await published();
  const memory = freshPath();
  const app = signedApp(gateway, { memory });
  assert.equal(await app.ask(), 'whole', app.said());
  const before = readFileSync(`${memory}.state`);
  gateway.advance(200_000);
  await app.ask();
  gateway.advance(150_000);
  assert.equal(await app.ask(), 'whole', app.said());
  assert.deepEqual(readFileSync(`${memory}.state`), before);
});

test('memory: what cannot be saved is not in force', async () => {
  const [gateway] = await published();
  const broken: PolicyStore = {
    load: () => Promise.resolve(undefined),
    save: () => Promise.reject(new Error('full')),
  };
  const app = signedApp(gateway, { memory: broken });
  assert.equal(await app.ask(), 'client.policy_memory');
  assertNothingSent(gateway);
});

test('memory: a store of the app’s own will do', async () => {
  const [gateway] = await published();
  let kept: StoredPolicy | undefined;
  const memory: PolicyStore = {
    load: () => Promise.resolve(kept),
    save: (stored) => {
      kept = stored;
      return Promise.resolve();
    },
  };
  assert.equal(await signedApp(gateway, { memory }).ask(), 'whole');
  assert.match(fromUtf8(kept?.accepted ?? new Uint8Array()), /veilgate\.policy-memory\/1/);
  const offline = signedApp(gateway, { memory, offline: true });
  assert.equal(await offline.ask(), 'whole', offline.said());
});

for (const [what, bundleOf] of [
  ['a directory', (publication: MemoryPublication) => directoryOf(publication)],
  ['one file', (publication: MemoryPublication) => publication.packed()],
  [
    'a bundle alone',
    (publication: MemoryPublication) => publication.document('bundles/1.json') ?? '',
  ],
] as const) {
  test(`offline with ${what}: no document is asked for, and age is waived by the option`, async () => {
    const [gateway, publication] = await published();
    const bundle = bundleOf(publication);
    publication.frozen = true;
    gateway.advance(400_000);
    const app = signedApp(gateway, { bundle, offline: true });
    assert.equal(await app.ask(), 'whole', app.said());
    assert.ok(!gateway.asked.some((path) => path.startsWith('/v1/publication')));
    const fresh = admittedVerdicts(app)[0]?.checks.find(({ id }) => id === 'revocation.fresh');
    assert.equal(fresh?.outcome, 'waived');
    assert.equal(fresh?.outcome === 'waived' ? fresh.by : '', 'client option offline');
  });
}

test('offline, a list that a gateway shows still takes away', async () => {
  const [gateway, publication] = await published();
  const app = signedApp(gateway, { bundle: publication.packed(), offline: true });
  publication.revoke(entry('image', 'test-image'));
  assert.equal(await app.ask(), 'client.none_admitted');
});

test('online, a bundle at hand is not fetched', async () => {
  const [gateway, publication] = await published();
  const bundle = publication.document('bundles/1.json') ?? '';
  const app = signedApp(gateway, { bundle });
  assert.equal(await app.ask(), 'whole', app.said());
  assert.ok(!gateway.asked.some((path) => path.startsWith('/v1/publication/bundles')));
});

const OTHER_ROOT = makeRoot({ policy: 'other' });

for (const [what, options, code, words] of [
  [
    'a root file that is not there',
    { root: '/nowhere/root.json' },
    'client.policy_root',
    /no file/,
  ],
  ['a root that is no root', { root: '{"a":1}' }, 'client.policy_root', /not a root/],
  [
    'a bundle in place of the root',
    { root: sign('timestamp', new Uint8Array()) },
    'client.policy_root',
    /got timestamp, want root/,
  ],
  [
    'a root that has expired',
    { root: makeRoot({ issuedMs: 0, expiresMs: 1000 }) },
    'client.policy_root',
    /version 1 expired at 1970-01-01/,
  ],
  ['a bundle that is not there', { bundle: '/nowhere' }, 'client.policy_bundle', /no \/nowhere/],
  ['a bundle of another policy', { root: OTHER_ROOT }, 'client.policy_bundle', /other_policy/],
  ['an empty root', { root: '' }, 'client.option', /policy\.root/],
] as const) {
  test(`${what} is said in words`, async () => {
    const [gateway] = await published();
    const bundle = makeBundle(gateway.policy);
    const withBundle = what.includes('another policy') ? { bundle } : {};
    try {
      const app = signedApp(gateway, { ...withBundle, ...options });
      assert.equal(await app.ask(), code, app.said());
      assert.match(app.said(), words);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith(code)) throw error;
      assert.match(error.message, words);
    }
    assertNothingSent(gateway);
  });
}

test('offline with a bundle older than what is remembered', async () => {
  const [gateway, publication] = await published();
  const memory = freshPath();
  const [bundle, packed] = [publication.document('bundles/1.json') ?? '', publication.packed()];
  publication.publish(gateway.variant({ serial: 2 }));
  assert.equal(await signedApp(gateway, { memory }).ask(), 'whole');
  for (const old of [bundle, packed]) {
    const app = signedApp(gateway, { memory, bundle: old, offline: true });
    assert.equal(await app.ask(), 'client.policy_bundle', app.said());
    assert.match(app.said(), /rollback/);
  }
});

test('a clock behind the newest word is said to be that', async () => {
  const [gateway, publication] = await published();
  gateway.advance(120_000);
  publication.staple();
  publication.frozen = true;
  gateway.advance(-120_000);
  const app = signedApp(gateway);
  assert.equal(await app.ask(), 'client.clock', app.said());
  assert.match(app.said(), /timestamp: publication\.future/);
});

test('a clock behind what was signed is said to be that', async () => {
  const [gateway] = await published();
  const memory = freshPath();
  assert.equal(await signedApp(gateway, { memory }).ask(), 'whole');
  gateway.advance(-7_200_000);
  const app = signedApp(gateway, { memory });
  assert.equal(await app.ask(), 'client.clock', app.said());
});
