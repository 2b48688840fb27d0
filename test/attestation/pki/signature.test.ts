/**
 * Algorithm identifiers and public keys in the only forms that evidence chains use: one parameter more, less or different
 * and it is another algorithm, or no DER. Spec: RFC 4055 §3.1, RFC 3279 §2.3.1, RFC 5480 §2; sev-snp.md §2.
 * @module
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  derBits,
  derContext,
  derInteger,
  derNull,
  derOid,
  derSequence,
  derUnsigned,
} from '../../../attestation/der-writer.ts';
import { DerReader } from '../../../attestation/der.ts';
import {
  LazyPublicKey,
  readPublicKey,
  readSignatureAlgorithm,
  Signed,
  type SignatureAlgorithm,
} from '../../../attestation/pki/signature.ts';
import {
  defaultScheme,
  exportPublicKey,
  generateP256,
  generateP384,
  signP256,
  signP384,
} from '../../../attestation/x509-keys.ts';
import { concat, fromBase64Url, utf8 } from '../../../core/bytes.ts';
import { VeilError } from '../../../core/errors.ts';
import { testRsaKeys } from '../../support/snp/rsa-keys.ts';

const MAX_BYTES = 65_536;
const NOTHING: Uint8Array = new Uint8Array(0);

function reader(der: Uint8Array): DerReader {
  return DerReader.over(der, MAX_BYTES);
}

/** The algorithm's name, or the code of what was thrown. */
function algorithmOf(der: Uint8Array): string {
  try {
    return readSignatureAlgorithm(reader(der)).algorithm ?? 'unknown';
  } catch (error) {
    return error instanceof VeilError ? error.code : String(error);
  }
}

const SHA256 = '2.16.840.1.101.3.4.2.1';
const SHA384 = '2.16.840.1.101.3.4.2.2';
const PSS = derOid('1.2.840.113549.1.1.10');
const MGF1 = '1.2.840.113549.1.1.8';

function hash(oid = SHA384, parameters: Uint8Array = derNull()): Uint8Array {
  return derSequence(derOid(oid), parameters);
}

function mask(of = hash(), oid = MGF1, rest = NOTHING): Uint8Array {
  return derContext(1, derSequence(derOid(oid), of, rest));
}

/** RSASSA-PSS as AMD writes it, with some of its parts replaced. */
function pss(
  parts: Partial<Record<'hash' | 'mask' | 'salt' | 'trailer' | 'end' | 'after', Uint8Array>> = {},
): Uint8Array {
  const parameters = derSequence(
    parts.hash ?? derContext(0, hash()),
    parts.mask ?? mask(),
    parts.salt ?? derContext(2, derInteger(48)),
    parts.trailer ?? NOTHING,
    parts.end ?? NOTHING,
  );
  return derSequence(PSS, parameters, parts.after ?? NOTHING);
}

describe('RSASSA-PSS with SHA-384', () => {
  const bare = hash(SHA384, NOTHING);
  const SAME: readonly (readonly [what: string, der: Uint8Array])[] = [
    ['as newer certificates have it', pss()],
    ['with the default trailer written', pss({ trailer: derContext(3, derInteger(1)) })],
    ['with hashes that have no parameters', pss({ hash: derContext(0, bare), mask: mask(bare) })],
  ];
  for (const [what, der] of SAME) {
    test(what, () => assert.equal(algorithmOf(der), 'rsa-pss-sha384'));
  }

  const OTHERS: readonly (readonly [what: string, der: Uint8Array])[] = [
    ['no parameters', derSequence(PSS)],
    ['the hash left to its default, SHA-1', pss({ hash: NOTHING })],
    ['the mask left to its default', pss({ mask: NOTHING })],
    ['the salt left to its default of 20', pss({ salt: NOTHING })],
    ['another hash', pss({ hash: derContext(0, hash(SHA256)) })],
    ['another hash in the mask', pss({ mask: mask(hash(SHA256)) })],
    ['another mask', pss({ mask: mask(hash(), '1.2.840.113549.1.1.9') })],
    ['a salt of 47 bytes', pss({ salt: derContext(2, derInteger(47)) })],
    ['a salt of 49 bytes', pss({ salt: derContext(2, derInteger(49)) })],
    ['trailer 2', pss({ trailer: derContext(3, derInteger(2)) })],
    ['rsaEncryption', derSequence(derOid('1.2.840.113549.1.1.1'), derNull())],
    ['sha384WithRSAEncryption', derSequence(derOid('1.2.840.113549.1.1.12'), derNull())],
  ];
  for (const [what, der] of OTHERS) {
    test(`is not ${what}`, () => assert.equal(algorithmOf(der), 'unknown'));
  }

  const MORE: readonly (readonly [what: string, der: Uint8Array])[] = [
    ['the parameters', pss({ after: derNull() })],
    ['the last parameter', pss({ end: derNull() })],
    ['the hash', pss({ hash: derContext(0, hash(), derNull()) })],
    ['the mask', pss({ mask: derContext(1, derSequence(derOid(MGF1), hash()), derNull()) })],
    ["the mask's hash", pss({ mask: mask(hash(), MGF1, derNull()) })],
    ['the salt', pss({ salt: derContext(2, derInteger(48), derNull()) })],
    ['the trailer', pss({ trailer: derContext(3, derInteger(1), derNull()) })],
  ];
  for (const [what, der] of MORE) {
    test(`is not DER with something after ${what}`, () =>
      assert.equal(algorithmOf(der), 'der.malformed'));
  }
});

test('ECDSA with SHA-256 has no parameters', () => {
  const oid = derOid('1.2.840.10045.4.3.2');
  assert.equal(algorithmOf(derSequence(oid)), 'ecdsa-p256-sha256');
  assert.equal(algorithmOf(derSequence(oid, derNull())), 'unknown');
  assert.equal(algorithmOf(derSequence(derOid('1.2.840.10045.4.3.3'))), 'unknown');
});

function keyOf(der: Uint8Array): LazyPublicKey | undefined {
  return readPublicKey(reader(der));
}

describe('points', () => {
  for (const [kind, generate] of [
    ['p256', generateP256],
    ['p384', generateP384],
  ] as const) {
    test(`${kind}: uncompressed and nothing else`, async () => {
      const { publicKey } = await generate();
      const spki = await exportPublicKey(publicKey);
      assert.equal(keyOf(spki)?.kind, kind);
      const half = kind === 'p256' ? 32 : 48;
      const formAt = spki.length - 2 * half - 1;
      assert.equal(spki[formAt], 4);
      // Hybrid points are as long as uncompressed ones.
      for (const form of [2, 3, 5, 6, 7]) {
        const other = spki.slice();
        other[formAt] = form;
        assert.equal(keyOf(other), undefined, `form ${form}`);
      }
      const curveAt = formAt - 4;
      const other = spki.slice();
      other[curveAt] = (other[curveAt] ?? 0) ^ 1;
      assert.equal(keyOf(other), undefined, 'another curve');
    });
  }
});

describe('RSA keys', () => {
  const algorithm = derSequence(derOid('1.2.840.113549.1.1.1'), derNull());
  const modulus = derUnsigned(new Uint8Array(512).fill(0xc5));
  const exponent = derUnsigned(Uint8Array.of(1, 0, 1));
  const spki = (key: Uint8Array, after: Uint8Array = NOTHING): Uint8Array =>
    derSequence(algorithm, derBits(key), after);

  test('are a modulus and an exponent', () => {
    const key = keyOf(spki(derSequence(modulus, exponent)));
    assert.equal(key?.kind, 'rsa');
    assert.notEqual(key.get(), undefined);
  });

  const BROKEN: readonly (readonly [what: string, der: Uint8Array])[] = [
    ['a third number', spki(derSequence(modulus, exponent, exponent))],
    ['something after the key', spki(concat(derSequence(modulus, exponent), derNull()))],
    ['something after the bits', spki(derSequence(modulus, exponent), derNull())],
    ['no exponent', spki(derSequence(modulus))],
    [
      'an exponent of 33 bits',
      spki(derSequence(modulus, derUnsigned(Uint8Array.of(1, 0, 0, 0, 1)))),
    ],
  ];
  for (const [what, der] of BROKEN) {
    test(`have not ${what}`, () =>
      assert.throws(
        () => keyOf(der),
        (error) => error instanceof VeilError && error.code === 'der.malformed',
      ));
  }

  test('of another algorithm are no keys of ours', () => {
    for (const other of [
      derSequence(derOid('1.2.840.113549.1.1.1')),
      derSequence(derOid('1.2.840.113549.1.1.10'), derNull()),
    ]) {
      assert.equal(keyOf(derSequence(other, derBits(derSequence(modulus, exponent)))), undefined);
    }
  });
});

test('a signature counts only under a key of the kind that its algorithm names', async () => {
  const message = utf8('signed bytes');
  const [p256, p384, { ask }] = await Promise.all([generateP256(), generateP384(), testRsaKeys()]);
  const raw = async ({ publicKey }: CryptoKeyPair): Promise<Uint8Array> =>
    new Uint8Array(await crypto.subtle.exportKey('raw', publicKey)).subarray(1);
  const { n = '' } = await crypto.subtle.exportKey('jwk', ask.publicKey);
  const made = [
    {
      algorithm: 'ecdsa-p256-sha256',
      key: LazyPublicKey.p256(await raw(p256)),
      signature: await signP256(p256.privateKey, message),
    },
    {
      algorithm: 'ecdsa-p384-sha384',
      key: LazyPublicKey.p384(await raw(p384)),
      signature: await signP384(p384.privateKey, message),
    },
    {
      algorithm: 'rsa-pss-sha384',
      key: LazyPublicKey.rsa(fromBase64Url(n), 65_537),
      signature: await defaultScheme(ask.privateKey).sign(ask.privateKey, message),
    },
  ] as const satisfies readonly { algorithm: SignatureAlgorithm; [part: string]: unknown }[];
  for (const { key, signature, algorithm } of made) {
    for (const other of made) {
      const holds = new Signed(message, signature, other.algorithm).isSignedBy(key);
      assert.equal(holds, other.algorithm === algorithm, `${algorithm} as ${other.algorithm}`);
      const signed = new Signed(message, other.signature, other.algorithm);
      assert.equal(signed.isSignedBy(key), other.algorithm === algorithm);
    }
  }
});
