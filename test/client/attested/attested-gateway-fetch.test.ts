/** `attestedGatewayFetch` against a running gateway: what changes between two requests, and what an app may do. @module */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { hasCode } from '../../../core/errors.ts';
import { compilePolicy } from '../../../attestation/policy/compile.ts';
import { attestedGatewayFetch } from '../../../client/node/attested-gateway-fetch.ts';
import { ask, openAttestedLab, refusalOf, startSwitchboard } from '../../support/attested-lab.ts';

test('without a policy or the id of the gateway it is not even made', () => {
  const isOption = (error: unknown): boolean => hasCode(error, 'client.option');
  assert.throws(
    () => attestedGatewayFetch({ policy: '', gateway: `gw1.${'A'.repeat(43)}` }),
    isOption,
  );
  for (const gateway of ['', 'gw1.', 'https://gateway.example']) {
    assert.throws(() => attestedGatewayFetch({ policy: 'policy.yaml', gateway }), isOption);
  }
});

test('a gateway that was started anew, with another key, is verified anew and served', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'veilgate-restart-'));
  const before = await openAttestedLab({ dataDir });
  const road = await startSwitchboard(before.httpsPort);
  const app = attestedGatewayFetch({ policy: before.policyFile, gateway: before.gateway.aud });
  try {
    const statements: string[] = [];
    const models = async (): Promise<void> => {
      const response = await app(`${road.origin}/v1/models`);
      assert.equal(response.status, 200, response.headers.get('sx-error') ?? '');
      await response.text();
      statements.push(String(app.verdicts()[0]?.verdict.validUntilMs));
    };
    await models();
    await before.close();
    const after = await openAttestedLab({ dataDir });
    road.turnTo(after.httpsPort);
    await models();
    await models();
    assert.equal(statements[1], statements[2]);
    await after.close();
  } finally {
    await app.close();
    await road.close();
    rmSync(dataDir, { recursive: true });
  }
});

test('where the policy asks for it, the gateway answers a challenge of this client', async () => {
  const lab = await openAttestedLab();
  try {
    const text = readFileSync(lab.policyFile, 'utf8');
    const { gateways, ...rest } = z.looseObject({ gateways: z.looseObject({}) }).parse(parse(text));
    const strict = stringify({ ...rest, gateways: { ...gateways, challenge: 'required' } });
    assert.equal(compilePolicy(Buffer.from(strict)).document.gateways?.challenge, 'required');
    const app = lab.app({ policy: strict });
    const response = await app(`${lab.origin}/v1/models`);
    assert.equal(response.status, 200);
    await response.text();
    const nonce = app.verdicts()[0]?.verdict.checks.find(({ id }) => id === 'statement.nonce');
    assert.equal(nonce?.outcome, 'pass');
  } finally {
    await lab.close();
  }
});

test('a request that was stopped fails like any other fetch', async () => {
  const lab = await openAttestedLab();
  try {
    const app = lab.app();
    await assert.rejects(
      app(`${lab.origin}/v1/models`, { signal: AbortSignal.abort() }),
      (error) => error instanceof DOMException && error.name === 'AbortError',
    );
    const [url, init] = ask(lab.origin);
    const leave = new AbortController();
    const asking = app(url, { ...init, signal: leave.signal });
    leave.abort();
    await assert.rejects(asking, (error) => error instanceof DOMException);
  } finally {
    await lab.close();
  }
});

test('what the gateway refuses reaches the app as the gateway’s own answer', async () => {
  const lab = await openAttestedLab();
  try {
    const response = await lab.app()(...ask(lab.origin));
    assert.equal(response.status, 401);
    assert.equal(response.headers.get('sx-privacy'), 'gateway-tee');
    assert.equal(await refusalOf(response), 'no refusal: 401');
  } finally {
    await lab.close();
  }
});
