/**
 * Certificates written by hand: the sound one reads, and each departure from the strict profile is refused for its own
 * sake. Spec: RFC 5280 §4; X.690 §11.
 * @module
 */

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
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
  derValue,
} from '../../../attestation/der-writer.ts';
import {
  commonNameOf,
  parseCertificate,
  type Certificate,
} from '../../../attestation/pki/certificate.ts';
import { exportPublicKey, generateP256 } from '../../../attestation/x509-keys.ts';
import { ascii, concat } from '../../../core/bytes.ts';
import { VeilError } from '../../../core/errors.ts';

const NOTHING: Uint8Array = new Uint8Array(0);
const NOW_MS = Date.UTC(2026, 10, 26);
const ECDSA = derSequence(derOid('1.2.840.10045.4.3.2'));
const CONSTRAINTS = '2.5.29.19';
const KEY_USAGE = '2.5.29.15';
const SET = 0x31;
const UTF8 = 0x0c;
const BITS = 0x03;

let publicKey: Uint8Array = NOTHING;
before(async () => {
  publicKey = await exportPublicKey((await generateP256()).publicKey);
});

function extension(oid: string, value: Uint8Array, ...before: readonly Uint8Array[]): Uint8Array {
  return derSequence(derOid(oid), ...before, derOctets(value));
}

function attribute(oid: string, text: string, ...rest: readonly Uint8Array[]): Uint8Array {
  return derSequence(derOid(oid), derValue(UTF8, ascii(text)), ...rest);
}

function commonName(text: string): Uint8Array {
  return derValue(SET, attribute('2.5.4.3', text));
}

const CA = extension(CONSTRAINTS, derSequence(derBoolean(true), derInteger(1)), derBoolean(true));

interface Parts {
  readonly version: Uint8Array;
  readonly inner: Uint8Array;
  readonly validity: Uint8Array;
  readonly extensions: readonly Uint8Array[];
  readonly afterExtensions: Uint8Array;
  readonly afterTbs: Uint8Array;
  readonly afterSignature: Uint8Array;
  readonly afterAll: Uint8Array;
}

const DATES = [derTime(NOW_MS), derTime(NOW_MS + 1000)];

function certificate(parts: Partial<Parts> = {}): Uint8Array {
  const tbs = derSequence(
    parts.version ?? derContext(0, derInteger(2)),
    derInteger(5),
    parts.inner ?? ECDSA,
    derSequence(commonName('issuer')),
    parts.validity ?? derSequence(...DATES),
    derSequence(commonName('subject')),
    publicKey,
    derContext(3, derSequence(...(parts.extensions ?? [CA])), parts.afterExtensions ?? NOTHING),
    parts.afterTbs ?? NOTHING,
  );
  const signature = derBits(derSequence(derInteger(1), derInteger(2)));
  const whole = derSequence(tbs, ECDSA, signature, parts.afterSignature ?? NOTHING);
  return concat(whole, parts.afterAll ?? NOTHING);
}

/** The certificate, or the code and message of what was thrown. */
function read(parts: Partial<Parts>): Certificate | string {
  try {
    return parseCertificate(certificate(parts));
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    return `${error.code} ${error.message}`;
  }
}

function assertRead(parts: Partial<Parts>): Certificate {
  const outcome = read(parts);
  assert.ok(typeof outcome === 'object', typeof outcome === 'string' ? outcome : '');
  return outcome;
}

test('the sound certificate reads', () => {
  const read = assertRead({});
  assert.equal(read.serial, '05');
  assert.equal(read.commonName, 'subject');
  assert.equal(read.notAfterMs - read.notBeforeMs, 1000);
  assert.equal(read.isCa, true);
  assert.equal(read.pathLength, 1);
  assert.equal(read.maySignCertificates, false);
  assert.deepEqual([...read.criticalExtensions], ['551d13']);
});

test('a certificate without constraints and key usage may do nothing', () => {
  const read = assertRead({ extensions: [extension('2.5.29.14', derOctets(NOTHING))] });
  assert.equal(read.isCa, false);
  assert.equal(read.mayDigitallySign, false);
  assert.equal(read.maySignCertificates, false);
  assert.equal(read.maySignCrls, false);
});

test('each bit of the key usage is read for itself', () => {
  const usage = (unused: number, bits: number): Certificate =>
    assertRead({
      extensions: [extension(KEY_USAGE, derValue(BITS, Uint8Array.of(unused, bits)))],
    });
  const seen = (c: Certificate): readonly boolean[] => [
    c.mayDigitallySign,
    c.maySignCertificates,
    c.maySignCrls,
  ];
  assert.deepEqual(seen(usage(7, 0x80)), [true, false, false]);
  assert.deepEqual(seen(usage(2, 0x04)), [false, true, false]);
  assert.deepEqual(seen(usage(1, 0x02)), [false, false, true]);
  // AMD keeps zero bits that DER leaves out; who does is known by it.
  assert.equal(usage(1, 0x02).hasPaddedKeyUsage, false);
  assert.equal(usage(1, 0x04).hasPaddedKeyUsage, true);
});

const REFUSED: readonly (readonly [name: string, parts: Partial<Parts>, why: RegExp])[] = [
  ['version 2', { version: derContext(0, derInteger(1)) }, /^pki\.certificate .*version/],
  ['a member beside the version', { version: derContext(0, derInteger(2), derNull()) }, /^der\./],
  ['no version', { version: NOTHING }, /^der\./],
  ['two algorithms', { inner: derSequence(derOid('1.2.840.10045.4.3.3')) }, /two signature/],
  ['a third date', { validity: derSequence(...DATES, derTime(NOW_MS)) }, /^der\./],
  ['bytes behind it', { afterAll: derNull() }, /^der\./],
  ['a member behind the signature', { afterSignature: derNull() }, /^der\./],
  ['a member behind the extensions', { afterTbs: derNull() }, /^der\./],
  ['a second member beside the extensions', { afterExtensions: derNull() }, /^der\./],
  [
    'critical FALSE written out',
    { extensions: [extension(CONSTRAINTS, derSequence(), derBoolean(false))] },
    /critical FALSE/,
  ],
  [
    'a member behind an extension',
    { extensions: [derSequence(derOid('2.5.29.14'), derOctets(NOTHING), derNull())] },
    /^der\./,
  ],
  [
    'cA FALSE written out',
    { extensions: [extension(CONSTRAINTS, derSequence(derBoolean(false)))] },
    /cA FALSE/,
  ],
  [
    'a member behind the path length',
    {
      extensions: [extension(CONSTRAINTS, derSequence(derBoolean(true), derInteger(1), derNull()))],
    },
    /^der\./,
  ],
  [
    'bytes behind the constraints',
    { extensions: [extension(CONSTRAINTS, concat(derSequence(), derNull()))] },
    /^der\./,
  ],
  [
    'a path length of 256',
    { extensions: [extension(CONSTRAINTS, derSequence(derBoolean(true), derInteger(256)))] },
    /^der\./,
  ],
  [
    'bytes behind the key usage',
    { extensions: [extension(KEY_USAGE, concat(derValue(BITS, Uint8Array.of(1, 2)), derNull()))] },
    /^der\./,
  ],
];

for (const [name, parts, why] of REFUSED) {
  test(`a certificate with ${name} is refused`, () => {
    const outcome = read(parts);
    assert.ok(typeof outcome === 'string', 'it was read');
    assert.match(outcome, why);
  });
}

test('an extension that stands twice is noted, the last one read', () => {
  const end = extension(CONSTRAINTS, derSequence());
  const read = assertRead({ extensions: [CA, end] });
  assert.deepEqual([...read.repeatedExtensions], ['551d13']);
});

test('a name has a common name when it has exactly one, in a form that is text', () => {
  assert.equal(commonNameOf(derSequence(commonName('one'))), 'one');
  assert.equal(commonNameOf(derSequence()), undefined);
  assert.equal(commonNameOf(derSequence(commonName('one'), commonName('two'))), undefined);
  assert.equal(
    commonNameOf(derSequence(derValue(SET, attribute('2.5.4.3', 'a'), attribute('2.5.4.3', 'b')))),
    undefined,
  );
  const number = derSequence(derOid('2.5.4.3'), derInteger(1));
  assert.equal(commonNameOf(derSequence(derValue(SET, number))), undefined);
  const extra = derSequence(derValue(SET, attribute('2.5.4.3', 'one', derNull())));
  assert.throws(() => commonNameOf(extra), VeilError);
});
