/**
 * Plays Intel's quoting enclave: binds an attestation key to a PCK key, and signs quotes with it.
 * Spec: Intel TDX DCAP Quoting Library API, A.3.8 to A.3.11; tdx.md §1.3.
 * @module
 */

import { sha256 } from '#primitives';
import type { QeReport, TdReport } from '../../../attestation/tdx/quote.ts';
import { p256Coordinates, signP256 } from '../../../attestation/x509-keys.ts';
import { concat, fixed, utf8, type Bytes } from '../../../core/bytes.ts';
import {
  PCK_CHAIN_CERTIFICATION,
  QE_REPORT_CERTIFICATION,
  quoteHeader,
  writeAuthData,
  writeQeReport,
  writeQuoteBody,
  writeQuoteHeader,
  type AuthData,
  type QuoteHeader,
} from './quote-writer.ts';

/** An attestation key that a QE report binds. */
export interface CertifiedKey {
  readonly privateKey: CryptoKey;
  readonly auth: Omit<AuthData, 'signature'>;
}

export interface CertifyInput {
  readonly attestationKeys: CryptoKeyPair;
  readonly pckKey: CryptoKey;
  /** REPORTDATA is filled in here. */
  readonly qe: Omit<QeReport, 'reportData'>;
  readonly qeAuthData: Uint8Array;
  /** PEM: leaf, intermediate, root. */
  readonly pckChain: string;
}

export async function certifyAttestationKey(input: CertifyInput): Promise<CertifiedKey> {
  const attestationKey = await p256Coordinates(input.attestationKeys.publicKey);
  const reportData = qeReportData(attestationKey, input.qeAuthData);
  const qeReport = writeQeReport({ ...input.qe, reportData });
  return {
    privateKey: input.attestationKeys.privateKey,
    auth: {
      attestationKey,
      outerType: QE_REPORT_CERTIFICATION,
      qeReport,
      qeReportSignature: await signP256(input.pckKey, qeReport),
      qeAuthData: input.qeAuthData,
      innerType: PCK_CHAIN_CERTIFICATION,
      innerData: utf8(input.pckChain),
    },
  };
}

/** SHA-256(key ‖ QE authentication data) ‖ 32 zero bytes. */
export function qeReportData(attestationKey: Uint8Array, qeAuthData: Uint8Array): Bytes<64> {
  return fixed(concat(sha256(attestationKey, qeAuthData), new Uint8Array(32)), 64);
}

export async function signQuote(
  key: CertifiedKey,
  report: TdReport,
  header: QuoteHeader = quoteHeader(4),
): Promise<Uint8Array> {
  const signed = concat(writeQuoteHeader(header), writeQuoteBody(header.version, report));
  const signature = await signP256(key.privateKey, signed);
  return concat(signed, writeAuthData({ ...key.auth, signature }));
}
