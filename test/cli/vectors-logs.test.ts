/** What `veilgate vectors` does with manifests of event logs: where their files may lie, and what a line says. @module */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runVectors, type VectorLine } from '../../cli/vectors.ts';
import { toHex } from '../../core/bytes.ts';
import { jsonLine } from '../../core/node/terminal.ts';
import {
  APP_ID,
  ccelEvents,
  COMPOSE_HASH,
  dstackEvents,
  INSTANCE_ID,
  KEY_PROVIDER,
  replayCcel,
  replayDstack,
  writeCcel,
  writeDstackLog,
} from '../support/tdx/event-log.ts';

const CCEL_RTMR = replayCcel(ccelEvents()).map(toHex);
const DSTACK_RTMR = replayDstack(dstackEvents()).map(toHex);

/** The manifest lies in corpus/logs; logs lie there, in corpus, and one outside of both. */
function linesOf(manifest: unknown): readonly VectorLine[] {
  const root = mkdtempSync(join(tmpdir(), 'veilgate-logs-'));
  try {
    const folder = join(root, 'corpus', 'logs');
    mkdirSync(folder, { recursive: true });
    const path = join(folder, 'manifest.json');
    writeFileSync(path, JSON.stringify(manifest));
    writeFileSync(join(folder, 'ccel.bin'), writeCcel());
    writeFileSync(join(folder, 'dstack.json'), writeDstackLog());
    writeFileSync(join(folder, 'broken.bin'), writeCcel().subarray(0, 100));
    writeFileSync(join(root, 'corpus', 'above.bin'), writeCcel());
    writeFileSync(join(root, 'corpus', 'broken.bin'), writeCcel());
    writeFileSync(join(root, 'outside.bin'), writeCcel());
    const lines: VectorLine[] = [];
    runVectors(path, (line) => lines.push(line));
    return lines;
  } finally {
    rmSync(root, { recursive: true });
  }
}

const CCEL = { id: 'one', kind: 'ccel', log: 'ccel.bin', expectedRtmr: CCEL_RTMR };
const DSTACK = { id: 'two', kind: 'dstack', log: 'dstack.json', expectedRtmr: DSTACK_RTMR };

function lineOf(log: unknown): VectorLine {
  const [line] = linesOf({ format: 1, logs: [log] });
  assert.ok(line !== undefined);
  return line;
}

test('a CCEL log that matches: registers and events', () => {
  const line = lineOf(CCEL);
  assert.equal(line.verdict, 'match');
  assert.deepEqual(line.failing, []);
  assert.deepEqual(line.replayed, CCEL_RTMR);
  assert.equal(line.events, 11);
  assert.equal(line.facts, null);
  const digestOf = (at: number): string => toHex(ccelEvents()[at]?.digest ?? new Uint8Array(0));
  assert.deepEqual(line.list?.[1], [null, 3, digestOf(1), 14]);
  assert.deepEqual(line.list?.[3], [0, 10, digestOf(3), 9]);
});

test('a dstack log that matches: facts and what the application wrote', () => {
  const line = lineOf(DSTACK);
  assert.equal(line.verdict, 'match');
  assert.deepEqual(line.replayed, DSTACK_RTMR);
  assert.deepEqual(line.facts, {
    appId: toHex(APP_ID),
    composeHash: toHex(COMPOSE_HASH),
    instanceId: toHex(INSTANCE_ID),
    keyProvider: KEY_PROVIDER,
  });
  assert.deepEqual(line.applicationEvents, ['app:started']);
  assert.equal(line.list, undefined);
});

test('a log that does not match has registers and no facts', () => {
  const line = lineOf({ ...DSTACK, expectedRtmr: CCEL_RTMR });
  assert.equal(line.verdict, 'mismatch');
  assert.deepEqual(line.failing, ['rtmr.0', 'rtmr.1', 'rtmr.2', 'rtmr.3']);
  assert.deepEqual(line.replayed, DSTACK_RTMR);
  assert.equal(line.facts, null);
});

test('a log that is rejected has neither', () => {
  const line = lineOf({ ...CCEL, log: 'broken.bin' });
  assert.equal(line.verdict, 'reject');
  assert.deepEqual(line.failing, ['log.format']);
  assert.equal(line.replayed, null);
  assert.equal(line.facts, null);
});

test('a path may start at the folder around the manifest’s, for logs', () => {
  assert.equal(lineOf({ ...CCEL, log: 'logs/ccel.bin' }).verdict, 'match');
  assert.equal(lineOf({ ...CCEL, log: 'above.bin' }).verdict, 'match');
});

test('the manifest’s own folder comes first', () => {
  assert.equal(lineOf({ ...CCEL, log: 'broken.bin' }).verdict, 'reject');
});

test('a path never leaves both folders', () => {
  for (const log of [
    '../above.bin',
    '../../outside.bin',
    'logs/../../outside.bin',
    '/etc/hostname',
  ]) {
    const line = lineOf({ ...CCEL, log });
    assert.equal(line.verdict, 'error', log);
    assert.match(line.note ?? '', /outside the manifest folder/);
  }
  const absent = lineOf({ ...CCEL, log: 'outside.bin' });
  assert.equal(absent.verdict, 'error');
  assert.match(absent.note ?? '', /cannot read/);
});

test('the other forms keep to the folder of their manifest', () => {
  const [line] = linesOf({
    schemaVersion: 1,
    corpus: 'other',
    cases: [{ ...CCEL, id: 'x', kind: 'rtmr', log: 'above.bin' }],
  });
  assert.equal(line?.verdict, 'error');
});

test('a case of another form is an error line', () => {
  for (const log of [
    { ...CCEL, kind: 'tcg' },
    { ...CCEL, expectedRtmr: CCEL_RTMR.slice(1) },
    { ...CCEL, expectedRtmr: ['', '', '', ''] },
    { ...CCEL, log: undefined },
  ]) {
    assert.equal(lineOf(log).verdict, 'error');
  }
});

test('a line of JSON is ASCII and means the same', () => {
  const value = { text: 'a\u009b2J\u202e\u007f\u00e9\u{1f600}' };
  const line = jsonLine(value);
  assert.match(line, /^[ -~]*$/);
  assert.deepEqual(JSON.parse(line), value);
});
