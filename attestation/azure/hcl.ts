/**
 * Azure's attestation blob (NV index 0x01400001 of the vTPM): the hardware report that its paravisor asked for, and the
 * runtime data whose hash stands in that report. On such a machine the guest never speaks to the hardware; what it says
 * goes through the vTPM, whose attestation key is named in the runtime data.
 * Spec: Microsoft, "Guest attestation for confidential VMs", attestation report format (header, report payload, runtime
 * data); sev-snp.md §5, tdx.md §8.
 * @module
 */

import {
  ascii,
  equalPublic,
  fixed,
  fromBase64Url,
  fromHex,
  Reader,
  type Bytes,
} from '../../core/bytes.ts';
import { parseStrictJson, type Json, type JsonObject } from '../../core/json.ts';
import { attempt, type Attempt } from '../attempt.ts';
import { azureError } from './errors.ts';

export const HCL_MAX_BYTES = 64 * 1024;
const SIGNATURE = ascii('HCLA');
const VERSIONS = [1, 2];
const REQUEST_ATTESTATION = 2;
const REPORT_SLOT_BYTES = 1184;
const RUNTIME_HEADER_BYTES = 20;
const RUNTIME_VERSION = 1;
const HASH_SHA256 = 1;
const REPORT_TYPES: ReadonlyMap<number, 'snp' | 'tdx'> = new Map([
  [2, 'snp'],
  [4, 'tdx'],
]);
const JSON_DEPTH_MAX = 8;

export interface Hcl {
  readonly reportType: 'snp' | 'tdx';
  /** SNP: the report. TDX: a TDREPORT in the first 1024 bytes. */
  readonly report: Bytes<1184>;
  /** As received: the report's REPORT_DATA starts with its SHA-256. */
  readonly runtimeData: Uint8Array;
  readonly claims: Attempt<HclClaims>;
}

/** What the runtime data says; worth something only when the report binds it. */
export interface HclClaims {
  /** The RSA key that signs vTPM quotes. */
  readonly attestationKey: { readonly modulus: Uint8Array; readonly exponent: number };
  /** What the guest wrote to NV index 0x01400002 before it asked; zeros when it wrote nothing. */
  readonly userData: Bytes<64>;
}

/** Throws `azure.hcl`. Zeros may follow; nothing else. */
export function parseHcl(bytes: Uint8Array): Hcl {
  if (bytes.length > HCL_MAX_BYTES) throw azureError('azure.hcl', `${bytes.length} bytes`);
  const reader = new Reader(bytes, (field) => azureError('azure.hcl', `truncated at ${field}`));
  if (!equalPublic(reader.bytes(4, 'signature'), SIGNATURE)) {
    throw azureError('azure.hcl', 'no HCLA signature');
  }
  if (!VERSIONS.includes(reader.u32le('version'))) throw azureError('azure.hcl', 'version');
  reader.skip(4, 'size');
  if (reader.u32le('request type') !== REQUEST_ATTESTATION) {
    throw azureError('azure.hcl', 'request type');
  }
  reader.skip(16, 'reserved');
  const report = reader.bytes(REPORT_SLOT_BYTES, 'report');
  const size = reader.u32le('runtime data size');
  if (reader.u32le('runtime data version') !== RUNTIME_VERSION) {
    throw azureError('azure.hcl', 'runtime data version');
  }
  const reportType = REPORT_TYPES.get(reader.u32le('report type'));
  if (reportType === undefined) throw azureError('azure.hcl', 'report type');
  if (reader.u32le('hash type') !== HASH_SHA256) throw azureError('azure.hcl', 'hash type');
  const length = reader.u32le('runtime data length');
  if (size !== length + RUNTIME_HEADER_BYTES) throw azureError('azure.hcl', 'two lengths');
  const runtimeData = reader.bytes(length, 'runtime data');
  if (reader.rest().some((byte) => byte !== 0)) throw azureError('azure.hcl', 'trailing bytes');
  return { reportType, report, runtimeData, claims: attempt(() => readClaims(runtimeData)) };
}

function readClaims(bytes: Uint8Array): HclClaims {
  const { value } = parseStrictJson(bytes, {
    maxBytes: HCL_MAX_BYTES,
    maxDepth: JSON_DEPTH_MAX,
    numbers: 'any',
  });
  const root = objectOf(value);
  const keys = root['keys'];
  if (!isList(keys)) throw azureError('azure.hcl', 'keys');
  const named = keys.map(objectOf).filter((key) => key['kid'] === 'HCLAkPub');
  const [key, ...more] = named;
  if (key === undefined || more.length > 0) throw azureError('azure.hcl', 'not one HCLAkPub');
  const userData = root['user-data'];
  if (typeof userData !== 'string') throw azureError('azure.hcl', 'user-data');
  return { attestationKey: readKey(key), userData: fixed(fromHex(userData), 64, 'user-data') };
}

function readKey({ kty, n, e }: JsonObject): HclClaims['attestationKey'] {
  if (kty !== 'RSA' || typeof n !== 'string' || typeof e !== 'string') {
    throw azureError('azure.hcl', 'HCLAkPub is not an RSA key');
  }
  const exponent = fromBase64Url(e);
  if (exponent.length > 4) throw azureError('azure.hcl', 'HCLAkPub exponent');
  return {
    modulus: fromBase64Url(n),
    exponent: exponent.reduce((sum, byte) => sum * 256 + byte, 0),
  };
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

function objectOf(value: Json): JsonObject {
  if (value === null || typeof value !== 'object' || isList(value)) {
    throw azureError('azure.hcl', 'runtime data');
  }
  return value;
}
