/**
 * Attack: whoever keeps or hands on the proof of an answer puts a part of another proof into it: each part genuine, all of them
 * together a lie. @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, randomBytes } from '#primitives';
import { fromUtf8, utf8 } from '../../core/bytes.ts';
import { parseJson } from '../../core/json.ts';
import type { AttestedProof } from '../../client/attested/attested-proof.ts';
import { checkAttestedProof } from '../../client/attested/check-attested.ts';
import { attestedProofOf } from '../support/attested-proof-lab.ts';
import { gatewaysSection } from '../support/gateway-evidence.ts';
import { NOW_MS } from '../support/tdx/pki.ts';

/** A second answer of the same day, through a gateway of somebody else, by a worker with other keys. */
const one = await attestedProofOf();
const elsewhere = await attestedProofOf({
  response: { bill: { statement: { iat: NOW_MS / 1000 - 20 } } },
  gateway: {
    statement: {
      keys: {
        identity: generateEd25519().publicKey,
        tls: { spkiSha256: randomBytes(32) },
        ledger: [],
      },
    },
  },
});

function failedIn(proof: AttestedProof): readonly string[] {
  const { holds, gateway, response } = checkAttestedProof(proof);
  assert.ok(!holds);
  return [...gateway, ...Object.values(response.sections).flat()]
    .filter(({ outcome }) => outcome === 'fail')
    .map(({ id }) => id);
}

test('as it was kept, it holds', () => {
  assert.ok(checkAttestedProof(one).holds);
});

test('the evidence of another gateway: neither connection nor bill is its', () => {
  const { evidence } = elsewhere.gateway;
  assert.deepEqual(failedIn({ ...one, gateway: { ...one.gateway, evidence } }), [
    'gateway.key',
    'gateway.same',
    'gateway.tls',
    'gateway.ledger',
  ]);
});

test('the evidence of the worker of another answer', () => {
  const { evidence } = elsewhere.response;
  assert.deepEqual(failedIn({ ...one, response: { ...one.response, evidence } }), [
    'receipt.attested',
  ]);
});

test('the bill of another answer', () => {
  const { bill } = elsewhere.response;
  assert.deepEqual(failedIn({ ...one, response: { ...one.response, bill } }), ['receipt.attested']);
});

test('another policy, signed by the same team, that lets no gateway hold plaintext', async () => {
  const gateways = gatewaysSection({ rules: [] });
  const { policy } = (await attestedProofOf({ response: { policy: { gateways } } })).response;
  assert.deepEqual(failedIn({ ...one, response: { ...one.response, policy } }), [
    'policy.gateways',
  ]);
});

test('the quote of another gateway’s statement', () => {
  const [own, foreign] = [one, elsewhere].map(({ gateway }) =>
    Object(parseJson(gateway.evidence, 1_048_576)),
  );
  const evidence = utf8(JSON.stringify({ ...own, quote: foreign.quote }));
  assert.ok(!fromUtf8(evidence).includes('undefined'));
  assert.deepEqual(failedIn({ ...one, gateway: { ...one.gateway, evidence } }), [
    'statement.reportData',
  ]);
});
