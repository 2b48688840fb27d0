/** Policy text: the allowed YAML, the wrong edits that do not load, and the digest. @module */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { sha256 } from '#primitives';
import { compilePolicy } from '../../../attestation/policy/compile.ts';
import { POLICY_MAX_BYTES } from '../../../attestation/policy/yaml.ts';
import { toHex, utf8 } from '../../../core/bytes.ts';
import { VeilError, hasCode } from '../../../core/errors.ts';
import { canonicalJson, type Json } from '../../../core/json.ts';
import {
  TEST_CPU,
  TEST_IMAGE,
  TEST_RULE,
  compileDocument,
  testPolicyDocument,
} from '../../support/worker-evidence.ts';

const ROOT = sha256(utf8('root'));
const SHIPPED = readFileSync('policies/development.yaml', 'utf8');

function refusal(text: string): VeilError {
  let refused: unknown;
  assert.throws(
    () => compilePolicy(utf8(text), { source: 'edited.yaml' }),
    (error) => {
      refused = error;
      return true;
    },
  );
  assert.ok(refused instanceof VeilError, String(refused));
  return refused;
}

/** Line number of the first line that contains `part`. */
function lineOf(text: string, part: string): number {
  return text.split('\n').findIndex((line) => line.includes(part)) + 1;
}

interface WrongEdit {
  readonly what: string;
  readonly from: string | RegExp;
  readonly to: string;
  readonly code: string;
  /** What the message names. */
  readonly says: string;
  /** A part of the line that the message points at. */
  readonly at: string;
}

const schema = (edit: Omit<WrongEdit, 'code'>): WrongEdit => ({ ...edit, code: 'policy.schema' });
const syntax = (edit: Omit<WrongEdit, 'code'>): WrongEdit => ({ ...edit, code: 'policy.syntax' });
const senseless = (edit: Omit<WrongEdit, 'code'>): WrongEdit => ({
  ...edit,
  code: 'policy.inconsistent',
});

const WRONG_EDITS: readonly WrongEdit[] = [
  schema({
    what: 'debug any',
    from: 'debug: forbid',
    to: 'debug: any',
    says: 'rules.0.cpu.attributes.debug',
    at: 'debug: any',
  }),
  schema({
    what: 'sept_ve_disable any',
    from: 'sept_ve_disable: require',
    to: 'sept_ve_disable: any',
    says: 'sept_ve_disable',
    at: 'sept_ve_disable: any',
  }),
  schema({
    what: 'migratable any',
    from: 'migratable: forbid',
    to: 'migratable: any',
    says: 'migratable',
    at: 'migratable: any',
  }),
  schema({
    what: 'unknown bits any',
    from: 'unknown_bits: forbid',
    to: 'unknown_bits: any',
    says: 'unknown_bits',
    at: 'unknown_bits: any',
  }),
  syntax({
    what: 'a duplicate key',
    from: 'serial: 1',
    to: 'serial: 1\nserial: 2',
    says: 'stands twice',
    at: 'serial: 2',
  }),
  schema({
    what: 'an unknown key',
    from: 'serial: 1',
    to: 'serial: 1\nseriall: 2',
    says: 'seriall: no such member',
    at: 'seriall: 2',
  }),
  schema({
    what: 'an unknown key inside a rule',
    from: 'gpu: none',
    to: 'gpu: none\n    extra: 1',
    says: 'rules.0.extra: no such member',
    at: 'extra: 1',
  }),
  schema({
    what: 'omitted gpu',
    from: '    gpu: none\n',
    to: '',
    says: 'rules.0.gpu: missing',
    at: '- id: simulated-tdx',
  }),
  schema({
    what: 'gpu any',
    from: 'gpu: none',
    to: 'gpu: any',
    says: 'rules.0.gpu',
    at: 'gpu: any',
  }),
  schema({
    what: 'an omitted attribute',
    from: '        perfmon: forbid\n',
    to: '',
    says: 'attributes.perfmon: missing',
    at: 'debug: forbid',
  }),
  schema({
    what: 'an omitted limit',
    from: /  challenge: gateway\n/,
    to: '',
    says: 'limits.challenge: missing',
    at: 'evidence_age',
  }),
  schema({
    what: 'omitted platforms',
    from: /      platforms: .*\n/,
    to: '',
    says: 'platforms',
    at: 'tee: tdx',
  }),
  schema({
    what: 'any without a note',
    from: /platforms: \{.*\}/,
    to: 'platforms: { any: true }',
    says: 'note',
    at: 'platforms:',
  }),
  schema({
    what: 'any: false',
    from: /platforms: \{.*\}/,
    to: "platforms: { any: false, note: 'x' }",
    says: 'platforms',
    at: 'platforms:',
  }),
  schema({
    what: 'an unquoted mask',
    from: "require: '0x0000000000000003'",
    to: 'require: 0x0000000000000003',
    says: 'xfam.require',
    at: 'xfam:',
  }),
  schema({
    what: 'an unquoted number as fmspc',
    from: "['564744455630']",
    to: '[564744455630]',
    says: 'fmspc',
    at: 'fmspc:',
  }),
  schema({
    what: 'an upper-case digest',
    from: /weights: 'sha256:[0-9a-f]{2}/,
    to: "weights: 'sha256:E8",
    says: 'models.0.weights',
    at: 'weights:',
  }),
  schema({
    what: 'a short register',
    from: /mrtd: '9e/,
    to: "mrtd: '9",
    says: 'images.0.tdx.0.mrtd',
    at: 'mrtd:',
  }),
  schema({
    what: 'an out-of-date machine by status list',
    from: '[up-to-date]',
    to: '[up-to-date, out-of-date]',
    says: 'admitted through advisories',
    at: 'tcb_status',
  }),
  schema({
    what: 'grace for collateral',
    from: 'collateral_grace: 0s',
    to: 'collateral_grace: 1h',
    says: 'collateral_grace',
    at: 'collateral_grace',
  }),
  schema({
    what: 'a duration without a unit',
    from: 'evidence_age: 1h',
    to: 'evidence_age: 60',
    says: 'evidence_age',
    at: 'evidence_age',
  }),
  schema({
    what: 'a duration above a day',
    from: 'evidence_age: 1h',
    to: 'evidence_age: 25h',
    says: 'at most one day',
    at: 'evidence_age',
  }),
  schema({
    what: 'a date that does not exist',
    from: 'issued: 1970-01-01T00:00:00Z',
    to: 'issued: 1970-02-30T00:00:00Z',
    says: 'not a date of the calendar',
    at: 'issued:',
  }),
  schema({
    what: 'no floor for a module it lists',
    from: 'identities: [TDX_01]',
    to: 'identities: [TDX_01, TDX_03]',
    says: 'one floor for each',
    at: 'min_isvsvn',
  }),
  schema({
    what: 'development: false',
    from: 'development: true',
    to: 'development: false',
    says: 'development',
    at: 'development: false',
  }),
  schema({
    what: 'another format',
    from: 'veilgate.policy/1',
    to: 'veilgate.policy/2',
    says: 'format',
    at: 'format:',
  }),
  schema({
    what: 'null for a list',
    from: 'advisories: []',
    to: 'advisories:',
    says: 'advisories',
    at: 'advisories:',
  }),
  syntax({
    what: 'an anchor',
    from: 'debug: forbid',
    to: 'debug: &no forbid',
    says: 'anchors',
    at: '&no',
  }),
  syntax({
    what: 'an alias',
    from: 'migratable: forbid',
    to: 'migratable: *no',
    says: 'aliases',
    at: '*no',
  }),
  syntax({
    what: 'a tag',
    from: 'debug: forbid',
    to: 'debug: !!str forbid',
    says: 'tags',
    at: '!!str',
  }),
  syntax({
    what: 'a merge key',
    from: 'debug: forbid',
    to: 'debug: forbid\n        <<: { lass: any }',
    says: 'merge keys',
    at: '<<',
  }),
  syntax({
    what: 'a member that would be the prototype',
    from: /^serial: 1$/m,
    to: 'serial: 1\n__proto__: { development: true }',
    says: '__proto__',
    at: '__proto__',
  }),
  syntax({
    what: 'a second document',
    from: /^serial: 1$/m,
    to: 'serial: 1\n---\na: 1',
    says: 'a second document',
    at: '---',
  }),
  syntax({
    what: 'a directive',
    from: /^/,
    to: '%YAML 1.2\n---\n',
    says: 'directives',
    at: '%YAML',
  }),
  syntax({
    what: 'an unclosed bracket',
    from: '[up-to-date]',
    to: '[up-to-date',
    says: '',
    at: '',
  }),
  senseless({
    what: 'roots outside development',
    from: 'development: true\n',
    to: '',
    says: 'roots: only legal',
    at: '- simulated',
  }),
  senseless({
    what: 'an image that is not defined',
    from: 'images: [veilgate-demo]',
    to: 'images: [veilgate-demo, typo]',
    says: '"typo" is not defined here',
    at: 'images: [',
  }),
  senseless({
    what: 'a model that is not defined',
    from: 'models: [veilgate-demo]',
    to: 'models: [typo]',
    says: '"typo" is not defined here',
    at: 'models: [',
  }),
  senseless({
    what: 'an expiry before its issue',
    from: 'issued: 1970-01-01T00:00:00Z',
    to: 'issued: 1971-01-01T00:00:00Z',
    says: 'not after issued',
    at: 'expires: 1970',
  }),
  senseless({
    what: 'a grant for two years',
    from: /^expires: .*$/m,
    to: 'expires: 1972-01-01T00:00:00Z',
    says: 'more than 366 days',
    at: 'expires: 1972',
  }),
];

test('the template itself loads', () => {
  assert.equal(compilePolicy(utf8(SHIPPED)).document.name, 'development');
});

for (const { what, from, to, code, says, at } of WRONG_EDITS) {
  test(`a policy with ${what} does not load`, () => {
    const edited = SHIPPED.replace(from, to);
    assert.notEqual(edited, SHIPPED, 'the edit changes something');
    const error = refusal(edited);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, new RegExp(says.replaceAll('.', '\\.')));
    if (at !== '') assert.match(error.message, new RegExp(`edited\\.yaml:${lineOf(edited, at)}:`));
  });
}

test('an alias is refused for itself, also where its anchor exists', () => {
  const edited = SHIPPED.replace('debug: forbid', 'debug: &no forbid').replace(
    'migratable: forbid',
    'migratable: *no',
  );
  assert.match(refusal(edited).message, /aliases are not allowed/);
});

test('every problem is named at once', () => {
  const error = refusal(
    SHIPPED.replace('debug: forbid', 'debug: any')
      .replace('gpu: none', 'gpu: any')
      .replace('serial: 1', 'serial: 0'),
  );
  for (const path of ['serial', 'rules.0.cpu.attributes.debug', 'rules.0.gpu']) {
    assert.ok(error.message.includes(`${path}: `), path);
  }
});

test('names that stand twice do not load', () => {
  const zeros = `sha256:${'0'.repeat(64)}`;
  const model = { id: 'test/model', weights: zeros };
  const workload = { image: zeros, config: zeros, engine: 'x' };
  const cases: readonly Readonly<Record<string, Json>>[] = [
    { rules: [TEST_RULE, TEST_RULE] },
    { models: [model, model] },
    { images: [TEST_IMAGE, { ...TEST_IMAGE, workload }] },
    { images: [TEST_IMAGE, { ...TEST_IMAGE, name: 'other-image' }] },
  ];
  for (const overrides of cases) {
    assert.throws(
      () => compileDocument(testPolicyDocument(ROOT, overrides)),
      (error) => hasCode(error, 'policy.inconsistent'),
    );
  }
});

test('an advisory for a rule that does not exist does not load', () => {
  const advisory = {
    id: 'INTEL-SA-1',
    rules: ['typo'],
    admits: 'out-of-date',
    reason: 'x',
    owner: 'x',
    expires: '2026-08-01T00:00:00Z',
  };
  assert.throws(
    () => compileDocument(testPolicyDocument(ROOT, { advisories: [advisory] })),
    (error) => hasCode(error, 'policy.inconsistent'),
  );
});

test('no advisory can admit a revoked machine', () => {
  const advisory = {
    id: 'INTEL-SA-1',
    rules: ['test-rule'],
    reason: 'x',
    owner: 'x',
    expires: '2026-08-01T00:00:00Z',
  };
  for (const admits of ['revoked', 'not-supported', 'up-to-date']) {
    assert.throws(
      () => compileDocument(testPolicyDocument(ROOT, { advisories: [{ ...advisory, admits }] })),
      (error) => hasCode(error, 'policy.schema'),
    );
  }
});

test('every member of a policy is required, except development and roots', () => {
  const document = testPolicyDocument(ROOT);
  for (const name of Object.keys(document)) {
    if (name === 'development' || name === 'roots') continue;
    const without = Object.fromEntries(Object.entries(document).filter(([each]) => each !== name));
    assert.throws(
      () => compileDocument(without),
      (error) => hasCode(error, 'policy.schema'),
      name,
    );
  }
  for (const name of Object.keys(TEST_CPU)) {
    const cpu = Object.fromEntries(Object.entries(TEST_CPU).filter(([each]) => each !== name));
    assert.throws(
      () => compileDocument(testPolicyDocument(ROOT, { rules: [{ ...TEST_RULE, cpu }] })),
      (error) => hasCode(error, 'policy.schema'),
      `cpu.${name}`,
    );
  }
});

test('a text that is too large, not UTF-8 or starts with a byte order mark does not load', () => {
  const cases: readonly (readonly [Uint8Array, string])[] = [
    [new Uint8Array(POLICY_MAX_BYTES + 1).fill(0x20), 'policy.size'],
    [Uint8Array.of(0xff, 0xfe), 'policy.syntax'],
    [utf8(`\uFEFF${SHIPPED}`), 'policy.syntax'],
    [utf8('['.repeat(100_000)), 'policy.syntax'],
    [utf8('{"a":'.repeat(40_000)), 'policy.syntax'],
    [utf8('['.repeat(50_000) + ']'.repeat(50_000)), 'policy.syntax'],
    [utf8(SHIPPED.replace('serial: 1', 'serial: .inf')), 'policy.syntax'],
    [utf8(SHIPPED.replace('serial: 1', 'serial: .nan')), 'policy.syntax'],
    [new Uint8Array(0), 'policy.schema'],
    [utf8('7'), 'policy.schema'],
  ];
  for (const [bytes, code] of cases) {
    assert.throws(
      () => compilePolicy(bytes),
      (error) => hasCode(error, code),
    );
  }
});

test('every truncation of a policy is refused with a coded error', () => {
  const bytes = utf8(SHIPPED);
  // The last lines are "advisories: []" and its comment: without them a member is missing.
  for (let size = 0; size < bytes.length - 2; size += 61) {
    assert.throws(
      () => compilePolicy(bytes.slice(0, size)),
      (error) => error instanceof VeilError && error.code.startsWith('policy.'),
    );
  }
});

test('the policy reader throws nothing but its own codes on mutated policies', () => {
  const bytes = utf8(SHIPPED.replaceAll(/^ *#.*\n/gm, ''));
  const alphabet = utf8('&*!<>{}[]:,#|>-?%@`\'"\n\t \\0a~\u0000');
  let state = 7;
  const next = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let round = 0; round < 300; round++) {
    const mutated = Uint8Array.from(bytes);
    for (let edits = 0; edits <= next(3); edits++) {
      mutated[next(mutated.length)] = alphabet[next(alphabet.length)] ?? 0;
    }
    try {
      compilePolicy(mutated);
    } catch (error) {
      const ours = error instanceof VeilError && error.code.startsWith('policy.');
      assert.ok(ours, String(error));
    }
  }
});

test('comments and layout do not change the digest, content does', () => {
  const plain = compilePolicy(utf8(SHIPPED));
  const uncommented = SHIPPED.replaceAll(/^ *#.*\n/gm, '').replaceAll(/ +# .*$/gm, '');
  assert.notEqual(uncommented, SHIPPED);
  assert.deepEqual(compilePolicy(utf8(uncommented)).digest, plain.digest);
  assert.deepEqual(
    compilePolicy(utf8(plain.canonical)).digest,
    plain.digest,
    'the same tree as JSON',
  );
  const changed = compilePolicy(utf8(SHIPPED.replace('serial: 1', 'serial: 2')));
  assert.notDeepEqual(changed.digest, plain.digest);
});

test('the digest is that of the canonical JSON', () => {
  const document = testPolicyDocument(ROOT);
  const policy = compileDocument(document);
  assert.equal(policy.canonical, canonicalJson(document));
  assert.equal(toHex(policy.digest), toHex(sha256(utf8(canonicalJson(document)))));
});

test('a compiled policy cannot be changed', () => {
  const { document } = compileDocument(testPolicyDocument(ROOT));
  assert.ok(Object.isFrozen(document));
  assert.throws(() => Reflect.apply(Array.prototype.push, document.rules, [document.rules[0]]));
  assert.equal(Reflect.set(document.limits, 'evidence_age', 1), false);
  const cpu = document.rules[0]?.cpu;
  assert.ok(cpu?.tee === 'tdx');
  assert.equal(Reflect.set(cpu.attributes, 'perfmon', 'any'), false);
});
