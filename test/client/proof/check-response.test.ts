/**
 * A kept proof of an honest run holds, each check of it, and each lie of each party is found by exactly the check against it,
 * even signed anew by whoever may sign it. Spec: docs/response-proof.md.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { generateEd25519, randomBytes } from '#primitives';
import { fixed, fromUtf8, utf8 } from '../../../core/bytes.ts';
import { compilePolicy } from '../../../attestation/policy/compile.ts';
import { checkProof, type ProofPins } from '../../../client/proof/check-response.ts';
import {
  encodeProof,
  parseProof,
  type ResponseProof,
} from '../../../client/proof/response-proof.ts';
import { routeTag } from '../../../protocol/sx/prelude.ts';
import { BILL_AUD, BILL_COST } from '../../support/bill-lab.ts';
import { proofOf, REQUEST_TEXT, RESPONSE_TEXT, type ProofLies } from '../../support/proof-lab.ts';
import {
  entry,
  makeBundle,
  makeRelease,
  makeRevocations,
  makeRoot,
  policyOf,
} from '../../support/publication.ts';
import { DAY_MS, NOW_MS } from '../../support/tdx/pki.ts';
import { TEST_IMAGE, TEST_TUPLE } from '../../support/worker-evidence.ts';

const PINS: ProofPins = {
  root: makeRoot(),
  gateway: BILL_AUD,
  request: REQUEST_TEXT,
  response: RESPONSE_TEXT,
};

function outcomes(proof: ResponseProof, pins: ProofPins = PINS) {
  const { holds, sections } = checkProof(proof, pins);
  const all = Object.values(sections).flat();
  const failed = all.filter(({ outcome }) => outcome === 'fail').map(({ id }) => id);
  return { holds, all, failed };
}

test('the proof of an honest run holds, and nothing of it is skipped', async () => {
  const { holds, all } = outcomes(await proofOf());
  assert.ok(holds);
  assert.deepEqual(
    all.filter(({ outcome }) => outcome !== 'pass').map(({ id, outcome }) => `${outcome} ${id}`),
    ['waived statement.nonce', 'waived policy.simulated'],
  );
});

test('a proof comes back from its text, signed and unsigned', async () => {
  const proof = await proofOf();
  assert.deepEqual(parseProof(encodeProof(proof)), proof);
  const canonical = utf8(policyOf(1).canonical);
  const unsigned: ResponseProof = { ...proof, policy: { kind: 'unsigned', canonical } };
  assert.deepEqual(parseProof(encodeProof(unsigned)), unsigned);
});

test('what is not pinned is waived in words, and the proof holds by the word of those it names', async () => {
  const { holds, all } = outcomes(await proofOf(), {});
  assert.ok(holds);
  const waived = all.filter((check) => check.outcome === 'waived' && check.by === 'the verifier');
  assert.deepEqual(
    waived.map(({ id }) => id),
    ['policy.root', 'gateway.id'],
  );
  const skipped = all.filter(({ outcome }) => outcome === 'skipped').map(({ id }) => id);
  assert.deepEqual(skipped, ['text.request', 'text.response']);
});

const OTHER = { mrtd: 'ab'.repeat(48) };

interface Case {
  readonly id: string;
  readonly lies: ProofLies;
  readonly pins?: Partial<ProofPins>;
  /** Where it needs words. */
  readonly who?: string;
}

const CASES: readonly Case[] = [
  { id: 'policy.root', lies: {}, pins: { root: makeRoot({ expiresMs: NOW_MS + DAY_MS }) } },
  { id: 'policy.root', lies: {}, pins: { root: utf8('{}') }, who: 'a pin that is no root' },
  { id: 'policy.in_force', lies: { timestampMs: NOW_MS - 300_000 } },
  {
    id: 'revocation.rule',
    lies: { revocations: { entries: [entry('rule', 'test-rule')] } },
  },
  {
    id: 'revocation.image',
    lies: { revocations: { entries: [entry('image', 'test-image')] } },
  },
  {
    id: 'policy.expires',
    lies: {
      policy: { expires: '2026-06-15T11:59:30Z' },
      acceptedAtMs: NOW_MS - 60_000,
      timestampMs: NOW_MS - 60_000,
    },
  },
  {
    id: 'cpu.measurements',
    lies: { policy: { images: [{ ...TEST_IMAGE, tdx: [{ ...TEST_TUPLE, ...OTHER }] }] } },
  },
  {
    id: 'tcbInfo.freshness',
    lies: {
      evidence: { collateral: { tcbInfoInput: { nextUpdateMs: NOW_MS - DAY_MS } } },
    },
  },
  {
    id: 'quote.signature',
    lies: {
      evidence: {
        quote: { auth: (auth) => ({ ...auth, signature: new Uint8Array(64) }) },
      },
    },
  },
  {
    id: 'statement.reportData',
    lies: { evidence: { reportData: fixed(new Uint8Array(64), 64) } },
  },
  { id: 'time.sealed', lies: { bill: { prelude: { issuedAtMs: NOW_MS - 1 } } } },
  {
    id: 'time.sealed',
    lies: {
      bill: {
        prelude: { issuedAtMs: NOW_MS + 570_000 },
        receipt: { startMs: NOW_MS + 569_999, endMs: NOW_MS + 570_000 },
      },
    },
    who: 'sealed after everything ended',
  },
  {
    id: 'time.answered',
    lies: {
      bill: {
        statement: { exp: NOW_MS / 1000 + 100 },
        receipt: { startMs: NOW_MS + 100_000, endMs: NOW_MS + 100_000 },
      },
    },
  },
  {
    id: 'time.answered',
    lies: { bill: { receipt: { startMs: NOW_MS - 30_001 } } },
    who: 'begun before the statement',
  },
  {
    id: 'time.opened',
    lies: { bill: { receipt: { startMs: NOW_MS + 120_001, endMs: NOW_MS + 120_001 } } },
  },
  {
    id: 'time.opened',
    lies: { bill: { prelude: { issuedAtMs: NOW_MS + 60_001 } } },
    who: 'begun before it was sealed',
  },
  {
    id: 'time.billed',
    lies: {
      bill: {
        document: { issuedMs: NOW_MS - 2 * DAY_MS, expiresMs: NOW_MS - DAY_MS },
        bill: { atMs: NOW_MS - DAY_MS - 1 },
      },
    },
    who: 'by a document that had ended',
  },
  {
    id: 'time.billed',
    lies: {
      bill: {
        document: { issuedMs: NOW_MS + DAY_MS, expiresMs: NOW_MS + 2 * DAY_MS },
        bill: { atMs: NOW_MS + DAY_MS },
      },
    },
    who: 'by a document of a later day',
  },
  { id: 'receipt.policy', lies: { bill: { receipt: { policyDigest: randomBytes(32) } } } },
  { id: 'receipt.simulated', lies: { bill: { receipt: { simulated: false } } } },
  { id: 'receipt.route', lies: { bill: { prelude: { routeTag: routeTag('another/model') } } } },
  { id: 'receipt.amount', lies: { bill: { receipt: { amount: BILL_COST + 1n } } } },
  { id: 'line.signature', lies: { bill: { ledgerSecret: generateEd25519().secretKey } } },
  { id: 'gateway.id', lies: {}, pins: { gateway: `gw1.${'A'.repeat(43)}` } },
  { id: 'text.request', lies: {}, pins: { request: RESPONSE_TEXT } },
  { id: 'text.response', lies: {}, pins: { response: REQUEST_TEXT } },
];

for (const { id, lies, pins, who } of CASES) {
  test(`${id} fails alone${who === undefined ? '' : `: ${who}`}`, async () => {
    const { holds, failed } = outcomes(await proofOf(lies), { ...PINS, ...pins });
    assert.equal(holds, false);
    assert.deepEqual(failed, [id]);
  });
}

test('evidence of another statement than that of the bill is found', async () => {
  const proof = await proofOf();
  const other = await proofOf({ bill: { statement: { iat: NOW_MS / 1000 - 29 } } });
  const { failed } = outcomes({ ...proof, evidence: other.evidence });
  assert.deepEqual(failed, ['receipt.attested']);
});

test('documents that too few have signed are found, and nobody is judged by them', async () => {
  const proof = await proofOf();
  const { policy } = proof;
  assert.ok(policy.kind === 'signed');
  const saved = JSON.parse(fromUtf8(policy.state));
  const envelope = Buffer.from(makeRelease({}, ['alice'])).toString('base64');
  const state = utf8(JSON.stringify({ ...saved, release: { ...saved.release, envelope } }));
  const { holds, failed } = outcomes({ ...proof, policy: { ...policy, state } });
  assert.equal(holds, false);
  assert.deepEqual(failed, ['policy.signatures']);
});

for (const [id, spoil] of [
  ['policy.form', { policy: { kind: 'unsigned', canonical: utf8('{}') } }],
  ['evidence.form', { evidence: utf8('{}') }],
  ['bill.form', { bill: utf8('{}') }],
] as const) {
  test(`what cannot be read is found: ${id}`, async () => {
    const { holds, failed } = outcomes({ ...(await proofOf()), ...spoil }, {});
    assert.equal(holds, false);
    assert.ok(failed.includes(id), failed.join());
  });
}

test('an unsigned policy holds for whoever names its digest, and is none under a root', async () => {
  const signed = await proofOf();
  assert.ok(signed.policy.kind === 'signed');
  const state = JSON.parse(fromUtf8(signed.policy.state));
  const envelope = JSON.parse(Buffer.from(state.release.current, 'base64').toString());
  const payload = JSON.parse(Buffer.from(envelope.payload, 'base64').toString());
  const canonical = utf8(JSON.stringify(payload.policy ?? payload));
  const { digest } = compilePolicy(canonical);
  const proof: ResponseProof = { ...signed, policy: { kind: 'unsigned', canonical } };
  const { root: _, ...pins } = PINS;
  assert.deepEqual(outcomes(proof, { ...pins, policyDigest: digest }).failed, []);
  const other = outcomes(proof, { ...pins, policyDigest: randomBytes(32) });
  assert.deepEqual(other.failed, ['policy.digest']);
  assert.equal(other.holds, false);
  assert.deepEqual(outcomes(proof).failed, ['policy.root']);
});

test('a bundle that was never released counts in the mode that says so, and in no other', async () => {
  const proof = await proofOf();
  assert.ok(proof.policy.kind === 'signed');
  const stranger = makeBundle(policyOf(2), ['alice']);
  const tooFew = { ...proof, policy: { ...proof.policy, unreleased: stranger } };
  assert.deepEqual(outcomes(tooFew).failed, ['policy.signatures']);
  const offline: ResponseProof = { ...proof, policy: { ...proof.policy, mode: 'offline' } };
  const pins: ProofPins = { ...PINS, offline: 'accepted' };
  const { all, holds } = outcomes(offline, pins);
  assert.ok(holds);
  assert.equal(all.find(({ id }) => id === 'revocation.fresh')?.outcome, 'waived');
  const inForce = all.find(({ id }) => id === 'policy.in_force');
  assert.ok(inForce?.outcome === 'waived' && inForce.by.startsWith('the verifier'));
});

test('a bundle beside the released one counts in no proof of a client that asked what is in force', async () => {
  const proof = await proofOf();
  assert.ok(proof.policy.kind === 'signed');
  const { current } = z
    .looseObject({ release: z.looseObject({ current: z.base64() }) })
    .parse(JSON.parse(fromUtf8(proof.policy.state))).release;
  // Signed by all that have to, and once in force: the very one by which the worker is admitted.
  const unreleased = Uint8Array.from(Buffer.from(current, 'base64'));
  const beside: ResponseProof = { ...proof, policy: { ...proof.policy, unreleased } };
  for (const pins of [PINS, { ...PINS, offline: 'accepted' }] as const) {
    const { holds, failed } = outcomes(beside, pins);
    assert.equal(holds, false);
    assert.deepEqual(failed, ['policy.in_force']);
  }
});

test('a list that gives back is no list by the word of the file and of one revocation key', async () => {
  const proof = await proofOf({ revocations: { entries: [entry('rule', 'test-rule')] } });
  assert.ok(proof.policy.kind === 'signed');
  assert.deepEqual(outcomes(proof).failed, ['revocation.rule']);
  const state = JSON.parse(fromUtf8(proof.policy.state));
  const given = (by?: readonly string[]): ResponseProof['policy'] => {
    const list = makeRevocations({ number: 2 }, by);
    const revocations = {
      ...state.revocations,
      envelope: Buffer.from(list).toString('base64'),
      confirmed: true,
    };
    const changed = utf8(JSON.stringify({ ...state, revocations }));
    return { kind: 'signed', mode: 'online', state: changed, unreleased: undefined };
  };
  const { holds, failed } = outcomes({ ...proof, policy: given() });
  assert.equal(holds, false);
  assert.deepEqual(failed, ['policy.in_force']);
  // Those who sign policies may give back.
  assert.ok(outcomes({ ...proof, policy: given(['carol', 'alice', 'bob']) }).holds);
});

test('that nobody asked for the age of a policy is for the verifier to accept, not for the file', async () => {
  const proof = await proofOf();
  assert.ok(proof.policy.kind === 'signed');
  const state = JSON.parse(fromUtf8(proof.policy.state));
  // What a list took away, and that there was one, is gone.
  const stripped = utf8(JSON.stringify({ ...state, revocations: null, timestamp: null }));
  const policy = { ...proof.policy, mode: 'offline', state: stripped } as const;
  assert.deepEqual(outcomes({ ...proof, policy }).failed, ['policy.in_force']);
});

test('a digest that is pinned is of an unsigned policy: one that somebody else signed does not stand for it', async () => {
  const { holds, failed } = outcomes(await proofOf(), { policyDigest: randomBytes(32) });
  assert.equal(holds, false);
  assert.deepEqual(failed, ['policy.digest']);
});

const LAST_INSTANT_MS = 8_640_000_000_000_000;

test('instants at the ends of time are judged, not stumbled over', async () => {
  const proof = await proofOf({
    bill: { receipt: { startMs: Number.MAX_SAFE_INTEGER, endMs: Number.MAX_SAFE_INTEGER } },
  });
  for (const appraisedAtMs of [0, NOW_MS, LAST_INSTANT_MS]) {
    for (const mode of ['online', 'offline'] as const) {
      assert.ok(proof.policy.kind === 'signed');
      const changed = { ...proof, appraisedAtMs, policy: { ...proof.policy, mode } };
      assert.equal(outcomes(changed).holds, false);
    }
  }
});

const SPOILT = 40;

/** Whatever a stranger puts into a file, the answer is a judgement or a refusal to read. */
test('spoilt bytes anywhere are judged or refused', async () => {
  const proof = await proofOf();
  assert.ok(proof.policy.kind === 'signed');
  const { policy } = proof;
  const spoil = (bytes: Uint8Array, at: number): Uint8Array => {
    const place = Math.floor((bytes.length * at) / SPOILT);
    return bytes.map((byte, index) => (index === place ? byte ^ 1 : byte));
  };
  for (let at = 0; at < SPOILT; at++) {
    for (const changed of [
      { ...proof, evidence: spoil(proof.evidence, at) },
      { ...proof, bill: spoil(proof.bill, at) },
      { ...proof, policy: { ...policy, state: spoil(policy.state, at) } },
    ]) {
      // What nothing rests on may change, such as the copy of a root that is pinned anyway.
      const { holds, failed } = outcomes(changed);
      assert.equal(holds, failed.length === 0);
    }
    assert.throws(() => parseProof(spoil(encodeProof(proof), at).subarray(at)), {
      code: 'client.proof',
    });
  }
});
