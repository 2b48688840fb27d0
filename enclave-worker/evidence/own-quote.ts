/**
 * Is this quote about our keys? Asked of every answer of every machine, before anybody else sees it: a quote over other
 * report data would be refused by verifiers, or be used to pass off another machine.
 * Spec: Intel TDX DCAP Quoting Library API, A.3.2 "TD Report"; AMD 56860 "SEV Secure Nested Paging Firmware ABI",
 * ATTESTATION_REPORT.
 * @module
 */

import { parseTdxQuote } from '../../attestation/tdx/quote.ts';
import type { TeeName } from '../../attestation/verdict.ts';
import { equalPublic, Reader, type Bytes } from '../../core/bytes.ts';
import { providerError } from '../errors.ts';

export const SNP_REPORT_BYTES = 1184;

/** Decides nothing about authenticity. Throws `evidence.host` (empty), `evidence.malformed`, `evidence.foreign`. */
export function assertOwnQuote(tee: TeeName, quote: Uint8Array, reportData: Bytes<64>): void {
  // A real case: the kernel passes on what a quoting service that failed has left in the buffer.
  if (quote.length === 0) throw providerError('evidence.host', 'the host delivered an empty quote');
  const found = tee === 'tdx' ? tdxReportData(quote) : snpReport(quote).reportData;
  if (!equalPublic(found, reportData)) throw providerError('evidence.foreign');
}

function tdxReportData(quote: Uint8Array): Uint8Array {
  try {
    return parseTdxQuote(quote).td.reportData;
  } catch (cause) {
    throw providerError('evidence.malformed', 'no TDX quote', { cause });
  }
}

/** The two fields that the guest itself chose. */
export function snpReport(report: Uint8Array): {
  readonly vmpl: number;
  readonly reportData: Bytes<64>;
} {
  if (report.length !== SNP_REPORT_BYTES) {
    throw providerError('evidence.malformed', `an SNP report of ${report.length} bytes`);
  }
  const reader = new Reader(report, (field) => providerError('evidence.malformed', field));
  reader.skip(0x30, 'before VMPL');
  const vmpl = reader.u32le('VMPL'); // +0x30
  reader.skip(0x1c, 'before REPORT_DATA');
  return { vmpl, reportData: reader.bytes(64, 'REPORT_DATA') }; // +0x50
}
