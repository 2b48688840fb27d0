/**
 * Certificates and lists end where they end: with one more value at the end of any structure that is read, or a default
 * written out, they are no certificates and no lists. Spec: RFC 5280 §4.1, §5.1; ITU-T X.690 §11.5.
 * @module
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
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
  derValue,
} from '../../../attestation/der-writer.ts';
import { TAG } from '../../../attestation/der.ts';
import { commonNameOf, parseCertificate } from '../../../attestation/pki/certificate.ts';
import { isIssuedBy, isValidAt } from '../../../attestation/pki/chain.ts';
import { parseCrl } from '../../../attestation/pki/crl.ts';
import { CRL_MAX_BYTES, CRL_MAX_ENTRIES } from '../../../attestation/pki/limits.ts';
import { concat, utf8 } from '../../../core/bytes.ts';
import { VeilError } from '../../../core/errors.ts';

const NOTHING: Uint8Array = new Uint8Array(0);
const FROM_MS = Date.UTC(2026, 0, 1);
const TO_MS = Date.UTC(2027, 0, 1);
const ECDSA = derSequence(derOid('1.2.840.10045.4.3.2'));
const SIGNATURE = derBits(derSequence(derInteger(1), derInteger(1)));
const POINT = concat(Uint8Array.of(4), new Uint8Array(64).fill(1));
const SPKI = derSequence(
  derSequence(derOid('1.2.840.10045.2.1'), derOid('1.2.840.10045.3.1.7')),
  derBits(POINT),
);

/** What is put at the end of a structure, or in place of a part, by its name. */
type Parts = Readonly<Record<string, Uint8Array>>;

function name(parts: Parts = {}): Uint8Array {
  const value = parts['name value'] ?? derValue(TAG.utf8String, utf8('A'));
  const attribute = derSequence(derOid('2.5.4.3'), value, parts['name attribute'] ?? NOTHING);
  return derSequence(derValue(TAG.set, attribute, parts['relative name'] ?? NOTHING));
}

function extension(oid: string, value: Uint8Array, critical: Uint8Array, rest = NOTHING) {
  return derSequence(derOid(oid), critical, derOctets(value), rest);
}

function certificate(parts: Parts = {}): Uint8Array {
  const after = (what: string): Uint8Array => parts[what] ?? NOTHING;
  const constraints = derSequence(
    parts['cA'] ?? derBoolean(true),
    parts['pathLenConstraint'] ?? derInteger(0),
    after('basicConstraints'),
  );
  const usage = parts['key usage bits'] ?? derValue(TAG.bitString, Uint8Array.of(1, 0x06));
  const extensions = derSequence(
    extension(
      '2.5.29.19',
      concat(constraints, after('basicConstraints value')),
      parts['critical'] ?? derBoolean(true),
      after('extension'),
    ),
    extension('2.5.29.15', concat(usage, after('keyUsage value')), derBoolean(true)),
    after('extensions list'),
  );
  const tbs = derSequence(
    derContext(0, parts['version number'] ?? derInteger(2), after('version')),
    derInteger(7),
    parts['inner algorithm'] ?? ECDSA,
    name(),
    derSequence(derTime(FROM_MS), derTime(TO_MS), after('validity')),
    name(parts),
    SPKI,
    parts['unique identifier'] ?? NOTHING,
    derContext(3, extensions, after('extensions')),
    after('tbsCertificate'),
  );
  const whole = derSequence(tbs, ECDSA, SIGNATURE, after('certificate'));
  return concat(whole, after('document'));
}

const CERTIFICATE_ENDS = [
  'name attribute',
  'relative name',
  'basicConstraints',
  'basicConstraints value',
  'extension',
  'keyUsage value',
  'extensions list',
  'version',
  'validity',
  'extensions',
  'tbsCertificate',
  'certificate',
  'document',
];

function refused(read: () => unknown, what: string): void {
  assert.throws(
    read,
    (error) => error instanceof VeilError && error.code !== 'internal.invariant',
    what,
  );
}

describe('a certificate', () => {
  test('is read as it is written', () => {
    const read = parseCertificate(certificate());
    assert.equal(read.commonName, 'A');
    assert.deepEqual([read.isCa, read.pathLength], [true, 0]);
    assert.deepEqual(
      [read.mayDigitallySign, read.maySignCertificates, read.maySignCrls],
      [false, true, true],
    );
    assert.deepEqual([read.notBeforeMs, read.notAfterMs], [FROM_MS, TO_MS]);
  });

  for (const what of CERTIFICATE_ENDS) {
    test(`with something after its ${what} is none`, () => {
      refused(() => parseCertificate(certificate({ [what]: derNull() })), what);
    });
  }

  const WRITTEN: readonly (readonly [what: string, parts: Parts])[] = [
    ['an extension that says it is not critical', { critical: derBoolean(false) }],
    ['a constraint that says it is no CA', { cA: derBoolean(false) }],
    ['a path length of 256', { pathLenConstraint: derInteger(256) }],
    ['version 2', { 'version number': derInteger(1) }],
    ['version 4', { 'version number': derInteger(3) }],
    ['two algorithms', { 'inner algorithm': derSequence(derOid('1.2.840.10045.4.3.3')) }],
    ['a unique identifier', { 'unique identifier': derValue(0x82, Uint8Array.of(0, 1)) }],
  ];
  for (const [what, parts] of WRITTEN) {
    test(`with ${what} is none`, () => refused(() => parseCertificate(certificate(parts)), what));
  }

  test('without path length or constraint has neither', () => {
    const read = parseCertificate(certificate({ cA: NOTHING, pathLenConstraint: NOTHING }));
    assert.deepEqual([read.isCa, read.pathLength], [false, undefined]);
  });

  test('has a common name only when one text of a known kind says it', () => {
    const known = [TAG.utf8String, TAG.printableString] as const;
    for (const tag of known) {
      assert.equal(commonNameOf(name({ 'name value': derValue(tag, utf8('A')) })), 'A');
    }
    const other = name({ 'name value': derValue(TAG.ia5String, utf8('A')) });
    assert.equal(commonNameOf(other), undefined);
    const again = derSequence(derOid('2.5.4.3'), derValue(TAG.utf8String, utf8('B')));
    assert.equal(commonNameOf(name({ 'relative name': again })), undefined);
  });

  test('may do what its key usage says, bit by bit', () => {
    const rights = [
      [7, 0x80],
      [2, 0x04],
      [1, 0x02],
      [1, 0x04],
    ].map((bits) => {
      const usage = derValue(TAG.bitString, Uint8Array.from(bits));
      const read = parseCertificate(certificate({ 'key usage bits': usage }));
      const { mayDigitallySign, maySignCertificates, maySignCrls, hasPaddedKeyUsage } = read;
      return [mayDigitallySign, maySignCertificates, maySignCrls, hasPaddedKeyUsage];
    });
    assert.deepEqual(rights, [
      [true, false, false, false],
      [false, true, false, false],
      [false, false, true, false],
      [false, true, false, true],
    ]);
  });

  test('whose algorithm nobody knows was issued by nobody', () => {
    const read = parseCertificate(certificate());
    assert.equal(isIssuedBy({ ...read, signed: undefined }, read), false);
    assert.equal(isIssuedBy(read, { ...read, publicKey: undefined }), false);
  });

  test('is valid from its first to its last second', () => {
    const read = parseCertificate(certificate());
    const valid = [FROM_MS - 1, FROM_MS, TO_MS, TO_MS + 1].map((at) => isValidAt(read, at));
    assert.deepEqual(valid, [false, true, true, false]);
  });
});

function entry(parts: Parts = {}): Uint8Array {
  const reason = derSequence(
    derOid('2.5.29.21'),
    parts['entry critical'] ?? NOTHING,
    derOctets(derValue(TAG.enumerated, Uint8Array.of(1))),
    parts['entry extension'] ?? NOTHING,
  );
  const extensions = derSequence(reason, parts['entry extensions'] ?? NOTHING);
  return derSequence(derInteger(5), derTime(FROM_MS), extensions, parts['entry'] ?? NOTHING);
}

function list(parts: Parts = {}): Uint8Array {
  const after = (what: string): Uint8Array => parts[what] ?? NOTHING;
  const number = parts['number'] ?? derInteger(3);
  const extensions = derSequence(
    parts['authority key'] ?? extension('2.5.29.35', derSequence(), NOTHING),
    parts['numbered'] ?? extension('2.5.29.20', concat(number, after('number value')), NOTHING),
    after('extensions list'),
  );
  const tbs = derSequence(
    parts['version number'] ?? derInteger(1),
    parts['inner algorithm'] ?? ECDSA,
    name(),
    derTime(FROM_MS),
    parts['nextUpdate'] ?? derTime(TO_MS),
    parts['entries'] ?? derSequence(entry(parts)),
    derContext(0, extensions, after('extensions')),
    after('tbsCertList'),
  );
  const algorithm = parts['algorithm'] ?? ECDSA;
  return concat(derSequence(tbs, algorithm, SIGNATURE, after('CRL')), after('document'));
}

const LIST_ENDS = [
  'entry extension',
  'entry extensions',
  'entry',
  'number value',
  'extensions list',
  'extensions',
  'tbsCertList',
  'CRL',
  'document',
];

describe('a list', () => {
  test('is read as it is written', () => {
    const read = parseCrl(list());
    assert.equal(read.number, 3n);
    assert.deepEqual([...read.revokedSerials], ['05']);
    assert.deepEqual([read.thisUpdateMs, read.nextUpdateMs], [FROM_MS, TO_MS]);
    assert.equal(parseCrl(list({ entries: NOTHING })).revokedSerials.size, 0);
  });

  for (const what of LIST_ENDS) {
    test(`with something after its ${what} is none`, () => {
      refused(() => parseCrl(list({ [what]: derNull() })), what);
    });
  }

  const unknown = derSequence(derOid('1.3.6.1.4.1.3704.9'));
  const WRITTEN: readonly (readonly [what: string, parts: Parts])[] = [
    ['no end', { nextUpdate: NOTHING }],
    ['no number', { numbered: NOTHING }],
    ['no authority key', { 'authority key': NOTHING }],
    ['two numbers', { 'extensions list': extension('2.5.29.20', derInteger(4), NOTHING) }],
    ['a number of 21 bytes', { number: derUnsigned(new Uint8Array(21).fill(1)) }],
    ['a negative number', { number: derValue(TAG.integer, Uint8Array.of(0x80)) }],
    ['version 1', { 'version number': derInteger(0) }],
    ['two algorithms', { 'inner algorithm': unknown }],
    ['an algorithm that nobody knows', { algorithm: unknown, 'inner algorithm': unknown }],
    ['a critical entry extension', { 'entry critical': derBoolean(true) }],
    [
      'a critical extension of a delta list',
      { 'extensions list': extension('2.5.29.27', derInteger(1), derBoolean(true)) },
    ],
    [
      'a critical extension of an indirect list',
      { 'extensions list': extension('2.5.29.28', derSequence(), derBoolean(true)) },
    ],
  ];
  for (const [what, parts] of WRITTEN) {
    test(`with ${what} is none`, () => refused(() => parseCrl(list(parts)), what));
  }

  test('has a number of 20 bytes at most', () => {
    const number = derUnsigned(new Uint8Array(20).fill(0xff));
    assert.equal(parseCrl(list({ number })).number, (1n << 160n) - 1n);
  });

  test('has eight different extensions in an entry at most', () => {
    const more = (count: number): Uint8Array =>
      concat(
        ...Array.from({ length: count }, (_, at) =>
          derSequence(derOid(`2.5.29.${100 + at}`), derOctets(NOTHING)),
        ),
      );
    assert.equal(parseCrl(list({ 'entry extensions': more(7) })).revokedSerials.size, 1);
    refused(() => parseCrl(list({ 'entry extensions': more(8) })), 'nine');
    const twice = concat(more(1), more(1));
    refused(() => parseCrl(list({ 'entry extensions': twice })), 'one of them twice');
  });

  test('has 100,000 entries and 8 MiB at most', () => {
    const plain = derSequence(derInteger(5), derTime(FROM_MS));
    const many = (count: number): Uint8Array => {
      const content = new Uint8Array(count * plain.length);
      for (let at = 0; at < content.length; at += plain.length) content.set(plain, at);
      return long(TAG.sequence, content);
    };
    assert.equal(parseCrl(longList(many(CRL_MAX_ENTRIES))).revokedSerials.size, 1);
    refused(() => parseCrl(longList(many(CRL_MAX_ENTRIES + 1))), 'one more');
    refused(() => parseCrl(new Uint8Array(CRL_MAX_BYTES + 1)), 'a byte more');
  });
});

/** Any length in three bytes, which the small writer does not have. */
function long(tag: number, content: Uint8Array): Uint8Array {
  const size = content.length;
  return concat(Uint8Array.of(tag, 0x83, size >> 16, (size >> 8) & 0xff, size & 0xff), content);
}

function longList(entries: Uint8Array): Uint8Array {
  const head = concat(derInteger(1), ECDSA, name(), derTime(FROM_MS), derTime(TO_MS));
  const tail = derContext(
    0,
    derSequence(
      extension('2.5.29.35', derSequence(), NOTHING),
      extension('2.5.29.20', derInteger(3), NOTHING),
    ),
  );
  const tbs = long(TAG.sequence, concat(head, entries, tail));
  return long(TAG.sequence, concat(tbs, ECDSA, SIGNATURE));
}
