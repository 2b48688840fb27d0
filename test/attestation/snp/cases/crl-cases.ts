/** Revocation lists with one thing wrong. Spec: RFC 5280 §5; sev-snp.md §2.2. @module */

import type { SnpCheckId } from '../../../../attestation/snp/check-list.ts';
import { derSequence, derTime } from '../../../../attestation/der-writer.ts';
import type {
  CertificateExtension,
  CrlProfile,
  RevokedCertificate,
} from '../../../../attestation/x509.ts';
import { pssSha384 } from '../../../../attestation/x509-keys.ts';
import { concat, fromHex, toHex } from '../../../../core/bytes.ts';
import { caSerial } from '../../../../enclave-worker/evidence/simulator/snp/hierarchy.ts';
import { flipped, replaced } from '../../../support/changes.ts';
import { CRL_TIMES, type CrlFaults, type SnpFaults } from '../../../support/snp/case.ts';
import { DAY_MS, NOW_MS, type SnpTestPki } from '../../../support/snp/pki.ts';
import { EXTENSION } from '../../../support/spoil.ts';
import { withOtherOuterAlgorithm, type SnpCheckCase } from './check-case.ts';

const UNBELIEVED = 'a list that is not to be believed revokes nobody and clears nobody';
const NO_LIST = 'what cannot be read lists nobody';

function format(title: string, crl: CrlFaults): SnpCheckCase {
  return {
    id: 'crl.format',
    title,
    faults: { crl },
    skips: ['crl.issuer', 'crl.signature', 'crl.freshness', 'chain.revoked'],
    why: NO_LIST,
  };
}

function profiled(change: (profile: CrlProfile) => CrlProfile): CrlFaults {
  return { profile: change };
}

function withoutExtension(oid: string): CrlFaults {
  return profiled((profile) => ({
    ...profile,
    extensions: profile.extensions.filter((extension) => extension.oid !== oid),
  }));
}

function withExtension(extension: CertificateExtension): CrlFaults {
  return profiled((profile) => ({ ...profile, extensions: [...profile.extensions, extension] }));
}

function withEntry(entry: Partial<RevokedCertificate>): CrlFaults {
  return profiled((profile) => ({
    ...profile,
    revoked: [
      ...profile.revoked,
      { serial: fromHex('77'), revokedMs: Date.UTC(2024, 0, 2), ...entry },
    ],
  }));
}

/** deltaCRLIndicator and issuingDistributionPoint: a list that is only part of one. */
const DELTA: CertificateExtension = { oid: '2.5.29.27', critical: true, value: fromHex('020101') };
const PARTIAL: CertificateExtension = {
  oid: '2.5.29.28',
  critical: true,
  value: fromHex('30038101ff'),
};
/** certificateIssuer: the entry is another issuer's. */
const INDIRECT: CertificateExtension = { oid: '2.5.29.29', critical: true, value: fromHex('3000') };

const FORMAT_CASES: readonly SnpCheckCase[] = [
  format('nothing in place of a list is refused', { der: () => new Uint8Array() }),
  format('a list cut short is refused', { der: (der) => der.subarray(0, -1) }),
  format('a byte after a list is refused', { der: (der) => concat(der, Uint8Array.of(0)) }),
  format('a certificate in place of a list is refused', { der: () => derSequence(derSequence()) }),
  format('a list without an end is refused', {
    profile: ({ issuer, thisUpdateMs, revoked, extensions }) => ({
      issuer,
      thisUpdateMs,
      revoked,
      extensions,
    }),
  }),
  format('a list of version 1 is refused', { tbs: replaced('020101', '020100') }),
  format('a list without a number is refused', withoutExtension(EXTENSION.crlNumber)),
  format(
    "a list without its issuer's key id is refused",
    withoutExtension(EXTENSION.authorityKeyId),
  ),
  format('a delta list is refused', withExtension(DELTA)),
  format('a list of part of the certificates is refused', withExtension(PARTIAL)),
  format(
    'a list with its number twice is refused',
    profiled((profile) => ({
      ...profile,
      extensions: [
        ...profile.extensions,
        ...profile.extensions.filter(({ oid }) => oid === EXTENSION.crlNumber),
      ],
    })),
  ),
  format("a list with another issuer's entries is refused", withEntry({ extensions: [INDIRECT] })),
  format('a list signed with a salt of 32 bytes is refused', {
    scheme: pssSha384({ saltBytes: 32 }),
  }),
  format('a list with two algorithms is refused', {
    // Shorter outside than inside: the trailer is written in what is signed alone.
    scheme: pssSha384({ trailer: 'written' }),
    der: withOtherOuterAlgorithm,
  }),
  format('more than 8 MiB are refused', {
    der: (der) => concat(der, new Uint8Array(8 * 1024 * 1024)),
  }),
];

function unbelieved(
  id: SnpCheckId,
  title: string,
  crl: CrlFaults | ((pki: SnpTestPki) => CrlFaults),
): SnpCheckCase {
  return {
    id,
    title,
    faults: (pki): SnpFaults => ({ crl: typeof crl === 'function' ? crl(pki) : crl }),
    skips: ['chain.revoked'],
    why: UNBELIEVED,
  };
}

const ISSUER_CASES: readonly SnpCheckCase[] = [
  unbelieved('crl.issuer', "another product's list is refused, although the key is the same", {
    profile: (profile) => ({ ...profile, issuer: { ...profile.issuer, commonName: 'ARK-Turin' } }),
  }),
  unbelieved('crl.issuer', "a list in the intermediate's name is refused", {
    profile: (profile, { intermediate }) => ({ ...profile, issuer: intermediate.name }),
  }),
  unbelieved('crl.signature', 'a list that a stranger signed is refused', ({ rsa }) => ({
    signedBy: rsa.stranger.privateKey,
  })),
  unbelieved('crl.signature', 'a list that the intermediate signed is refused', ({ rsa }) => ({
    signedBy: rsa.ask.privateKey,
  })),
  unbelieved('crl.signature', 'a changed signature is refused', {
    der: (der) => flipped(der.length - 1)(der),
  }),
  unbelieved('crl.signature', 'a list whose last entry is struck out is refused', {
    der: replaced('5a5aff', '5a5afd'),
  }),
  unbelieved('crl.signature', 'a list made younger is refused', {
    der: replaced(
      toHex(derTime(CRL_TIMES.thisUpdateMs)),
      toHex(derTime(CRL_TIMES.thisUpdateMs + DAY_MS)),
    ),
  }),
];

function times(title: string, change: Partial<CrlProfile>): SnpCheckCase {
  return {
    id: 'crl.freshness',
    title,
    faults: { crl: profiled((profile) => ({ ...profile, ...change })) },
  };
}

const FRESHNESS_CASES: readonly SnpCheckCase[] = [
  times('a list of tomorrow is refused', { thisUpdateMs: NOW_MS + 1000 }),
  times('a list of yesterday is refused', { nextUpdateMs: NOW_MS - 1000 }),
  times('a list that ends before it starts is refused', {
    thisUpdateMs: NOW_MS - DAY_MS,
    nextUpdateMs: NOW_MS - 2 * DAY_MS,
  }),
];

function revoked(title: string, serial: Uint8Array, faults: SnpFaults = {}): SnpCheckCase {
  return { id: 'chain.revoked', title, faults: { ...faults, crl: withEntry({ serial }) } };
}

const REVOKED_CASES: readonly SnpCheckCase[] = [
  revoked('a revoked ASK is refused', caSerial('ask', 'Genoa')),
  revoked('a revoked ASVK is refused', caSerial('asvk', 'Genoa'), { signer: 'vlek' }),
  revoked('a revoked ARK is refused', caSerial('ark', 'Genoa')),
  revoked(
    'a serial is found whatever zeros stand before it',
    concat(Uint8Array.of(0, 0), caSerial('ask', 'Genoa')),
  ),
  {
    id: 'chain.revoked',
    title: 'a revoked ASK is refused, when the list gives other reasons',
    faults: {
      crl: withEntry({
        serial: caSerial('ask', 'Genoa'),
        reason: 'unsaid',
        extensions: [{ oid: '2.5.29.21', critical: false, value: fromHex('0a0108') }],
      }),
    },
  },
];

const PRESENCE_CASES: readonly SnpCheckCase[] = [
  {
    id: 'crl.present',
    title: 'no list is refused where the policy wants one',
    faults: { sent: ({ vek, intermediate, root }) => ({ vek, intermediate, root }) },
    skips: ['crl.format', 'crl.issuer', 'crl.signature', 'crl.freshness', 'chain.revoked'],
    why: 'there is nothing to judge',
  },
];

export const CRL_CASES: readonly SnpCheckCase[] = [
  ...PRESENCE_CASES,
  ...FORMAT_CASES,
  ...ISSUER_CASES,
  ...FRESHNESS_CASES,
  ...REVOKED_CASES,
];
