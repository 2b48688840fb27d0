/** Cases about hardware report, blob, runtime data and attestation key. @module */

import { sha256 } from '#primitives';
import {
  ascii,
  concat,
  fixed,
  fromBase64Url,
  fromHex,
  toBase64Url,
  utf8,
} from '../../../../core/bytes.ts';
import {
  reportDataFor,
  TDX_REPORT_TYPE,
  VTPM,
  type AzureFaults,
} from '../../../support/azure/case.ts';
import { attestationKeyOf, runtimeDataOf } from '../../../support/azure/runtime-data.ts';
import { createVtpm } from '../../../support/azure/vtpm.ts';
import { NEEDS_BLOB, NEEDS_CLAIMS, NO_BLOB, NO_CLAIMS, type AzureCheckCase } from './check-case.ts';

const NOT_GENUINE = 'a policy has nothing to say about hardware that is not genuine';

const GENUINE: readonly AzureCheckCase[] = [
  {
    id: 'azure.hardware',
    title: 'a report that another key has signed',
    only: 'snp',
    faults: (pki) => ({ snp: { report: { key: pki.strangerVek.privateKey } } }),
    skips: ['azure.policy.hardware'],
    why: NOT_GENUINE,
    hardwareFails: ['report.signature'],
  },
  {
    id: 'azure.hardware',
    title: 'a quote that nobody has signed',
    only: 'tdx',
    faults: { tdx: { quote: { auth: (auth) => ({ ...auth, signature: new Uint8Array(64) }) } } },
    skips: ['azure.policy.hardware'],
    why: NOT_GENUINE,
    hardwareFails: ['quote.signature'],
  },
  {
    id: 'azure.hardware',
    title: 'no quote at all',
    only: 'tdx',
    faults: { tdx: { quote: { bytes: () => new Uint8Array(0) } } },
    skips: ['azure.runtimeData', 'azure.policy.hardware'],
    alsoFails: ['azure.policy.paravisor'],
    why: 'an unreadable quote has no report data and no measurement',
    hardwareFails: ['quote.format'],
  },
  {
    id: 'azure.vmpl',
    title: 'a report that the guest asked for, where the policy allows it',
    only: 'snp',
    faults: { snp: { report: { fields: { vmpl: 2 } }, policy: { vmpls: { anyOf: [0, 2] } } } },
  },
];

const BLOB: readonly AzureCheckCase[] = [
  {
    id: 'azure.hcl',
    title: 'another signature in front',
    only: 'tdx',
    faults: { hcl: { magic: ascii('HCLB') } },
    skips: NEEDS_BLOB,
    why: NO_BLOB,
  },
  {
    id: 'azure.hcl',
    title: 'a blob that says SEV-SNP beside a TDX quote',
    only: 'tdx',
    faults: { hcl: { reportType: 2 } },
    skips: NEEDS_BLOB,
    why: NO_BLOB,
  },
  {
    id: 'azure.hcl',
    title: 'no blob',
    only: 'tdx',
    faults: { blob: () => new Uint8Array(0) },
    skips: NEEDS_BLOB,
    why: NO_BLOB,
  },
  {
    id: 'azure.hcl',
    title: 'a blob that says TDX in place of SEV-SNP',
    only: 'snp',
    faults: { hcl: { reportType: TDX_REPORT_TYPE } },
    alsoFails: ['azure.hardware', 'azure.policy.paravisor'],
    skips: ['azure.vmpl', ...NEEDS_BLOB, 'azure.policy.hardware'],
    why: 'an SEV-SNP report lies in the blob',
    hardwareFails: ['hcl.format'],
  },
  {
    id: 'azure.runtimeData',
    title: 'runtime data that the report does not bind',
    only: 'tdx',
    faults: { bound: () => reportDataFor(utf8('{}')) },
  },
  {
    id: 'azure.runtimeData',
    title: 'runtime data that the report does not bind',
    only: 'snp',
    faults: { bound: () => reportDataFor(utf8('{}')) },
    alsoFails: ['azure.hardware'],
    skips: ['azure.policy.hardware'],
    why: 'the SEV-SNP part judges the blob too',
    hardwareFails: ['hcl.runtimeData'],
  },
  {
    id: 'azure.runtimeData',
    title: 'the digest in the second half of the report data',
    only: 'tdx',
    faults: { bound: (data) => fixed(concat(new Uint8Array(32), sha256(data)), 64) },
  },
];

function withKey(key: Readonly<Record<string, unknown>>): AzureFaults {
  return { claims: (claims) => ({ ...claims, keys: [key] }) };
}

function claimsCase(title: string, faults: AzureFaults): AzureCheckCase {
  return { id: 'azure.claims', title, faults, skips: NEEDS_CLAIMS, why: NO_CLAIMS };
}

const AK = attestationKeyOf(VTPM);

const CLAIMS: readonly AzureCheckCase[] = [
  claimsCase('runtime data that are no JSON', { runtimeData: utf8('{"keys":[') }),
  claimsCase('no runtime data', { runtimeData: new Uint8Array(0) }),
  claimsCase('no keys', { claims: (claims) => ({ ...claims, keys: undefined }) }),
  claimsCase('no attestation key', withKey({ ...AK, kid: 'HCLEkPub' })),
  claimsCase('two attestation keys', { claims: (claims) => ({ ...claims, keys: [AK, AK] }) }),
  claimsCase('an attestation key that is not of RSA', withKey({ ...AK, kty: 'EC' })),
  claimsCase('a modulus that is not base64url', withKey({ ...AK, n: `${VTPM.modulus}=` })),
  claimsCase(
    'an exponent of five bytes',
    withKey({ ...AK, e: toBase64Url(fromHex('0100000001')) }),
  ),
  claimsCase('no user data', { claims: (claims) => ({ ...claims, 'user-data': undefined }) }),
  claimsCase('user data of 63 bytes', {
    claims: (claims) => ({ ...claims, 'user-data': claims['user-data'].slice(2) }),
  }),
  claimsCase('a name that comes twice', {
    runtimeData: utf8(
      new TextDecoder()
        .decode(runtimeDataOf({ keys: [AK], 'user-data': '00'.repeat(64) }))
        .replace('"user-data"', '"keys":[],"user-data"'),
    ),
  }),
];

const NOT_ASKED = { unchecked: 'not asked for by this test' };

function keyCase(title: string, faults: AzureFaults): AzureCheckCase {
  return {
    id: 'azure.attestationKey',
    title,
    faults: { ...faults, policy: { pcrs: NOT_ASKED } },
    skips: ['azure.quote.signature'],
    why: 'what is no key has signed nothing',
  };
}

const PADDED = toBase64Url(concat(Uint8Array.of(0), fromBase64Url(VTPM.modulus)));

const KEYS: readonly AzureCheckCase[] = [
  keyCase('a key of 1024 bits', { vtpm: createVtpm('short', 1024) }),
  keyCase('a key of 2047 bits', { vtpm: createVtpm('nearly', 2047) }),
  keyCase('a modulus with a zero in front', withKey({ ...AK, n: PADDED })),
  keyCase('no modulus', withKey({ ...AK, n: '' })),
  keyCase('exponent 1', withKey({ ...AK, e: 'AQ' })),
  keyCase('an even exponent', withKey({ ...AK, e: 'AQAA' })),
  keyCase('no exponent', withKey({ ...AK, e: '' })),
];

export const HARDWARE_CASES: readonly AzureCheckCase[] = [...GENUINE, ...BLOB, ...CLAIMS, ...KEYS];
