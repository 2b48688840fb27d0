/** What a reader finds: every kind of damage, at every byte. @module */

import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { sha256 } from '#primitives';
import { ascii, concat, toHex, utf8 } from '../../../core/bytes.ts';
import { canonicalJson } from '../../../core/json.ts';
import {
  CHAIN_START,
  LINE_MAX_BYTES,
  encodeLine,
  readLine,
} from '../../../core/node/chained-line.ts';
import { LOG_START_MS, logFolder, walk, type LogFolder } from '../../support/chained-log.ts';

async function filled(folder: LogFolder, entries = 5, tag = 'a'): Promise<Buffer> {
  const log = folder.open();
  for (let number = 1; number <= entries; number++) {
    await log.appendDurably({ kind: 'thing.done', number, tag });
  }
  await log.close();
  return readFileSync(folder.file(1));
}

function linesOf(bytes: Buffer): readonly string[] {
  return bytes.toString('utf8').trimEnd().split('\n');
}

function faultsOf(folder: LogFolder, lines: readonly string[]): readonly string[] {
  writeFileSync(folder.file(1), lines.map((line) => `${line}\n`).join(''));
  return walk(folder.path).faults;
}

test('the hash is the one that the specification says', () => {
  const { bytes, head } = encodeLine(CHAIN_START, LOG_START_MS, { z: 1, a: ['ü'] });
  const time = '2026-06-15T12:00:00Z';
  const hashed = { seq: 1, time, prev: '0'.repeat(64), entry: { z: 1, a: ['ü'] } };
  const hash = toHex(
    sha256(concat(ascii('veilgate.log/1'), Uint8Array.of(0), utf8(canonicalJson(hashed)))),
  );
  assert.equal(head.hash, hash);
  assert.deepEqual(bytes, utf8(canonicalJson({ ...hashed, hash })));
});

test('no byte can change, in any bit, without a finding', async () => {
  using folder = logFolder();
  const sound = await filled(folder, 3);
  for (let at = 0; at < sound.length; at++) {
    for (const bit of [0x01, 0x20, 0x80]) {
      const changed = Uint8Array.from(sound);
      changed[at] = (changed[at] ?? 0) ^ bit;
      writeFileSync(folder.file(1), changed);
      assert.notDeepEqual(walk(folder.path).faults, [], `byte ${at} ^ ${bit}`);
    }
  }
});

test('lines taken out, doubled, swapped and put in are found', async () => {
  using folder = logFolder();
  const [a = '', b = '', c = '', d = '', e = ''] = linesOf(await filled(folder));
  const rows: readonly (readonly [what: string, lines: readonly string[], faults: string[]])[] = [
    ['as it was', [a, b, c, d, e], []],
    ['first taken out', [b, c, d, e], ['seq']],
    ['one taken out', [a, b, d, e], ['seq']],
    ['one doubled', [a, b, b, c, d, e], ['seq']],
    ['swapped', [a, c, b, d, e], ['seq', 'seq', 'seq']],
    ['an empty line', [a, b, '', c, d, e], ['form', 'seq']],
    ['white space', [a, `${b} `, c, d, e], ['form']],
    ['a line of nobody', [a, '{"entry":{}}', c, d, e], ['form']],
    ['too long', [a, 'x'.repeat(400_000), c, d, e], ['size']],
  ];
  for (const [what, lines, faults] of rows) {
    assert.deepEqual(faultsOf(folder, lines), faults, what);
  }
});

test('whoever makes a line anew has to make all the others anew', async () => {
  using folder = logFolder();
  const [a = '', b = '', c = '', d = ''] = linesOf(await filled(folder));
  const first = readLine(utf8(a));
  assert.ok(first.outcome === 'sound');
  const forged = encodeLine(first.line, LOG_START_MS, { kind: 'thing.else' });
  const text = Buffer.from(forged.bytes).toString('utf8');
  assert.deepEqual(faultsOf(folder, [a, text, c, d]), ['prev']);
  assert.deepEqual(faultsOf(folder, [a, text, b, c, d]), ['seq']);
});

test('a line with its right hash and another spelling is refused: one content, one text', () => {
  const label = concat(ascii('veilgate.log/1'), Uint8Array.of(0));
  const tail = (entry: string, seq = '1', time = '2026-06-15T12:00:00Z') => {
    const rest = `"prev":"${'0'.repeat(64)}","seq":${seq},"time":"${time}"}`;
    const hash = toHex(sha256(label, utf8(`{"entry":${entry},${rest}`)));
    return readLine(utf8(`{"entry":${entry},"hash":"${hash}",${rest}`));
  };
  assert.equal(tail('{"a":1,"b":2}').outcome, 'sound');
  const canonical = [
    '{"b":2,"a":1}',
    '{"a":1,"a":1}',
    '{"a": 1}',
    '{"a":1.0}',
    '{"a":-0}',
    '{"a":"\\u0061"}',
    '{"a":9007199254740993}',
    '[1]',
    '"text"',
    'null',
    '',
    '{},"x":{}',
    '{"a":[[[[[[[[[[1]]]]]]]]]]}',
  ];
  for (const entry of canonical) {
    assert.deepEqual(tail(entry), { outcome: 'unreadable', fault: 'canonical' }, entry);
  }
  const form = [
    tail('{}', '01'),
    tail('{}', '0'),
    tail('{}', '9999999999999999'),
    tail('{}', '1', '2026-02-30T12:00:00Z'),
    tail('{}', '1', '2026-06-15T12:00:00.0Z'),
    tail('{}', '1', '2026-06-15T12:00:00.000Z'),
  ];
  for (const read of form) assert.deepEqual(read, { outcome: 'unreadable', fault: 'form' });
});

test('text that is not UTF-8, and a byte order mark, are no line', async () => {
  using folder = logFolder();
  const sound = await filled(folder, 1);
  for (const bytes of [Buffer.of(0xff, 0xfe), Buffer.of(0xef, 0xbb, 0xbf)]) {
    writeFileSync(folder.file(1), Buffer.concat([bytes, sound]));
    assert.deepEqual(walk(folder.path).faults, ['form']);
  }
});

test('a tail that was cut off leaves a chain without fault: only a head that somebody remembers shows it', async () => {
  using folder = logFolder();
  const lines = linesOf(await filled(folder));
  assert.deepEqual(faultsOf(folder, lines.slice(0, 3)), []);
  assert.equal(walk(folder.path).lines.length, 3);
});

test('a file of another chain does not fit in', async () => {
  using folder = logFolder();
  using other = logFolder();
  await filled(folder, 4, 'a');
  const foreign = linesOf(await filled(other, 8, 'b'));
  writeFileSync(
    folder.file(2),
    foreign
      .slice(4)
      .map((line) => `${line}\n`)
      .join(''),
  );
  assert.deepEqual(walk(folder.path).faults, ['prev']);
});

test('lines of every length up to the longest cross the pieces a file is read in', async () => {
  using folder = logFolder();
  const log = folder.open();
  const lengths = Array.from({ length: 120 }, (_, at) => (at * 1361) % 16_300);
  for (const length of lengths) log.append({ text: 'ü'.repeat(length / 2) });
  await log.close();
  assert.ok(readFileSync(folder.file(1)).length > 3 * 262_144);
  const { lines, faults } = walk(folder.path);
  assert.deepEqual([lines.length, faults], [120, []]);
  appendFileSync(folder.file(1), 'x'.repeat(LINE_MAX_BYTES));
  assert.deepEqual(walk(folder.path).faults, ['torn']);
  appendFileSync(folder.file(1), `${'x'.repeat(1_000_000)}\n`);
  assert.deepEqual(walk(folder.path).faults, ['size']);
});
