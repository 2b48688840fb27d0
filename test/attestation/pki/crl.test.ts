/**
 * Revocation lists written by hand: the sound one reads, and each departure from the strict profile is refused for its own
 * sake. Spec: RFC 5280 §5; X.690 §11.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  derBits,
  derBoolean,
  derContext,
  derInteger,
  derNull,
  derOctets,
  derOid,
  derSequence,
  derTime,
  derUnsigned,
} from '../../../attestation/der-writer.ts';
import { parseCrl, type Crl } from '../../../attestation/pki/crl.ts';
import { CRL_MAX_BYTES, CRL_MAX_ENTRIES } from '../../../attestation/pki/limits.ts';
import { concat } from '../../../core/bytes.ts';
import { VeilError } from '../../../core/errors.ts';

const NOTHING: Uint8Array = new Uint8Array(0);
const NOW_MS = Date.UTC(2026, 10, 26);
const ECDSA = derSequence(derOid('1.2.840.10045.4.3.2'));
const KEY_ID = '2.5.29.35';
const NUMBER = '2.5.29.20';
const REASON = '2.5.29.21';

function extension(oid: string, value: Uint8Array, ...before: readonly Uint8Array[]): Uint8Array {
  return derSequence(derOid(oid), ...before, derOctets(value));
}

const KEY_ID_EXTENSION = extension(KEY_ID, derSequence(derContext(0, NOTHING)));
const NUMBER_EXTENSION = extension(NUMBER, derInteger(7));
const EXTENSIONS = [KEY_ID_EXTENSION, NUMBER_EXTENSION];

function entry(serial: number, ...rest: readonly Uint8Array[]): Uint8Array {
  return derSequence(derInteger(serial), derTime(NOW_MS), ...rest);
}

/** As `derSequence`, which ends at 64 KiB; to 16 MiB. */
function sequence(...content: readonly Uint8Array[]): Uint8Array {
  const body = concat(...content);
  if (body.length < 65_536) return derSequence(body);
  const length = [body.length >> 16, (body.length >> 8) & 0xff, body.length & 0xff];
  return concat(Uint8Array.of(0x30, 0x83, ...length), body);
}

interface Parts {
  readonly version: Uint8Array;
  readonly inner: Uint8Array;
  readonly outer: Uint8Array;
  readonly entries: readonly Uint8Array[];
  readonly extensions: readonly Uint8Array[];
  /** Inside the wrapper, inside the signed part, behind the signature, behind the list. */
  readonly afterExtensions: Uint8Array;
  readonly afterTbs: Uint8Array;
  readonly afterSignature: Uint8Array;
  readonly afterAll: Uint8Array;
}

function list(parts: Partial<Parts> = {}): Uint8Array {
  const tbs = sequence(
    parts.version ?? derInteger(1),
    parts.inner ?? ECDSA,
    derSequence(),
    derTime(NOW_MS),
    derTime(NOW_MS + 1000),
    parts.entries === undefined ? NOTHING : sequence(...parts.entries),
    derContext(
      0,
      derSequence(...(parts.extensions ?? EXTENSIONS)),
      parts.afterExtensions ?? NOTHING,
    ),
    parts.afterTbs ?? NOTHING,
  );
  const signature = derBits(derSequence(derInteger(1), derInteger(2)));
  const whole = sequence(tbs, parts.outer ?? ECDSA, signature, parts.afterSignature ?? NOTHING);
  return concat(whole, parts.afterAll ?? NOTHING);
}

/** The list, or the code and message of what was thrown. */
function read(parts: Partial<Parts>): Crl | string {
  try {
    return parseCrl(list(parts));
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    return `${error.code} ${error.message}`;
  }
}

function assertRead(parts: Partial<Parts>): Crl {
  const outcome = read(parts);
  assert.ok(typeof outcome === 'object', typeof outcome === 'string' ? outcome : '');
  return outcome;
}

function assertRefused(parts: Partial<Parts>, why: RegExp): void {
  const outcome = read(parts);
  assert.ok(typeof outcome === 'string', 'it was read');
  assert.match(outcome, why);
}

test('the sound list reads, with and without entries', () => {
  const empty = assertRead({});
  assert.equal(empty.number, 7n);
  assert.deepEqual([...empty.revokedSerials], []);
  const informed = derSequence(extension(REASON, Uint8Array.of(10, 1, 1)));
  const full = assertRead({ entries: [entry(5), entry(6, informed)] });
  assert.deepEqual([...full.revokedSerials], ['05', '06']);
  assert.equal(full.nextUpdateMs - full.thisUpdateMs, 1000);
});

test('a serial of many bytes is one revoked serial, without its sign octet', () => {
  const serial = Uint8Array.of(0xff, 1, 2, 3);
  const read = parseCrl(list({ entries: [derSequence(derUnsigned(serial), derTime(NOW_MS))] }));
  assert.deepEqual([...read.revokedSerials], ['ff010203']);
});

const REASON_EXTENSION = extension(REASON, Uint8Array.of(10, 1, 1));

const REFUSED: readonly (readonly [name: string, parts: Partial<Parts>, why: RegExp])[] = [
  ['version 1', { version: derInteger(0) }, /^pki\.crl .*version/],
  ['no version', { version: NOTHING }, /^der\./],
  [
    'an algorithm that is none of ours',
    { outer: derSequence(derOid('1.2.840.10045.4.3.4')) },
    /^pki\.crl .*algorithm/,
  ],
  [
    'two algorithms',
    { inner: derSequence(derOid('1.2.840.10045.4.3.3')) },
    /^pki\.certificate .*two/,
  ],
  ['bytes behind the list', { afterAll: derNull() }, /^der\./],
  ['a member behind the signature', { afterSignature: derNull() }, /^der\./],
  ['a member behind the extensions', { afterTbs: derNull() }, /^der\./],
  ['a second member beside the extensions', { afterExtensions: derNull() }, /^der\./],
  ['no key identifier', { extensions: [NUMBER_EXTENSION] }, /^pki\.crl .*missing/],
  ['no number', { extensions: [KEY_ID_EXTENSION] }, /^pki\.crl .*missing/],
  ['two numbers', { extensions: [...EXTENSIONS, NUMBER_EXTENSION] }, /^pki\.crl .*repeated/],
  [
    'a delta list',
    { extensions: [...EXTENSIONS, extension('2.5.29.27', derInteger(6), derBoolean(true))] },
    /^pki\.crl .*critical/,
  ],
  [
    'critical FALSE written out',
    { extensions: [KEY_ID_EXTENSION, extension(NUMBER, derInteger(7), derBoolean(false))] },
    /critical FALSE/,
  ],
  [
    'a member behind an extension',
    {
      extensions: [
        KEY_ID_EXTENSION,
        derSequence(derOid(NUMBER), derOctets(derInteger(7)), derNull()),
      ],
    },
    /^der\./,
  ],
  [
    'bytes behind the number',
    { extensions: [KEY_ID_EXTENSION, extension(NUMBER, concat(derInteger(7), derNull()))] },
    /^der\./,
  ],
  [
    'a number of 21 bytes',
    { extensions: [KEY_ID_EXTENSION, extension(NUMBER, derUnsigned(new Uint8Array(21).fill(1)))] },
    /^pki\.crl .*number/,
  ],
  [
    'a member behind an entry',
    { entries: [entry(5, derSequence(REASON_EXTENSION), derNull())] },
    /^der\./,
  ],
  [
    'a critical extension of an entry',
    { entries: [entry(5, derSequence(extension('2.5.29.29', derSequence(), derBoolean(true))))] },
    /critical entry/,
  ],
  [
    'a FALSE in an extension of an entry',
    { entries: [entry(5, derSequence(extension(REASON, NOTHING, derBoolean(false))))] },
    /critical entry/,
  ],
  [
    'a repeated extension of an entry',
    { entries: [entry(5, derSequence(REASON_EXTENSION, REASON_EXTENSION))] },
    /repeated entry/,
  ],
  [
    'a member behind an extension of an entry',
    {
      entries: [entry(5, derSequence(derSequence(derOid(REASON), derOctets(NOTHING), derNull())))],
    },
    /^der\./,
  ],
  [
    'nine extensions of an entry',
    {
      entries: [
        entry(
          5,
          derSequence(
            ...Array.from({ length: 9 }, (_, i) => extension(`2.5.29.${100 + i}`, NOTHING)),
          ),
        ),
      ],
    },
    /entry extensions/,
  ],
];

for (const [name, parts, why] of REFUSED) {
  test(`a list with ${name} is refused`, () => assertRefused(parts, why));
}

test('eight extensions of an entry and a number of twenty bytes are the most there may be', () => {
  const eight = Array.from({ length: 8 }, (_, i) => extension(`2.5.29.${100 + i}`, NOTHING));
  const number = extension(NUMBER, derUnsigned(new Uint8Array(20).fill(1)));
  assertRead({
    entries: [entry(5, derSequence(...eight))],
    extensions: [KEY_ID_EXTENSION, number],
  });
});

test('a list with one entry or one byte too many is refused before it is kept', () => {
  const one = entry(300);
  const most = new Uint8Array(CRL_MAX_ENTRIES * one.length);
  for (let i = 0; i < CRL_MAX_ENTRIES; i++) most.set(one, i * one.length);
  assertRead({ entries: [most] });
  assertRefused({ entries: [most, one] }, /too many entries/);
  const long = concat(list(), new Uint8Array(CRL_MAX_BYTES));
  assert.throws(() => parseCrl(long), /too large/);
});
