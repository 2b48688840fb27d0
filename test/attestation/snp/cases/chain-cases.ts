/** Chains with one thing wrong: form, root, names, roles, dates. Spec: sev-snp.md §2. @module */

import { sha256 } from '#primitives';
import { AMD_ANCHORS } from '../../../../attestation/snp/anchors.ts';
import type { SnpCheckId } from '../../../../attestation/snp/check-list.ts';
import { caConstraint, type CertificateProfile } from '../../../../attestation/x509.ts';
import { concat, fromHex } from '../../../../core/bytes.ts';
import { replaced } from '../../../support/changes.ts';
import { NOW_MS, type CertificateFaults, type ChainFaults } from '../../../support/snp/pki.ts';
import {
  EXTENSION,
  twice,
  withExtension,
  withIssuer,
  without,
  withSubject,
  type Spoil,
} from '../../../support/spoil.ts';
import {
  MEMBERS,
  NEEDS_CHAIN,
  NEEDS_LEAF,
  NO_CHAIN,
  NO_ISSUER,
  NO_LEAF,
  withOtherOuterAlgorithm,
  type Member,
  type SnpCheckCase,
} from './check-case.ts';

const CRL_NEEDS_ROOT: readonly SnpCheckId[] = ['crl.issuer', 'crl.signature', 'chain.revoked'];

/** What goes with an unreadable certificate in each place. */
const UNREADABLE = {
  vek: { id: 'vek.format', skips: NEEDS_LEAF, why: NO_LEAF },
  intermediate: {
    id: 'intermediate.format',
    skips: [...NEEDS_CHAIN, 'chain.revoked'],
    why: NO_CHAIN,
  },
  root: { id: 'root.format', skips: [...NEEDS_CHAIN, ...CRL_NEEDS_ROOT], why: NO_ISSUER },
} as const satisfies Readonly<Record<Member, Omit<SnpCheckCase, 'title' | 'faults'>>>;

function unreadable(title: string, faults: CertificateFaults): readonly SnpCheckCase[] {
  return MEMBERS.map((member) => ({
    ...UNREADABLE[member],
    title: `${title} (${member})`,
    faults: { chain: { [member]: faults } },
  }));
}

const FORM_CASES: readonly SnpCheckCase[] = [
  ...unreadable('nothing in place of a certificate is refused', { der: () => new Uint8Array() }),
  ...unreadable('a certificate cut short is refused', { der: (der) => der.subarray(0, -1) }),
  ...unreadable('a byte after a certificate is refused', {
    der: (der) => concat(der, Uint8Array.of(0)),
  }),
  ...unreadable('a certificate of version 2 is refused', {
    tbs: replaced('a003020102', 'a003020101'),
  }),
  ...unreadable('two different signature algorithms are refused, although they mean the same', {
    der: withOtherOuterAlgorithm,
  }),
  ...unreadable('a time with seconds left out is refused', {
    tbs: (tbs) => replaced('170d', '170c')(tbs),
  }),
  ...unreadable('more than 64 KiB are refused', {
    der: (der) => concat(der, new Uint8Array(64 * 1024)),
  }),
  ...unreadable('a constraint that writes its default is refused', {
    profile: withExtension({
      oid: EXTENSION.basicConstraints,
      critical: true,
      value: fromHex('3003010100'),
    }),
  }),
  ...unreadable('a key usage with unused bits set is refused', {
    profile: withExtension({
      oid: EXTENSION.keyUsage,
      critical: true,
      value: fromHex('03020207'),
    }),
  }),
  {
    id: 'vek.present',
    title: 'no certificate of the signing key is refused',
    faults: { sent: ({ intermediate, root, crl }) => ({ intermediate, root, crl }) },
    skips: ['vek.format', ...NEEDS_LEAF],
    why: NO_LEAF,
  },
];

const STRANGER_DIGEST = sha256(Uint8Array.of(1));

const ROOT_CASES: readonly SnpCheckCase[] = [
  {
    id: 'chain.root',
    title: 'a root that nobody pinned is refused',
    faults: { anchors: [{ sha256: STRANGER_DIGEST, simulated: true }] },
  },
  { id: 'chain.root', title: 'with no trusted root all are refused', faults: { anchors: [] } },
  {
    id: 'chain.root',
    title: "AMD's roots alone do not trust a development root",
    faults: { anchors: AMD_ANCHORS },
  },
  {
    id: 'chain.root',
    title: 'another certificate of the pinned key and name is refused',
    faults: async (pki) => {
      const { root } = await pki.sound({ product: 'Genoa', signer: 'vcek' });
      return {
        // Signed again, so that salt and digest differ and nothing else.
        chain: {},
        anchors: [{ sha256: sha256(root.der), simulated: true }],
      };
    },
  },
];

const UNKNOWN_ISSUER = 'an issuer that nobody knows makes no chain';

const NAME_CASES: readonly SnpCheckCase[] = [
  {
    id: 'chain.names',
    title: 'a leaf that names another issuer is refused, although the signature is right',
    faults: { chain: { vek: { profile: withIssuer('SEV-Milan') } } },
  },
  {
    id: 'chain.names',
    title: 'a leaf whose issuer has the name in another form is refused',
    faults: {
      chain: {
        vek: {
          profile: (profile) => ({
            ...profile,
            issuer: { ...profile.issuer, organizationalUnit: 'engineering' },
          }),
        },
      },
    },
  },
  {
    id: 'chain.names',
    title: 'an intermediate that names another issuer is refused',
    faults: { chain: { intermediate: { profile: withIssuer('ARK-Turin') } } },
  },
  {
    id: 'chain.names',
    title: 'a root that names another issuer is refused',
    faults: { chain: { root: { profile: withIssuer('ARK-Turin') } } },
  },
  ...['SEV-Milan', 'SEV-VLEK-Genoa', 'SEV-genoa', 'SEV-Genoa ', 'ARK-Genoa'].map(
    (name): SnpCheckCase => ({
      id: 'chain.names',
      title: `an intermediate called "${name}" is refused`,
      faults: {
        chain: {
          intermediate: { profile: withSubject(name) },
          vek: { profile: withIssuer(name) },
        },
      },
    }),
  ),
  {
    id: 'chain.names',
    title: 'an intermediate with two common names is refused',
    faults: {
      chain: {
        intermediate: { profile: named('subject') },
        vek: { profile: named('issuer') },
      },
    },
  },
  {
    id: 'chain.names',
    title: 'a VCEK below an ASVK is refused',
    faults: { chain: { below: 'asvk' } },
  },
  {
    id: 'chain.names',
    title: 'a VLEK below an ASK is refused',
    faults: { signer: 'vlek', chain: { below: 'ask' } },
  },
  {
    id: 'chain.names',
    title: 'a root of an unknown product is refused',
    faults: {
      chain: {
        root: {
          profile: (profile) => withSubject('ARK-Venice')(withIssuer('ARK-Venice')(profile)),
        },
        intermediate: { profile: withIssuer('ARK-Venice') },
      },
      crl: {
        profile: (profile) => ({
          ...profile,
          issuer: { ...profile.issuer, commonName: 'ARK-Venice' },
        }),
      },
    },
    alsoFails: ['bind.product'],
    why: 'the CAs are of no product that is known',
  },
  ...['SEV-VCEK ', 'SEV-vcek', 'VCEK', 'SEV-Genoa'].map((name): SnpCheckCase => ({
    id: 'chain.names',
    title: `a leaf called "${name}" is refused`,
    faults: { chain: { vek: { profile: withSubject(name) } } },
    alsoFails: ['bind.signerKind'],
    why: 'the name says which kind of key the leaf has',
  })),
  {
    id: 'chain.names',
    title: 'without a root that could be found the chain has no end',
    faults: { sent: ({ vek, intermediate, crl }) => ({ vek, intermediate, crl }) },
    skips: [...NEEDS_CHAIN.filter((id) => id !== 'chain.names'), ...CRL_NEEDS_ROOT],
    why: UNKNOWN_ISSUER,
  },
  {
    id: 'chain.names',
    title: "AMD's intermediate does not step in for one that is missing",
    faults: { sent: ({ vek, root, crl }) => ({ vek, root, crl }) },
    alsoFails: ['chain.signatures'],
    why: 'what is found by its name is not the certificate that signed',
  },
];

/** Twice the common name, once in place of the organisation. */
function named(which: 'subject' | 'issuer'): Spoil {
  return (profile) => ({
    ...profile,
    [which]: {
      ...profile[which],
      order: ['organizationalUnit', 'commonName', 'commonName'],
    },
  });
}

function constraint(title: string, chain: ChainFaults): SnpCheckCase {
  return { id: 'chain.constraints', title, faults: { chain } };
}

function profiled(title: string, member: Member, profile: Spoil): SnpCheckCase {
  return constraint(`${title} (${member})`, { [member]: { profile } });
}

function keyUsage(hex: string): Spoil {
  return withExtension({ oid: EXTENSION.keyUsage, critical: true, value: fromHex(hex) });
}

const CAS = ['root', 'intermediate'] as const;
/** nameConstraints: whoever overlooks it accepts what the issuer ruled out. */
const UNKNOWN_CRITICAL = { oid: '2.5.29.30', critical: true, value: fromHex('3000') };

const CONSTRAINT_CASES: readonly SnpCheckCase[] = [
  profiled('a leaf that is a CA is refused', 'vek', withExtension(caConstraint(0))),
  profiled('a leaf that may sign certificates is refused', 'vek', keyUsage('03020204')),
  ...CAS.flatMap((member) => [
    profiled('a CA that does not say so is refused', member, without(EXTENSION.basicConstraints)),
    profiled(
      'a CA that says it is none is refused',
      member,
      withExtension({
        oid: EXTENSION.basicConstraints,
        critical: true,
        value: fromHex('3000'),
      }),
    ),
    profiled('a CA without key usage is refused', member, without(EXTENSION.keyUsage)),
    profiled('a CA that may sign lists alone is refused', member, keyUsage('03020102')),
    profiled('a CA that may sign documents alone is refused', member, keyUsage('03020780')),
    profiled('a CA that repeats its role is refused', member, twice(EXTENSION.basicConstraints)),
    profiled('a CA that repeats its key id is refused', member, twice(EXTENSION.subjectKeyId)),
  ]),
  profiled('a root that may not sign lists is refused', 'root', keyUsage('03020204')),
  profiled('a root that allows no intermediate is refused', 'root', withExtension(caConstraint(0))),
  ...MEMBERS.map((member) =>
    profiled('an unknown critical extension is refused', member, withExtension(UNKNOWN_CRITICAL)),
  ),
  constraint('a critical extension of AMD that this product does not know is refused', {
    vek: {
      profile: withExtension({
        oid: '1.3.6.1.4.1.3704.1.99',
        critical: true,
        value: fromHex('0500'),
      }),
    },
  }),
];

function dated(times: Partial<CertificateProfile>): CertificateFaults {
  return { profile: (profile) => ({ ...profile, ...times }) };
}

const VALIDITY_CASES: readonly SnpCheckCase[] = MEMBERS.flatMap(
  (member): readonly SnpCheckCase[] => [
    {
      id: 'chain.notBefore',
      title: `a certificate of tomorrow is refused (${member})`,
      faults: { chain: { [member]: dated({ notBeforeMs: NOW_MS + 1000 }) } },
    },
    {
      id: 'chain.notAfter',
      title: `a certificate of yesterday is refused (${member})`,
      faults: { chain: { [member]: dated({ notAfterMs: NOW_MS - 1000 }) } },
    },
  ],
);

export const CHAIN_CASES: readonly SnpCheckCase[] = [
  ...FORM_CASES,
  ...ROOT_CASES,
  ...NAME_CASES,
  ...CONSTRAINT_CASES,
  ...VALIDITY_CASES,
];
