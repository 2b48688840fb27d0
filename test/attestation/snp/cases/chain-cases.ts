/** Chains with one thing wrong: form, root, names, algorithms, signatures, roles, dates. Spec: sev-snp.md §2. @module */

import { sha256 } from '#primitives';
import { AMD_ANCHORS } from '../../../../attestation/snp/anchors.ts';
import type { SnpCheckId } from '../../../../attestation/snp/check-list.ts';
import {
  derContext,
  derInteger,
  derNull,
  derOid,
  derSequence,
} from '../../../../attestation/der-writer.ts';
import { caConstraint, type CertificateProfile } from '../../../../attestation/x509.ts';
import {
  exportPrivateKey,
  generateP256,
  generateP384,
  generateRsaPss,
  pssSha384,
  type SignatureScheme,
} from '../../../../attestation/x509-keys.ts';
import { concat, fromHex, toHex } from '../../../../core/bytes.ts';
import { flipped } from '../../../support/changes.ts';
import {
  NOW_MS,
  type CertificateFaults,
  type ChainFaults,
  type SnpTestPki,
} from '../../../support/snp/pki.ts';
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
  NEEDS_CHAIN,
  NEEDS_LEAF,
  NO_CHAIN,
  NO_ISSUER,
  NO_LEAF,
  type SnpCheckCase,
} from './check-case.ts';

type Member = 'root' | 'intermediate' | 'vek';

const MEMBERS: readonly Member[] = ['root', 'intermediate', 'vek'];
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

function replaced(from: string, to: string): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => {
    const hex = toHex(bytes);
    if (!hex.includes(from)) throw new Error(`a test replaces ${from}, which is not there`);
    return fromHex(hex.replace(from, to));
  };
}

/** The outer algorithm, which is not signed, in the other of its two forms. */
function withOtherOuterAlgorithm(der: Uint8Array): Uint8Array {
  const [plain, written] = [pssSha384(), pssSha384({ trailer: 'written' })].map(({ identifier }) =>
    toHex(identifier),
  );
  const hex = toHex(der);
  const own = hex.includes(written ?? '') ? (written ?? '') : (plain ?? '');
  const other = own === plain ? written : plain;
  const at = hex.lastIndexOf(own);
  const body = hex.slice(8, at) + (other ?? '') + hex.slice(at + own.length);
  const size = (body.length / 2).toString(16).padStart(4, '0');
  return fromHex(`3082${size}${body}`);
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

function scheme(identifier: Uint8Array, sign: SignatureScheme['sign']): SignatureScheme {
  return { identifier, sign };
}

const SHA256 = derSequence(derOid('2.16.840.1.101.3.4.2.1'), derNull());
const SHA384 = derSequence(derOid('2.16.840.1.101.3.4.2.2'), derNull());
const MGF1 = derOid('1.2.840.113549.1.1.8');
const SALT_48 = derContext(2, derInteger(48));

/** RSASSA-PSS with these parameters; the signature itself is as it should be. */
function pssNamed(...parameters: readonly Uint8Array[]): SignatureScheme {
  const identifier = derSequence(derOid('1.2.840.113549.1.1.10'), derSequence(...parameters));
  return scheme(identifier, pssSha384().sign);
}

/** The same key in the older padding. */
async function signPkcs1(key: CryptoKey, data: Uint8Array): Promise<Uint8Array> {
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-384' };
  const pkcs8 = new Uint8Array(await exportPrivateKey(key));
  const other = await crypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign(algorithm, other, new Uint8Array(data)));
}

const PKCS1 = derSequence(derOid('1.2.840.113549.1.1.12'), derNull());

const FOREIGN_ALGORITHMS: readonly (readonly [title: string, scheme: SignatureScheme])[] = [
  ['PKCS#1 v1.5', scheme(PKCS1, signPkcs1)],
  ['PSS with a salt of 32 bytes', pssSha384({ saltBytes: 32 })],
  ['PSS with a salt of 0 bytes', pssSha384({ saltBytes: 0 })],
  [
    'PSS with SHA-256',
    pssNamed(derContext(0, SHA256), derContext(1, derSequence(MGF1, SHA384)), SALT_48),
  ],
  [
    'PSS with MGF1-SHA-256',
    pssNamed(derContext(0, SHA384), derContext(1, derSequence(MGF1, SHA256)), SALT_48),
  ],
  [
    'PSS with another mask',
    pssNamed(derContext(0, SHA384), derContext(1, derSequence(derOid('1.2.3'), SHA384)), SALT_48),
  ],
  ['PSS with the default hash', pssNamed(derContext(1, derSequence(MGF1, SHA384)), SALT_48)],
  [
    'PSS with the default salt',
    pssNamed(derContext(0, SHA384), derContext(1, derSequence(MGF1, SHA384))),
  ],
  ['PSS with every default', pssNamed()],
  [
    'PSS with another trailer',
    pssNamed(
      derContext(0, SHA384),
      derContext(1, derSequence(MGF1, SHA384)),
      SALT_48,
      derContext(3, derInteger(2)),
    ),
  ],
  [
    'PSS without parameters',
    scheme(derSequence(derOid('1.2.840.113549.1.1.10')), pssSha384().sign),
  ],
];

const UNKNOWN_ALGORITHM = 'only the one algorithm is verified';

function weakKey(title: string, member: 'root' | 'intermediate', bits: number): SnpCheckCase {
  return {
    id: 'chain.algorithms',
    title,
    faults: async () => ({ chain: { [member]: { keys: await generateRsaPss(bits) } } }),
  };
}

function foreignLeafKey(title: string, keys: () => Promise<CryptoKeyPair>): SnpCheckCase {
  return {
    id: 'chain.algorithms',
    title,
    faults: async () => ({ chain: { vek: { keys: await keys() } } }),
    alsoFails: ['report.signature'],
    why: 'another kind of key verifies no report',
  };
}

/** The SubjectPublicKeyInfo names RSASSA-PSS in place of RSA: 4 octets stay, the identifier changes its last. */
const AS_PSS_KEY = replaced('300d06092a864886f70d0101010500', '300d06092a864886f70d01010a0500');

const ALGORITHM_CASES: readonly SnpCheckCase[] = [
  ...FOREIGN_ALGORITHMS.flatMap(([title, foreign]) =>
    MEMBERS.map((member): SnpCheckCase => ({
      id: 'chain.algorithms',
      title: `${title} is refused (${member})`,
      faults: { chain: { [member]: { scheme: foreign } } },
      skips: ['chain.signatures'],
      why: UNKNOWN_ALGORITHM,
    })),
  ),
  weakKey('an intermediate of 2048 bits is refused', 'intermediate', 2048),
  weakKey('an intermediate of 3072 bits is refused', 'intermediate', 3072),
  weakKey('a root of 2048 bits is refused, although pinned', 'root', 2048),
  foreignLeafKey('a P-256 key in the leaf is refused', generateP256),
  foreignLeafKey('an RSA key in the leaf is refused', async () => await generateRsaPss(2048)),
  {
    id: 'chain.algorithms',
    title: 'a point that is not on the curve is refused',
    faults: {
      chain: { vek: { tbs: (tbs) => changedAfter(tbs, '2b81040022036200', 2) } },
    },
    alsoFails: ['report.signature'],
    why: 'what is no point is no key',
  },
  {
    id: 'chain.algorithms',
    title: 'an intermediate whose key is for PSS alone is refused',
    faults: { chain: { intermediate: { tbs: AS_PSS_KEY } } },
    skips: ['chain.signatures'],
    why: UNKNOWN_ALGORITHM,
  },
  {
    id: 'chain.algorithms',
    title: 'a root whose key is for PSS alone is refused',
    faults: { chain: { root: { tbs: AS_PSS_KEY } } },
    alsoFails: ['crl.signature'],
    skips: ['chain.signatures', 'chain.revoked'],
    why: 'a key of another kind verifies neither certificates nor lists',
  },
  {
    id: 'chain.algorithms',
    title: 'an intermediate on P-384 is refused, with the leaf that it signed',
    faults: async () => ({ chain: { intermediate: { keys: await generateP384() } } }),
    skips: ['chain.signatures'],
    why: UNKNOWN_ALGORITHM,
  },
];

/** One bit of the byte that stands so far behind the marker. */
function changedAfter(bytes: Uint8Array, marker: string, distance: number): Uint8Array {
  const at = toHex(bytes).indexOf(marker);
  if (at < 0) throw new Error(`a test looks for ${marker}, which is not there`);
  return flipped((at + marker.length) / 2 + distance)(bytes);
}

function signature(
  title: string,
  faults: CertificateFaults | ((pki: SnpTestPki) => CertificateFaults),
  members: readonly Member[] = MEMBERS,
): readonly SnpCheckCase[] {
  return members.map((member) => ({
    id: 'chain.signatures',
    title: `${title} (${member})`,
    faults: (pki) => ({
      chain: { [member]: typeof faults === 'function' ? faults(pki) : faults },
    }),
  }));
}

/** After two headers of four octets, five of the version and two of the serial's own. */
const SERIAL_OFFSET = 15;

const SIGNATURE_CASES: readonly SnpCheckCase[] = [
  ...signature('a certificate that a stranger signed is refused', ({ rsa }) => ({
    signedBy: rsa.stranger.privateKey,
  })),
  ...signature('a changed signature is refused', { der: (der) => flipped(der.length - 100)(der) }),
  ...signature('a serial changed after signing is refused', {
    der: flipped(SERIAL_OFFSET),
  }),
  ...signature('a salt of 32 bytes under an algorithm that says 48 is refused', {
    scheme: scheme(pssSha384().identifier, pssSha384({ saltBytes: 32 }).sign),
  }),
  ...signature('a signature in the older padding under the new name is refused', {
    scheme: scheme(pssSha384().identifier, signPkcs1),
  }),
  ...signature('a signature of nothing is refused', {
    scheme: scheme(pssSha384().identifier, async () => await Promise.resolve(new Uint8Array())),
  }),
  ...signature('a signature with a zero before it is refused', {
    scheme: scheme(pssSha384().identifier, async (key, data) =>
      concat(Uint8Array.of(0), await pssSha384().sign(key, data)),
    ),
  }),
  ...signature('a signature of zeros is refused', {
    scheme: scheme(pssSha384().identifier, async () => await Promise.resolve(new Uint8Array(512))),
  }),
  ...signature('a signature above the modulus is refused', {
    scheme: scheme(
      pssSha384().identifier,
      async () => await Promise.resolve(new Uint8Array(512).fill(0xff)),
    ),
  }),
  {
    id: 'chain.signatures',
    title: 'a leaf that the root signed itself is refused',
    faults: ({ rsa }) => ({ chain: { vek: { signedBy: rsa.ark.privateKey } } }),
  },
  {
    id: 'chain.signatures',
    title: 'a leaf that another product of the same root has is refused',
    faults: ({ rsa }) => ({ chain: { vek: { signedBy: rsa.asvk.privateKey } } }),
  },
];

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
  ...ALGORITHM_CASES,
  ...SIGNATURE_CASES,
  ...CONSTRAINT_CASES,
  ...VALIDITY_CASES,
];
