/**
 * Is this quote about our keys? Asked of every answer of every machine, before anybody else sees it: a quote over other
 * report data would be refused by verifiers, or be used to pass off another machine.
 * Spec: Intel TDX DCAP Quoting Library API, A.3.2 "TD Report"; AMD SEV-SNP Firmware ABI (56860) §7.3.
 * @module
 */

import { parseSnpReport, type SnpReport } from '../../attestation/snp/report.ts';
import { parseTdxQuote } from '../../attestation/tdx/quote.ts';
import type { TeeName } from '../../attestation/verdict.ts';
import { equalPublic, type Bytes } from '../../core/bytes.ts';
import { providerError } from '../errors.ts';

/** Decides nothing about authenticity. Throws `evidence.host` (empty), `evidence.malformed`, `evidence.foreign`. */
export function assertOwnQuote(tee: TeeName, quote: Uint8Array, reportData: Bytes<64>): void {
  // A real case: the kernel passes on what a quoting service that failed has left in the buffer.
  if (quote.length === 0) throw providerError('evidence.host', 'the host delivered an empty quote');
  const found = tee === 'tdx' ? tdxReportData(quote) : readSnpReport(quote).reportData;
  if (!equalPublic(found, reportData)) throw providerError('evidence.foreign');
}

function tdxReportData(quote: Uint8Array): Uint8Array {
  try {
    return parseTdxQuote(quote).td.reportData;
  } catch (cause) {
    throw providerError('evidence.malformed', 'no TDX quote', { cause });
  }
}

/** As a structure; authentic or not. Throws `evidence.malformed`. */
export function readSnpReport(report: Uint8Array): SnpReport {
  try {
    return parseSnpReport(report);
  } catch (cause) {
    throw providerError('evidence.malformed', 'no SNP report', { cause });
  }
}
