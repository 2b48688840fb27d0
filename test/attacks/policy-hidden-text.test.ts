/**
 * A policy in a pull request that a reviewer's terminal or editor shows otherwise than it is read: a line that returns over
 * itself, is erased, or changes its reading direction. Spec: gpu-and-policy §5.2; YAML 1.2.2 §5.1.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPolicyText } from '../../attestation/policy/yaml.ts';
import { utf8 } from '../../core/bytes.ts';

const DECEPTIVE: readonly (readonly [name: string, text: string])[] = [
  ['a carriage return', 'a: 1\nperfmon: any #\rperfmon: forbid\n'],
  ['an escape sequence', 'a: 1\nperfmon: any # \u001b[2K\u001b[1Gperfmon: forbid\n'],
  ['a bidirectional override', 'a: 1\nperfmon: any # \u202e dibrof \u2066\n'],
  ['a line separator', 'a: 1\n# nothing\u2028perfmon: forbid\n'],
  ['a next line', 'a: 1\n# nothing\u0085perfmon: forbid\n'],
  ['what cannot be seen', 'a: 1\nname: work\u200ber\n'],
  ['a null', 'a: 1\nname: worker\u0000\n'],
];

for (const [name, text] of DECEPTIVE) {
  test(`${name} does not load, and its line is named`, () => {
    assert.throws(() => readPolicyText(utf8(text), 'policy.yaml'), {
      code: 'policy.syntax',
      message: /policy\.yaml:2: U\+[0-9A-F]{4}/,
    });
  });
}

test('line ends of Windows, tabs between words and escapes in quotes load', () => {
  const text = 'a: 1\r\nb:\t"\\u202e"\t# said openly\r\n';
  assert.deepEqual(readPolicyText(utf8(text), 'policy.yaml').value, { a: 1, b: '\u202e' });
});
