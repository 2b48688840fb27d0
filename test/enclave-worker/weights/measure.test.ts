/** The digest of weights: one for a file, one for a folder, and none for what is neither or does not stand still. @module */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { sha256 } from '#primitives';
import { ascii, concat, toHex, u32be, u64be, utf8 } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import { measureServed } from '../../../enclave-worker/weights/measure-served.ts';
import { measureWeights } from '../../../enclave-worker/weights/measure.ts';
import { servedModelDigest } from '../../../enclave-worker/weights/served-model.ts';
import { UPSTREAM_CONFIG } from '../../../enclave-worker/engines/openai-upstream/config.ts';

let root = '';
let dir = '';
let made = 0;

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'veilgate-weights-'));
});
beforeEach(async () => {
  dir = join(root, `tree-${made++}`);
  await mkdir(dir);
});
after(() => rm(root, { recursive: true, force: true }));

async function write(name: string, text: string): Promise<void> {
  await mkdir(join(dir, name, '..'), { recursive: true });
  await writeFile(join(dir, name), text);
}

async function digest(path = dir): Promise<string> {
  return toHex((await measureWeights(path)).digest);
}

function entry(name: string, text: string): Uint8Array {
  const bytes = utf8(name);
  const content = utf8(text);
  return concat(u32be(bytes.length), bytes, u64be(BigInt(content.length)), sha256(content));
}

const TAG = concat(ascii('veilgate.weights-tree/1'), Uint8Array.of(0));

test('a file has its own SHA-256', async () => {
  await write('model.gguf', 'weights');
  assert.equal(await digest(join(dir, 'model.gguf')), toHex(sha256(utf8('weights'))));
});

test('a folder has one over the names, sizes and digests of its files, by the bytes of their names', async () => {
  await write('b.safetensors', 'two');
  await write('Z.json', '{}');
  await write('a/x', 'one');
  await write('é', '');
  await write('\u{1F600}', 'far');
  await write('\uFF5E', 'near');
  await mkdir(join(dir, 'empty'));
  const entries = [
    entry('Z.json', '{}'),
    entry('a/x', 'one'),
    entry('b.safetensors', 'two'),
    entry('é', ''),
    // By code points, not by the halves of pairs.
    entry('\uFF5E', 'near'),
    entry('\u{1F600}', 'far'),
  ];
  assert.equal(await digest(), toHex(sha256(TAG, ...entries)));
});

test('every change of a name, a byte or a border is another digest', async () => {
  await write('ab', 'cd');
  const seen = [await digest()];
  await write('ab', 'cx');
  seen.push(await digest());
  await rename(join(dir, 'ab'), join(dir, 'a'));
  seen.push(await digest());
  await write('a', 'bcx');
  seen.push(await digest());
  await write('empty', '');
  seen.push(await digest());
  await mkdir(join(dir, 'd'));
  await rename(join(dir, 'a'), join(dir, 'd', 'a'));
  seen.push(await digest());
  assert.equal(new Set(seen).size, seen.length);
});

test('a link to a file stands for the file, wherever that is', async () => {
  await write('model.bin', 'weights');
  const plain = await digest();
  await rename(join(dir, 'model.bin'), join(root, `blob-${made}`));
  await symlink(join(root, `blob-${made}`), join(dir, 'model.bin'));
  assert.equal(await digest(), plain);
});

test('the folder itself may be reached through a link', async () => {
  await write('model.bin', 'weights');
  const link = join(root, `link-${made}`);
  await symlink(dir, link);
  assert.equal(await digest(link), await digest());
});

const ODD: readonly (readonly [what: string, make: () => Promise<unknown>])[] = [
  ['a link to a folder', () => symlink(root, join(dir, 'x'))],
  ['a link to a device', () => symlink('/dev/zero', join(dir, 'x'))],
  ['a pipe', async () => execFileSync('mkfifo', [join(dir, 'x')])],
  [
    'a name that is not UTF-8',
    () => writeFile(Buffer.concat([Buffer.from(`${dir}/`), Buffer.of(0xff)]), 'x'),
  ],
  [
    'folders without end',
    () => mkdir(join(dir, ...Array.from({ length: 18 }, () => 'd')), { recursive: true }),
  ],
  ['nothing at all', () => rm(join(dir, 'model.bin'))],
];

for (const [what, make] of ODD) {
  test(`${what} among the weights is refused`, async () => {
    await write('model.bin', 'weights');
    await make();
    await assert.rejects(measureWeights(dir), (error) => hasCode(error, 'weights.form'));
  });
}

test('a device is no weights', async () => {
  await assert.rejects(measureWeights('/dev/zero'), (error) => hasCode(error, 'weights.form'));
});

test('what is not there, and a link to it, cannot be read', async () => {
  await assert.rejects(measureWeights(join(dir, 'no')), (error) =>
    hasCode(error, 'weights.unreadable'),
  );
  await symlink(join(dir, 'no'), join(dir, 'x'));
  await assert.rejects(measureWeights(dir), (error) => hasCode(error, 'weights.unreadable'));
});

/** At once, so that the change is made before the next byte is read. */
const CHANGES: readonly (readonly [what: string, change: () => void])[] = [
  ['a file grows', () => appendFileSync(join(dir, 'b'), 'x')],
  [
    'a file is written over with the same length and the same times',
    () => {
      writeFileSync(join(dir, 'b'), 'TWO');
      utimesSync(join(dir, 'b'), 1, 1);
    },
  ],
  [
    'a file is replaced',
    () => {
      writeFileSync(join(dir, 'new'), 'two');
      renameSync(join(dir, 'new'), join(dir, 'b'));
    },
  ],
  ['a file is added', () => writeFileSync(join(dir, 'c'), '')],
  ['a file is removed', () => rmSync(join(dir, 'b'))],
];

for (const [what, change] of CHANGES) {
  test(`${what} while the weights are read: refused`, async () => {
    await write('a', 'one');
    await write('b', 'two');
    await utimes(join(dir, 'b'), 1, 1);
    let isChanged = false;
    const onProgress = (): void => {
      if (!isChanged) change();
      isChanged = true;
    };
    const measuring = measureWeights(dir, { onProgress });
    // What is gone before it was opened cannot be read.
    const code = what === 'a file is removed' ? 'weights.unreadable' : 'weights.changed';
    await assert.rejects(measuring, (error) => hasCode(error, code));
  });

  test(`${what} after the weights were read: seen at the next look`, async () => {
    await write('a', 'one');
    await write('b', 'two');
    await utimes(join(dir, 'b'), 1, 1);
    const { assertUnchanged } = await measureWeights(dir);
    await assertUnchanged();
    change();
    await assert.rejects(assertUnchanged(), (error) => hasCode(error, 'weights.changed'));
  });
}

test('progress is told in bytes, up to all of them', async () => {
  await write('a', 'x'.repeat(5_000_000));
  await write('b', 'yy');
  const told: bigint[] = [];
  const { bytes, files } = await measureWeights(dir, {
    onProgress: (done, total) => {
      assert.equal(total, 5_000_002n);
      told.push(done);
    },
  });
  assert.deepEqual([bytes, files, told.at(-1)], [5_000_002n, 2, 5_000_002n]);
  assert.ok(told.length > 2);
});

test('measuring can be given up', async () => {
  await write('a', 'one');
  await assert.rejects(measureWeights(dir, { signal: AbortSignal.abort() }), {
    name: 'AbortError',
  });
});

const SERVED = {
  weights: sha256(utf8('w')),
  kind: 'vllm',
  conversations: 'taken',
  prefixCache: 'isolated',
  arguments: ['--max-model-len', '8192'],
  files: [sha256(utf8('template'))],
} as const;

test('what is served is the weights and how they are served, each of it', () => {
  const text =
    `{"arguments":["--max-model-len","8192"],"conversations":"taken","files":["${toHex(sha256(utf8('template')))}"],` +
    `"kind":"vllm","prefixCache":"isolated","weights":"${toHex(sha256(utf8('w')))}"}`;
  const tag = concat(ascii('veilgate.served-model/1'), Uint8Array.of(0));
  assert.equal(toHex(servedModelDigest(SERVED)), toHex(sha256(tag, utf8(text))));
  const others = [
    { ...SERVED, weights: sha256(utf8('x')) },
    { ...SERVED, kind: 'sglang' },
    { ...SERVED, conversations: 'written' as const },
    { ...SERVED, prefixCache: 'shared' as const },
    { ...SERVED, arguments: ['--max-model-len 8192'] },
    { ...SERVED, arguments: ['8192', '--max-model-len'] },
    { ...SERVED, files: [] },
  ];
  const digests = [SERVED, ...others].map((served) => toHex(servedModelDigest(served)));
  assert.equal(new Set(digests).size, digests.length);
});

test('the files that an engine is configured by are measured and watched with the weights', async () => {
  await write('weights/model.bin', 'weights');
  await write('template.jinja', '{{ messages }}');
  const files = [join(dir, 'template.jinja')];
  const config = UPSTREAM_CONFIG.parse({ kind: 'vllm', model: 'm', files });
  const served = await measureServed(join(dir, 'weights'), config);
  const weights = (await measureWeights(join(dir, 'weights'))).digest;
  assert.equal(
    toHex(served.digest),
    toHex(
      servedModelDigest({
        ...SERVED,
        weights,
        arguments: [],
        files: [sha256(utf8('{{ messages }}'))],
      }),
    ),
  );
  await served.assertUnchanged();
  await write('template.jinja', '{{ other }}');
  await assert.rejects(served.assertUnchanged(), (error) => hasCode(error, 'weights.changed'));
});
