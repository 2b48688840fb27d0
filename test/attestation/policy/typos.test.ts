/**
 * What a tired person does to a policy at night, and that each is refused on the very line that has to change, in words.
 * @module
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { compilePolicy } from '../../../attestation/policy/compile.ts';
import { nearestName } from '../../../attestation/policy/problems/nearest-name.ts';
import { problemsOf, type PolicyProblem } from '../../../attestation/policy/problems/problems.ts';
import { utf8 } from '../../../core/bytes.ts';
import { VeilError } from '../../../core/errors.ts';

const SHIPPED = readFileSync('policies/development.yaml', 'utf8');
const LINES = SHIPPED.split('\n');

interface Typo {
  readonly what: string;
  readonly from: string | RegExp;
  readonly to: string;
  readonly says: RegExp;
  /** Where it is not the first line that the edit changed: what the right line contains. */
  readonly on?: string;
}

const TYPOS: readonly Typo[] = [
  // The wrong edits that the format was designed against.
  {
    what: 'debug any',
    from: 'debug: forbid',
    to: 'debug: any',
    says: /debug: want forbid, nothing else \(this check cannot be switched off\)/,
  },
  {
    what: 'a repeated member',
    from: 'serial: 1',
    to: 'serial: 1\nserial: 2',
    says: /stands twice/,
  },
  {
    what: 'an unknown member',
    from: 'gpu: none',
    to: 'gpu: none\n    extra: 1',
    says: /rules\.0\.extra: no such member$/,
  },
  {
    what: 'gpu left out',
    from: '    gpu: none\n',
    to: '',
    says: /rules\.0\.gpu: missing/,
    on: '- id: simulated-tdx',
  },
  {
    what: 'an alias',
    from: 'migratable: forbid',
    to: 'migratable: *no',
    says: /aliases are not allowed/,
  },
  {
    what: 'a version without quotes',
    from: "firmware: { min: '1.55.40' }",
    to: 'firmware: { min: 1.55 }',
    says: /firmware\.min: .*put it in quotes/,
  },
  {
    what: 'an attribute left out',
    from: '        perfmon: forbid\n',
    to: '',
    says: /attributes\.perfmon: missing \(want forbid or any\)/,
    on: 'debug: forbid',
  },
  // Indentation.
  {
    what: 'a tab',
    from: '        perfmon: forbid\n',
    to: '\tperfmon: forbid\n',
    says: /a tab: indent with spaces/,
  },
  {
    what: 'a tab after spaces',
    from: '        perfmon: forbid\n',
    to: '        \tperfmon: forbid\n',
    says: /a tab/,
  },
  {
    what: 'a member too far to the left',
    from: '        perfmon: forbid\n',
    to: '      perfmon: forbid\n',
    says: /indented by 6, the lines around it by 8/,
  },
  {
    what: 'a member too far to the right',
    from: '        perfmon: forbid\n',
    to: '          perfmon: forbid\n',
    says: /indented by 10, the lines around it by 8/,
  },
  {
    what: 'a first member too far to the right',
    from: '        debug: forbid\n',
    to: '         debug: forbid\n',
    says: /indented by 9, the lines below it by 8/,
  },
  {
    what: 'a member that slid into the one above',
    from: '    gpu: none',
    to: '      gpu: none',
    says: /cpu\.gpu: no such member \(it belongs in rules\.0: is it indented right\?\)/,
  },
  {
    what: 'a last member that slid out',
    from: '        unknown_bits: forbid\n      # Ext',
    to: '      unknown_bits: forbid\n      # Ext',
    says: /cpu\.unknown_bits: no such member \(it belongs in rules\.0\.cpu\.attributes/,
  },
  {
    what: 'a member out of its entry',
    from: '    gpu: none',
    to: '  gpu: none',
    says: /indentation/,
  },
  { what: 'one space too few', from: '    gpu: none', to: '   gpu: none', says: /missing|indent/ },
  {
    what: 'a lost dash before a rule',
    from: '  - id: simulated-snp',
    to: '    id: simulated-snp',
    says: /stands twice/,
  },
  {
    what: 'a lost dash before a tuple',
    from: '  - shape: simulated\n',
    to: '    shape: simulated\n',
    says: /want a list: each entry begins with "- "/,
  },
  // Quotes, brackets, colons.
  {
    what: 'a quote that is not closed',
    from: /mrtd: '([0-9a-f]+)'/,
    to: "mrtd: '$1",
    says: /a quote is not closed/,
  },
  {
    what: 'a double quote that is not closed',
    from: /contact: .*/,
    to: 'contact: "x',
    says: /a quote is not closed/,
  },
  {
    what: 'the last quote that is not closed',
    from: /weights: '(.*)'/,
    to: "weights: '$1",
    says: /a quote is not closed/,
  },
  {
    what: 'a quote that is not opened',
    from: /mrtd: '([0-9a-f]+)'/,
    to: "mrtd: $1'",
    says: /none at the beginning/,
  },
  {
    what: 'a bracket that is not closed',
    from: '[up-to-date]',
    to: '[up-to-date',
    says: /a bracket is not closed/,
  },
  {
    what: 'a brace that is not closed',
    from: '{ min: 1 }',
    to: '{ min: 1',
    says: /a bracket is not closed/,
  },
  {
    what: 'a comma left out',
    from: 'gateway: 60s, client',
    to: 'gateway: 60s client',
    says: /a comma is missing/,
  },
  {
    what: 'no space after a colon',
    from: 'debug: forbid',
    to: 'debug:forbid',
    says: /a space after the colon/,
  },
  { what: 'a semicolon', from: 'debug: forbid', to: 'debug; forbid', says: /want a colon/ },
  { what: 'an equals sign', from: 'debug: forbid', to: 'debug = forbid', says: /want a colon/ },
  {
    what: 'a colon in a text',
    from: 'contact: whoever',
    to: 'contact: a: b',
    says: /belongs in quotes/,
  },
  { what: 'a space out of a web page', from: 'serial: 1', to: 'serial:\u00a01', says: /U\+00A0/ },
  {
    what: 'a merge conflict',
    from: 'serial: 1',
    to: '<<<<<<< HEAD\nserial: 1\n=======\nserial: 2\n>>>>>>> b',
    says: /a merge conflict/,
  },
  // Types.
  {
    what: 'a number for a name',
    from: 'name: development',
    to: 'name: 2026',
    says: /name: want text \(a number as it stands/,
  },
  {
    what: 'a text for a number',
    from: 'serial: 1',
    to: 'serial: "1"',
    says: /serial: want a number \(leave out the quotes\)/,
  },
  {
    what: 'a commit without quotes',
    from: /commit: '0+'/,
    to: `commit: ${'0'.repeat(40)}`,
    says: /put it in quotes/,
  },
  {
    what: 'a mask without quotes',
    from: "require: '0x0000000000000003'",
    to: 'require: 0x0000000000000003',
    says: /put it in quotes/,
  },
  {
    what: 'nothing for a list',
    from: 'advisories: []',
    to: 'advisories:',
    says: /\[\] for none \(nothing stands there\)/,
  },
  {
    what: 'a comment for a text',
    from: 'contact: whoever',
    to: 'contact: #whoever',
    says: /nothing stands there/,
  },
  { what: 'yes for true', from: 'development: true', to: 'development: yes', says: /want true/ },
  {
    what: 'a day for an instant',
    from: /^expires: .*/m,
    to: 'expires: 2027-02-20',
    says: /want an instant such as/,
  },
  {
    what: 'a day that does not exist',
    from: /^expires: .*/m,
    to: 'expires: 2027-02-30T00:00:00Z',
    says: /not a date/,
  },
  // Hex.
  {
    what: 'upper-case hex',
    from: "mrtd: '9e66",
    to: "mrtd: '9E66",
    says: /write them in lower case/,
  },
  {
    what: '95 hex digits',
    from: "mrtd: '9e",
    to: "mrtd: '9",
    says: /95 hex digits, 96 are wanted/,
  },
  {
    what: 'a digest without its prefix',
    from: "weights: 'sha256:",
    to: "weights: '",
    says: /the prefix is missing/,
  },
  {
    what: 'a short id in a list',
    from: "['564744455630']",
    to: "['5647444556']",
    says: /fmspc\.allow\.0: .*10 hex digits, 12 are wanted/,
  },
  // Names.
  {
    what: 'a mistyped member',
    from: 'migratable: forbid',
    to: 'migrateable: forbid',
    says: /migrateable: no such member \(did you mean migratable\?\)/,
  },
  {
    what: 'a mistyped image',
    from: 'images: [veilgate-demo]',
    to: 'images: [veilgate-dmeo]',
    says: /"veilgate-dmeo" is not defined here \(did you mean veilgate-demo\?\)/,
  },
  {
    what: 'a mistyped product',
    from: 'products: [genoa]',
    to: 'products: [genova]',
    says: /did you mean genoa\?/,
  },
  {
    what: 'a mistyped kind of machine',
    from: 'tee: tdx',
    to: 'tee: tdxx',
    says: /want tdx or snp/,
  },
  {
    what: 'a status as Intel writes it',
    from: '[up-to-date]',
    to: '[UpToDate]',
    says: /want up-to-date/,
  },
  {
    what: 'any without a reason',
    from: /platforms: \{.*\}/,
    to: 'platforms: { any: true }',
    says: /platforms\.note: missing/,
  },
  {
    what: 'any as a word',
    from: /platforms: \{.*\}/,
    to: 'platforms: any',
    says: /\{any: true, note: "…"\}/,
  },
  { what: 'the end cut off', from: '\nhosts: []', to: '', says: /hosts: missing/, on: 'format:' },
];

function problemsIn(text: string): readonly PolicyProblem[] {
  try {
    compilePolicy(utf8(text), { source: 'p.yaml' });
  } catch (error) {
    assert.ok(error instanceof VeilError, String(error));
    return problemsOf(error) ?? assert.fail(error.message);
  }
  return assert.fail('compiles');
}

for (const { what, from, to, says, on } of TYPOS) {
  test(`${what} is refused on the line that has to change`, () => {
    const edited = SHIPPED.replace(from, to);
    const rows = edited.split('\n');
    const changed = rows.findIndex((row, index) => row !== LINES[index]);
    const line = 1 + (on === undefined ? changed : rows.findIndex((row) => row.includes(on)));
    const problems = problemsIn(edited);
    const found = problems.filter(({ message, hint }) =>
      says.test(hint === undefined ? message : `${message} (${hint})`),
    );
    assert.deepEqual(
      found.map(({ at }) => at).slice(0, 1),
      [`p.yaml:${line}`],
      JSON.stringify(problems, undefined, 1),
    );
  });
}

test('nothing of the schema library’s own language reaches a person', () => {
  for (const { from, to } of TYPOS) {
    for (const { message } of problemsIn(SHIPPED.replace(from, to))) {
      assert.doesNotMatch(message, /Invalid|expected|undefined|[A-Z]{3,}_[A-Z]/);
    }
  }
});

test('a suggestion is made for what is near, and not for what is not', () => {
  const known = ['migratable', 'perfmon', 'key_locker', 'lass'];
  const rows = [
    ['migrateable', 'migratable'],
    ['key-locker', 'key_locker'],
    ['KeyLocker', 'key_locker'],
    ['prefmon', 'perfmon'],
    ['perf', undefined],
    ['las', 'lass'],
    ['x', undefined],
    ['', undefined],
    ['perfmon', undefined],
    ['y'.repeat(5000), undefined],
  ] as const;
  for (const [name, nearest] of rows) assert.equal(nearestName(name, known), nearest, name);
});
