/**
 * Writes TDX quotes byte by byte: header, TD report, authentication data. It signs nothing and checks nothing, so that
 * tests can write quotes no quoting enclave would make. All integers are little-endian.
 * Spec: Intel TDX DCAP Quoting Library API, Appendix A.3 and A.4; tdx.md §1.
 * @module
 */

import type { QeReport, TdReport } from '../../../attestation/tdx/quote.ts';
import { concat, fromHex } from '../../../core/bytes.ts';

export const INTEL_QE_VENDOR = fromHex('939a7233f79c4ca9940a0db3957f0607');
export const ECDSA_P256 = 2;
export const TEE_TYPE_TDX = 0x81;
/** Certification data types: the QE report around the inner one, and the PCK chain as PEM. */
export const QE_REPORT_CERTIFICATION = 6;
export const PCK_CHAIN_CERTIFICATION = 5;

export interface QuoteHeader {
  readonly version: number;
  readonly attestationKeyType: number;
  readonly teeType: number;
  /** 4 bytes. */
  readonly reserved: Uint8Array;
  /** 16 bytes. */
  readonly qeVendor: Uint8Array;
  /** 20 bytes. */
  readonly userData: Uint8Array;
}

export function quoteHeader(version: 4 | 5): QuoteHeader {
  return {
    version,
    attestationKeyType: ECDSA_P256,
    teeType: TEE_TYPE_TDX,
    reserved: new Uint8Array(4),
    qeVendor: INTEL_QE_VENDOR,
    userData: new Uint8Array(20),
  };
}

export function writeQuoteHeader(header: QuoteHeader): Uint8Array {
  return concat(
    u16le(header.version),
    u16le(header.attestationKeyType),
    u32le(header.teeType),
    header.reserved,
    header.qeVendor,
    header.userData,
  );
}

/** Version 4 has the bare report 1.0; version 5 puts type and size before the report. */
export function writeQuoteBody(version: number, report: TdReport): Uint8Array {
  const bytes = writeTdReport(report);
  if (version === 4) return bytes;
  return concat(u16le(bodyTypeOf(report)), u32le(bytes.length), bytes);
}

function bodyTypeOf(report: TdReport): 2 | 3 | 4 {
  if (report.v15 === undefined) return 2;
  return report.extended === undefined ? 3 : 4;
}

/** 584, 648 or 885 bytes, by the members that are there. */
export function writeTdReport(report: TdReport): Uint8Array {
  const { v15, extended } = report;
  return concat(
    report.teeTcbSvn,
    report.mrSeam,
    report.mrSignerSeam,
    report.seamAttributes,
    report.tdAttributes,
    report.xfam,
    report.mrTd,
    report.mrConfigId,
    report.mrOwner,
    report.mrOwnerConfig,
    ...report.rtmr,
    report.reportData,
    ...(v15 === undefined ? [] : [v15.teeTcbSvn2, v15.mrServiceTd]),
    ...(extended === undefined
      ? []
      : [
          Uint8Array.of(extended.vmid),
          extended.tdId,
          extended.deviceInfoHash,
          extended.initialServiceTdHash,
          extended.initialServiceTdAttributes,
          extended.initialCpuSvn,
          extended.initialTeeTcbSvn,
          extended.initialTeeFmspc,
          extended.currentServiceTdHash,
          extended.currentServiceTdAttributes,
        ]),
  );
}

/** 384 bytes. Spec: Intel SGX ECDSA Quoting Library API, A.4 "Enclave Report Body". */
export function writeQeReport(report: QeReport): Uint8Array {
  return concat(
    report.cpuSvn,
    report.miscSelect,
    new Uint8Array(28),
    report.attributes,
    report.mrEnclave,
    new Uint8Array(32),
    report.mrSigner,
    new Uint8Array(96),
    u16le(report.isvProdId),
    u16le(report.isvSvn),
    new Uint8Array(60),
    report.reportData,
  );
}

/** What follows the body. Sizes are written from the parts. */
export interface AuthData {
  /** 64 bytes over everything before the authentication data. */
  readonly signature: Uint8Array;
  /** x ‖ y. */
  readonly attestationKey: Uint8Array;
  readonly outerType: number;
  readonly qeReport: Uint8Array;
  readonly qeReportSignature: Uint8Array;
  readonly qeAuthData: Uint8Array;
  readonly innerType: number;
  readonly innerData: Uint8Array;
}

export function writeAuthData(auth: AuthData): Uint8Array {
  const certification = concat(
    auth.qeReport,
    auth.qeReportSignature,
    u16le(auth.qeAuthData.length),
    auth.qeAuthData,
    u16le(auth.innerType),
    u32le(auth.innerData.length),
    auth.innerData,
  );
  const all = concat(
    auth.signature,
    auth.attestationKey,
    u16le(auth.outerType),
    u32le(certification.length),
    certification,
  );
  return concat(u32le(all.length), all);
}

export function u16le(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, (value >>> 8) & 0xff);
}

export function u32le(value: number): Uint8Array {
  return concat(u16le(value & 0xffff), u16le(value >>> 16));
}
