/** Published files in a directory: changes are noticed soon, and no writer keeps the reader busy. @module */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fromUtf8 } from '../../../../core/bytes.ts';
import { systemClock } from '../../../../core/clock.ts';
import { directorySource } from '../../../../gateway/policy/sources/directory.ts';

const { signal } = new AbortController();

function opened(context: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'veilgate-source-'));
  const source = directorySource(directory);
  context.after(async () => {
    await source.close();
    rmSync(directory, { recursive: true });
  });
  const write = (name: string, text: string): void => writeFileSync(join(directory, name), text);
  return { directory, source, write };
}

test('a file is answered once, again when it changed, and again when it was forgotten', async (context) => {
  const { source, write } = opened(context);
  const text = async (): Promise<string | undefined> => {
    const bytes = await source.fetch('release.json', 100, signal);
    return bytes === undefined ? undefined : fromUtf8(bytes);
  };
  assert.equal(await text(), undefined);
  write('release.json', 'one');
  assert.equal(await text(), 'one');
  assert.equal(await text(), undefined);
  write('release.json', 'other');
  assert.equal(await text(), 'other');
  source.forget('release.json');
  assert.equal(await text(), 'other');
});

test('a file above its bound, a folder and a device are refused', async (context) => {
  const { source, write, directory } = opened(context);
  write('release.json', 'x'.repeat(101));
  await assert.rejects(source.fetch('release.json', 100, signal), /publication_source\.size/);
  symlinkSync('/dev/zero', join(directory, 'timestamp.json'));
  await assert.rejects(source.fetch('timestamp.json', 100, signal), /unreadable/);
  symlinkSync('/tmp', join(directory, 'revocations.json'));
  await assert.rejects(source.fetch('revocations.json', 100, signal), /unreadable/);
});

test('a change is noticed long before the interval has passed', async (context) => {
  const { source, write } = opened(context);
  const startMs = systemClock();
  const changed = source.changed(signal);
  write('release.json', 'one');
  assert.equal(await changed, true);
  assert.ok(systemClock() - startMs < 500);
});

test('who writes all the time makes the reader look a few times in a second, and not more', async (context) => {
  const { source, write } = opened(context);
  const writer = setInterval(() => write('release.json', String(systemClock())), 2);
  context.after(() => clearInterval(writer));
  const endMs = systemClock() + 1000;
  let looks = 0;
  while (systemClock() < endMs) {
    assert.equal(await source.changed(signal), true);
    looks++;
  }
  assert.ok(looks >= 2 && looks <= 6, `${looks} looks`);
});
