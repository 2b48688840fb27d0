/** A gateway that was attested once, in the same data directory as before and after. @module */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { systemClock } from '../../../core/clock.ts';
import { loadDevelopmentTls, makeAttestedTls } from '../../../gateway/identity.ts';

test('a development key that lies there does not meet the certificate of an attested one', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'veilgate-tls-'));
  try {
    const options = { dataDir, hostNames: ['localhost'], clock: systemClock };
    const before = await loadDevelopmentTls(options);
    assert.deepEqual(await loadDevelopmentTls(options), before);
    const attested = await makeAttestedTls(options);
    const after = await loadDevelopmentTls(options);
    assert.notDeepEqual(after.spkiSha256, attested.spkiSha256);
    const certificate = new X509Certificate(after.certificatePem);
    assert.ok(certificate.checkPrivateKey(createPrivateKey(after.privateKeyPem)));
  } finally {
    rmSync(dataDir, { recursive: true });
  }
});
