/** Chains signed with the wrong algorithm, by the wrong key or not at all. Spec: RFC 4055 §3.1; sev-snp.md §2. @module */

import {
  derContext,
  derInteger,
  derNull,
  derOid,
  derSequence,
} from '../../../../attestation/der-writer.ts';
import {
  exportPrivateKey,
  generateP256,
  generateP384,
  generateRsaPss,
  pssSha384,
  type SignatureScheme,
} from '../../../../attestation/x509-keys.ts';
import { concat, toHex } from '../../../../core/bytes.ts';
import { flipped, replaced } from '../../../support/changes.ts';
import type { CertificateFaults, SnpTestPki } from '../../../support/snp/pki.ts';
import { MEMBERS, type Member, type SnpCheckCase } from './check-case.ts';

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

/** ecdsa-with-SHA256 over two numbers. */
const ECDSA_P256 = scheme(
  derSequence(derOid('1.2.840.10045.4.3.2')),
  async () => await Promise.resolve(derSequence(derInteger(1), derInteger(1))),
);

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
  weakKey('an intermediate of 4095 bits is refused', 'intermediate', 4095),
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
    title: 'an intermediate with an even modulus is refused',
    // The modulus ends where the exponent begins.
    faults: { chain: { intermediate: { tbs: (tbs) => changedBefore(tbs, '0203010001') } } },
    alsoFails: ['chain.signatures'],
    why: 'what is no key has signed nothing',
  },
  {
    id: 'chain.algorithms',
    title: 'a leaf that says ECDSA below an RSA key is refused',
    faults: { chain: { vek: { scheme: ECDSA_P256 } } },
    alsoFails: ['chain.signatures'],
    why: 'a signature of another kind fits no RSA key',
  },
  {
    id: 'chain.algorithms',
    title: 'an intermediate on P-384 is refused, with the leaf that it signed',
    faults: async () => ({ chain: { intermediate: { keys: await generateP384() } } }),
    skips: ['chain.signatures'],
    why: UNKNOWN_ALGORITHM,
  },
];

/** The lowest bit of the byte before the last marker. */
function changedBefore(bytes: Uint8Array, marker: string): Uint8Array {
  const at = toHex(bytes).lastIndexOf(marker);
  if (at < 0) throw new Error(`a test looks for ${marker}, which is not there`);
  return flipped(at / 2 - 1)(bytes);
}

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

export const CHAIN_SIGNATURE_CASES: readonly SnpCheckCase[] = [
  ...ALGORITHM_CASES,
  ...SIGNATURE_CASES,
];
