/** Whoever may write beside the gateway's keys may not have them written elsewhere. @module */

import assert from 'node:assert/strict';
import { lstatSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '../../core/clock.ts';
import { loadDevelopmentTls, loadIdentity } from '../../gateway/identity.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'veilgate-planted-'));
after(() => rmSync(dataDir, { recursive: true }));

test('a link in the place of the TLS key is replaced, and what it names is left alone', async () => {
  const elsewhere = join(dataDir, 'elsewhere');
  writeFileSync(elsewhere, 'mine');
  symlinkSync(elsewhere, join(dataDir, 'gateway-tls.key'));
  const tls = await loadDevelopmentTls({ dataDir, hostNames: [], clock: systemClock });
  assert.equal(readFileSync(elsewhere, 'utf8'), 'mine');
  const key = lstatSync(join(dataDir, 'gateway-tls.key'));
  assert.ok(key.isFile());
  assert.equal(key.mode & 0o777, 0o600);
  assert.equal(readFileSync(join(dataDir, 'gateway-tls.key'), 'utf8'), tls.privateKeyPem);
});

test('an identity key that others could read is refused', async () => {
  await loadIdentity(dataDir, systemClock);
  const path = join(dataDir, 'gateway-identity.key');
  const seed = readFileSync(path);
  rmSync(path);
  writeFileSync(path, seed, { mode: 0o640 });
  await assert.rejects(loadIdentity(dataDir, systemClock), { code: 'gateway.identity' });
});
