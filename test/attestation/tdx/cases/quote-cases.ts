/** Quotes with one thing wrong: form, signatures, key binding, quoting enclave, TDX module. Spec: tdx.md §1, §3. @module */

import { concat, fixed, fromHex } from '../../../../core/bytes.ts';
import { sha256 } from '#primitives';
import { p256Coordinates } from '../../../../attestation/x509-keys.ts';
import { u16le, u32le } from '../../../../enclave-worker/evidence/simulator/quote-writer.ts';
import { qeReportData } from '../../../../enclave-worker/evidence/simulator/quoting-enclave.ts';
import { flipped, patched } from '../../../support/changes.ts';
import { filled, svn, type Faults } from '../../../support/tdx/case.ts';
import { NEEDS_QUOTE, NO_QUOTE, type CheckCase } from './check-case.ts';

const AUTH_V4 = 48 + 584;
const QE_REPORT_DATA = 320;

function format(title: string, quote: NonNullable<Faults['quote']>): CheckCase {
  return { id: 'quote.format', title, faults: { quote }, skips: NEEDS_QUOTE, why: NO_QUOTE };
}

const FORMAT_CASES: readonly CheckCase[] = [
  format('is refused when it is empty', { bytes: () => new Uint8Array() }),
  format('is refused when cut inside the header', { bytes: (quote) => quote.subarray(0, 47) }),
  format('is refused when cut inside the body', { bytes: (quote) => quote.subarray(0, 631) }),
  format('is refused when cut inside the authentication data', {
    bytes: (quote) => quote.subarray(0, -1),
  }),
  format('of version 3 is refused', { header: { version: 3 } }),
  format('of version 6 is refused', { version: 5, header: { version: 6 } }),
  format('with a P-384 attestation key is refused', { header: { attestationKeyType: 3 } }),
  format('of TEE type SGX is refused', { header: { teeType: 0 } }),
  format('of an unknown TEE type is refused', { header: { teeType: 0x82 } }),
  format('with an SGX body is refused', { version: 5, signed: patched(48, u16le(1)) }),
  format('with an unknown body type is refused', { version: 5, signed: patched(48, u16le(9)) }),
  format('whose body size is not that of its type is refused', {
    version: 5,
    signed: patched(50, u32le(648)),
  }),
  format('that names body type 3 over a report 1.0 is refused', {
    version: 5,
    signed: patched(48, u16le(3)),
  }),
  format('whose authentication data is longer than the rest is refused', {
    bytes: (quote) => patched(AUTH_V4, u32le(quote.length))(quote),
  }),
  format('with 2^32 - 1 as length of the authentication data is refused', {
    bytes: patched(AUTH_V4, u32le(0xffff_ffff)),
  }),
  format('with an outer certification type other than 6 is refused', {
    auth: (auth) => ({ ...auth, outerType: 5 }),
  }),
  format('with an outer certification size one too small is refused', {
    bytes: (quote) => patched(AUTH_V4 + 4 + 130, u32le(quote.length - AUTH_V4 - 4 - 135))(quote),
  }),
  format('with an outer certification size one too large is refused', {
    bytes: (quote) => patched(AUTH_V4 + 4 + 130, u32le(quote.length - AUTH_V4 - 4 - 133))(quote),
  }),
  format('with bytes left inside the authentication data is refused', {
    bytes: (quote) =>
      patched(AUTH_V4, u32le(quote.length - AUTH_V4 - 4 + 1))(concat(quote, Uint8Array.of(0))),
  }),
  format('whose QE authentication data runs past the end is refused', {
    bytes: patched(AUTH_V4 + 4 + 582, u16le(0xffff)),
  }),
  format('with an inner certification size one too large is refused', {
    bytes: (quote) => {
      const at = AUTH_V4 + 4 + 584 + 32 + 2;
      return patched(at, u32le(quote.length - at - 4 + 1))(quote);
    },
  }),
  format('of more than 128 KiB is refused, even if the rest is padding', {
    bytes: (quote) => concat(quote, new Uint8Array(128 * 1024)),
  }),
  format('with an unknown inner certification type is refused', {
    auth: (auth) => ({ ...auth, innerType: 99 }),
  }),
];

const NO_SIGNATURE_KEY = 'what is not a key verifies no signature';

/** The QE report binds the bad key properly, so nothing but the key is wrong. */
function badAttestationKey(title: string, key: Uint8Array): CheckCase {
  return {
    id: 'quote.attestationKey',
    title,
    faults: {
      quote: {
        qeAuthData: new Uint8Array(32),
        qeReport: patched(QE_REPORT_DATA, qeReportData(key, new Uint8Array(32))),
        auth: (auth) => ({ ...auth, attestationKey: key }),
      },
    },
    skips: ['quote.signature'],
    why: NO_SIGNATURE_KEY,
  };
}

const SIGNATURE_CASES: readonly CheckCase[] = [
  {
    id: 'quote.qeVendor',
    title: 'another vendor of the quoting enclave is refused, although signed so',
    faults: { quote: { header: { qeVendor: fromHex('00'.repeat(16)) } } },
  },
  badAttestationKey('a key that is no point of the curve is refused', filled(64, 0x05)),
  badAttestationKey('an all-zero key is refused', filled(64, 0)),
  {
    id: 'quote.signature',
    title: 'a changed signature is refused',
    faults: { quote: { bytes: flipped(AUTH_V4 + 4) } },
  },
  {
    id: 'quote.signature',
    title: 'an all-zero signature is refused',
    faults: { quote: { auth: (auth) => ({ ...auth, signature: new Uint8Array(64) }) } },
  },
  {
    id: 'quote.signature',
    title: 'header user data changed after signing is refused',
    faults: { quote: { bytes: flipped(28) } },
  },
  {
    id: 'quote.signature',
    title: 'a reserved header byte changed after signing is refused',
    faults: { quote: { bytes: flipped(8) } },
  },
  {
    id: 'quote.signature',
    title: 'MRSEAM changed after signing is refused',
    faults: { quote: { bytes: flipped(48 + 16) } },
  },
  {
    id: 'quote.signature',
    title: 'the extended part of body type 4 is signed too',
    faults: { quote: { version: 5, body: 4, bytes: flipped(54 + 884) } },
  },
  {
    id: 'quote.signature',
    title: 'a quote signed by another key than the one it carries is refused',
    faults: ({ strangerKeys }) => ({ quote: { quoteKey: strangerKeys.privateKey } }),
  },
  {
    id: 'qe.keyBinding',
    title: 'a QE report about another key is refused',
    faults: { quote: { qeReport: flipped(QE_REPORT_DATA) } },
  },
  {
    id: 'qe.keyBinding',
    title: 'non-zero bytes after the hash are refused',
    faults: { quote: { qeReport: flipped(QE_REPORT_DATA + 63) } },
  },
  {
    id: 'qe.keyBinding',
    title: 'the hash of the key with an 04 in front is refused',
    faults: async ({ attestationKeys }) => {
      const key = await p256Coordinates(attestationKeys.publicKey);
      const qeAuthData = new Uint8Array(32);
      const wrong = sha256(Uint8Array.of(4), key, qeAuthData);
      return { quote: { qeAuthData, qeReport: patched(QE_REPORT_DATA, wrong) } };
    },
  },
  {
    id: 'qe.keyBinding',
    title: 'QE authentication data changed after signing is refused',
    faults: { quote: { auth: (auth) => ({ ...auth, qeAuthData: new Uint8Array(31) }) } },
  },
  {
    id: 'qe.reportSignature',
    title: 'a QE report signed by another key than the PCK key is refused',
    faults: ({ strangerKeys }) => ({ quote: { pckKey: strangerKeys.privateKey } }),
  },
  {
    id: 'qe.reportSignature',
    title: 'a changed signature of the QE report is refused',
    faults: {
      quote: { auth: (auth) => ({ ...auth, qeReportSignature: new Uint8Array(64).fill(1) }) },
    },
  },
];

const QE_CASES: readonly CheckCase[] = [
  {
    id: 'qe.mrsigner',
    title: 'another signer of the quoting enclave is refused',
    faults: { quote: { qe: { mrSigner: filled(32, 0xee) } } },
  },
  {
    id: 'qe.isvprodid',
    title: 'another product of the same signer is refused',
    faults: { quote: { qe: { isvProdId: 1 } } },
  },
  {
    id: 'qe.miscselect',
    title: 'another MISCSELECT is refused',
    faults: { quote: { qe: { miscSelect: fixed(fromHex('01000000'), 4) } } },
  },
  {
    id: 'qe.attributes',
    title: 'a debug quoting enclave is refused',
    faults: {
      quote: { qe: { attributes: fixed(fromHex('17000000000000000700000000000000'), 16) } },
    },
  },
];

const MODULE_CASES: readonly CheckCase[] = [
  {
    id: 'tdxModule.identity',
    title: 'a module version without an identity is refused',
    faults: { quote: { td: { teeTcbSvn: svn(5, 2, 4) } } },
    skips: ['tdxModule.mrsigner', 'tdxModule.attributes'],
    why: 'the entry says who must have signed the module',
  },
  {
    id: 'tdxModule.identity',
    title: 'a module version running now without an identity is refused',
    faults: {
      quote: {
        version: 5,
        td: { v15: { teeTcbSvn2: svn(5, 2, 4), mrServiceTd: filled(48, 0) } },
      },
    },
  },
  {
    id: 'tdxModule.mrsigner',
    title: 'a module of another signer is refused',
    faults: { quote: { td: { mrSignerSeam: filled(48, 1) } } },
  },
  {
    id: 'tdxModule.attributes',
    title: 'a module with attributes is refused',
    faults: { quote: { td: { seamAttributes: fixed(fromHex('0100000000000000'), 8) } } },
  },
  {
    id: 'tdxModule.attributes',
    title: 'a module with attributes is refused even where the identity expects them',
    faults: {
      quote: { td: { seamAttributes: fixed(fromHex('0100000000000000'), 8) } },
      collateral: {
        tcbInfo: (document) => ({
          ...document,
          tdxModuleIdentities: [
            {
              id: 'TDX_01',
              mrsigner: '00'.repeat(48),
              attributes: '0100000000000000',
              attributesMask: 'FFFFFFFFFFFFFFFF',
              tcbLevels: [
                { tcb: { isvsvn: 5 }, tcbDate: '2025-11-12T00:00:00Z', tcbStatus: 'UpToDate' },
              ],
            },
          ],
        }),
      },
    },
  },
];

export const QUOTE_CASES: readonly CheckCase[] = [
  ...FORMAT_CASES,
  ...SIGNATURE_CASES,
  ...QE_CASES,
  ...MODULE_CASES,
];
