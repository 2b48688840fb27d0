/** Envelopes: one form, what is signed, and every way in which bytes are not one. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256, verifyEd25519 } from '#primitives';
import {
  addSignatures,
  keyIdOf,
  parseAnyEnvelope,
  parseEnvelope,
  preAuthEncoding,
  signEnvelope,
} from '../../../attestation/publication/envelope.ts';
import { ENVELOPE_MAX_BYTES } from '../../../attestation/publication/kinds.ts';
import { SIGNATURES_MAX } from '../../../attestation/publication/limits.ts';
import { concat, fromUtf8, toBase64, toHex, utf8 } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import type { Json } from '../../../core/json.ts';
import { publicKeyOf, secretKeyOf } from '../../support/publication.ts';

const PAYLOAD = utf8('{"format":"veilgate.release/1"}');

function refuses(bytes: Uint8Array, code: string): void {
  assert.throws(
    () => parseEnvelope(bytes, 'release'),
    (error) => hasCode(error, `publication.${code}`),
  );
}

interface EnvelopeJson {
  readonly payloadType?: Json;
  readonly payload?: Json;
  readonly signatures?: Json;
  readonly extra?: Json;
}

function envelope(overrides: EnvelopeJson = {}): Uint8Array {
  return utf8(
    JSON.stringify({
      payloadType: 'application/vnd.veilgate.release+json',
      payload: toBase64(PAYLOAD),
      signatures: [signature('alice')],
      ...overrides,
    }),
  );
}

/** Of the right form; nobody made it. */
function signature(name: string): { readonly [member: string]: string } {
  return { keyid: keyIdOf(publicKeyOf(name)), sig: toBase64(new Uint8Array(64)) };
}

test('kind, payload, digest and signatures come out as they went in', () => {
  const bytes = signEnvelope('release', PAYLOAD, ['alice', 'bob'].map(secretKeyOf));
  const { kind, payload, digest, signatures } = parseEnvelope(bytes, 'release');
  assert.equal(kind, 'release');
  assert.deepEqual(payload, PAYLOAD);
  assert.deepEqual(digest, sha256(PAYLOAD));
  assert.deepEqual(
    signatures.map(({ keyid }) => keyid),
    ['alice', 'bob'].map((name) => keyIdOf(publicKeyOf(name))),
  );
});

test('type and payload are signed with their lengths', () => {
  const signed = preAuthEncoding({ kind: 'release', payload: PAYLOAD });
  const type = 'application/vnd.veilgate.release+json';
  assert.equal(fromUtf8(signed), `DSSEv1 ${type.length} ${type} 31 ${fromUtf8(PAYLOAD)}`);
  const bytes = signEnvelope('release', PAYLOAD, [secretKeyOf('alice')]);
  const [made] = parseEnvelope(bytes, 'release').signatures;
  assert.ok(made && verifyEd25519(publicKeyOf('alice'), made.sig, signed));
});

test('lengths count bytes', () => {
  const signed = preAuthEncoding({ kind: 'root', payload: utf8('ü') });
  assert.equal(fromUtf8(signed), 'DSSEv1 34 application/vnd.veilgate.root+json 2 ü');
});

test('a keyid is the tagged digest of the key', () => {
  const key = publicKeyOf('alice');
  assert.equal(keyIdOf(key), toHex(sha256(utf8('veilgate.key/1\0'), key)));
});

test('a signature is added to those there are, and one of the same key is made anew', () => {
  const first = signEnvelope('release', PAYLOAD, [secretKeyOf('alice')]);
  const both = addSignatures(first, ['bob', 'alice'].map(secretKeyOf));
  const whole = signEnvelope('release', PAYLOAD, ['bob', 'alice'].map(secretKeyOf));
  assert.deepEqual(both, whole);
});

test('no more signatures are made than a reader takes', () => {
  const keys = Array.from({ length: SIGNATURES_MAX + 1 }, (_, at) => secretKeyOf(`key ${at}`));
  assert.doesNotThrow(() => signEnvelope('release', PAYLOAD, keys.slice(1)));
  assert.throws(
    () => signEnvelope('release', PAYLOAD, keys),
    (error) => hasCode(error, 'publication.malformed'),
  );
});

test('the form is read before any signature', () => {
  assert.doesNotThrow(() => parseEnvelope(envelope(), 'release'));
});

const MALFORMED: readonly (readonly [what: string, bytes: Uint8Array])[] = [
  ['nothing', utf8('')],
  ['not JSON', utf8('release')],
  ['not an object', utf8('[]')],
  ['a byte order mark', concat(utf8('\uFEFF'), envelope())],
  ['text after it', concat(envelope(), utf8('{}'))],
  ['a repeated member', utf8(fromUtf8(envelope()).replace('{', '{"payload":"",'))],
  ['an unknown member', envelope({ extra: 1 })],
  ['a member that schemas pass over', utf8(fromUtf8(envelope()).replace('{', '{"__proto__":1,'))],
  [
    'such a member of a signature',
    utf8(fromUtf8(envelope()).replace('{"keyid"', '{"__proto__":1,"keyid"')),
  ],
  ['a payload that is no text', envelope({ payload: 1 })],
  ['base64 without padding', envelope({ payload: toBase64(PAYLOAD).replaceAll('=', '') })],
  ['base64 of the other alphabet', envelope({ payload: '__8=' })],
  ['base64 with loose bits', envelope({ payload: 'QQ==QR=='.slice(4) })],
  ['no list of signatures', envelope({ signatures: {} })],
  ['a short keyid', envelope({ signatures: [{ ...signature('alice'), keyid: 'aa' }] })],
  [
    'a keyid in upper case',
    envelope({
      signatures: [{ ...signature('alice'), keyid: keyIdOf(publicKeyOf('alice')).toUpperCase() }],
    }),
  ],
  [
    'a signature of 63 bytes',
    envelope({ signatures: [{ ...signature('alice'), sig: toBase64(new Uint8Array(63)) }] }),
  ],
  [
    'a signature of 65 bytes',
    envelope({ signatures: [{ ...signature('alice'), sig: toBase64(new Uint8Array(65)) }] }),
  ],
  ['an unknown member of a signature', envelope({ signatures: [{ ...signature('a'), cert: '' }] })],
  [
    'more signatures than are allowed',
    envelope({ signatures: Array.from({ length: 17 }, (_, at) => signature(`key ${at}`)) }),
  ],
  ['deep nesting', envelope({ extra: [[[[[[]]]]]] })],
];

for (const [what, bytes] of MALFORMED) {
  test(`malformed: ${what}`, () => refuses(bytes, 'malformed'));
}

test('a keyid that stands twice refuses the envelope, unknown ones too', () => {
  refuses(envelope({ signatures: [signature('alice'), signature('alice')] }), 'duplicate_key');
  refuses(envelope({ signatures: [signature('nobody'), signature('nobody')] }), 'duplicate_key');
});

test('an envelope of another kind is not read as one that was asked for', () => {
  const bytes = signEnvelope('timestamp', PAYLOAD, [secretKeyOf('alice')]);
  refuses(bytes, 'payload_type');
  assert.equal(parseAnyEnvelope(bytes).kind, 'timestamp');
});

test('a payload type that nobody knows is refused', () => {
  for (const payloadType of [
    'application/json',
    'application/vnd.veilgate.other+json',
    'application/vnd.veilgate.Release+json',
    'application/vnd.veilgate.release+json ',
    '',
  ]) {
    refuses(envelope({ payloadType }), 'payload_type');
  }
});

test('each kind has its bound, counted in bytes of the envelope', () => {
  for (const kind of ['root', 'release', 'timestamp', 'revocations', 'bundle'] as const) {
    const sound = signEnvelope(kind, PAYLOAD, [secretKeyOf('alice')]);
    const padded = (size: number): Uint8Array =>
      concat(sound, new Uint8Array(size - sound.length).fill(0x20));
    assert.doesNotThrow(() => parseEnvelope(padded(ENVELOPE_MAX_BYTES[kind]), kind));
    for (const parse of [parseAnyEnvelope, (bytes: Uint8Array) => parseEnvelope(bytes, kind)]) {
      assert.throws(
        () => parse(padded(ENVELOPE_MAX_BYTES[kind] + 1)),
        (error) => hasCode(error, 'publication.too_large'),
      );
    }
  }
});
