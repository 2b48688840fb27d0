/**
 * Writes the attestation blob of Azure's paravisor around a report, by offsets.
 * Spec: Microsoft, "Guest attestation for confidential VMs", attestation report format; sev-snp.md §5.
 * @module
 */

import { ascii, concat, toBase64Url, utf8 } from '../../../core/bytes.ts';
import { u32le } from '../../../enclave-worker/evidence/simulator/quote-writer.ts';

export interface HclParts {
  readonly magic: Uint8Array;
  readonly version: number;
  readonly requestType: number;
  readonly report: Uint8Array;
  readonly runtimeVersion: number;
  /** 2 SEV-SNP, 4 TDX. */
  readonly reportType: number;
  /** 1 SHA-256. */
  readonly hashType: number;
  readonly runtimeData: Uint8Array;
  /** In place of the length of the runtime data. */
  readonly length: number;
  /** In place of that length with its header. */
  readonly size: number;
  /** After the runtime data. */
  readonly rest: Uint8Array;
}

export const RUNTIME_DATA = utf8(
  JSON.stringify({
    keys: [
      {
        kid: 'HCLAkPub',
        key_ops: ['sign'],
        kty: 'RSA',
        e: 'AQAB',
        n: toBase64Url(new Uint8Array(256).fill(0xc5)),
      },
    ],
    'vm-configuration': { 'secure-boot': true },
    'user-data': '00'.repeat(64),
  }),
);

const RUNTIME_HEADER_BYTES = 20;

export function writeHcl(parts: Partial<HclParts> & Pick<HclParts, 'report'>): Uint8Array {
  const runtimeData = parts.runtimeData ?? RUNTIME_DATA;
  const length = parts.length ?? runtimeData.length;
  return concat(
    parts.magic ?? ascii('HCLA'), // 000
    u32le(parts.version ?? 2), // 004
    u32le(parts.report.length), // 008
    u32le(parts.requestType ?? 2), // 00C
    new Uint8Array(16), // 010
    parts.report, // 020
    u32le(parts.size ?? length + RUNTIME_HEADER_BYTES), // 4C0
    u32le(parts.runtimeVersion ?? 1), // 4C4
    u32le(parts.reportType ?? 2), // 4C8
    u32le(parts.hashType ?? 1), // 4CC
    u32le(length), // 4D0
    runtimeData, // 4D4
    parts.rest ?? new Uint8Array(12),
  );
}
