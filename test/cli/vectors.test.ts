/** What `veilgate vectors` does with manifests that are broken, hostile or from another corpus. @module */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runVectors, type VectorLine } from '../../cli/vectors.ts';
import { hasCode } from '../../core/errors.ts';

function linesOf(manifest: unknown): readonly VectorLine[] {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-vectors-'));
  try {
    const path = join(folder, 'manifest.json');
    writeFileSync(path, JSON.stringify(manifest));
    writeFileSync(join(folder, 'quote.bin'), new Uint8Array(48));
    writeFileSync(join(folder, 'collateral.json'), '{}');
    writeFileSync(join(folder, 'broken.json'), '{');
    const lines: VectorLine[] = [];
    runVectors(path, (line) => lines.push(line));
    return lines;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const CASE = {
  id: 'one',
  quote: 'quote.bin',
  collateral: 'collateral.json',
  root: 'quote.bin',
  time: '2026-06-15T12:00:00Z',
};

test('a case whose files are empty of meaning is judged, and names the checks that fail', () => {
  const [line] = linesOf({ format: 1, cases: [CASE] });
  assert.equal(line?.verdict, 'reject');
  assert.equal(line.authentic, false);
  const causes = ['quote.format', 'tcbInfo.format', 'qeIdentity.format', 'pckCrl.format'];
  for (const id of causes) assert.ok(line.failing.includes(id), id);
});

test('one broken case is an error line and the others still run', () => {
  const lines = linesOf({
    format: 1,
    cases: [
      { ...CASE, id: 'missing file', quote: 'absent.bin' },
      { ...CASE, id: 'bad collateral', collateral: 'broken.json' },
      { ...CASE, id: 'no time', time: 'yesterday' },
      { ...CASE, id: 'unknown policy member', policy: { allowEverything: true } },
      'not an object',
      CASE,
    ],
  });
  assert.deepEqual(
    lines.map(({ id, verdict }) => [id, verdict]),
    [
      ['missing file', 'error'],
      ['bad collateral', 'error'],
      ['no time', 'error'],
      ['unknown policy member', 'error'],
      ['#4', 'error'],
      ['one', 'reject'],
    ],
  );
  for (const line of lines.slice(0, 5)) assert.notEqual(line.note ?? '', '');
});

test('a path may not leave the folder of the manifest', () => {
  for (const quote of ['../quote.bin', '/etc/hostname', 'a/../../quote.bin']) {
    const [line] = linesOf({ format: 1, cases: [{ ...CASE, quote }] });
    assert.equal(line?.verdict, 'error', quote);
    assert.match(line.note ?? '', /outside the manifest folder/);
  }
});

test('what a manifest expects changes nothing', () => {
  const verdicts = ['accept', 'reject'].map((verdict) => {
    const [line] = linesOf({
      format: 1,
      cases: [{ ...CASE, expect: { verdict, failingAnyOf: [] }, observed: { peer: verdict } }],
    });
    return { ...line, ms: 0 };
  });
  assert.deepEqual(verdicts[0], verdicts[1]);
});

test('kinds that this version does not know are said to be so', () => {
  const [line] = linesOf({
    schemaVersion: 1,
    corpus: 'later',
    cases: [{ id: 'x', kind: 'hologram' }],
  });
  assert.equal(line?.verdict, 'unsupported');
  assert.match(line.note ?? '', /hologram/);
});

test('a file that is no manifest is refused', () => {
  assert.throws(
    () => linesOf({ anything: 'else' }),
    (error) => hasCode(error, 'vectors.manifest'),
  );
});

test('an expected value of a size that nothing can have is never matched', () => {
  const [line] = linesOf({ format: 1, cases: [{ ...CASE, policy: { reportData: '' } }] });
  assert.ok(line?.failing.includes('policy.reportData'));
});
