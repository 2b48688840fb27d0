/** The statement: its strict reader, its derived values, and each of its checks failing alone. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomBytes, sha256, sha384, sha512 } from '#primitives';
import { STATEMENT_CHECK_IDS, verifyStatement } from '../../attestation/statement-checks.ts';
import type { StatementInput } from '../../attestation/statement-checks.ts';
import {
  STATEMENT_MAX_BYTES,
  deviceDigestOf,
  ehbpKidOf,
  encodeStatement,
  gpuNonceOf,
  keysDigest,
  kidOf,
  parseStatement,
  reportDataOf,
  statementHash,
  type StatementFields,
} from '../../attestation/statement.ts';
import { concat, fixed, fromUtf8, toHex, u16be, u32be, utf8 } from '../../core/bytes.ts';
import { VeilError, hasCode } from '../../core/errors.ts';
import { parseStrictJson } from '../../core/json.ts';
import { kidOf as protocolKidOf } from '../../protocol/sx/key-schedule.ts';
import { NOW_MS } from '../support/tdx/pki.ts';
import { TEST_AUD, TEST_CHALLENGE, idsOf, testStatement } from '../support/worker-evidence.ts';

const NUL = Uint8Array.of(0);

function bytesOf(overrides: Partial<StatementFields> = {}): Uint8Array {
  return encodeStatement(testStatement(overrides));
}

function edited(edit: (text: string) => string): Uint8Array {
  const before = fromUtf8(bytesOf());
  const after = edit(before);
  assert.notEqual(after, before, 'the edit changes something');
  return utf8(after);
}

const WITH_ALL: Partial<StatementFields> = {
  card: sha256(utf8('card')),
  keys: { ...testStatement().keys, ehbp: { pk: sha256(utf8('ehbp')) } },
};

test('a statement comes back as it was written, with and without its optional members', () => {
  for (const fields of [testStatement(), testStatement(WITH_ALL)]) {
    const parsed = parseStatement(encodeStatement(fields));
    assert.deepEqual(parsed, { fmt: 'veilgate.statement/1', ...fields });
  }
});

test('two makers of one statement write the same bytes', () => {
  const fields = testStatement(WITH_ALL);
  const { tee, aud, ...rest } = fields;
  assert.deepEqual(encodeStatement({ ...rest, aud, tee }), encodeStatement(fields));
  const names = [
    ...parseStrictJson(encodeStatement(fields), { maxBytes: 9000, numbers: 'any' }).spans.keys(),
  ];
  assert.deepEqual(names, [...names].sort());
});

const WRONG_EDITS: readonly (readonly [
  what: string,
  edit: (text: string) => string,
  code: string,
])[] = [
  ['text after the document', (t) => `${t} 1`, 'statement.malformed'],
  ['a byte order mark', (t) => `\uFEFF${t}`, 'statement.malformed'],
  ['a repeated member', (t) => t.replace('{', '{"tee":"tdx",'), 'statement.malformed'],
  [
    'a repeated member written with an escape',
    (t) => t.replace('{', '{"t\\u0065e":"tdx",'),
    'statement.malformed',
  ],
  ['a fraction', (t) => t.replace(/"iat":\d+/, '"iat":1.5'), 'statement.malformed'],
  ['an exponent', (t) => t.replace(/"iat":\d+/, '"iat":1e3'), 'statement.malformed'],
  ['another format', (t) => t.replace('statement/1', 'statement/2'), 'statement.format'],
  ['an unknown member', (t) => t.replace('{', '{"a":1,'), 'statement.schema'],
  [
    'an unknown member inside',
    (t) => t.replace('"workload":{', '"workload":{"a":1,'),
    'statement.schema',
  ],
  ['a member named __proto__', (t) => t.replace('{', '{"__proto__":{},'), 'statement.schema'],
  ['no format', (t) => t.replace('"fmt":"veilgate.statement/1",', ''), 'statement.schema'],
  ['no devices member', (t) => t.replace('"devices":null,', ''), 'statement.schema'],
  ['no nonce', (t) => t.replace(/"nonce":"[^"]*",/, ''), 'statement.schema'],
  ['a negative time', (t) => t.replace(/"iat":\d+/, '"iat":-1'), 'statement.schema'],
  ['a padded digest', (t) => t.replace(/("image":"[^"]*)"/, '$1="'), 'statement.schema'],
  ['a short digest', (t) => t.replace(/"image":"[^"]*"/, '"image":"AAAA"'), 'statement.schema'],
  ['a key of another KEM’s size', (t) => t.replace('"X25519"', '"X-Wing"'), 'statement.schema'],
  ['an unknown KEM', (t) => t.replace('"X25519"', '"P-256"'), 'statement.schema'],
  ['another signature algorithm', (t) => t.replace('"Ed25519"', '"ed25519"'), 'statement.schema'],
  ['an audience with a space', (t) => t.replace(TEST_AUD, 'a b'), 'statement.schema'],
  [
    'an audience of 257 characters',
    (t) => t.replace(TEST_AUD, 'a'.repeat(257)),
    'statement.schema',
  ],
  ['an unknown TEE', (t) => t.replace('"tee":"tdx"', '"tee":"sgx"'), 'statement.schema'],
  ['a list at the top', () => '[]', 'statement.schema'],
  ['null', () => 'null', 'statement.schema'],
];

for (const [what, edit, code] of WRONG_EDITS) {
  test(`a statement with ${what} is refused with ${code}`, () => {
    assert.throws(
      () => parseStatement(edited(edit)),
      (error) => hasCode(error, code),
    );
  });
}

test('a digest with loose bits is refused', () => {
  // 32 bytes leave two loose bits in the last character; "B" sets one of them where "A" has none.
  const zeros = encodeStatement(testStatement({ nonce: fixed(new Uint8Array(32), 32) }));
  const loose = utf8(fromUtf8(zeros).replace(`"${'A'.repeat(43)}"`, `"${'A'.repeat(42)}B"`));
  assert.throws(
    () => parseStatement(loose),
    (error) => hasCode(error, 'statement.schema'),
  );
});

test('a statement past its size limit is refused before it is read', () => {
  const long = concat(bytesOf(), utf8(' '.repeat(STATEMENT_MAX_BYTES)));
  assert.throws(
    () => parseStatement(long),
    (error) => hasCode(error, 'statement.malformed'),
  );
});

test('an error about a statement does not repeat what stood in it', () => {
  const secret = 'sk-very-secret';
  assert.throws(
    () =>
      parseStatement(
        edited((text) => text.replace('"tdx"', `"${secret}"`).replace('{', `{"${secret}":1,`)),
      ),
    (error) => error instanceof VeilError && !error.message.includes(secret),
  );
});

test('derived values follow the specification byte by byte', () => {
  const bytes = bytesOf(WITH_ALL);
  const { keys, nonce } = parseStatement(bytes);
  const lp = (part: Uint8Array): Uint8Array => concat(u32be(part.length), part);
  const plain = concat(
    utf8('veilgate.keys/1'),
    NUL,
    lp(utf8('X25519')),
    lp(keys.hpke.pk),
    lp(keys.tls.spkiSha256),
    lp(utf8('Ed25519')),
    lp(keys.sig.pk),
  );
  const { ehbp, ...withoutEhbp } = keys;
  assert.ok(ehbp !== undefined);
  assert.deepEqual(keysDigest(withoutEhbp), sha384(plain));
  assert.deepEqual(keysDigest(keys), sha384(plain, lp(utf8('ehbp')), lp(ehbp.pk)));
  assert.deepEqual(
    gpuNonceOf({ nonce, keys }),
    sha256(utf8('veilgate.gpu-nonce/1'), NUL, nonce, keysDigest(keys)),
  );
  assert.deepEqual(reportDataOf(bytes), sha512(utf8('veilgate.report-data/1'), NUL, bytes));
  assert.deepEqual(
    deviceDigestOf(utf8('x')),
    sha384(utf8('veilgate.device-evidence/1'), NUL, utf8('x')),
  );
  const hash = statementHash(bytes);
  assert.deepEqual(hash, sha256(bytes));
  assert.deepEqual(
    ehbpKidOf(hash, ehbp.pk),
    sha256(utf8('sx1 kid ehbp'), hash, u16be(0x20), ehbp.pk).slice(0, 16),
  );
});

test('attestation and protocol give a key the same name', () => {
  const hash = randomBytes(32);
  for (const [kem, size] of [
    ['X25519', 32],
    ['X-Wing', 1216],
  ] as const) {
    const pk = randomBytes(size);
    assert.deepEqual(kidOf(hash, kem, pk), protocolKidOf(hash, kem, pk));
  }
});

// Checks.

const DEVICE_EVIDENCE = utf8('device evidence');

function withDevices(
  overrides: Partial<StatementFields['devices'] & object> = {},
): StatementFields {
  const fields = testStatement();
  return {
    ...fields,
    devices: {
      type: 'nvidia/1',
      count: 1,
      mode: 'spt',
      digest: deviceDigestOf(DEVICE_EVIDENCE),
      nonce: gpuNonceOf(fields),
      ...overrides,
    },
  };
}

function inputOf(bytes: Uint8Array, overrides: Partial<StatementInput> = {}): StatementInput {
  return {
    bytes,
    reportData: reportDataOf(bytes),
    expected: {
      aud: TEST_AUD,
      tee: 'tdx',
      nonce: { equals: TEST_CHALLENGE },
      devices: 'as-stated',
    },
    nowMs: NOW_MS,
    ...overrides,
  };
}

function failing(input: StatementInput): readonly string[] {
  const { checks } = verifyStatement(input);
  assert.deepEqual(
    checks.map(({ id }) => id),
    [...STATEMENT_CHECK_IDS],
    'every check is listed, in order',
  );
  return idsOf(checks, 'fail');
}

test('a sound statement passes every check, with and without devices', () => {
  for (const input of [
    inputOf(bytesOf()),
    inputOf(encodeStatement(withDevices()), { devices: DEVICE_EVIDENCE }),
  ]) {
    assert.ok(verifyStatement(input).checks.every(({ outcome }) => outcome === 'pass'));
  }
});

const at = NOW_MS / 1000;

const ALONE: readonly (readonly [id: string, what: string, input: () => StatementInput])[] = [
  [
    'statement.reportData',
    'a quote over other bytes',
    () => inputOf(bytesOf(), { reportData: randomBytes(64) }),
  ],
  [
    'statement.reportData',
    'a quote over the same statement laid out differently',
    () => {
      const bytes = bytesOf();
      return inputOf(concat(bytes, utf8('\n')), { reportData: reportDataOf(bytes) });
    },
  ],
  [
    'statement.reportData',
    'half of the report data',
    () => {
      const bytes = bytesOf();
      const half = concat(reportDataOf(bytes).slice(0, 32), new Uint8Array(32));
      return inputOf(bytes, { reportData: half });
    },
  ],
  ['statement.tee', 'another kind of machine', () => inputOf(bytesOf({ tee: 'snp' }))],
  ['statement.aud', 'another gateway', () => inputOf(bytesOf({ aud: 'gw1.other' }))],
  ['statement.nonce', 'an old challenge', () => inputOf(bytesOf({ nonce: randomBytes(32) }))],
  [
    'statement.notYetValid',
    'an iat 61 s ahead',
    () => inputOf(bytesOf({ iat: at + 61, exp: at + 600 })),
  ],
  [
    'statement.expired',
    'an exp that is just reached',
    () => inputOf(bytesOf({ iat: at - 600, exp: at })),
  ],
  [
    'statement.lifetime',
    'a lifetime of 3601 s',
    () => inputOf(bytesOf({ iat: at - 1, exp: at + 3600 })),
  ],
  [
    'statement.lifetime',
    'an exp equal to its iat',
    () => inputOf(bytesOf({ iat: at + 60, exp: at + 60 })),
  ],
  [
    'devices.present',
    'no devices where they are required',
    () => inputOf(bytesOf(), { expected: { ...inputOf(bytesOf()).expected, devices: 'required' } }),
  ],
  [
    'devices.present',
    'stated devices without their evidence',
    () => inputOf(encodeStatement(withDevices())),
  ],
  [
    'devices.digest',
    'device evidence nobody committed to',
    () => inputOf(bytesOf(), { devices: DEVICE_EVIDENCE }),
  ],
  [
    'devices.digest',
    'exchanged device evidence',
    () => inputOf(encodeStatement(withDevices()), { devices: utf8('other evidence') }),
  ],
  [
    'devices.nonce',
    'devices that answered the raw challenge',
    () =>
      inputOf(encodeStatement(withDevices({ nonce: TEST_CHALLENGE })), {
        devices: DEVICE_EVIDENCE,
      }),
  ],
];

for (const [id, what, input] of ALONE) {
  test(`${what} fails ${id} and nothing else`, () => {
    assert.deepEqual(failing(input()), [id]);
  });
}

const FORM_FAILURES: readonly (readonly [id: string, bytes: () => Uint8Array])[] = [
  ['statement.json', () => utf8('{')],
  ['statement.format', () => edited((text) => text.replace('statement/1', 'statement/2'))],
  ['statement.schema', () => edited((text) => text.replace('{', '{"a":1,'))],
];

for (const [id, bytes] of FORM_FAILURES) {
  test(`a statement that fails ${id} passes no check about its content`, () => {
    const input = inputOf(bytes());
    assert.deepEqual(failing(input), [id]);
    const { checks, statement } = verifyStatement(input);
    assert.equal(statement, undefined);
    const content = checks.filter(({ id: each }) =>
      STATEMENT_CHECK_IDS.slice(4).some((c) => c === each),
    );
    for (const check of content) assert.equal(check.outcome, 'skipped', check.id);
  });
}

test('the skew of a minute is in favour of iat only', () => {
  assert.deepEqual(failing(inputOf(bytesOf({ iat: at + 60, exp: at + 600 }))), []);
  assert.deepEqual(failing(inputOf(bytesOf({ iat: at - 600, exp: at + 1 }))), []);
  assert.deepEqual(failing(inputOf(bytesOf({ iat: at, exp: at + 3600 }))), []);
});

test('report data that nobody could read is skipped, never passed', () => {
  const { checks } = verifyStatement(
    inputOf(bytesOf(), { reportData: { because: 'quote.format' } }),
  );
  const check = checks.find(({ id }) => id === 'statement.reportData');
  assert.deepEqual(check, {
    id: 'statement.reportData',
    outcome: 'skipped',
    because: 'quote.format',
  });
});

// Properties. Seeded, so that a failure can be repeated.

function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function neverThrows(bytes: Uint8Array): void {
  try {
    parseStatement(bytes);
  } catch (error) {
    const ours = error instanceof VeilError && error.code.startsWith('statement.');
    assert.ok(ours, `${String(error)} for ${toHex(bytes)}`);
  }
  verifyStatement(inputOf(bytes));
}

test('the statement reader throws nothing but its own codes on random bytes', () => {
  const next = generator(1);
  for (let round = 0; round < 2000; round++) {
    neverThrows(Uint8Array.from({ length: next(64) }, () => next(256)));
  }
});

test('the statement reader throws nothing but its own codes on truncated statements', () => {
  const bytes = encodeStatement(withDevices());
  for (let size = 0; size < bytes.length; size++) neverThrows(bytes.slice(0, size));
});

test('the statement reader throws nothing but its own codes on mutated statements', () => {
  const bytes = encodeStatement(withDevices());
  const next = generator(2);
  for (let round = 0; round < 4000; round++) {
    const mutated = Uint8Array.from(bytes);
    for (let edits = 0; edits <= next(3); edits++) mutated[next(mutated.length)] = next(256);
    neverThrows(mutated);
  }
});

test('no single-byte change of a statement keeps its report data', () => {
  const bytes = bytesOf();
  const reportData = reportDataOf(bytes);
  for (let offset = 0; offset < bytes.length; offset++) {
    const changed = Uint8Array.from(bytes);
    changed[offset] = (changed[offset] ?? 0) ^ 1;
    const { checks } = verifyStatement(inputOf(changed, { reportData }));
    const check = checks.find(({ id }) => id === 'statement.reportData');
    assert.equal(check?.outcome, 'fail', `offset ${offset}`);
  }
});
