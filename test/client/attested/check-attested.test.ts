/**
 * A kept proof of an answer through a gateway in a TEE holds, and comes back from its text. What is wrong in one part is found
 * there and nowhere else. Spec: docs/attested-gateway.md "Keeping proofs".
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomBytes } from '#primitives';
import { hasCode } from '../../../core/errors.ts';
import { utf8 } from '../../../core/bytes.ts';
import {
  encodeAttestedProof,
  isAttestedProof,
  parseAttestedProof,
  type AttestedProof,
} from '../../../client/attested/attested-proof.ts';
import { checkAttestedProof } from '../../../client/attested/check-attested.ts';
import { encodeProof } from '../../../client/proof/response-proof.ts';
import type { ProofPins } from '../../../client/proof/check-response.ts';
import { attestedProofOf, type AttestedLies } from '../../support/attested-proof-lab.ts';
import { BILL_AUD } from '../../support/bill-lab.ts';
import { GATEWAY_IMAGE, gatewaysSection } from '../../support/gateway-evidence.ts';
import { REQUEST_TEXT, RESPONSE_TEXT } from '../../support/proof-lab.ts';
import { makeRoot } from '../../support/publication.ts';
import { NOW_MS } from '../../support/tdx/pki.ts';

const PINS: ProofPins = {
  root: makeRoot(),
  gateway: BILL_AUD,
  request: REQUEST_TEXT,
  response: RESPONSE_TEXT,
};

function outcomes(proof: AttestedProof, pins: ProofPins = PINS) {
  const { holds, gateway, response } = checkAttestedProof(proof, pins);
  const all = [...gateway, ...Object.values(response.sections).flat()];
  return {
    holds,
    all,
    failed: all.filter(({ outcome }) => outcome === 'fail').map(({ id }) => id),
  };
}

test('the proof of an honest run holds, and nothing of it is skipped', async () => {
  const { holds, all } = outcomes(await attestedProofOf());
  assert.ok(holds);
  assert.deepEqual(
    all.filter(({ outcome }) => outcome !== 'pass').map(({ id, outcome }) => `${outcome} ${id}`),
    [
      'waived statement.nonce',
      'waived policy.simulated',
      'waived gateway.key',
      'waived statement.nonce',
      'waived policy.simulated',
    ],
  );
});

test('a proof comes back from its text, and says what it is', async () => {
  const proof = await attestedProofOf();
  const bytes = encodeAttestedProof(proof);
  assert.deepEqual(parseAttestedProof(bytes), proof);
  assert.ok(isAttestedProof(bytes));
  assert.ok(!isAttestedProof(encodeProof(proof.response)));
  for (const text of ['', '{}', '{"fmt":"veilgate.attested-response/1"}']) {
    assert.throws(
      () => parseAttestedProof(utf8(text)),
      (error) => hasCode(error, 'client.proof'),
    );
  }
});

test('a gateway that was not pinned is waived in words', async () => {
  const { holds, all } = outcomes(await attestedProofOf(), {});
  assert.ok(holds);
  const open = all.filter((check) => check.outcome === 'waived' && check.by === 'the verifier');
  assert.deepEqual(
    open.map(({ id }) => id),
    ['statement.aud', 'policy.root', 'gateway.id'],
  );
});

test('that the connection was to the gateway is the word of whoever made the file, and says so', async () => {
  const { all } = outcomes(await attestedProofOf());
  const key = all.find(({ id }) => id === 'gateway.key');
  assert.ok(key?.outcome === 'waived');
  assert.equal(key.by, 'whoever made the file');
});

test('a worker under another policy than the gateway’s is said, not refused: the gateway chose it', async () => {
  const policyDigest = randomBytes(32);
  const { holds, all } = outcomes(
    await attestedProofOf({ response: { bill: { receipt: { policyDigest } } } }),
  );
  assert.ok(holds);
  assert.equal(all.find(({ id }) => id === 'receipt.policy')?.outcome, 'waived');
});

const CASES: readonly (readonly [id: string, lies: AttestedLies])[] = [
  ['gateway.key', { proof: { spkiSha256: randomBytes(32) } }],
  ['statement.host', { proof: { host: 'other.example' } }],
  ['statement.nonce', { proof: { challenge: randomBytes(32) } }],
  ['gateway.form', { proof: { evidence: utf8('{}') } }],
  ['gateway.tls', { response: { bill: { document: { tlsSpkiSha256: [] } } } }],
  [
    'gateway.time',
    {
      response: {
        bill: { prelude: { issuedAtMs: NOW_MS - 60_001 }, receipt: { startMs: NOW_MS } },
      },
    },
  ],
  [
    'workload.imageExpires',
    {
      response: {
        policy: {
          gateways: gatewaysSection({
            images: [{ ...GATEWAY_IMAGE, expires: '2026-06-15T11:00:00Z' }],
          }),
        },
      },
    },
  ],
  [
    'quote.signature',
    { gateway: { quote: { auth: (auth) => ({ ...auth, signature: new Uint8Array(64) }) } } },
  ],
];

for (const [id, lies] of CASES) {
  test(`${id} fails where exactly that is wrong`, async () => {
    const { holds, failed } = outcomes(await attestedProofOf(lies));
    assert.ok(!holds);
    // A request out of its time is out of both.
    assert.deepEqual(
      failed.filter((one) => one !== 'time.sealed' || id !== 'gateway.time'),
      [id],
    );
  });
}
