/**
 * A gateway does not call itself attested in a configuration in which its operator could read plaintext all the same, and its
 * routes are there only when it is. @module
 */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { X509Certificate } from 'node:crypto';
import { hasCode } from '../../../core/errors.ts';
import { decodeConfig } from '../../../core/node/config.ts';
import { assertAttestable } from '../../../gateway/attested/open-attested.ts';
import { GATEWAY_CONFIG, type GatewayConfigInput } from '../../../gateway/config.ts';
import { ATTESTED_CONFIG, getText, openAttestedLab } from '../../support/attested-lab.ts';
import { openLab } from '../../support/gateway-lab.ts';

/** Hardware: none of it is asked here. */
const QUOTES = {
  tee: 'tdx',
  simulated: false,
  quote: () => Promise.reject(new Error('asked')),
} as const;
const LISTEN = { httpPort: null, httpsPort: 8443 } as const;

function configOf(more: Partial<GatewayConfigInput>) {
  return decodeConfig(GATEWAY_CONFIG, {
    dataDir: '/nowhere',
    attested: ATTESTED_CONFIG,
    listen: LISTEN,
    ...more,
  });
}

test('https alone, with a machine behind it, is what an attested gateway is', () => {
  assertAttestable(configOf({}), QUOTES);
  assertAttestable(configOf({ attested: null }), undefined);
});

const REFUSED: readonly (readonly [what: string, more: Partial<GatewayConfigInput>])[] = [
  ['clear text beside it', { listen: { ...LISTEN, httpPort: 8080 } }],
  ['no TLS at all', { listen: { httpPort: null, httpsPort: null } }],
  ['a certificate from a file', { listen: { ...LISTEN, certificateFile: '/c' } }],
  ['a key from a file', { listen: { ...LISTEN, keyFile: '/k' } }],
  ['a policy for simulated workers', { policyFile: '/p' }],
  [
    'a publication that may bring one',
    { publication: { rootFile: '/r', directory: '/d', allowDevelopment: true } },
  ],
  ['plaintext as if attested, and not attested', { attested: null, plaintext: 'attested' }],
];

for (const [what, more] of REFUSED) {
  test(`${what} refuses to start`, () => {
    assert.throws(
      () => assertAttestable(configOf(more), QUOTES),
      (error) => hasCode(error, 'gateway.config'),
    );
  });
}

test('a simulated machine may have both: it protects nothing', () => {
  const config = configOf({ listen: { ...LISTEN, httpPort: 8080 }, policyFile: '/p' });
  assertAttestable(config, { ...QUOTES, simulated: true });
});

test('signed policies for real machines are what it judges its workers by', () => {
  assertAttestable(configOf({ publication: { rootFile: '/r', directory: '/d' } }), QUOTES);
});

test('without a way to its machine it refuses to start', () => {
  assert.throws(
    () => assertAttestable(configOf({}), undefined),
    (error) => hasCode(error, 'gateway.config'),
  );
});

test('the TLS key is written nowhere, and another one at each start', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'veilgate-keys-'));
  try {
    const keys: string[] = [];
    for (const _start of [1, 2]) {
      const lab = await openAttestedLab({ dataDir });
      const certificate = readFileSync(join(dataDir, 'gateway-tls.crt'), 'utf8');
      keys.push(new X509Certificate(certificate).publicKey.export({ format: 'jwk' }).x ?? '');
      const shown = Object(
        JSON.parse(await getText(`${lab.origin}/.well-known/veilgate/evidence`)),
      );
      assert.equal(shown.publication, null);
      await lab.close();
    }
    assert.equal(new Set(keys).size, 2);
    assert.deepEqual(
      readdirSync(dataDir).filter((name) => name.startsWith('gateway-tls')),
      ['gateway-tls.crt'],
    );
  } finally {
    rmSync(dataDir, { recursive: true });
  }
});

test('a challenge that is none is refused', async () => {
  const lab = await openAttestedLab();
  try {
    const answer = await fetch(`${lab.url}/.well-known/veilgate/evidence?challenge=x`);
    assert.equal(answer.status, 400);
  } finally {
    await lab.close();
  }
});

test('a gateway that is not attested has none of these paths', async () => {
  const lab = await openLab();
  try {
    for (const path of ['/.well-known/veilgate/evidence', '/v1/proofs/sx_00']) {
      assert.equal((await fetch(`${lab.url}${path}`)).status, 404, path);
    }
  } finally {
    await lab.close();
  }
});
