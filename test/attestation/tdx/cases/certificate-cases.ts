/** PCK chains and revocation lists with one thing wrong. Spec: tdx.md §1.4, §1.5, §3 (7 to 16). @module */

import { sha256 } from '#primitives';
import type { TdxCheckId } from '../../../../attestation/tdx/check-list.ts';
import { INTEL_ROOT } from '../../../../attestation/tdx/roots.ts';
import {
  caConstraint,
  type CertificateExtension,
  type CertificateProfile,
  type CrlProfile,
} from '../../../../attestation/x509.ts';
import { concat, fromHex, toHex } from '../../../../core/bytes.ts';
import {
  derInteger,
  derOctets,
  derOid,
  derSequence,
  derValue,
} from '../../../../attestation/der-writer.ts';
import {
  sgxEntries,
  SGX_EXTENSION_OID,
  sgxExtension,
  tcbEntries,
  writeEntries,
  type SgxEntry,
} from '../../../../enclave-worker/evidence/simulator/sgx-extension.ts';
import { pemChain } from '../../../../enclave-worker/evidence/simulator/simulator.ts';
import type { Faults } from '../../../support/tdx/case.ts';
import { DAY_MS, NOW_MS, PCK_FACTS, type Certificates } from '../../../support/tdx/pki.ts';
import {
  EXTENSION,
  twice,
  withExtension,
  withIssuer,
  without,
  withSubject,
  type Spoil,
} from '../../../support/spoil.ts';
import { NEEDS_PCK_CHAIN, NO_CHAIN, type CheckCase } from './check-case.ts';

function noChain(title: string, quote: NonNullable<Faults['quote']>): CheckCase {
  return { id: 'pck.chain', title, faults: { quote }, skips: NEEDS_PCK_CHAIN, why: NO_CHAIN };
}

function unreadableCertificate(
  title: string,
  which: 'intermediate' | 'root' | 'pck',
  spoil: Spoil,
): CheckCase {
  return {
    id: 'pck.chain',
    title,
    faults: (pki) => ({
      certificates: { [which]: spoil },
      // The signers keep the sound root, so that nothing but the PCK chain is wrong.
      collateral: {
        sent: () => ({
          tcbInfoIssuerChain: pemChain(pki.sound.tcbSigner, pki.sound.root),
          qeIdentityIssuerChain: pemChain(pki.sound.qeSigner, pki.sound.root),
        }),
      },
      roots: [{ sha256: sha256(pki.sound.root.der), simulated: true }],
    }),
    skips: NEEDS_PCK_CHAIN,
    why: NO_CHAIN,
  };
}

/** ecdsa-with-SHA384 in both places that name the algorithm. */
function asIfSha384(der: Uint8Array): Uint8Array {
  const hex = toHex(der).replaceAll('06082a8648ce3d040302', '06082a8648ce3d040303');
  return fromHex(hex);
}

/** The version stands first, in a wrapper of its own. */
function asIfVersion2(der: Uint8Array): Uint8Array {
  return fromHex(toHex(der).replace('a003020102', 'a003020101'));
}

const CHAIN_CASES: readonly CheckCase[] = [
  noChain('a quote without certificates is refused', { pckChain: () => '' }),
  noChain('a chain without the intermediate is refused', {
    pckChain: ({ pck, root }) => pemChain(pck, root),
  }),
  noChain('a chain of four is refused', {
    pckChain: ({ pck, intermediate, root }) => pemChain(pck, intermediate, root, root),
  }),
  noChain('text between the certificates is refused', {
    pckChain: ({ pck, intermediate, root }) =>
      `${pemChain(pck)}surprise\n${pemChain(intermediate, root)}`,
  }),
  noChain('a certificate with trailing bytes is refused', {
    pckChain: ({ pck, intermediate, root }) =>
      pemChain({ der: concat(pck.der, Uint8Array.of(0)) }, intermediate, root),
  }),
  ...(['intermediate', 'root', 'pck'] as const).flatMap((which) => [
    unreadableCertificate(
      `a certificate with an unknown critical extension is refused (${which})`,
      which,
      // nameConstraints: whoever overlooks it accepts what the issuer ruled out.
      withExtension({ oid: '2.5.29.30', critical: true, value: fromHex('3000') }),
    ),
    unreadableCertificate(
      `a default that is written out is refused (${which})`,
      which,
      withExtension({
        oid: EXTENSION.basicConstraints,
        critical: true,
        value: fromHex('3003010100'),
      }),
    ),
  ]),
  noChain('a certificate signed with another algorithm is refused', {
    pckChain: ({ pck, intermediate, root }) =>
      pemChain({ der: asIfSha384(pck.der) }, intermediate, root),
  }),
  noChain('a certificate of version 2 is refused', {
    pckChain: ({ pck, intermediate, root }) =>
      pemChain({ der: asIfVersion2(pck.der) }, intermediate, root),
  }),
  noChain('an encrypted PPID without a chain beside the quote is refused', {
    auth: (auth) => ({ ...auth, innerType: 3 }),
  }),
  {
    id: 'pck.chain',
    title: 'a leaf signed by another key is refused, although the names chain',
    faults: ({ strangerKeys }) => ({ certificates: { signedBy: { pck: strangerKeys } } }),
  },
  {
    id: 'pck.chain',
    title: 'an intermediate signed by another key is refused, although the names chain',
    faults: ({ strangerKeys }) => ({ certificates: { signedBy: { intermediate: strangerKeys } } }),
  },
  {
    id: 'pck.chain',
    title: 'a leaf that names another issuer is refused, although the signature is right',
    faults: { certificates: { pck: withIssuer('Intel SGX PCK Processor CA') } },
  },
  {
    id: 'pck.chain',
    title: 'an intermediate that names another issuer is refused',
    faults: { certificates: { intermediate: withIssuer('Intel SGX Other Root CA') } },
  },
  {
    id: 'pck.chain',
    title: 'an intermediate with another role name is refused, although everything chains',
    faults: {
      certificates: {
        intermediate: withSubject('Intel SGX Other CA'),
        pck: withIssuer('Intel SGX Other CA'),
      },
      collateral: { pckCrl: crlIssuer('Intel SGX Other CA') },
    },
  },
  {
    id: 'pck.chain',
    title: 'an intermediate that repeats an extension is refused',
    faults: { certificates: { intermediate: twice(EXTENSION.basicConstraints) } },
  },
  {
    id: 'pck.chain',
    title: 'the right certificates in the wrong order are refused',
    faults: {
      quote: { pckChain: ({ pck, intermediate, root }) => pemChain(intermediate, pck, root) },
    },
    alsoFails: [
      'pck.leafRole',
      'pck.caConstraint',
      'pck.extension',
      'qe.reportSignature',
      'pckCrl.issuer',
      'pckCrl.signature',
    ],
    skips: ['pck.revoked', 'tcbInfo.fmspc', 'tcbInfo.pceId'],
    why: 'each of the two certificates stands where the other one is expected',
  },
  {
    id: 'pck.root',
    title: 'another certificate of the same root key and name is refused',
    faults: async (pki) => ({
      certificates: { root: (profile) => ({ ...profile, serial: fromHex('0badcafe') }) },
      roots: [{ sha256: sha256(pki.sound.root.der), simulated: true }],
      collateral: {
        sent: (_, { tcbSigner, qeSigner }) => ({
          tcbInfoIssuerChain: pemChain(tcbSigner, pki.sound.root),
          qeIdentityIssuerChain: pemChain(qeSigner, pki.sound.root),
        }),
      },
    }),
  },
  {
    id: 'pck.root',
    title: 'a whole hierarchy under a root that nobody trusts is refused',
    faults: { roots: [INTEL_ROOT] },
    alsoFails: ['tcbInfo.chain', 'qeIdentity.chain'],
    why: 'one root stands at the end of all three chains',
  },
  {
    id: 'pck.root',
    title: 'an empty list of roots trusts nobody',
    faults: { roots: [] },
    alsoFails: ['tcbInfo.chain', 'qeIdentity.chain'],
    why: 'one root stands at the end of all three chains',
  },
];

/** BIT STRING of a key usage; first octet of content counts unused bits. RFC 5280 §4.2.1.3. */
function keyUsage(hex: string): CertificateProfile['extensions'][number] {
  return { oid: EXTENSION.keyUsage, critical: true, value: fromHex(hex) };
}
const CRL_SIGN_ONLY = keyUsage('03020102');
const CERT_SIGN_AND_CRL_SIGN = keyUsage('03020106');

const ROLE_CASES: readonly CheckCase[] = [
  {
    id: 'pck.leafRole',
    title: 'a leaf with another common name is refused',
    faults: { certificates: { pck: withSubject('Intel SGX TCB Signing') } },
  },
  {
    id: 'pck.leafRole',
    title: 'a leaf whose common name only begins right is refused',
    faults: { certificates: { pck: withSubject('Intel SGX PCK Certificate ') } },
  },
  {
    id: 'pck.leafRole',
    title: 'a leaf that is a CA is refused',
    faults: { certificates: { pck: withExtension(caConstraint(0)) } },
  },
  {
    id: 'pck.leafRole',
    title: 'a leaf that may not sign is refused',
    faults: { certificates: { pck: withExtension(CERT_SIGN_AND_CRL_SIGN) } },
  },
  {
    id: 'pck.caConstraint',
    title: 'an intermediate without basic constraints is refused',
    faults: { certificates: { intermediate: without(EXTENSION.basicConstraints) } },
  },
  {
    id: 'pck.caConstraint',
    title: 'an intermediate that may not sign certificates is refused',
    faults: { certificates: { intermediate: withExtension(CRL_SIGN_ONLY) } },
  },
  {
    id: 'pck.caConstraint',
    title: 'a root without basic constraints is refused, even a pinned one',
    faults: { certificates: { root: without(EXTENSION.basicConstraints) } },
  },
  {
    id: 'pck.caConstraint',
    title: 'a root that leaves no room for an intermediate is refused',
    faults: { certificates: { root: withExtension(caConstraint(0)) } },
  },
  ...(['pck', 'intermediate', 'root'] as const).flatMap((which): readonly CheckCase[] => [
    {
      id: 'pck.validity',
      title: `an expired certificate is refused (${which})`,
      faults: { certificates: { [which]: expired } },
    },
    {
      id: 'pck.validity',
      title: `a certificate of tomorrow is refused (${which})`,
      faults: { certificates: { [which]: ofTomorrow } },
    },
  ]),
];

export function expired(profile: CertificateProfile): CertificateProfile {
  return { ...profile, notAfterMs: NOW_MS - 1000 };
}

export function ofTomorrow(profile: CertificateProfile): CertificateProfile {
  return { ...profile, notBeforeMs: NOW_MS + 1000 };
}

const NO_FACTS = 'an extension that cannot be read names no platform';
const NEEDS_FACTS: readonly TdxCheckId[] = ['tcbInfo.fmspc', 'tcbInfo.pceId'];

function extension(title: string, certificates: NonNullable<Faults['certificates']>): CheckCase {
  return {
    id: 'pck.extension',
    title,
    faults: { certificates },
    skips: NEEDS_FACTS,
    why: NO_FACTS,
  };
}

function sgx(entries: readonly SgxEntry[]): NonNullable<Faults['certificates']> {
  return { pck: withExtension(sgxExtension(entries)) };
}

const ENTRIES = sgxEntries(PCK_FACTS);
const TCB = tcbEntries(PCK_FACTS);

function withTcb(entries: readonly SgxEntry[]): NonNullable<Faults['certificates']> {
  return sgx(replaced({ arc: '2', value: writeEntries(entries) }));
}

function replaced(entry: SgxEntry, entries = ENTRIES): readonly SgxEntry[] {
  return entries.map((known) => (known.arc === entry.arc ? entry : known));
}

/** INTEGER 65536 is beyond a PCESVN. */
const INTEGER_65536 = fromHex('0203010000');
const NEGATIVE = fromHex('0201ff');

const EXTENSION_CASES: readonly CheckCase[] = [
  extension('a leaf without the SGX extension is refused', { pck: without(SGX_EXTENSION_OID) }),
  extension('a leaf with two SGX extensions is refused', { pck: twice(SGX_EXTENSION_OID) }),
  ...(['subjectKeyId', 'authorityKeyId', 'crlDistributionPoints'] as const).map((name) =>
    extension(`a leaf without ${name} is refused`, { pck: without(EXTENSION[name]) }),
  ),
  ...['1', '2', '3', '4', '5'].flatMap((arc) => [
    extension(`a missing member .${arc} is refused`, sgx(ENTRIES.filter((e) => e.arc !== arc))),
    extension(
      `a repeated member .${arc} is refused`,
      sgx([...ENTRIES, ...ENTRIES.filter((e) => e.arc === arc)]),
    ),
  ]),
  ...['2.1', '2.16', '2.17', '2.18'].flatMap((arc) => [
    extension(`a missing member .${arc} is refused`, withTcb(TCB.filter((e) => e.arc !== arc))),
    extension(
      `a repeated member .${arc} is refused`,
      withTcb([...TCB, ...TCB.filter((e) => e.arc === arc)]),
    ),
  ]),
  ...(
    [
      ['1', 15],
      ['3', 3],
      ['4', 5],
      ['6', 17],
    ] as const
  ).map(([arc, size]) =>
    extension(
      `a member .${arc} of ${size} bytes is refused`,
      sgx(replaced({ arc, value: derOctets(new Uint8Array(size)) })),
    ),
  ),
  extension(
    'a component of 256 is refused',
    withTcb(replaced({ arc: '2.3', value: derInteger(256) }, TCB)),
  ),
  extension(
    'a negative component is refused',
    withTcb(replaced({ arc: '2.3', value: NEGATIVE }, TCB)),
  ),
  extension(
    'a PCESVN of 65536 is refused',
    withTcb(replaced({ arc: '2.17', value: INTEGER_65536 }, TCB)),
  ),
  extension('a member of another tree is refused', {
    pck: withExtension({
      oid: SGX_EXTENSION_OID,
      critical: false,
      value: derSequence(
        ...ENTRIES.map(({ arc, value }) =>
          derSequence(derOid(`${SGX_EXTENSION_OID}.${arc}`), value),
        ),
        derSequence(derOid('1.2.840.113741.1.14.1'), derInteger(0)),
      ),
    }),
  }),
  extension(
    'an unknown SGX type is refused',
    sgx(replaced({ arc: '5', value: derValue(0x0a, Uint8Array.of(3)) })),
  ),
  extension(
    'a BOOLEAN that is neither 00 nor FF is refused',
    sgx(
      replaced({
        arc: '7',
        value: writeEntries([{ arc: '7.1', value: derValue(0x01, Uint8Array.of(1)) }]),
      }),
    ),
  ),
];

const STALE = { thisUpdateMs: NOW_MS - 2 * DAY_MS, nextUpdateMs: NOW_MS - 1000 };
const FUTURE = { thisUpdateMs: NOW_MS + 1000, nextUpdateMs: NOW_MS + DAY_MS };

export function crlIssuer(commonName: string): (profile: CrlProfile) => CrlProfile {
  return (profile) => ({ ...profile, issuer: { ...profile.issuer, commonName } });
}

function entryWith(entryExtension: CertificateExtension): (profile: CrlProfile) => CrlProfile {
  return (profile) => ({
    ...profile,
    revoked: [{ serial: fromHex('77'), revokedMs: NOW_MS, extensions: [entryExtension] }],
  });
}

function withoutCrlExtension(oid: string): (profile: CrlProfile) => CrlProfile {
  return (profile) => ({
    ...profile,
    extensions: profile.extensions.filter((known) => known.oid !== oid),
  });
}

/** `value` stands where the INTEGER of the CRL number should. */
function crlNumbered(value: string): (profile: CrlProfile) => CrlProfile {
  return (profile) => ({
    ...profile,
    extensions: [
      ...withoutCrlExtension(EXTENSION.crlNumber)(profile).extensions,
      { oid: EXTENSION.crlNumber, critical: false, value: fromHex(value) },
    ],
  });
}

function revoking(
  which: keyof Certificates,
): (profile: CrlProfile, certificates: Certificates) => CrlProfile {
  return (profile, certificates) => ({
    ...profile,
    revoked: [
      ...profile.revoked,
      { serial: certificates[which].profile.serial, revokedMs: NOW_MS - DAY_MS },
    ],
  });
}

interface ListKind {
  readonly list: 'pckCrl' | 'rootCrl';
  readonly sent: 'pckCrl' | 'rootCaCrl';
  readonly key: 'pckCrlKey' | 'rootCrlKey';
  readonly clears: readonly TdxCheckId[];
}

const LISTS: readonly ListKind[] = [
  { list: 'pckCrl', sent: 'pckCrl', key: 'pckCrlKey', clears: ['pck.revoked'] },
  {
    list: 'rootCrl',
    sent: 'rootCaCrl',
    key: 'rootCrlKey',
    clears: [
      'pck.intermediateRevoked',
      'pck.rootRevoked',
      'tcbInfo.signerRevoked',
      'qeIdentity.signerRevoked',
    ],
  },
];

const NOT_BELIEVED = 'a list that its issuer did not make clears nobody';

function listCases({ list, sent, key, clears }: ListKind): readonly CheckCase[] {
  const unreadable = (title: string, faults: NonNullable<Faults['collateral']>): CheckCase => ({
    id: `${list}.format`,
    title,
    faults: { collateral: faults },
    skips: [`${list}.issuer`, `${list}.signature`, `${list}.freshness`, ...clears],
    why: 'nothing of an unreadable list can be judged',
  });
  return [
    unreadable('an empty list document is refused', {
      sent: () => ({ [sent]: new Uint8Array() }),
    }),
    unreadable('64 random bytes are refused', {
      sent: () => ({ [sent]: crypto.getRandomValues(new Uint8Array(64)) }),
    }),
    unreadable('bytes after the list are refused', {
      sent: (collateral) => ({ [sent]: concat(collateral[sent], Uint8Array.of(0)) }),
    }),
    unreadable('a list of version 1 is refused', {
      sent: (collateral) => ({
        // The first INTEGER of the list is its version.
        [sent]: fromHex(toHex(collateral[sent]).replace('020101', '020100')),
      }),
    }),
    unreadable('a list that repeats an extension is refused', {
      [list]: (profile: CrlProfile) => ({
        ...profile,
        extensions: [...profile.extensions, ...profile.extensions.slice(0, 1)],
      }),
    }),
    unreadable('an entry with a critical extension is refused', {
      // certificateIssuer: the list would speak about certificates of other issuers.
      [list]: entryWith({ oid: '2.5.29.29', critical: true, value: fromHex('3000') }),
    }),
    unreadable('an entry that repeats an extension is refused', {
      // Every entry has a reason code already.
      [list]: entryWith({ oid: '2.5.29.21', critical: false, value: fromHex('0a0101') }),
    }),
    unreadable('a list without a CRL number is refused', {
      [list]: withoutCrlExtension(EXTENSION.crlNumber),
    }),
    unreadable('a list with a negative CRL number is refused', { [list]: crlNumbered('0201ff') }),
    unreadable('a list with bytes after its CRL number is refused', {
      [list]: crlNumbered('02010100'),
    }),
    unreadable('a list with a CRL number of more than 20 octets is refused', {
      [list]: crlNumbered(`0215${'01'.repeat(21)}`),
    }),
    unreadable('a list without an authority key identifier is refused', {
      [list]: withoutCrlExtension(EXTENSION.authorityKeyId),
    }),
    unreadable('a list with an unknown critical extension is refused', {
      [list]: (profile: CrlProfile) => ({
        ...profile,
        extensions: [
          ...profile.extensions,
          // issuingDistributionPoint: the list would cover less than it seems to.
          { oid: '2.5.29.28', critical: true, value: fromHex('3000') },
        ],
      }),
    }),
    {
      id: `${list}.issuer`,
      title: 'a list that names another issuer is refused, although the signature is right',
      faults: { collateral: { [list]: crlIssuer('Intel SGX Other CA') } },
      skips: clears,
      why: NOT_BELIEVED,
    },
    {
      id: `${list}.signature`,
      title: 'a list signed by another key is refused, although it names the issuer',
      faults: ({ strangerKeys }) => ({ collateral: { [key]: strangerKeys.privateKey } }),
      skips: clears,
      why: NOT_BELIEVED,
    },
    {
      id: `${list}.freshness`,
      title: 'a list past its next update is refused',
      faults: { collateral: { [list]: (profile: CrlProfile) => ({ ...profile, ...STALE }) } },
    },
    {
      id: `${list}.freshness`,
      title: 'a list of tomorrow is refused',
      faults: { collateral: { [list]: (profile: CrlProfile) => ({ ...profile, ...FUTURE }) } },
    },
  ];
}

/** Serials as Intel issues them, one of which has its top bit set: DER puts 00 in front of it. */
const HIGH_SERIAL = fromHex('f00dfeed');

function highSerial(profile: CertificateProfile): CertificateProfile {
  return { ...profile, serial: HIGH_SERIAL };
}

const REVOCATION_CASES: readonly CheckCase[] = [
  {
    id: 'pckCrl.issuer',
    title: 'the root list in place of the PCK list is refused',
    faults: { collateral: { sent: ({ rootCaCrl }) => ({ pckCrl: rootCaCrl }) } },
    alsoFails: ['pckCrl.signature'],
    skips: ['pck.revoked'],
    why: 'name and key of the root are not those of the intermediate',
  },
  {
    id: 'pck.revoked',
    title: 'a revoked leaf is refused',
    faults: { collateral: { pckCrl: revoking('pck') } },
  },
  {
    id: 'pck.revoked',
    title: 'a revoked leaf whose serial has its top bit set is refused',
    faults: { certificates: { pck: highSerial }, collateral: { pckCrl: revoking('pck') } },
  },
  {
    id: 'pck.intermediateRevoked',
    title: 'a revoked intermediate is refused',
    faults: { collateral: { rootCrl: revoking('intermediate') } },
  },
  {
    id: 'pck.rootRevoked',
    title: 'a root that revokes itself is refused',
    faults: { collateral: { rootCrl: revoking('root') } },
  },
  {
    id: 'tcbInfo.signerRevoked',
    title: 'a revoked signer of TCB info is refused',
    faults: { collateral: { rootCrl: revoking('tcbSigner') } },
  },
  {
    id: 'qeIdentity.signerRevoked',
    title: 'a revoked signer of the QE identity is refused',
    faults: { collateral: { rootCrl: revoking('qeSigner') } },
  },
];

export const CERTIFICATE_CASES: readonly CheckCase[] = [
  ...CHAIN_CASES,
  ...ROLE_CASES,
  ...EXTENSION_CASES,
  ...LISTS.flatMap(listCases),
  ...REVOCATION_CASES,
];
