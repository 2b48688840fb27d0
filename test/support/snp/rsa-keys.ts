/**
 * RSA keys of 4096 bits for test hierarchies. Making them takes seconds, so one set is kept in the temporary directory
 * and shared by all test processes of one user. These keys protect nothing: no policy outside a test names a root made
 * with them. They are kept from others only so that nobody can slip a test keys of his own.
 * @module
 */

import { constants } from 'node:fs';
import { mkdtemp, open, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { exportPrivateKey, generateRsaPss, importRsaPss } from '../../../attestation/x509-keys.ts';
import { fromBase64, toBase64, utf8 } from '../../../core/bytes.ts';
import { parseJson } from '../../../core/json.ts';
import { RSA_BITS } from '../../../enclave-worker/evidence/simulator/snp/hierarchy.ts';

export interface TestRsaKeys {
  readonly ark: CryptoKeyPair;
  readonly ask: CryptoKeyPair;
  readonly asvk: CryptoKeyPair;
  /** Nobody's, for forged signatures. */
  readonly stranger: CryptoKeyPair;
}

const VERSION = 1;
const FILE_MAX_BYTES = 64 * 1024;
const OWNER_ONLY = 0o600;
const PKCS8 = z.string().max(FILE_MAX_BYTES);
const FILE = z.strictObject({ ark: PKCS8, ask: PKCS8, asvk: PKCS8, stranger: PKCS8 });

/** Undefined where the system knows no user ids; there every process makes its own keys. */
function pathOf(): string | undefined {
  const uid = process.getuid?.();
  return uid === undefined
    ? undefined
    : join(tmpdir(), `veilgate-test-rsa-keys-${VERSION}-${uid}.json`);
}

/** Other places and sizes are for the test of this file. */
export async function testRsaKeys(path = pathOf(), bits = RSA_BITS): Promise<TestRsaKeys> {
  const known = path === undefined ? undefined : await loadKeys(path);
  if (known !== undefined) return known;
  const [ark, ask, asvk, stranger] = await Promise.all([
    generateRsaPss(bits),
    generateRsaPss(bits),
    generateRsaPss(bits),
    generateRsaPss(bits),
  ]);
  const keys = { ark, ask, asvk, stranger };
  if (path !== undefined) await saveKeys(path, keys);
  return keys;
}

/** Undefined when the file is not there, not ours alone, or not what we wrote. */
async function loadKeys(path: string): Promise<TestRsaKeys | undefined> {
  try {
    const { ark, ask, asvk, stranger } = FILE.parse(parseJson(await readOwn(path), FILE_MAX_BYTES));
    return {
      ark: await importRsaPss(fromBase64(ark)),
      ask: await importRsaPss(fromBase64(ask)),
      asvk: await importRsaPss(fromBase64(asvk)),
      stranger: await importRsaPss(fromBase64(stranger)),
    };
  } catch {
    // Whatever is wrong with it: new keys are as good as the old ones.
    return undefined;
  }
}

async function readOwn(path: string): Promise<Uint8Array> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const { uid, mode, size } = await file.stat();
  const isOurs = uid === process.getuid?.() && (mode & 0o077) === 0;
  if (!isOurs || size > FILE_MAX_BYTES) throw new Error('not our file');
  return new Uint8Array(await file.readFile());
}

async function saveKeys(path: string, keys: TestRsaKeys): Promise<void> {
  const text = async ({ privateKey }: CryptoKeyPair): Promise<string> =>
    toBase64(await exportPrivateKey(privateKey));
  const content = utf8(
    JSON.stringify({
      ark: await text(keys.ark),
      ask: await text(keys.ask),
      asvk: await text(keys.asvk),
      stranger: await text(keys.stranger),
    }),
  );
  try {
    const draft = await mkdtemp(`${path}.new-`);
    try {
      const file = join(draft, 'keys.json');
      await writeFile(file, content, { flag: 'wx', mode: OWNER_ONLY });
      await rename(file, path);
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  } catch {
    // Somebody else's file stands there, or the place cannot be written to: this process goes on with its own keys.
  }
}
