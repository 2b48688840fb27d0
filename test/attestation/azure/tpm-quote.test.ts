/** The readers of what a TPM hands over: every field, every bound, nothing left over. @module */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  parseTpmQuote,
  parseTpmSignature,
  TPM_QUOTE_MAX_BYTES,
} from '../../../attestation/azure/tpm-quote.ts';
import { concat } from '../../../core/bytes.ts';
import { flipBit, seededBytes } from '../../support/changes.ts';
import {
  ALG,
  ATTEST,
  ATTEST_DEFAULTS,
  writeAttest,
  writeTpmSignature,
  type AttestFields,
} from '../../support/azure/tpm-writer.ts';

const REFUSED = { code: 'azure.tpm_quote' };

const FIELDS: AttestFields = {
  ...ATTEST_DEFAULTS,
  extraData: seededBytes('nonce', 32),
  selections: [{ hash: ALG.sha256, indexes: [0, 7, 8, 15, 16, 23] }],
  pcrDigest: seededBytes('digest', 32),
};

function written(fields: Partial<AttestFields>): Uint8Array {
  return writeAttest({ ...FIELDS, ...fields });
}

test('every field of a quote is read', () => {
  assert.deepEqual(parseTpmQuote(written({})), {
    qualifiedSigner: FIELDS.qualifiedSigner,
    extraData: FIELDS.extraData,
    clock: { clockMs: 1_413_298_427n, resetCount: 53, restartCount: 7, safe: true },
    firmwareVersion: 0x2020_0312_0012_0003n,
    selections: [{ hash: 0x000b, indexes: [0, 7, 8, 15, 16, 23] }],
    pcrDigest: FIELDS.pcrDigest,
  });
});

test('sizes at their bounds are read', () => {
  const widest = parseTpmQuote(
    written({
      qualifiedSigner: seededBytes('name', 66),
      extraData: seededBytes('nonce', 66),
      selections: Array.from({ length: 16 }, () => ({ hash: ALG.sha384, indexes: [] })),
      pcrDigest: seededBytes('digest', 64),
      safe: 0,
    }),
  );
  assert.equal(widest.selections.length, 16);
  assert.equal(widest.clock.safe, false);
  const narrowest = written({
    qualifiedSigner: new Uint8Array(0),
    extraData: new Uint8Array(0),
    selections: [],
    pcrDigest: new Uint8Array(0),
  });
  assert.deepEqual(parseTpmQuote(narrowest).selections, []);
});

describe('a quote is refused', () => {
  const cases: Readonly<Record<string, Partial<AttestFields>>> = {
    'that no TPM has generated': { magic: 0xff544348 },
    'that certifies a key': { type: ATTEST.certify },
    'that tells the time': { type: ATTEST.time },
    'with a name of 67 bytes': { qualifiedSigner: new Uint8Array(67) },
    'with 67 bytes of extra data': { extraData: new Uint8Array(67) },
    'with a digest of 65 bytes': { pcrDigest: new Uint8Array(65) },
    'with a third truth value': { safe: 2 },
    'with 17 banks': {
      selections: Array.from({ length: 17 }, () => ({ hash: ALG.sha256, indexes: [] })),
    },
    'with a selection of two bytes': {
      selections: [{ hash: ALG.sha256, indexes: [], selectBytes: 2 }],
    },
    'with a selection of four bytes': {
      selections: [{ hash: ALG.sha256, indexes: [], selectBytes: 4 }],
    },
    'with a byte after it': { rest: new Uint8Array(1) },
    'that is too long': { rest: new Uint8Array(TPM_QUOTE_MAX_BYTES) },
  };
  for (const [title, fields] of Object.entries(cases)) {
    test(title, () => assert.throws(() => parseTpmQuote(written(fields)), REFUSED));
  }

  test('cut anywhere', () => {
    const whole = written({});
    for (let length = 0; length < whole.length; length++) {
      assert.throws(() => parseTpmQuote(whole.subarray(0, length)), REFUSED, `${length} bytes`);
    }
  });

  test('that announces more banks than it has', () => {
    const whole = written({ selections: [], pcrDigest: new Uint8Array(0) });
    const counted = flipBit(whole, whole.length - 3, 3);
    assert.throws(() => parseTpmQuote(counted), REFUSED);
  });

  test('that gives its selection another size than it has', () => {
    const whole = written({ pcrDigest: new Uint8Array(0) });
    const sizeAt = whole.length - 2 - 3 - 1;
    assert.equal(whole[sizeAt], 3);
    for (let size = 0; size <= 255; size++) {
      const changed = Uint8Array.from(whole, (byte, at) => (at === sizeAt ? size : byte));
      if (size === 3) assert.equal(parseTpmQuote(changed).selections.length, 1);
      else assert.throws(() => parseTpmQuote(changed), REFUSED, `size ${size}`);
    }
  });

  test('of garbage of any size', () => {
    for (let size = 0; size < 600; size++) {
      assert.throws(() => parseTpmQuote(seededBytes(`quote/${size}`, size)), REFUSED);
      const opened = concat(written({}).subarray(0, 6), seededBytes(`rest/${size}`, size));
      assert.throws(() => parseTpmQuote(opened), REFUSED);
    }
  });
});

describe('a signature', () => {
  const signature = seededBytes('signature', 256);

  test('is read with its scheme and hash', () => {
    const rsassa = writeTpmSignature({ scheme: ALG.rsassa, hash: ALG.sha256, signature });
    assert.deepEqual(parseTpmSignature(rsassa), { scheme: 'rsassa', hash: 0x000b, signature });
    const rsapss = writeTpmSignature({ scheme: ALG.rsapss, hash: ALG.sha384, signature });
    assert.deepEqual(parseTpmSignature(rsapss), { scheme: 'rsapss', hash: 0x000c, signature });
  });

  test('is refused with a scheme that is not of RSA, too long, cut or with something after it', () => {
    const sound = { scheme: ALG.rsassa, hash: ALG.sha256, signature };
    for (const scheme of [0, 0x0010, 0x0015, 0x0018]) {
      assert.throws(() => parseTpmSignature(writeTpmSignature({ ...sound, scheme })), REFUSED);
    }
    const long = writeTpmSignature({ ...sound, signature: new Uint8Array(1025) });
    assert.throws(() => parseTpmSignature(long), REFUSED);
    const whole = writeTpmSignature(sound);
    for (let length = 0; length < whole.length; length++) {
      assert.throws(() => parseTpmSignature(whole.subarray(0, length)), REFUSED);
    }
    assert.throws(() => parseTpmSignature(concat(whole, Uint8Array.of(0))), REFUSED);
    assert.throws(() => parseTpmSignature(signature), REFUSED);
  });
});
