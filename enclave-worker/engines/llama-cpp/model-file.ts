/**
 * The model file that is loaded is the one that was hashed: the file is read once, hashed while it is copied into a
 * private file (mode 0600, in memory when the directory is a tmpfs), and only that copy is given to the library.
 * Whoever can rename or rewrite the original, the host behind the disk included, changes nothing after that. What it
 * does not stop: another process of the same user inside the machine that writes to the copy. Spec:
 * openai-gateway-and-engine §5.4.
 * @module
 */

import { createHash } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { engineError } from '../../errors.ts';

const CHUNK_BYTES = 1024 * 1024;
const COPY_NAME = 'model.gguf';

/** Path of the verified copy. Throws `engine.digest`, `engine.copy`; then no copy remains. */
export async function copyVerified(
  source: string,
  privateDir: string,
  expectedSha256Hex: string,
): Promise<string> {
  const target = join(privateDir, COPY_NAME);
  let actual: string;
  try {
    actual = await copyHashed(source, target);
  } catch (cause) {
    await rm(target, { force: true });
    throw engineError('engine.copy', '', { cause });
  }
  if (actual !== expectedSha256Hex) {
    await rm(target, { force: true });
    throw engineError('engine.digest', '', { facts: { want: expectedSha256Hex, got: actual } });
  }
  return target;
}

const HEADER_BYTES = 24;
const MAGIC = 'GGUF';

/** The library's reader waits for ever on a file that ends within the header. Throws `engine.load`. */
export async function assertGgufHeader(path: string): Promise<void> {
  await using file = await open(path, 'r');
  const header = new Uint8Array(HEADER_BYTES);
  const { bytesRead } = await file.read(header, 0, HEADER_BYTES, 0);
  const magic = String.fromCharCode(...header.subarray(0, MAGIC.length));
  if (bytesRead < HEADER_BYTES || magic !== MAGIC) throw engineError('engine.load', 'no GGUF');
}

async function copyHashed(source: string, target: string): Promise<string> {
  await using from = await open(source, 'r');
  // wx: a file that already stands there is somebody else's.
  await using to = await open(target, 'wx', 0o600);
  const digest = createHash('sha256');
  const chunk = new Uint8Array(CHUNK_BYTES);
  for (;;) {
    const { bytesRead } = await from.read(chunk, 0, CHUNK_BYTES);
    if (bytesRead === 0) return digest.digest('hex');
    const bytes = chunk.subarray(0, bytesRead);
    digest.update(bytes);
    await to.writeFile(bytes);
  }
}
