/** Cases about the vTPM's quote, its signature, and the registers that come with it. @module */

import { constants, privateEncrypt, sign, type KeyObject } from 'node:crypto';
import { sha256 } from '#primitives';
import { concat, fromHex, utf8 } from '../../../../core/bytes.ts';
import { seededBytes } from '../../../support/changes.ts';
import {
  NONCE,
  pcrsOf,
  QUOTED,
  STRANGER,
  VTPM,
  type AzureFaults,
} from '../../../support/azure/case.ts';
import { ALG, ATTEST, type SignatureFields } from '../../../support/azure/tpm-writer.ts';
import { pcrDigest, type QuoteFaults } from '../../../support/azure/vtpm.ts';
import {
  NEEDS_QUOTE,
  NEEDS_REGISTERS,
  NO_QUOTE,
  NO_REGISTERS,
  type AzureCheckCase,
} from './check-case.ts';

function format(title: string, quote: QuoteFaults): AzureCheckCase {
  return {
    id: 'azure.quote.format',
    title,
    faults: { quote },
    skips: NEEDS_QUOTE,
    why: NO_QUOTE,
  };
}

const FORMAT: readonly AzureCheckCase[] = [
  format('nothing', { message: () => new Uint8Array(0) }),
  format('something the TPM has signed that it has not made', { attest: { magic: 0 } }),
  format('a certified key in place of a quote', { attest: { type: ATTEST.certify } }),
  format('a byte after it, signed', { attest: { rest: Uint8Array.of(0) } }),
  format('more than a quote can be', { attest: { rest: new Uint8Array(1024) } }),
];

type Sign = (message: Uint8Array, key: KeyObject) => Uint8Array;

function signedBy(signature: Sign, fields: Partial<SignatureFields> = {}): AzureFaults {
  const made = (message: Uint8Array, key: KeyObject): SignatureFields => ({
    scheme: ALG.rsassa,
    hash: ALG.sha256,
    signature: signature(message, key),
    ...fields,
  });
  return { quote: { sign: made } };
}

const sha256WithRsa: Sign = (message, key) => sign('sha256', message, key);

/** The digest in a block of type 1 that says nothing of the hash. */
const bare: Sign = (message, key) =>
  privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, sha256(message));

const NO_SIGNATURE: Pick<AzureCheckCase, 'skips' | 'why'> = {
  skips: ['azure.signature.scheme', 'azure.quote.signature'],
  why: 'nothing of an unreadable signature can be judged',
};
const OTHER_SCHEME: Pick<AzureCheckCase, 'skips' | 'why'> = {
  skips: ['azure.quote.signature'],
  why: 'a scheme that is not ours is not verified',
};

const SIGNATURE: readonly AzureCheckCase[] = [
  {
    id: 'azure.signature.format',
    title: 'the bare signature',
    faults: { quote: { signature: (bytes) => bytes.subarray(6) } },
    ...NO_SIGNATURE,
  },
  {
    id: 'azure.signature.format',
    title: 'a byte after it',
    faults: { quote: { signature: (bytes) => concat(bytes, Uint8Array.of(0)) } },
    ...NO_SIGNATURE,
  },
  {
    id: 'azure.signature.format',
    title: 'a scheme of elliptic curves',
    faults: signedBy(sha256WithRsa, { scheme: 0x0018 }),
    ...NO_SIGNATURE,
  },
  {
    id: 'azure.signature.scheme',
    title: 'PSS',
    faults: signedBy(sha256WithRsa, { scheme: ALG.rsapss }),
    ...OTHER_SCHEME,
  },
  {
    id: 'azure.signature.scheme',
    title: 'SHA-1',
    faults: signedBy((message, key) => sign('sha1', message, key), { hash: ALG.sha1 }),
    ...OTHER_SCHEME,
  },
  {
    id: 'azure.signature.scheme',
    title: 'SHA-384',
    faults: signedBy((message, key) => sign('sha384', message, key), { hash: ALG.sha384 }),
    ...OTHER_SCHEME,
  },
  {
    id: 'azure.quote.signature',
    title: 'the key of another machine',
    faults: { quote: { key: STRANGER.key } },
  },
  {
    id: 'azure.quote.signature',
    title: 'a signature of another quote',
    faults: signedBy((message, key) => sign('sha256', concat(message, message), key)),
  },
  {
    id: 'azure.quote.signature',
    title: 'a signature that says SHA-256 and is of SHA-384',
    faults: signedBy((message, key) => sign('sha384', message, key)),
  },
  {
    id: 'azure.quote.signature',
    title: 'a signature that says PKCS #1 and is of PSS',
    faults: signedBy((message, key) =>
      sign('sha256', message, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }),
    ),
  },
  {
    id: 'azure.quote.signature',
    title: 'a digest without its algorithm',
    faults: signedBy(bare),
  },
  {
    id: 'azure.quote.signature',
    title: 'one byte less',
    faults: signedBy((message, key) => sha256WithRsa(message, key).subarray(1)),
  },
  {
    id: 'azure.quote.signature',
    title: 'no bytes',
    faults: signedBy(() => new Uint8Array(0)),
  },
];

const NONCES: readonly AzureCheckCase[] = [
  { id: 'azure.nonce', title: 'another nonce', faults: { asked: sha256(utf8('yesterday')) } },
  { id: 'azure.nonce', title: 'no nonce', faults: { asked: new Uint8Array(0) } },
  { id: 'azure.nonce', title: 'half of it', faults: { asked: NONCE.subarray(0, 16) } },
  {
    id: 'azure.nonce',
    title: 'something after it',
    faults: { asked: concat(NONCE, Uint8Array.of(0)) },
  },
  {
    id: 'azure.nonce',
    title: 'an expected nonce that is empty',
    faults: { nonce: new Uint8Array(0) },
  },
  {
    id: 'azure.nonce',
    title: 'an expected nonce of 15 bytes',
    faults: { nonce: seededBytes('short', 15) },
  },
  {
    id: 'azure.nonce',
    title: 'an expected nonce of 65 bytes',
    faults: { nonce: seededBytes('long', 65) },
  },
];

const SHA256_ALL = { hash: ALG.sha256, indexes: QUOTED };

function bank(title: string, selections: readonly { hash: number; indexes: readonly number[] }[]) {
  return {
    id: 'azure.pcr.bank',
    title,
    faults: { quote: { attest: { selections } } },
    skips: ['azure.pcr.selection', 'azure.pcr.digest'],
    why: 'it is open what the digest is about',
  } satisfies AzureCheckCase;
}

function values(title: string, entries: readonly (readonly [number, Uint8Array])[]) {
  return {
    id: 'azure.pcr.values',
    title,
    faults: { pcrs: new Map(entries) },
    skips: NEEDS_REGISTERS,
    why: NO_REGISTERS,
  } satisfies AzureCheckCase;
}

const VALUES = [...pcrsOf(VTPM)];
const EMPTY = sha256();

const REGISTERS: readonly AzureCheckCase[] = [
  bank('SHA-1', [{ hash: ALG.sha1, indexes: QUOTED }]),
  bank('no selection', []),
  bank('the same bank twice', [SHA256_ALL, SHA256_ALL]),
  bank('two banks', [SHA256_ALL, { hash: ALG.sha384, indexes: QUOTED }]),
  bank('a second bank without a register', [SHA256_ALL, { hash: ALG.sha1, indexes: [] }]),
  values('none', []),
  values('a register 24', [...VALUES, [24, new Uint8Array(32)]]),
  values('a register -1', [...VALUES, [-1, new Uint8Array(32)]]),
  values('half a register', [...VALUES, [0.5, new Uint8Array(32)]]),
  values('a value of 31 bytes', [...VALUES, [0, new Uint8Array(31)]]),
  values('a value of 48 bytes', [...VALUES, [0, new Uint8Array(48)]]),
  values(
    'more registers than there are',
    Array.from({ length: 25 }, (_, at) => [at, new Uint8Array(32)] as const),
  ),
  {
    id: 'azure.pcr.selection',
    title: 'a quote that says more registers than its digest is of',
    faults: { quote: { attest: { selections: [{ ...SHA256_ALL, indexes: [...QUOTED, 10] }] } } },
  },
  {
    id: 'azure.pcr.selection',
    title: 'a quote that says other registers',
    faults: { quote: { attest: { selections: [{ ...SHA256_ALL, indexes: [16, 17] }] } } },
  },
  {
    id: 'azure.pcr.selection',
    title: 'a quote about nothing',
    faults: { quote: { attest: { selections: [{ ...SHA256_ALL, indexes: [] }] } } },
  },
  {
    id: 'azure.pcr.digest',
    title: 'the digest of other values',
    faults: { quote: { attest: { pcrDigest: pcrDigest(STRANGER.pcrs, QUOTED) } } },
  },
  {
    id: 'azure.pcr.digest',
    title: 'the digest of nothing',
    faults: { quote: { attest: { pcrDigest: EMPTY } } },
  },
  {
    id: 'azure.pcr.digest',
    title: 'no digest',
    faults: { quote: { attest: { pcrDigest: fromHex('') } } },
  },
  {
    id: 'azure.pcr.digest',
    title: 'a value that is not pinned changed on the way',
    faults: { pcrs: new Map([...VALUES, [0, sha256(utf8('another firmware'))]]) },
  },
];

export const QUOTE_CASES: readonly AzureCheckCase[] = [
  ...FORMAT,
  ...SIGNATURE,
  ...NONCES,
  ...REGISTERS,
];
