/** `--cacert`: the authorities in the file, all of them and no others. What is trusted is of a process, so each has its own. @module */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { systemClock } from '../../../core/clock.ts';
import { loadDevelopmentTls } from '../../../gateway/identity.ts';
import type { TlsIdentity } from '../../../gateway/tls-identity.ts';

const CHILD = `
const { trustOnly } = await import(process.argv[1]);
trustOnly(process.argv[2]);
const found = await fetch(process.argv[3]).then(() => 'trusted', ({ cause }) => String(cause?.code));
process.stdout.write(found);`;
const SETTINGS = new URL('../../../cli/proxy/settings.ts', import.meta.url).href;
const TIMEOUT_MS = 60_000;
const run = promisify(execFile);

let folder = '';
let own: TlsIdentity;
let other: TlsIdentity;
const server = createServer((_, response) => response.end());

async function identity(name: string): Promise<TlsIdentity> {
  const dataDir = join(folder, name);
  mkdirSync(dataDir, { mode: 0o700 });
  return loadDevelopmentTls({ dataDir, hostNames: ['127.0.0.1'], clock: systemClock });
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'veilgate-cacert-'));
  [own, other] = [await identity('own'), await identity('other')];
  server.setSecureContext({ cert: own.certificatePem, key: own.privateKeyPem });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
after(() => {
  server.close();
  server.closeAllConnections();
  rmSync(folder, { recursive: true });
});

function portOf(address: ReturnType<typeof server.address>): AddressInfo['port'] {
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

async function found(pem: string): Promise<string> {
  const file = join(folder, 'authorities.pem');
  writeFileSync(file, pem);
  const url = `https://127.0.0.1:${portOf(server.address())}/`;
  const words = ['--input-type=module', '-e', CHILD, SETTINGS, file, url];
  const { stdout } = await run(process.execPath, words, { timeout: TIMEOUT_MS });
  return stdout;
}

test('the authority in the file is trusted', async () => {
  assert.equal(await found(own.certificatePem), 'trusted');
});

test('each of several is, whatever stands around them', async () => {
  const { certificatePem: last } = own;
  assert.equal(await found(`# ours\n${other.certificatePem}\nthe gateway's:\n${last}`), 'trusted');
});

test('no other is', async () => {
  assert.equal(await found(other.certificatePem), 'DEPTH_ZERO_SELF_SIGNED_CERT');
});
