/**
 * Quotes as a kernel would hand them over: sound in structure, signed by nobody. TDX from the simulator's writers, SNP as
 * the bare layout. Spec: tdx.md §1; sev-snp.md §1.
 * @module
 */

import { concat, utf8, type Bytes } from '../../../core/bytes.ts';
import { DEMO_MEASUREMENTS } from '../../../enclave-worker/evidence/simulator/demo-image.ts';
import { machineTdReport } from '../../../enclave-worker/evidence/simulator/machine.ts';
import {
  PCK_CHAIN_CERTIFICATION,
  QE_REPORT_CERTIFICATION,
  quoteHeader,
  writeAuthData,
  writeQuoteBody,
  writeQuoteHeader,
} from '../../../enclave-worker/evidence/simulator/quote-writer.ts';

export function tdxQuote(reportData: Bytes<64>, version: 4 | 5 = 4): Uint8Array {
  return concat(
    writeQuoteHeader(quoteHeader(version)),
    writeQuoteBody(version, machineTdReport(DEMO_MEASUREMENTS, reportData)),
    writeAuthData({
      signature: new Uint8Array(64),
      attestationKey: new Uint8Array(64),
      outerType: QE_REPORT_CERTIFICATION,
      qeReport: new Uint8Array(384),
      qeReportSignature: new Uint8Array(64),
      qeAuthData: new Uint8Array(32),
      innerType: PCK_CHAIN_CERTIFICATION,
      innerData: utf8('no chain'),
    }),
  );
}

const SNP_REPORT_BYTES = 1184;
const SNP_VERSION = 3;
const ECDSA_P384_SHA384 = 1;

/** The fields that a provider looks at, in an otherwise empty report. */
export function snpReport(reportData: Uint8Array, vmpl = 0): Uint8Array {
  const report = new Uint8Array(SNP_REPORT_BYTES);
  const view = new DataView(report.buffer);
  view.setUint32(0x00, SNP_VERSION, true);
  view.setUint32(0x30, vmpl, true);
  view.setUint32(0x34, ECDSA_P384_SHA384, true);
  report.set(reportData, 0x50);
  return report;
}
