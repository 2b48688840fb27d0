/** The owner's signing service: signs for its own card, for whoever shows the token, and for nobody and nothing else. @module */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ed25519PublicKey, randomBytes, verifyEd25519 } from '#primitives';
import { cardDigestOf, encodeCard, ownerSignatureInput } from '../../attestation/card.ts';
import { encodeStatement, statementHash } from '../../attestation/statement.ts';
import { generateP256 } from '../../attestation/x509-keys.ts';
import { selfSign, type SelfSigned } from '../../attestation/x509.ts';
import { hasCode } from '../../core/errors.ts';
import { createPinnedPool, fetchBytes } from '../../core/node/http-client.ts';
import { utf8 } from '../../core/bytes.ts';
import {
  agentOwnerSigner,
  openOwnerAgent,
  type OwnerAgent,
} from '../../enclave-worker/owner-agent.ts';
import { localOwnerSigner } from '../../enclave-worker/owner.ts';
import { NOW_MS } from '../support/tdx/pki.ts';
import { testCard, testStatement, TEST_WORKLOAD } from '../support/worker-evidence.ts';

const SECRET = randomBytes(32);
const OWNER = ed25519PublicKey(SECRET);
const TOKEN = 'a-token-of-this-test';
const CARD = encodeCard(testCard({ owner: OWNER }));
const STATEMENT = encodeStatement(testStatement({ card: cardDigestOf(CARD) }));

let tls: SelfSigned;
let agent: OwnerAgent;
let plain: OwnerAgent;
const outcomes: string[] = [];

before(async () => {
  const times = { notBeforeMs: NOW_MS, notAfterMs: NOW_MS + 1e12 };
  tls = await selfSign({ keys: await generateP256(), commonName: 'owner', ...times });
  const common = {
    signer: localOwnerSigner(SECRET, CARD),
    token: TOKEN,
    host: '127.0.0.1',
    port: 0,
    onRequest: (outcome: string) => void outcomes.push(outcome),
  };
  agent = await openOwnerAgent({ ...common, tls });
  plain = await openOwnerAgent(common);
});

after(async () => {
  await agent.close();
  await plain.close();
});

function signerWith(token: string, pin = tls.spkiSha256) {
  return agentOwnerSigner({
    url: `https://127.0.0.1:${agent.port}`,
    token,
    tlsSpkiSha256: pin,
  });
}

describe('the signing service', () => {
  test('signs a statement about its own card, over pinned TLS and over loopback', async () => {
    const signed = ownerSignatureInput(statementHash(STATEMENT));
    const local = agentOwnerSigner({ url: `http://127.0.0.1:${plain.port}`, token: TOKEN });
    for (const signer of [signerWith(TOKEN), local]) {
      assert.ok(verifyEd25519(OWNER, await signer.sign(STATEMENT, CARD), signed));
    }
  });

  test('signs nothing without the token', async () => {
    for (const token of ['', 'another', `${TOKEN}x`, TOKEN.slice(1)]) {
      await assert.rejects(signerWith(token).sign(STATEMENT, CARD), (error) =>
        hasCode(error, 'worker.owner_refused'),
      );
      assert.equal(outcomes.at(-1), 'owner.token');
    }
  });

  test('signs nothing about another card, other weights, or a statement that lives too long', async () => {
    const other = encodeCard(testCard({ owner: OWNER, payout: `0:${'1'.repeat(64)}` }));
    const named = (card: Uint8Array, change: object) =>
      encodeStatement(testStatement({ card: cardDigestOf(card), ...change }));
    const weights = { workload: { ...TEST_WORKLOAD, model: randomBytes(32) } };
    const refused: readonly (readonly [statement: Uint8Array, card: Uint8Array])[] = [
      [named(other, {}), other],
      [named(other, {}), CARD],
      [named(CARD, weights), CARD],
      [named(CARD, { iat: 1, exp: 100_000 }), CARD],
      [utf8('{}'), CARD],
      [STATEMENT, new Uint8Array(0)],
    ];
    for (const [statement, card] of refused) {
      await assert.rejects(signerWith(TOKEN).sign(statement, card), (error) =>
        hasCode(error, 'worker.owner_refused'),
      );
    }
  });

  test('another TLS key gets neither token nor statement', async () => {
    await assert.rejects(signerWith(TOKEN, randomBytes(32)).sign(STATEMENT, CARD), (error) =>
      hasCode(error, 'worker.owner_silent'),
    );
  });

  test('an address without a pin is refused before anything is sent', () => {
    assert.throws(
      () => agentOwnerSigner({ url: 'https://owner.example:8790', token: TOKEN }),
      (error) => hasCode(error, 'worker.config'),
    );
    assert.throws(
      () => agentOwnerSigner({ url: 'http://owner.example:8790', token: TOKEN }),
      (error) => hasCode(error, 'http.origin'),
    );
  });

  test('other paths, methods and bodies get a code and no signature', async () => {
    const pool = createPinnedPool({
      origin: `http://127.0.0.1:${plain.port}`,
      trust: { kind: 'loopback' },
    });
    const authorization = `Bearer ${TOKEN}`;
    const post = async (path: string, body: string, method: 'GET' | 'POST' = 'POST') => {
      const { status } = await fetchBytes(pool, {
        method,
        path,
        headers: { authorization },
        ...(method === 'GET' ? {} : { body: utf8(body) }),
        maxBytes: 4096,
        timeoutMs: 5000,
      });
      return status;
    };
    assert.equal(await post('/v1/owner/sign', '', 'GET'), 404);
    assert.equal(await post('/v1/other', '{}'), 404);
    assert.equal(await post('/v1/owner/sign', 'not json'), 403);
    assert.equal(await post('/v1/owner/sign', '{"statement":1}'), 400);
    assert.equal(await post('/v1/owner/sign', ' '.repeat(60_000)), 413);
    await pool.destroy();
  });
});
