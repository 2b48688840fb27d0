/** From evidence to a key: the complete verdict, each cause of refusal, and what leaves only with an admission. @module */

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { generateX25519, randomBytes, sha256 } from '#primitives';
import { appraise, appraisalCheckIds, type AppraiseInput } from '../../attestation/appraise.ts';
import { cardDigestOf, encodeCard, workerIdOf } from '../../attestation/card.ts';
import {
  deviceDigestOf,
  ehbpKidOf,
  encodeStatement,
  gpuNonceOf,
  kidOf,
  statementHash,
} from '../../attestation/statement.ts';
import { TdxCache } from '../../attestation/tdx/cache.ts';
import { teeOf } from '../../attestation/tees.ts';
import { assertAttested, type Check } from '../../attestation/verdict.ts';
import { fixed, utf8, type Bytes, toHex } from '../../core/bytes.ts';
import { svn } from '../support/tdx/case.ts';
import { NOW_MS, createTestPki, type TestPki } from '../support/tdx/pki.ts';
import {
  NOTHING_REVOKED,
  TEST_CHALLENGE,
  TEST_IMAGE,
  TEST_WORKLOAD,
  appraiseTest,
  buildEvidence,
  idsOf,
  testCard,
  testPolicy,
  testPolicyDocument,
  testStatement,
  compileDocument,
  type EvidenceFaults,
  type TestEvidence,
} from '../support/worker-evidence.ts';

let pki: TestPki;
let sound: TestEvidence;

before(async () => {
  pki = await createTestPki();
  sound = await buildEvidence(pki);
});

function misses(checks: readonly Check[]): readonly string[] {
  return [...idsOf(checks, 'fail'), ...idsOf(checks, 'skipped')];
}

test('sound evidence is admitted, with every check in the verdict', () => {
  const result = appraiseTest(sound);
  assert.equal(result.outcome, 'admitted');
  const { checks, decision } = result.verdict;
  assert.equal(decision, 'admitted');
  assert.deepEqual(misses(checks), []);
  assert.deepEqual(idsOf(checks, 'waived'), ['policy.simulated']);
  assert.deepEqual(
    checks.map(({ id }) => id),
    appraisalCheckIds(teeOf('tdx')),
  );
});

test('an admitted key carries what statement, card and policy say', () => {
  const result = appraiseTest(sound);
  assert.ok(result.outcome === 'admitted');
  const { key } = result;
  const hash = statementHash(sound.evidence.statement);
  const { keys, workload, exp } = sound.statement;
  assert.doesNotThrow(() => assertAttested(key, NOW_MS));
  assert.deepEqual(key, {
    workerId: workerIdOf(sound.card.owner),
    tee: 'tdx',
    statementHash: hash,
    kid: kidOf(hash, 'X25519', keys.hpke.pk),
    kem: 'X25519',
    publicKey: keys.hpke.pk,
    receiptKey: keys.sig.pk,
    tlsSpkiSha256: keys.tls.spkiSha256,
    model: {
      id: 'test/model',
      digest: workload.model,
      contextLength: 4096,
      capabilities: ['chat'],
    },
    limits: sound.card.limits,
    prices: sound.card.prices,
    priceDigest: cardDigestOf(sound.evidence.card),
    policyDigest: testPolicy(sound.rootSha256).digest,
    simulated: true,
    expiresAtMs: exp * 1000,
  });
});

test('an EHBP key comes along under its own name', async () => {
  const ehbp = { pk: generateX25519().publicKey };
  const built = await buildEvidence(pki, {
    statement: { keys: { ...testStatement().keys, ehbp } },
  });
  const result = appraiseTest(built);
  assert.ok(result.outcome === 'admitted');
  const hash = statementHash(built.evidence.statement);
  assert.deepEqual(result.key.ehbp, { kid: ehbpKidOf(hash, ehbp.pk), publicKey: ehbp.pk });
  // Or a revocation of it would be looked up and not found.
  const kids = result.verdict.revocable.filter(({ kind }) => kind === 'kid');
  assert.deepEqual(
    kids.map(({ value }) => value),
    [toHex(result.key.kid), toHex(ehbpKidOf(hash, ehbp.pk))],
  );
});

test('an X-Wing key is admitted under its KEM', async () => {
  const hpke = { kem: 'X-Wing', pk: randomBytes(1216) } as const;
  const built = await buildEvidence(pki, {
    statement: { keys: { ...testStatement().keys, hpke } },
  });
  const result = appraiseTest(built);
  assert.ok(result.outcome === 'admitted');
  assert.equal(result.key.kem, 'X-Wing');
  assert.deepEqual(result.key.publicKey, hpke.pk);
});

test('the verdict names rule, image, shape, model, platform and status', () => {
  const { verdict } = appraiseTest(sound);
  assert.equal(verdict.rule, 'test-rule');
  assert.equal(verdict.image, 'test-image');
  assert.equal(verdict.shape, 'small');
  assert.equal(verdict.model, 'test/model');
  assert.equal(verdict.platform?.ids['ppid'], '11'.repeat(16));
  assert.equal(verdict.tcbStatus, 'UpToDate');
  assert.equal(verdict.simulated, true);
  assert.equal(verdict.policy.name, 'test');
});

test('caches change nothing about the answer', () => {
  const caches = { tdx: new TdxCache() };
  const first = appraiseTest(sound, { caches });
  const second = appraiseTest(sound, { caches });
  assert.deepEqual(second.verdict, first.verdict);
  assert.deepEqual(first.verdict, appraiseTest(sound).verdict);
  const moved = Uint8Array.from(sound.evidence.quote);
  moved[600] = (moved[600] ?? 0) ^ 1;
  const forged = { ...sound, evidence: { ...sound.evidence, quote: moved } };
  assert.equal(appraiseTest(forged, { caches }).outcome, 'denied');
});

// Exactly one check fails; whatever cannot be judged without it is skipped.

interface Alone {
  readonly id: string;
  readonly what: string;
  readonly faults?: EvidenceFaults;
  readonly input?: Partial<AppraiseInput>;
  readonly skipped?: readonly string[];
}

const at = NOW_MS / 1000;
const NO_IMAGE = ['workload.imageExpires', 'revocation.image', 'cpu.measurements'];

const ALONE: readonly Alone[] = [
  {
    id: 'statement.reportData',
    what: 'a quote over another statement',
    faults: { reportData: fixed(new Uint8Array(64).fill(7), 64) },
  },
  { id: 'statement.aud', what: 'a statement for another gateway', input: { aud: 'gw1.other' } },
  {
    id: 'statement.nonce',
    what: 'an answer to another challenge',
    input: { challenge: { equals: sha256(utf8('other')) } },
  },
  {
    id: 'statement.nonce',
    what: 'no challenge where the policy requires one',
    input: { challenge: { waived: 'none' } },
  },
  {
    id: 'statement.tee',
    what: 'a statement about another kind of machine',
    faults: { statement: { tee: 'snp' } },
  },
  {
    id: 'statement.notYetValid',
    what: 'a statement from the future',
    faults: { statement: { iat: at + 120, exp: at + 600 } },
  },
  {
    id: 'statement.expired',
    what: 'a statement that has ended',
    faults: { statement: { iat: at - 600, exp: at - 1 } },
  },
  {
    id: 'statement.lifetime',
    what: 'a statement that lives too long',
    faults: { statement: { iat: at - 60, exp: at + 3600 } },
  },
  {
    id: 'card.digest',
    what: 'a card that the statement does not name',
    faults: { statement: { card: sha256(utf8('other')) } },
  },
  {
    id: 'card.weights',
    what: 'a card with other weights than the statement',
    faults: { card: { model: { ...testCard().model, weights: sha256(utf8('other')) } } },
  },
  {
    id: 'workload.model',
    what: 'a model that the policy does not list',
    faults: { card: { model: { ...testCard().model, id: 'other/model' } } },
    skipped: ['workload.weights'],
  },
  {
    id: 'workload.image',
    what: 'another worker image',
    faults: { statement: { workload: { ...TEST_WORKLOAD, image: sha256(utf8('other')) } } },
    skipped: NO_IMAGE,
  },
  {
    id: 'workload.image',
    what: 'another worker configuration',
    faults: { statement: { workload: { ...TEST_WORKLOAD, config: sha256(utf8('other')) } } },
    skipped: NO_IMAGE,
  },
  {
    id: 'cpu.measurements',
    what: 'a register of another image',
    faults: { quote: { td: { mrOwner: fixed(new Uint8Array(48), 48) } } },
  },
  {
    id: 'policy.td.debug',
    what: 'a debuggable machine',
    faults: { quote: { td: { tdAttributes: fixed(Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0), 8) } } },
  },
  {
    id: 'policy.td.migratable',
    what: 'a migratable machine',
    faults: { quote: { td: { tdAttributes: fixed(Uint8Array.of(0, 0, 0, 0x30, 0, 0, 0, 0), 8) } } },
  },
  {
    id: 'policy.td.septVeDisable',
    what: 'a machine that takes injected exceptions',
    faults: { quote: { td: { tdAttributes: fixed(new Uint8Array(8), 8) } } },
  },
  {
    id: 'policy.td.attributesReserved',
    what: 'an attribute nobody has explained',
    faults: { quote: { td: { tdAttributes: fixed(Uint8Array.of(0, 1, 0, 0x10, 0, 0, 0, 0), 8) } } },
  },
  {
    id: 'policy.td.serviceTd',
    what: 'a bound service machine',
    faults: {
      quote: {
        version: 5,
        body: 3,
        td: {
          v15: {
            teeTcbSvn2: svn(5, 1, 4),
            mrServiceTd: fixed(new Uint8Array(48).fill(1), 48),
          },
        },
      },
    },
  },
];

for (const { id, what, faults, input, skipped = [] } of ALONE) {
  test(`${what} fails ${id} alone`, async () => {
    const built = faults === undefined ? sound : await buildEvidence(pki, faults);
    const result = appraiseTest(built, input);
    assert.equal(result.outcome, 'denied');
    assert.deepEqual(idsOf(result.verdict.checks, 'fail'), [id]);
    assert.deepEqual(idsOf(result.verdict.checks, 'skipped'), skipped);
    assert.ok(!('key' in result), 'no key without an admission');
    assert.equal(result.verdict.validUntilMs, 0);
  });
}

test('weights that the policy does not know fail alone, statement and card agreeing on them', async () => {
  const weights = sha256(utf8('other weights'));
  const built = await buildEvidence(pki, {
    card: { model: { ...testCard().model, weights } },
    statement: { workload: { ...TEST_WORKLOAD, model: weights } },
  });
  assert.deepEqual(misses(appraiseTest(built).verdict.checks), ['workload.weights']);
});

test('a statement without a card is not admitted', async () => {
  const { card: _, ...fields } = sound.statement;
  const built = await buildEvidence(pki, { statementBytes: encodeStatement(fields) });
  assert.deepEqual(misses(appraiseTest(built).verdict.checks), ['card.digest']);
});

test('bytes that are no card are named, although the statement covers them', async () => {
  const built = await buildEvidence(pki, { cardBytes: utf8('{}') });
  const { checks } = appraiseTest(built).verdict;
  assert.deepEqual(idsOf(checks, 'fail'), ['card.format']);
  assert.ok(idsOf(checks, 'skipped').includes('workload.model'));
});

test('a card changed after the quote is not admitted', () => {
  const card = encodeCard({ ...sound.card, payout: `0:${'00'.repeat(32)}` });
  const result = appraiseTest({ ...sound, evidence: { ...sound.evidence, card } });
  assert.deepEqual(misses(result.verdict.checks), ['card.digest']);
});

test('a statement that names devices is refused until GPU evidence is verified', async () => {
  const fields = testStatement({ card: cardDigestOf(encodeCard(sound.card)) });
  const devices = {
    type: 'nvidia/1',
    count: 1,
    mode: 'spt',
    digest: deviceDigestOf(utf8('devices')),
    nonce: gpuNonceOf(fields),
  } as const;
  const built = await buildEvidence(pki, { statement: { ...fields, devices } });
  const { checks } = appraiseTest(built).verdict;
  assert.deepEqual(idsOf(checks, 'fail'), ['devices.present', 'gpu.unsupported']);
});

test('oversized evidence is refused before anything is read, every other check skipped', () => {
  const quote = new Uint8Array(200_000);
  const { verdict, outcome } = appraiseTest({ ...sound, evidence: { ...sound.evidence, quote } });
  assert.equal(outcome, 'denied');
  assert.deepEqual(idsOf(verdict.checks, 'fail'), ['evidence.size']);
  assert.deepEqual(
    verdict.checks.map(({ id }) => id),
    appraisalCheckIds(teeOf('tdx')),
  );
  assert.equal(idsOf(verdict.checks, 'skipped').length, verdict.checks.length - 1);
});

test('a forged quote leaves no claim standing', () => {
  const quote = Uint8Array.from(sound.evidence.quote);
  quote[200] = (quote[200] ?? 0) ^ 1;
  const { verdict } = appraiseTest({ ...sound, evidence: { ...sound.evidence, quote } });
  assert.deepEqual(idsOf(verdict.checks, 'fail'), ['quote.signature']);
  const skipped = idsOf(verdict.checks, 'skipped');
  for (const id of [
    'statement.reportData',
    'policy.simulated',
    'cpu.measurements',
    'cpu.tcbStatus',
  ]) {
    assert.ok(skipped.includes(id), id);
  }
  assert.equal(verdict.platform, undefined);
  assert.equal(verdict.tcbStatus, undefined);
});

test('evidence of noise ends in a verdict, never in an exception', () => {
  const { endorsements } = sound.evidence;
  for (let size = 0; size < 400; size += 7) {
    const noise = randomBytes(size);
    const spoilt = [
      { quote: noise },
      { statement: noise },
      { card: noise },
      { endorsements: { ...endorsements, tcbInfo: noise } },
      { endorsements: { ...endorsements, pckCrl: noise } },
      { endorsements: { ...endorsements, qeIdentityIssuerChain: `-----BEGIN ${size}` } },
    ];
    for (const parts of spoilt) {
      const evidence = { ...sound.evidence, ...parts };
      assert.equal(appraiseTest({ ...sound, evidence }).outcome, 'denied');
    }
  }
});

test('every truncation of the statement is denied', () => {
  const { statement } = sound.evidence;
  for (let size = 0; size < statement.length; size += 37) {
    const evidence = { ...sound.evidence, statement: statement.slice(0, size) };
    assert.equal(appraiseTest({ ...sound, evidence }).outcome, 'denied');
  }
});

// Waiving the challenge.

test('a client’s verdict shows the gateway’s challenge as waived, by the policy line', () => {
  const limits = {
    evidence_age: '1h',
    reattest_every: '1h',
    revocation_age: { gateway: '60s', client: '5m' },
    collateral_grace: '0s',
    challenge: 'gateway',
  };
  const policy = testPolicy(sound.rootSha256, { limits });
  const result = appraiseTest(sound, { policy, challenge: { waived: 'set by the gateway' } });
  assert.equal(result.outcome, 'admitted');
  const check = result.verdict.checks.find(({ id }) => id === 'statement.nonce');
  assert.ok(check?.outcome === 'waived');
  assert.match(check.by, /^limits\.challenge: gateway \[test\.yaml:\d+\]$/);
  const own = appraiseTest(sound, { policy, challenge: { equals: sha256(utf8('other')) } });
  assert.deepEqual(misses(own.verdict.checks), ['statement.nonce']);
});

// Simulated machines.

test('no option other than a policy naming the development root admits simulated evidence', () => {
  const { rootSha256 } = sound;
  const document = testPolicyDocument(rootSha256);
  const { roots: _, development: __, ...hardware } = document;
  const other: Bytes<32> = sha256(utf8('another root'));
  const policies = [
    compileDocument(hardware),
    compileDocument({ ...hardware, development: true }),
    testPolicy(other),
  ];
  const inputs: readonly Partial<AppraiseInput>[] = [
    {},
    { caches: { tdx: new TdxCache() } },
    { challenge: { waived: 'anything' } },
    { challenge: { equals: TEST_CHALLENGE } },
  ];
  // A cache that has met this root under the policy that names it must not carry the trust over.
  const warm = { tdx: new TdxCache() };
  assert.equal(appraiseTest(sound, { caches: warm }).outcome, 'admitted');
  for (const policy of policies) {
    for (const input of [...inputs, { caches: warm }]) {
      const { outcome, verdict } = appraiseTest(sound, { ...input, policy });
      assert.equal(outcome, 'denied');
      assert.ok(idsOf(verdict.checks, 'fail').includes('pck.root'));
    }
  }
  assert.equal(appraiseTest(sound).outcome, 'admitted');
});

test('a policy cannot name roots without saying that it is for development', () => {
  const { development: _, ...document } = testPolicyDocument(sound.rootSha256);
  assert.throws(() => compileDocument(document), /roots: only legal beside "development: true"/);
});

test('a policy object that compilePolicy did not make is a bug, not a verdict', () => {
  const policy = { ...testPolicy(sound.rootSha256) };
  assert.throws(
    () =>
      appraise({
        evidence: sound.evidence,
        policy,
        nowMs: NOW_MS,
        aud: 'x',
        challenge: { waived: 'x' },
        revocations: NOTHING_REVOKED,
      }),
    /compilePolicy/,
  );
});

// How long a key lives.

const MINUTE_MS = 60_000;

test('a key ends with the earliest of what it rests on', () => {
  const { rootSha256, statement } = sound;
  const soon = '2026-06-15T12:05:00Z';
  const limits = {
    evidence_age: '1h',
    reattest_every: '1h',
    revocation_age: { gateway: '60s', client: '5m' },
    collateral_grace: '0s',
    challenge: 'required',
  };
  const cases: readonly (readonly [
    what: string,
    overrides: Parameters<typeof testPolicy>[1],
    endMs: number,
  ])[] = [
    ['the statement', {}, statement.exp * 1000],
    ['the policy', { expires: soon }, NOW_MS + 5 * MINUTE_MS],
    ['the image', { images: [{ ...TEST_IMAGE, expires: soon }] }, NOW_MS + 5 * MINUTE_MS],
    [
      'the age of the evidence',
      { limits: { ...limits, evidence_age: '2m' } },
      statement.iat * 1000 + 2 * MINUTE_MS,
    ],
    ['the next appraisal', { limits: { ...limits, reattest_every: '90s' } }, NOW_MS + 90_000],
  ];
  for (const [what, overrides, endMs] of cases) {
    const result = appraiseTest(sound, { policy: testPolicy(rootSha256, overrides) });
    assert.ok(result.outcome === 'admitted', what);
    assert.equal(result.key.expiresAtMs, endMs, what);
    assert.equal(result.verdict.validUntilMs, endMs, what);
  }
});

test('a key ends with its collateral', async () => {
  const nextUpdateMs = NOW_MS + 3 * MINUTE_MS;
  const built = await buildEvidence(pki, {
    collateral: { tcbInfoInput: { nextUpdateMs } },
  });
  const result = appraiseTest(built);
  assert.ok(result.outcome === 'admitted');
  assert.equal(result.key.expiresAtMs, nextUpdateMs);
});

test('a key that has ended is not used', () => {
  const result = appraiseTest(sound);
  assert.ok(result.outcome === 'admitted');
  const { key } = result;
  assert.throws(() => assertAttested(key, key.expiresAtMs));
});

test('nothing of a minted key can be changed, however deep', () => {
  const result = appraiseTest(sound);
  assert.ok(result.outcome === 'admitted');
  const { key } = result;
  for (const part of [key, key.model, key.model.capabilities, key.limits, key.prices]) {
    assert.ok(Object.isFrozen(part));
  }
});
