/** TCB info and QE identity with one thing wrong, each rule for both documents. Spec: tdx.md §2, §3 (17 to 25). @module */

import type { TdxCheckId } from '../../../../attestation/tdx/check-list.ts';
import { caConstraint, type CertificateProfile } from '../../../../attestation/x509.ts';
import { ed25519CryptoKeys } from '../../../../attestation/x509-keys.ts';
import { generateEd25519 } from '#primitives';
import { fromUtf8, toHex, utf8 } from '../../../../core/bytes.ts';
import { formatInstant } from '../../../../core/clock.ts';
import type { Json, JsonObject } from '../../../../core/json.ts';
import {
  sgxEntries,
  sgxExtension,
} from '../../../../enclave-worker/evidence/simulator/sgx-extension.ts';
import { pemChain } from '../../../../enclave-worker/evidence/simulator/simulator.ts';
import type { CollateralFaults, Faults } from '../../../support/tdx/case.ts';
import { issueAll, NOW_MS, PCK_FACTS, type TestPki } from '../../../support/tdx/pki.ts';
import { EXTENSION, withExtension, without, withSubject } from '../../../support/spoil.ts';
import { type CheckCase } from './check-case.ts';
import { expired, ofTomorrow } from './certificate-cases.ts';

interface DocumentKind {
  readonly name: 'tcbInfo' | 'qeIdentity';
  readonly member: 'tcbInfo' | 'enclaveIdentity';
  readonly chain: 'tcbInfoIssuerChain' | 'qeIdentityIssuerChain';
  readonly key: 'tcbInfoKey' | 'qeIdentityKey';
  readonly signer: 'tcbSigner' | 'qeSigner';
  /** What can be judged on a JSON object, whatever its members. */
  readonly needsObject: readonly TdxCheckId[];
  /** What needs every member in its form. */
  readonly needsContent: readonly TdxCheckId[];
}

const KINDS: readonly DocumentKind[] = [
  {
    name: 'tcbInfo',
    member: 'tcbInfo',
    chain: 'tcbInfoIssuerChain',
    key: 'tcbInfoKey',
    signer: 'tcbSigner',
    needsObject: [
      'tcbInfo.id',
      'tcbInfo.version',
      'tcbInfo.tcbType',
      'tcbInfo.fmspc',
      'tcbInfo.pceId',
    ],
    needsContent: [
      'tcbInfo.freshness',
      'tdxModule.identity',
      'tdxModule.mrsigner',
      'tdxModule.attributes',
    ],
  },
  {
    name: 'qeIdentity',
    member: 'enclaveIdentity',
    chain: 'qeIdentityIssuerChain',
    key: 'qeIdentityKey',
    signer: 'qeSigner',
    needsObject: ['qeIdentity.id', 'qeIdentity.version'],
    needsContent: [
      'qeIdentity.freshness',
      'qe.mrsigner',
      'qe.isvprodid',
      'qe.miscselect',
      'qe.attributes',
    ],
  },
];

type Change = (document: JsonObject) => Json;

function set(name: string, value: Json): Change {
  return (document) => ({ ...document, [name]: value });
}

function drop(name: string): Change {
  return (document) =>
    Object.fromEntries(Object.entries(document).filter(([member]) => member !== name));
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Changes the first level. */
function firstLevel(change: (level: JsonObject) => Json): Change {
  return (document) => {
    const levels = document['tcbLevels'];
    if (!Array.isArray(levels)) throw new Error('no levels');
    const list: readonly Json[] = levels;
    const [first, ...rest] = list;
    if (!isObject(first)) throw new Error('no first level');
    return { ...document, tcbLevels: [change(first), ...rest] };
  };
}

/** The first level once more, at the end and with another status. */
function firstLevelRevokedToo(document: JsonObject): Json {
  const levels = document['tcbLevels'];
  if (!Array.isArray(levels)) throw new Error('no levels');
  const list: readonly Json[] = levels;
  const [first] = list;
  if (!isObject(first)) throw new Error('no first level');
  return { ...document, tcbLevels: [...list, { ...first, tcbStatus: 'Revoked' }] };
}

function firstTcb(change: (tcb: JsonObject) => Json): Change {
  return firstLevel((level) => {
    const { tcb } = { tcb: level['tcb'] };
    if (!isObject(tcb)) throw new Error('no tcb');
    return { ...level, tcb: change(tcb) };
  });
}

/** Changes the body that would have been sent. */
function sentBody(
  { name }: DocumentKind,
  change: (body: string) => string | Uint8Array,
): CollateralFaults {
  return {
    sent: (collateral) => {
      const body = change(fromUtf8(collateral[name]));
      return { [name]: typeof body === 'string' ? utf8(body) : body };
    },
  };
}

const JUDGED_AS_IT_STANDS = 'the member itself is judged too, as it stands';
const UNREADABLE = 'nothing of an unreadable document can be judged';

function formatCases(kind: DocumentKind): readonly CheckCase[] {
  const { name, needsContent, needsObject } = kind;
  const malformed = (
    title: string,
    change: Change,
    alsoFails?: readonly TdxCheckId[],
  ): CheckCase => ({
    id: `${name}.format`,
    title,
    ...(alsoFails === undefined ? {} : { alsoFails }),
    faults: { collateral: { [name]: change } },
    skips: needsContent,
    why: alsoFails === undefined ? UNREADABLE : JUDGED_AS_IT_STANDS,
  });
  const unreadable = (title: string, change: (body: string) => string | Uint8Array): CheckCase => ({
    id: `${name}.format`,
    title,
    faults: { collateral: sentBody(kind, change) },
    skips: [...needsContent, ...needsObject, `${name}.signature`],
    why: UNREADABLE,
  });
  return [
    unreadable('what is not JSON is refused', () => 'not JSON'),
    unreadable('an empty body is refused', () => ''),
    unreadable('a list instead of an object is refused', () => '[]'),
    unreadable('a body without the document is refused', () => '{}'),
    unreadable('a byte order mark is refused', (body) => `\ufeff${body}`),
    unreadable('text after the object is refused', (body) => `${body}x`),
    unreadable('invalid UTF-8 is refused', (body) => {
      const bytes = utf8(body);
      bytes[20] = 0xff;
      return bytes;
    }),
    unreadable(
      'a second document behind the signed one is refused',
      (body) => `${body.slice(0, -1)},"${kind.member}":{}}`,
    ),
    unreadable(
      'a second document before the signed one is refused',
      (body) => `{"${kind.member}":{},${body.slice(1)}`,
    ),
    unreadable('a repeated member inside is refused', (body) =>
      body.replace('"version":', '"version":9,"version":'),
    ),
    unreadable('nesting without end is refused', (body) =>
      body.replace('"version":', `"deep":${'['.repeat(1000)}${']'.repeat(1000)},"version":`),
    ),
    ...(['id', 'version'] as const).map((member) =>
      malformed(`a missing ${member} is refused`, drop(member), [`${name}.${member}`]),
    ),
    ...['issueDate', 'nextUpdate', 'tcbEvaluationDataNumber', 'tcbLevels'].map((member) =>
      malformed(`a missing ${member} is refused`, drop(member)),
    ),
    malformed('a version that is text is refused', set('version', '3'), [`${name}.version`]),
    malformed('a nextUpdate that is no date is refused', set('nextUpdate', 'tomorrow')),
    malformed('an issueDate of 31 February is refused', set('issueDate', '2026-02-31T00:00:00Z')),
    malformed('an evaluation number below zero is refused', set('tcbEvaluationDataNumber', -1)),
    malformed('a fraction as evaluation number is refused', set('tcbEvaluationDataNumber', 19.5)),
    malformed('an empty list of levels is refused', set('tcbLevels', [])),
    malformed(
      'an unknown status is refused',
      firstLevel((level) => ({ ...level, tcbStatus: 'Fine' })),
    ),
    malformed(
      'a status in another case is refused',
      firstLevel((level) => ({ ...level, tcbStatus: 'upToDate' })),
    ),
    malformed(
      'a level without a date is refused',
      firstLevel(({ tcb, tcbStatus }) => ({ tcb: tcb ?? null, tcbStatus: tcbStatus ?? null })),
    ),
    malformed('two levels of the same SVNs are refused', firstLevelRevokedToo),
    malformed(
      'an empty advisory is refused',
      firstLevel((level) => ({ ...level, advisoryIDs: [''] })),
    ),
    malformed(
      'an advisory that is a number is refused',
      firstLevel((level) => ({ ...level, advisoryIDs: [86] })),
    ),
    malformed(
      'an advisory without end is refused',
      firstLevel((level) => ({ ...level, advisoryIDs: ['A'.repeat(1000)] })),
    ),
    malformed(
      'advisories that are no list are refused',
      firstLevel((level) => ({ ...level, advisoryIDs: 'INTEL-SA-00001' })),
    ),
  ];
}

const COMPONENTS_15 = Array.from({ length: 15 }, () => ({ svn: 0 }));
const COMPONENTS_17 = Array.from({ length: 17 }, () => ({ svn: 0 }));
const COMPONENT_256 = Array.from({ length: 16 }, () => ({ svn: 256 }));
const COMPONENT_TEXT = Array.from({ length: 16 }, () => ({ svn: '0' }));

function tcbInfoFormat(
  title: string,
  change: Change,
  alsoFails?: readonly TdxCheckId[],
): CheckCase {
  const skips = KINDS.flatMap((kind) => (kind.name === 'tcbInfo' ? kind.needsContent : []));
  return {
    id: 'tcbInfo.format',
    title,
    faults: { collateral: { tcbInfo: change } },
    ...(alsoFails === undefined ? {} : { alsoFails }),
    skips,
    why: alsoFails === undefined ? UNREADABLE : JUDGED_AS_IT_STANDS,
  };
}

const MODULE: JsonObject = {
  id: 'TDX_01',
  mrsigner: '00'.repeat(48),
  attributes: '0000000000000000',
  attributesMask: 'FFFFFFFFFFFFFFFF',
  tcbLevels: [{ tcb: { isvsvn: 5 }, tcbDate: '2025-11-12T00:00:00Z', tcbStatus: 'UpToDate' }],
};

const TCB_INFO_FORMAT_CASES: readonly CheckCase[] = [
  ...(['fmspc', 'pceId', 'tcbType'] as const).map((member) =>
    tcbInfoFormat(`a missing ${member} is refused`, drop(member), [`tcbInfo.${member}`]),
  ),
  tcbInfoFormat('a missing tdxModule is refused', drop('tdxModule')),
  ...(['sgxtcbcomponents', 'tdxtcbcomponents'] as const).flatMap((list) => [
    tcbInfoFormat(
      `a level without ${list} is refused`,
      firstTcb((tcb) =>
        Object.fromEntries(Object.entries(tcb).filter(([member]) => member !== list)),
      ),
    ),
    ...(
      [
        ['15 entries', COMPONENTS_15],
        ['17 entries', COMPONENTS_17],
        ['an SVN of 256', COMPONENT_256],
        ['an SVN that is text', COMPONENT_TEXT],
      ] as const
    ).map(([what, value]) =>
      tcbInfoFormat(
        `${list} with ${what} is refused`,
        firstTcb((tcb) => ({ ...tcb, [list]: value })),
      ),
    ),
  ]),
  tcbInfoFormat(
    'a PCESVN of 65536 is refused',
    firstTcb((tcb) => ({ ...tcb, pcesvn: 65536 })),
  ),
  tcbInfoFormat('an FMSPC of five bytes is refused', set('fmspc', 'c0ffee0000'), ['tcbInfo.fmspc']),
  tcbInfoFormat(
    'two module identities with one id are refused, in whatever case',
    set('tdxModuleIdentities', [MODULE, { ...MODULE, id: 'tdx_01' }]),
  ),
  tcbInfoFormat(
    'a module signer of 47 bytes is refused',
    set('tdxModuleIdentities', [{ ...MODULE, mrsigner: '00'.repeat(47) }]),
  ),
  tcbInfoFormat(
    'a module signer that is not hexadecimal is refused',
    set('tdxModuleIdentities', [{ ...MODULE, mrsigner: 'zz'.repeat(48) }]),
  ),
  tcbInfoFormat(
    'a module without levels is refused',
    set('tdxModuleIdentities', [{ ...MODULE, tcbLevels: [] }]),
  ),
  tcbInfoFormat(
    'a module status that only platforms have is refused',
    set('tdxModuleIdentities', [
      {
        ...MODULE,
        tcbLevels: [
          { tcb: { isvsvn: 5 }, tcbDate: '2025-11-12T00:00:00Z', tcbStatus: 'ConfigurationNeeded' },
        ],
      },
    ]),
  ),
];

const QE_IDENTITY_FORMAT_CASES: readonly CheckCase[] = [
  'miscselect',
  'miscselectMask',
  'attributes',
  'attributesMask',
  'mrsigner',
  'isvprodid',
].map((member) => ({
  id: 'qeIdentity.format',
  title: `a missing ${member} is refused`,
  faults: { collateral: { qeIdentity: drop(member) } },
  skips: KINDS.flatMap((kind) => (kind.name === 'qeIdentity' ? kind.needsContent : [])),
  why: UNREADABLE,
}));

function chainCases(kind: DocumentKind): readonly CheckCase[] {
  const { name, chain, signer } = kind;
  const noSigner = (title: string, sent: NonNullable<CollateralFaults['sent']>): CheckCase => ({
    id: `${name}.chain`,
    title,
    faults: { collateral: { sent } },
    skips: [
      `${name}.signerRole`,
      `${name}.signerValidity`,
      `${name}.signerRevoked`,
      `${name}.signature`,
    ],
    why: 'without exactly two certificates nobody is the signer',
  });
  return [
    noSigner('an empty chain is refused', () => ({ [chain]: '' })),
    noSigner('a chain that is no PEM is refused', () => ({ [chain]: 'PEM' })),
    noSigner('a signer without its root is refused', (_, certificates) => ({
      [chain]: pemChain(certificates[signer]),
    })),
    noSigner('an unrelated third certificate is refused', (_, certificates) => ({
      [chain]: pemChain(certificates[signer], certificates.root, certificates.intermediate),
    })),
    {
      id: `${name}.chain`,
      title: 'another certificate of the same root key is refused',
      faults: async (pki) => ({
        collateral: {
          sent: ((other) => (_, certificates) => ({
            [chain]: pemChain(certificates[signer], other.root),
          }))(await issueAll(pki, {})),
        },
      }),
    },
    {
      id: `${name}.chain`,
      title: 'a signer with an Ed25519 key is refused',
      faults: async () => {
        const { publicKey } = await ed25519CryptoKeys(generateEd25519());
        return {
          certificates: { [signer]: (profile: CertificateProfile) => ({ ...profile, publicKey }) },
        };
      },
      skips: [
        `${name}.signerRole`,
        `${name}.signerValidity`,
        `${name}.signerRevoked`,
        `${name}.signature`,
      ],
      why: 'a certificate that cannot be read is nobody',
    },
    {
      id: `${name}.chain`,
      title: 'a signer that the root did not sign is refused',
      faults: ({ strangerKeys }) => ({ certificates: { signedBy: { [signer]: strangerKeys } } }),
    },
  ];
}

const SGX_EXTENSION = sgxExtension(sgxEntries(PCK_FACTS));
const CERT_SIGN_ONLY = {
  oid: EXTENSION.keyUsage,
  critical: true,
  value: Uint8Array.of(0x03, 0x02, 0x02, 0x04),
};

function signerCases({ name, signer, key, chain }: DocumentKind): readonly CheckCase[] {
  return [
    {
      id: `${name}.signerRole`,
      title: 'a signer with another common name is refused',
      faults: { certificates: { [signer]: withSubject('Intel SGX PCK Certificate') } },
    },
    {
      id: `${name}.signerRole`,
      title: 'a signer that is a CA is refused',
      faults: { certificates: { [signer]: withExtension(caConstraint(0)) } },
    },
    {
      id: `${name}.signerRole`,
      title: 'a signer that carries the SGX extension of a platform is refused',
      faults: { certificates: { [signer]: withExtension(SGX_EXTENSION) } },
    },
    {
      id: `${name}.signerRole`,
      title: 'a signer that may not sign data is refused',
      faults: { certificates: { [signer]: withExtension(CERT_SIGN_ONLY) } },
    },
    {
      id: `${name}.signerRole`,
      title: 'a signer without key usage is refused',
      faults: { certificates: { [signer]: without(EXTENSION.keyUsage) } },
    },
    {
      id: `${name}.signerRole`,
      title: 'the root key itself may not sign the document',
      faults: ({ root }) => ({
        collateral: {
          [key]: root.keys.privateKey,
          sent: (_, certificates) => ({ [chain]: pemChain(certificates.root, certificates.root) }),
        },
      }),
    },
    {
      id: `${name}.signerValidity`,
      title: 'an expired signer is refused',
      faults: { certificates: { [signer]: expired } },
    },
    {
      id: `${name}.signerValidity`,
      title: 'a signer of tomorrow is refused',
      faults: { certificates: { [signer]: ofTomorrow } },
    },
  ];
}

function signatureCases(kind: DocumentKind): readonly CheckCase[] {
  const { name, key } = kind;
  const altered = (title: string, change: (body: string) => string): CheckCase => ({
    id: `${name}.signature`,
    title,
    faults: { collateral: sentBody(kind, change) },
  });
  return [
    {
      id: `${name}.signature`,
      title: 'a document signed by another key is refused',
      faults: ({ strangerKeys }) => ({ collateral: { [key]: strangerKeys.privateKey } }),
    },
    {
      id: `${name}.signature`,
      title: 'the platform key may not sign the document',
      faults: ({ pck }) => ({ collateral: { [key]: pck.keys.privateKey } }),
    },
    altered('a status raised after signing is refused', (body) =>
      body.replace('"OutOfDate"', '"UpToDate"'),
    ),
    altered('a document printed again is refused, although it says the same', (body) =>
      body.replaceAll('":', '": '),
    ),
    altered('an all-zero signature is refused', (body) =>
      body.replace(/"signature":"[0-9a-f]+"/, `"signature":"${'0'.repeat(128)}"`),
    ),
    altered('a truncated signature is refused', (body) => body.replace(/[0-9a-f]{2}"\}$/, '"}')),
    altered('a missing signature is refused', (body) => body.replace(/,"signature":"[^"]*"/, '')),
  ];
}

function contentCases({ name }: DocumentKind): readonly CheckCase[] {
  const change = (id: TdxCheckId, title: string, value: Change): CheckCase => ({
    id,
    title,
    faults: { collateral: { [name]: value } },
  });
  const instant = (ms: number): string => formatInstant(ms);
  return [
    change(
      `${name}.freshness`,
      'a document past its next update is refused',
      set('nextUpdate', instant(NOW_MS - 1000)),
    ),
    change(
      `${name}.freshness`,
      'a document of tomorrow is refused',
      set('issueDate', instant(NOW_MS + 1000)),
    ),
    change(`${name}.version`, 'an older version is refused', set('version', 1)),
    change(`${name}.version`, 'a later version is refused', set('version', 4)),
  ];
}

const OTHER_CONTENT_CASES: readonly CheckCase[] = [
  {
    id: 'tcbInfo.id',
    title: 'TCB info about SGX is refused',
    faults: { collateral: { tcbInfo: set('id', 'SGX') } },
  },
  {
    id: 'tcbInfo.tcbType',
    title: 'another way of comparing levels is refused',
    faults: { collateral: { tcbInfo: set('tcbType', 1) } },
  },
  {
    id: 'tcbInfo.fmspc',
    title: 'TCB info about another family of machines is refused',
    faults: { collateral: { tcbInfo: set('fmspc', 'c0ffee000001') } },
  },
  {
    id: 'tcbInfo.pceId',
    title: 'TCB info about another provisioning enclave is refused',
    faults: { collateral: { tcbInfo: set('pceId', '0001') } },
  },
  {
    id: 'qeIdentity.id',
    title: 'the identity of the SGX quoting enclave is refused',
    faults: { collateral: { qeIdentity: set('id', 'QE') } },
  },
  {
    id: 'qe.mrsigner',
    title: 'an identity that asks for another signer is refused',
    faults: { collateral: { qeIdentity: set('mrsigner', toHex(new Uint8Array(32))) } },
  },
];

/** A PCK leaf with its own genuine chain in place of the signer: Intel signed it, but for another purpose. */
function roleConfusion({ name, chain, key }: DocumentKind): CheckCase {
  return {
    id: `${name}.signerRole`,
    title: 'a PCK leaf with its own chain may not sign the document',
    faults: (pki: TestPki): Faults => ({
      collateral: {
        [key]: pki.pck.keys.privateKey,
        sent: (_, { pck, root }) => ({ [chain]: pemChain(pck, root) }),
      },
    }),
    alsoFails: [`${name}.chain`],
    why: 'the root did not issue the leaf',
  };
}

export const DOCUMENT_CASES: readonly CheckCase[] = [
  ...KINDS.flatMap((kind) => [
    ...formatCases(kind),
    ...chainCases(kind),
    ...signerCases(kind),
    roleConfusion(kind),
    ...signatureCases(kind),
    ...contentCases(kind),
  ]),
  ...TCB_INFO_FORMAT_CASES,
  ...QE_IDENTITY_FORMAT_CASES,
  ...OTHER_CONTENT_CASES,
];
