/**
 * Attack: a corpus of test vectors from somebody else. Its manifest names cases so that a terminal shows rows nobody
 * judged, and its files are links: to the reader's own files, or to a device that never ends.
 * @module
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runVectors, type VectorLine } from '../../cli/vectors.ts';
import { toHex } from '../../core/bytes.ts';
import { ccelEvents, replayCcel, writeCcel } from '../support/tdx/event-log.ts';

const root = mkdtempSync(join(tmpdir(), 'veilgate-manifest-'));
after(() => rmSync(root, { recursive: true }));
const folder = join(root, 'corpus', 'logs');
mkdirSync(folder, { recursive: true });
writeFileSync(join(root, 'private.bin'), writeCcel());
writeFileSync(join(folder, 'own.bin'), writeCcel());
symlinkSync(join(root, 'private.bin'), join(folder, 'stolen.bin'));
symlinkSync(root, join(folder, 'up'));
symlinkSync('own.bin', join(folder, 'alias.bin'));
symlinkSync('/dev/zero', join(folder, 'endless.bin'));
symlinkSync(join(root, 'corpus'), join(root, 'linked'));

const CASE = { kind: 'ccel', expectedRtmr: replayCcel(ccelEvents()).map(toHex) };

function writeManifest(manifest: unknown): string {
  const path = join(folder, 'manifest.json');
  writeFileSync(path, JSON.stringify(manifest));
  return path;
}

function lineOf(log: string, at = (path: string) => path): VectorLine | undefined {
  const lines: VectorLine[] = [];
  const path = writeManifest({ format: 1, logs: [{ ...CASE, id: 'one', log }] });
  runVectors(at(path), (line) => lines.push(line));
  return lines[0];
}

test('a link out of the corpus is not followed', () => {
  for (const log of ['stolen.bin', 'up/private.bin', 'endless.bin']) {
    const line = lineOf(log);
    assert.equal(line?.verdict, 'error', log);
    assert.match(line.note ?? '', /outside the manifest folder/);
  }
});

test('a link within the corpus is, and the corpus itself may be behind one', () => {
  assert.equal(lineOf('alias.bin')?.verdict, 'match');
  const behind = (path: string): string => path.replace('corpus', 'linked');
  assert.equal(lineOf('own.bin', behind)?.verdict, 'match');
});

test('what is no file is not read', () => {
  const line = lineOf('.');
  assert.deepEqual([line?.verdict, line?.note?.includes('not a file')], ['error', true]);
});

const ESCAPES = '\u001b[2J\u001b]0;title\u0007\u009b1A\u202e';
const FORGED = `good${ESCAPES}\nforged                 accept`;

test('no name in a manifest reaches the terminal as a command or as a row', () => {
  const manifests = [
    { format: 1, logs: [{ ...CASE, id: FORGED, log: 'own.bin' }] },
    { format: 1, logs: [{ ...CASE, id: 'one', log: FORGED }] },
    { schemaVersion: 1, corpus: 'c', cases: [{ id: 'one', kind: FORGED }] },
  ];
  for (const manifest of manifests) {
    const args = ['cli/veilgate.ts', 'vectors', writeManifest(manifest)];
    const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.match(stdout, /^[ -~]+\n\d judged, [ -~]+\n$/);
  }
});
