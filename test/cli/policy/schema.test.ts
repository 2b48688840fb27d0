/** `veilgate policy schema`: the schema that is shipped, and an editor line that touches nothing else. @module */

import assert from 'node:assert/strict';
import { chmodSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { addHeader } from '../../../cli/policy/schema.ts';
import { VeilError } from '../../../core/errors.ts';
import { policyFolder, runPolicy } from '../../support/policy-files.ts';

const LINE = '# yaml-language-server: $schema=./policy-1.schema.json';

test('prints the schema that lies beside the shipped policies', () => {
  const { status, stdout } = runPolicy('schema');
  assert.equal(status, 0);
  assert.equal(stdout, readFileSync('policies/policy-1.schema.json', 'utf8'));
});

test('the editor line is put first and every other byte stays', () => {
  using folder = policyFolder();
  for (const text of ['a: 1\n', '# comment\r\na: 1\r\n', '', 'not: [yaml', '\u00e9: 1']) {
    const file = folder.write('policy.yaml', text);
    chmodSync(file, 0o640);
    assert.equal(addHeader(file, './policy-1.schema.json'), true);
    const end = text.includes('\r\n') ? '\r\n' : '\n';
    assert.equal(readFileSync(file, 'utf8'), `${LINE}${end}${text}`);
    assert.equal(statSync(file).mode & 0o777, 0o640);
  }
  assert.deepEqual(readdirSync(folder.path), ['policy.yaml']);
});

test('a file that has an editor line stays as it is, whatever the line says', () => {
  using folder = policyFolder();
  for (const text of [`${LINE}\na: 1\n`, 'a: 1\n#yaml-language-server: $schema=other.json\n']) {
    const file = folder.write('policy.yaml', text);
    assert.equal(addHeader(file, './policy-1.schema.json'), false);
    assert.equal(readFileSync(file, 'utf8'), text);
  }
});

test('what cannot carry the line is refused and left alone', () => {
  using folder = policyFolder();
  const binary = Uint8Array.of(0xff, 0xfe);
  const cases = [
    [folder.write('policy.json', '{}'), './s.json', 'cli.option'],
    [folder.write('a.yaml', 'a: 1'), './s.json\nb: 2', 'cli.option'],
    [folder.write('b.yaml', binary), './s.json', 'cli.file'],
    [folder.path, './s.json', 'cli.file'],
  ] as const;
  for (const [path, ref, code] of cases) {
    assert.throws(
      () => addHeader(path, ref),
      (error) => error instanceof VeilError && error.code === code,
    );
  }
  assert.equal(readFileSync(folder.path + '/a.yaml', 'utf8'), 'a: 1');
});
