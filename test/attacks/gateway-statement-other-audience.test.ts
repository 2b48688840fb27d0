/** Attack: a genuine gateway's evidence is shown under a name, or as a gateway, that it was not made for. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519 } from '#primitives';
import { toBase64Url, utf8 } from '../../core/bytes.ts';
import {
  encodeGatewayStatement,
  gatewayAudOf,
} from '../../attestation/gateway/gateway-statement.ts';
import {
  appraiseTestGateway,
  buildGatewayEvidence,
  GATEWAY_AUD,
  gatewayStatement,
} from '../support/gateway-evidence.ts';
import { createTestPki } from '../support/tdx/pki.ts';
import { idsOf } from '../support/worker-evidence.ts';

const pki = await createTestPki();

test('another gateway than the one that was asked for fails exactly there', async () => {
  const evidence = await buildGatewayEvidence(pki);
  const aud = gatewayAudOf(generateEd25519().publicKey);
  const { verdict } = appraiseTestGateway(pki, evidence, { aud: { equals: aud } });
  assert.deepEqual(idsOf(verdict.checks, 'fail'), ['statement.aud']);
});

test('a host name that is not in the statement fails exactly there', async () => {
  const evidence = await buildGatewayEvidence(pki);
  const { verdict } = appraiseTestGateway(pki, evidence, { host: { equals: 'other.example' } });
  assert.deepEqual(idsOf(verdict.checks, 'fail'), ['statement.host']);
});

test('a statement that claims an identity whose key it has not fails exactly there', async () => {
  const stolen = generateEd25519().publicKey;
  const honest = new TextDecoder().decode(encodeGatewayStatement(gatewayStatement()));
  // Under the right name, with a key that is somebody else's.
  const own = /"identity":"([^"]+)"/.exec(honest)?.[1] ?? assert.fail();
  const statementBytes = utf8(honest.replace(own, toBase64Url(stolen)));
  const evidence = await buildGatewayEvidence(pki, { statementBytes });
  const { verdict } = appraiseTestGateway(pki, evidence, { aud: { equals: GATEWAY_AUD } });
  assert.deepEqual(idsOf(verdict.checks, 'fail'), ['statement.identity']);
});
