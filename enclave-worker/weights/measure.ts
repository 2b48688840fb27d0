/**
 * The SHA-256 of the weights that this machine sees: of one file its own, of a folder one over the names, sizes and digests
 * of its files. What changes while it is read is refused. It says what was on the disk when it was read: whoever loads the
 * weights reads them again, so large ones belong on a file system that checks every read (dm-verity, IMA). Spec:
 * docs/engines.md "What is hashed"; openai-gateway-and-engine §5.4, §6.
 * @module
 */

import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { sha256Stream } from '#primitives';
import { ascii, concat, u32be, u64be, utf8, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { weightsError } from './errors.ts';
import { isSameTree, listWeights, stateOf, type WeightFile, type WeightTree } from './tree.ts';

const TAG = concat(ascii('veilgate.weights-tree/1'), Uint8Array.of(0));
const CHUNK_BYTES = 4 * 1_048_576;

export interface MeasureOptions {
  readonly signal?: AbortSignal;
  /** After each piece that was read. */
  readonly onProgress?: (doneBytes: bigint, totalBytes: bigint) => void;
}

export interface MeasuredWeights {
  readonly digest: Bytes<32>;
  readonly bytes: bigint;
  readonly files: number;
  /** Whether the same files are still there, untouched. Throws `weights.changed`, `weights.unreadable`, `weights.form`. */
  readonly assertUnchanged: () => Promise<void>;
}

/** Throws `weights.*`. */
export async function measureWeights(
  path: string,
  options: MeasureOptions = {},
): Promise<MeasuredWeights> {
  const tree = await listWeights(path);
  const total = tree.files.reduce((sum, { size }) => sum + size, 0n);
  let done = 0n;
  const onRead = (bytes: number): void => {
    done += BigInt(bytes);
    options.onProgress?.(done, total);
  };
  const digests: Bytes<32>[] = [];
  for (const file of tree.files) {
    digests.push(await digestOf(file, { onRead, ...options }));
  }
  const assertUnchanged = async (): Promise<void> => {
    if (!isSameTree(tree, await listWeights(path))) throw weightsError('weights.changed');
  };
  await assertUnchanged();
  return {
    digest: treeDigest(tree, digests),
    bytes: total,
    files: tree.files.length,
    assertUnchanged,
  };
}

/** TAG ‖ for each file: u32 length of the name ‖ name ‖ u64 size ‖ SHA-256; lengths are big-endian. */
function treeDigest({ kind, files }: WeightTree, digests: readonly Bytes<32>[]): Bytes<32> {
  const [only] = digests;
  if (kind === 'file' && only !== undefined) return only;
  const running = sha256Stream();
  running.update(TAG);
  for (const [at, { name, size }] of files.entries()) {
    const bytes = utf8(name);
    running.update(
      concat(u32be(bytes.length), bytes, u64be(size), digests[at] ?? new Uint8Array()),
    );
  }
  return running.digest();
}

interface Reading {
  readonly onRead: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

/** The file that is open is the one that was listed, and is the same when it has been read. */
async function digestOf(file: WeightFile, { onRead, signal }: Reading): Promise<Bytes<32>> {
  try {
    // What became a pipe since it was listed must not hold us up.
    await using handle = await open(file.path, constants.O_RDONLY | constants.O_NONBLOCK);
    const assertSame = async (): Promise<void> => {
      const now = await handle.stat({ bigint: true });
      if (stateOf(now) !== file.state) throw weightsError('weights.changed');
    };
    await assertSame();
    const running = sha256Stream();
    const chunk = new Uint8Array(CHUNK_BYTES);
    let size = 0n;
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await handle.read(chunk, 0, CHUNK_BYTES);
      if (bytesRead === 0) break;
      size += BigInt(bytesRead);
      if (size > file.size) throw weightsError('weights.changed');
      running.update(chunk.subarray(0, bytesRead));
      onRead(bytesRead);
    }
    await assertSame();
    if (size !== file.size) throw weightsError('weights.changed');
    return running.digest();
  } catch (cause) {
    if (cause instanceof VeilError || signal?.aborted === true) throw cause;
    throw weightsError('weights.unreadable', '', { cause });
  }
}
