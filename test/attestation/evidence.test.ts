/** The evidence bundle on the wire. @module */

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  QUOTE_MAX_BYTES,
  decodeEvidence,
  encodeEvidence,
  oversizedPart,
  type EvidenceBundle,
  type TdxEvidence,
  type EvidenceJson,
} from '../../attestation/evidence.ts';
import { toBase64, utf8 } from '../../core/bytes.ts';
import { VeilError, hasCode } from '../../core/errors.ts';
import { parseJson } from '../../core/json.ts';
import { createTestPki } from '../support/tdx/pki.ts';
import { buildEvidence } from '../support/worker-evidence.ts';

const JSON_MAX_BYTES = 2_000_000;
let bundle: TdxEvidence;

before(async () => {
  ({ evidence: bundle } = await buildEvidence(await createTestPki()));
});

test('a bundle comes back byte for byte through JSON', () => {
  const json = utf8(JSON.stringify(encodeEvidence(bundle)));
  assert.deepEqual(decodeEvidence(parseJson(json, JSON_MAX_BYTES)), bundle);
});

test('an optional certificate chain comes back too', () => {
  const endorsements = { ...bundle.endorsements, pckCertChain: 'PEM' };
  const withChain = { ...bundle, endorsements };
  assert.deepEqual(decodeEvidence(encodeEvidence(withChain)), withChain);
});

function without(json: EvidenceJson, name: string): unknown {
  return Object.fromEntries(Object.entries(json).filter(([each]) => each !== name));
}

const REFUSED: readonly (readonly [what: string, edit: (json: EvidenceJson) => unknown])[] = [
  ['nothing', () => undefined],
  ['a list', () => []],
  ['an unknown TEE', (json) => ({ ...json, tee: 'sgx' })],
  ['an unknown member', (json) => ({ ...json, devices: 'AAAA' })],
  ['a missing quote', (json) => without(json, 'quote')],
  ['a missing card', (json) => without(json, 'card')],
  ['unpadded base64', (json) => ({ ...json, statement: 'AAA' })],
  ['base64url', (json) => ({ ...json, statement: '__--' })],
  ['loose base64 bits', (json) => ({ ...json, statement: 'AB==' })],
  ['white space in base64', (json) => ({ ...json, statement: `${json.statement}\n` })],
  [
    'bytes where text belongs',
    (json) => ({ ...json, endorsements: { ...json.endorsements, tcbInfo: 7 } }),
  ],
  ['a statement above its cap', (json) => ({ ...json, statement: toBase64(new Uint8Array(8193)) })],
  [
    'a quote above its cap',
    (json) => ({ ...json, quote: toBase64(new Uint8Array(QUOTE_MAX_BYTES + 3)) }),
  ],
];

for (const [what, edit] of REFUSED) {
  test(`a bundle with ${what} is refused`, () => {
    assert.throws(
      () => decodeEvidence(edit(encodeEvidence(bundle))),
      (error) => hasCode(error, 'evidence.format'),
    );
  });
}

test('parts that are too large together are refused', () => {
  const large = ' '.repeat(520_000);
  const endorsements = {
    ...encodeEvidence(bundle).endorsements,
    tcbInfo: large,
    qeIdentity: large,
  };
  assert.throws(
    () => decodeEvidence({ ...encodeEvidence(bundle), endorsements }),
    (error) => hasCode(error, 'evidence.size'),
  );
});

test('what is too large is not sent either', () => {
  const quote = new Uint8Array(QUOTE_MAX_BYTES + 1);
  assert.match(oversizedPart({ ...bundle, quote }) ?? '', /^quote of/);
  assert.throws(
    () => encodeEvidence({ ...bundle, quote }),
    (error) => hasCode(error, 'evidence.size'),
  );
});

test('a revocation list of AMD may have 64 KiB and no byte more', () => {
  const { statement, quote, card } = bundle;
  const withList = (bytes: number): EvidenceBundle => ({
    tee: 'snp',
    statement,
    quote,
    card,
    endorsements: { crl: new Uint8Array(bytes) },
  });
  assert.equal(oversizedPart(withList(65_536)), undefined);
  assert.match(oversizedPart(withList(65_537)) ?? '', /^crl of/);
  const sent = encodeEvidence(withList(65_536));
  assert.equal(decodeEvidence(sent).tee, 'snp');
  const endorsements = { crl: toBase64(new Uint8Array(65_537)) };
  assert.throws(
    () => decodeEvidence({ ...sent, endorsements }),
    (error) => hasCode(error, 'evidence.format'),
  );
});

test('an error about a bundle does not repeat what stood in it', () => {
  const secret = 'sk-very-secret';
  assert.throws(
    () => decodeEvidence({ ...encodeEvidence(bundle), [secret]: secret, tee: secret }),
    (error) => error instanceof VeilError && !error.message.includes(secret),
  );
});
