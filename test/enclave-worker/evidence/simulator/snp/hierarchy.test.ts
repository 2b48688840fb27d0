/**
 * Certificates and lists of the AMD-shaped hierarchy: read back by OpenSSL and by our own readers, and compared with
 * AMD's real ones, which our writers write again byte for byte. Spec: AMD 57230, 58369; sev-snp.md §2.
 * @module
 */

import assert from 'node:assert/strict';
import { constants, KeyObject, verify, X509Certificate } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { parseCertificate, type Certificate } from '../../../../../attestation/pki/certificate.ts';
import { parseCrl } from '../../../../../attestation/pki/crl.ts';
import { DerReader } from '../../../../../attestation/der.ts';
import { derOctets } from '../../../../../attestation/der-writer.ts';
import {
  crlDistributionPoint,
  crlNumber,
  issueCrl,
  writeTbsCertificate,
  writeTbsCrl,
  type CertificateProfile,
  type DistinguishedName,
} from '../../../../../attestation/x509.ts';
import { pssSha384 } from '../../../../../attestation/x509-keys.ts';
import { fromHex, toHex } from '../../../../../core/bytes.ts';
import {
  amdName,
  arkCrlProfile,
  arkProfile,
  intermediateProfile,
  SNP_DEVELOPMENT_ORGANIZATION,
  vekProfile,
  type AmdProduct,
} from '../../../../../enclave-worker/evidence/simulator/snp/hierarchy.ts';
import {
  vekEntries,
  vekExtensions,
  type VekEntry,
  type VekFacts,
} from '../../../../../enclave-worker/evidence/simulator/snp/vek-extensions.ts';
import {
  corpusFile,
  corpusReports,
  hasCorpus,
  reportFieldsOf,
  type CorpusReport,
} from '../../../../support/snp/amd-corpus.ts';
import {
  createSnpTestPki,
  type Certificates,
  type SnpTestPki,
} from '../../../../support/snp/pki.ts';

let pki: SnpTestPki;
before(async () => {
  pki = await createSnpTestPki();
});

const KINDS = (['Milan', 'Genoa', 'Turin'] as const).flatMap((product) =>
  (['vcek', 'vlek'] as const).map((signer) => ({ product, signer })),
);
const INTERMEDIATE_NAME = { vcek: 'SEV', vlek: 'SEV-VLEK' } as const;

function openssl({ root, intermediate, vek }: Certificates): readonly X509Certificate[] {
  return [root, intermediate, vek].map(({ der }) => new X509Certificate(der));
}

function subjectOf(commonName: string): string {
  return [
    'OU=Engineering',
    'C=US',
    'L=Santa Clara',
    'ST=CA',
    `O=${SNP_DEVELOPMENT_ORGANIZATION}`,
    `CN=${commonName}`,
  ]
    .join('\n')
    .replace('development, not', String.raw`development\, not`);
}

for (const kind of KINDS) {
  const { product, signer } = kind;
  describe(`${signer} of ${product}`, () => {
    test('OpenSSL finds the chain in order, with the names that are demanded', async () => {
      const [root, intermediate, vek] = openssl(await pki.sound(kind));
      assert.ok(root !== undefined && intermediate !== undefined && vek !== undefined);
      assert.equal(root.subject, subjectOf(`ARK-${product}`));
      assert.equal(intermediate.subject, subjectOf(`${INTERMEDIATE_NAME[signer]}-${product}`));
      assert.equal(vek.subject, subjectOf(`SEV-${signer.toUpperCase()}`));
      assert.equal(root.checkIssued(root) && root.verify(root.publicKey), true);
      assert.equal(intermediate.checkIssued(root) && intermediate.verify(root.publicKey), true);
      assert.equal(vek.checkIssued(intermediate) && vek.verify(intermediate.publicKey), true);
      assert.deepEqual([root.ca, intermediate.ca, vek.ca], [true, true, false]);
      assert.equal(root.publicKey.asymmetricKeyDetails?.modulusLength, 4096);
      assert.equal(intermediate.publicKey.asymmetricKeyDetails?.modulusLength, 4096);
      assert.equal(vek.publicKey.asymmetricKeyDetails?.namedCurve, 'secp384r1');
      assert.equal(vek.serialNumber, '0');
    });

    test('our reader finds signatures and roles', async () => {
      const { root, intermediate, vek } = await pki.sound(kind);
      const [ark, middle, leaf] = [root, intermediate, vek].map(({ der }) => parseCertificate(der));
      assert.ok(ark !== undefined && middle !== undefined && leaf !== undefined);
      assert.equal(ark.signed?.isSignedBy(ark.publicKey), true);
      assert.equal(middle.signed?.isSignedBy(ark.publicKey), true);
      assert.equal(leaf.signed?.isSignedBy(middle.publicKey), true);
      assert.deepEqual(
        [ark.pathLength, ark.maySignCertificates, ark.maySignCrls],
        [undefined, true, true],
      );
      assert.deepEqual(
        [middle.pathLength, middle.maySignCertificates, middle.maySignCrls],
        [0, true, false],
      );
      assert.deepEqual([leaf.isCa, leaf.maySignCertificates], [false, false]);
    });
  });
}

test('the list of the root is signed with PSS and a salt of 48 bytes', async () => {
  const { root } = await pki.sound({ product: 'Genoa', signer: 'vcek' });
  const times = { thisUpdateMs: Date.UTC(2026, 0, 1), nextUpdateMs: Date.UTC(2027, 0, 1) };
  const crl = parseCrl(await issueCrl(await arkCrlProfile(root, times), root.keys.privateKey));
  const key = KeyObject.from(root.keys.publicKey);
  const options = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 };
  assert.equal(verify('sha384', crl.signed.bytes, options, crl.signed.signature), true);
  assert.equal(crl.nextUpdateMs, times.nextUpdateMs);
  assert.equal(crl.revokedSerials.size, 0);
});

test('a leaf has its extensions in the order and form of AMD', () => {
  const text = (facts: VekFacts): readonly string[] =>
    vekEntries(facts).map(({ arc, value }) => `${arc} ${toHex(value)}`);
  const tcb = { bootloader: 10, tee: 0, snp: 23, microcode: 219 };
  const unused = ['3.5 020100', '3.6 020100', '3.7 020100'];
  assert.deepEqual(text({ productName: 'Genoa', tcb, hwId: fromHex('abcd') }), [
    '1 020100',
    '2 160547656e6f61',
    '3.1 02010a',
    '3.2 020100',
    '3.4 020100',
    ...unused,
    '3.3 020117',
    '3.8 020200db',
    '4 abcd',
  ]);
  assert.deepEqual(text({ productName: 'Turin', tcb: { fmc: 1, ...tcb }, cspId: 'CN=x' }), [
    '1 020101',
    '2 1605547572696e',
    '3.9 020101',
    '3.1 02010a',
    '3.2 020100',
    '3.3 020117',
    ...unused,
    '3.8 020200db',
    '5 1604434e3d78',
  ]);
});

/** Under the name of who really made the certificate. */
function byAmd(profile: CertificateProfile): CertificateProfile {
  const organization = 'Advanced Micro Devices';
  return {
    ...profile,
    subject: { ...profile.subject, organization },
    issuer: { ...profile.issuer, organization },
  };
}

/** What of a certificate cannot be made again: dates, key and key identifiers. */
async function given(
  der: Uint8Array,
): Promise<{ readonly read: Certificate; readonly publicKey: CryptoKey }> {
  const read = parseCertificate(der);
  const key = new X509Certificate(der).publicKey;
  const spki = new Uint8Array(key.export({ format: 'der', type: 'spki' }));
  const algorithm =
    key.asymmetricKeyType === 'ec'
      ? { name: 'ECDSA', namedCurve: 'P-384' }
      : { name: 'RSA-PSS', hash: 'SHA-384' };
  const publicKey = await crypto.subtle.importKey('spki', spki, algorithm, true, ['verify']);
  return { read, publicKey };
}

function tbsOf(der: Uint8Array): string {
  return toHex(
    DerReader.over(der, 64 * 1024)
      .sequence('certificate')
      .any('tbs').raw,
  );
}

const AMD_PRODUCT = { milan: 'Milan', genoa: 'Genoa', turin: 'Turin' } as const;
const SCHEMES = [pssSha384(), pssSha384({ trailer: 'written' })];

async function couldWriteLeaf({ fields, vek = '' }: CorpusReport): Promise<boolean> {
  const der = corpusFile(vek);
  const { read, publicKey } = await given(der);
  const product = AMD_PRODUCT[fields.product];
  const { signer } = fields;
  const { reportedTcb, chipId } = reportFieldsOf(fields);
  const facts: VekFacts = {
    productName: signer === 'vcek' && product === 'Milan' ? 'Milan-B0' : product,
    tcb: reportedTcb,
    ...(signer === 'vlek'
      ? { cspId: fields.csp_id ?? '' }
      : { hwId: product === 'Turin' ? chipId.subarray(0, 8) : chipId }),
  };
  const keys = { publicKey, privateKey: publicKey };
  const intermediate = { name: amdName(signer === 'vcek' ? 'ask' : 'asvk', product), keys };
  const vekAuthority = { name: amdName(signer, product), keys };
  const profile = byAmd(vekProfile(vekAuthority, intermediate, read, facts));
  // Two forms of hwID are in the field: the bare bytes, and in older leaves an OCTET STRING.
  const wrapped = (entry: VekEntry): VekEntry =>
    entry.arc === '4' ? { arc: '4', value: derOctets(entry.value) } : entry;
  const older = { ...profile, extensions: vekExtensions(vekEntries(facts).map(wrapped)) };
  const forms = await Promise.all(
    SCHEMES.flatMap((scheme) =>
      [profile, older].map(async (form) => toHex(await writeTbsCertificate(form, scheme))),
    ),
  );
  return forms.includes(tbsOf(der));
}

describe('leaves of AMD are written again byte for byte', { skip: !hasCorpus }, () => {
  const real = corpusReports().filter(({ vek }) => vek?.startsWith('certs/amd-real-') === true);
  for (const known of real) {
    test(known.id, async () => assert.ok(await couldWriteLeaf(known)));
  }
});

type Ca = 'ark' | 'ask' | 'asvk';

async function caTbs(role: Ca, product: AmdProduct, der: Uint8Array): Promise<string> {
  const { read, publicKey } = await given(der);
  const name: DistinguishedName = amdName(role, product);
  const subject = { name, keys: { publicKey, privateKey: publicKey } };
  const ark = await given(corpusFile(`anchors/${product.toLowerCase()}-ark.der`));
  const issuer = {
    name: amdName('ark', product),
    keys: { publicKey: ark.publicKey, privateKey: ark.publicKey },
  };
  const validity = { ...read, product };
  const ours =
    role === 'ark'
      ? await arkProfile(subject, validity)
      : await intermediateProfile(role, subject, issuer, validity);
  const list = crlDistributionPoint(
    `https://kdsintf.amd.com/${role === 'asvk' ? 'vlek' : 'vcek'}/v1/${product}/crl`,
  );
  const profile = byAmd({
    ...ours,
    serial: fromHex(read.serial),
    extensions: ours.extensions.map((extension) => (extension.oid === list.oid ? list : extension)),
  });
  return toHex(await writeTbsCertificate(profile, pssSha384({ trailer: 'written' })));
}

describe('authorities of AMD are written again byte for byte', { skip: !hasCorpus }, () => {
  for (const product of ['Milan', 'Genoa', 'Turin'] as const) {
    for (const role of ['ark', 'ask', 'asvk'] as const) {
      test(`${role} of ${product}`, async () => {
        const der = corpusFile(`anchors/${product.toLowerCase()}-${role}.der`);
        assert.equal(await caTbs(role, product, der), tbsOf(der));
      });
    }
  }
});

test(
  "AMD's list with a revoked authority is written again byte for byte",
  { skip: !hasCorpus },
  async () => {
    const pem = new TextDecoder().decode(corpusFile('crls/amd-genoa.crl.pem'));
    const der = new Uint8Array(Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64'));
    const read = parseCrl(der);
    const { publicKey } = await given(corpusFile('anchors/genoa-ark.der'));
    const ark = { name: amdName('ark', 'Genoa'), keys: { publicKey, privateKey: publicKey } };
    const revoked = {
      serial: fromHex('020001'),
      revokedMs: Date.UTC(2022, 9, 31, 12),
      reason: 'unsaid',
    } as const;
    const profile = await arkCrlProfile(ark, read, [revoked]);
    const ours = {
      ...profile,
      issuer: { ...profile.issuer, organization: 'Advanced Micro Devices' },
      extensions: profile.extensions.map((extension) =>
        extension.oid === crlNumber(0).oid ? crlNumber(4) : extension,
      ),
    };
    assert.equal(toHex(writeTbsCrl(ours, pssSha384())), tbsOf(der));
  },
);
