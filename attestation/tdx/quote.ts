/**
 * A TDX quote as a structure. Parsing decides nothing: every field is what the sender claims.
 * Spec: Intel TDX DCAP Quoting Library API, Appendix A.3 (version 4) and A.4 (version 5).
 * @module
 */

import { equalPublic, fixed, fromHex, Reader, type Bytes } from '../../core/bytes.ts';
import type { VeilError } from '../../core/errors.ts';
import { tdxError } from './errors.ts';
import { QUOTE_MAX_BYTES } from './limits.ts';

/** Intel TDX DCAP Quoting Library API, A.3.2 (TD report 1.0) and A.4 (1.5, 1.5 extended). */
export interface TdReport {
  /** [0] module SVN, [1] module major version, [2] SEAM loader or late microcode. */
  readonly teeTcbSvn: Bytes<16>;
  readonly mrSeam: Bytes<48>;
  readonly mrSignerSeam: Bytes<48>;
  readonly seamAttributes: Bytes<8>;
  readonly tdAttributes: Bytes<8>;
  readonly xfam: Bytes<8>;
  readonly mrTd: Bytes<48>;
  readonly mrConfigId: Bytes<48>;
  readonly mrOwner: Bytes<48>;
  readonly mrOwnerConfig: Bytes<48>;
  readonly rtmr: readonly [Bytes<48>, Bytes<48>, Bytes<48>, Bytes<48>];
  readonly reportData: Bytes<64>;
  /** Reports 1.5 only. */
  readonly v15?: {
    /** The module running now; `teeTcbSvn` is the one at launch. */
    readonly teeTcbSvn2: Bytes<16>;
    readonly mrServiceTd: Bytes<48>;
  };
  /** Reports 1.5 extended only. */
  readonly extended?: {
    readonly vmid: number;
    readonly tdId: Bytes<32>;
    readonly deviceInfoHash: Bytes<48>;
    readonly initialServiceTdHash: Bytes<48>;
    readonly initialServiceTdAttributes: Bytes<8>;
    readonly initialCpuSvn: Bytes<16>;
    readonly initialTeeTcbSvn: Bytes<16>;
    readonly initialTeeFmspc: Bytes<12>;
    readonly currentServiceTdHash: Bytes<48>;
    readonly currentServiceTdAttributes: Bytes<8>;
  };
}

/** Intel SGX ECDSA Quoting Library API, A.4 "Enclave Report Body". */
export interface QeReport {
  readonly cpuSvn: Bytes<16>;
  readonly miscSelect: Bytes<4>;
  readonly attributes: Bytes<16>;
  readonly mrEnclave: Bytes<32>;
  readonly mrSigner: Bytes<32>;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly reportData: Bytes<64>;
}

/** Body types of version 5, the same three bodies that matter here. A.4 "TD Quote Body Descriptor". */
export type TdxBodyType = 2 | 3 | 4;

export interface TdxQuote {
  readonly version: 4 | 5;
  readonly bodyType: TdxBodyType;
  readonly qeVendor: Bytes<16>;
  /** Covered by the signature, without meaning. */
  readonly userData: Bytes<20>;
  readonly td: TdReport;
  /** Header, body descriptor and body: what the attestation key signs. */
  readonly signed: Uint8Array;
  readonly signature: Bytes<64>;
  /** x‖y; not yet known to be a point. */
  readonly attestationKey: Bytes<64>;
  readonly qe: QeReport;
  readonly qeReportBytes: Bytes<384>;
  readonly qeReportSignature: Bytes<64>;
  readonly qeAuthData: Uint8Array;
  /** From the attestation key to the end of the QE authentication data: what identifies a quoting enclave's key. */
  readonly qeSpan: Uint8Array;
  readonly certificationType: number;
  readonly certificationData: Uint8Array;
  /** After the authentication data: quote buffers are often padded. */
  readonly trailing: Uint8Array;
}

/** A.3.1, "QE Vendor ID": 939a7233-f79c-4ca9-940a-0db3957f0607. */
const INTEL_QE_VENDOR = fromHex('939a7233f79c4ca9940a0db3957f0607');

export function isIntelQe(vendor: Bytes<16>): boolean {
  return equalPublic(vendor, INTEL_QE_VENDOR);
}

const TEE_TYPE_TDX = 0x81;
const ECDSA_P256 = 2;
const BODY_BYTES: Readonly<Record<TdxBodyType, number>> = { 2: 584, 3: 648, 4: 885 };
/** A.3.9 "QE Certification Data" types. */
const QE_REPORT_CERTIFICATION = 6;
export const PCK_CHAIN_PEM = 5;
const INNER_TYPES: ReadonlySet<number> = new Set([1, 2, 3, 4, PCK_CHAIN_PEM, 7]);
function malformed(what: string, offset: number): VeilError {
  return tdxError('tdx.quote', `${what} at ${offset}`, { facts: { offset } });
}

function truncated(field: string, offset: number): VeilError {
  return malformed(`${field} past the end`, offset);
}

/**
 * Reads the whole structure; the three lengths must agree exactly. Works on a copy, so that a buffer which the caller
 * reuses cannot change what was judged. Throws `tdx.quote`; checks no signature.
 */
export function parseTdxQuote(bytes: Uint8Array): TdxQuote {
  if (bytes.length > QUOTE_MAX_BYTES) throw malformed('quote too large', bytes.length);
  const copy = new Uint8Array(bytes);
  const reader = new Reader(copy, truncated);
  const version = reader.u16le('version'); // +0
  if (version !== 4 && version !== 5) throw malformed(`version ${version}`, 0);
  const keyType = reader.u16le('attestation key type'); // +2
  if (keyType !== ECDSA_P256) throw malformed(`attestation key type ${keyType}`, 2);
  const teeType = reader.u32le('TEE type'); // +4
  if (teeType !== TEE_TYPE_TDX) throw malformed(`TEE type ${teeType}`, 4);
  reader.skip(4, 'reserved'); // +8; older texts put QE SVN and PCE SVN here
  const qeVendor = reader.bytes(16, 'QE vendor'); // +12
  const userData = reader.bytes(20, 'user data'); // +28
  const bodyType = version === 4 ? 2 : readBodyDescriptor(reader); // +48
  const td = readTdReport(reader, bodyType);
  const signed = copy.subarray(0, reader.offset);
  const authLength = reader.u32le('authentication data length');
  if (authLength > reader.remaining) throw malformed('authentication data length', reader.offset);
  const authStart = reader.offset;
  const auth = new Reader(copy.subarray(authStart, authStart + authLength), (field, at) =>
    truncated(field, authStart + at),
  );
  return {
    version,
    bodyType,
    qeVendor,
    userData,
    td,
    signed,
    ...readAuthData(auth, authStart),
    trailing: copy.subarray(authStart + authLength),
  };
}

function readBodyDescriptor(reader: Reader): TdxBodyType {
  const type = reader.u16le('body type'); // +48
  const size = reader.u32le('body size'); // +50
  if (type !== 2 && type !== 3 && type !== 4) throw malformed(`body type ${type}`, 48);
  if (size !== BODY_BYTES[type]) throw malformed(`body size ${size}`, 50);
  return type;
}

function readTdReport(reader: Reader, bodyType: TdxBodyType): TdReport {
  const base = {
    teeTcbSvn: reader.bytes(16, 'TEE_TCB_SVN'), // +0
    mrSeam: reader.bytes(48, 'MRSEAM'), // +16
    mrSignerSeam: reader.bytes(48, 'MRSIGNERSEAM'), // +64
    seamAttributes: reader.bytes(8, 'SEAMATTRIBUTES'), // +112
    tdAttributes: reader.bytes(8, 'ATTRIBUTES'), // +120
    xfam: reader.bytes(8, 'XFAM'), // +128
    mrTd: reader.bytes(48, 'MRTD'), // +136
    mrConfigId: reader.bytes(48, 'MRCONFIGID'), // +184
    mrOwner: reader.bytes(48, 'MROWNER'), // +232
    mrOwnerConfig: reader.bytes(48, 'MROWNERCONFIG'), // +280
    rtmr: [
      reader.bytes(48, 'RTMR0'), // +328
      reader.bytes(48, 'RTMR1'), // +376
      reader.bytes(48, 'RTMR2'), // +424
      reader.bytes(48, 'RTMR3'), // +472
    ] as const,
    reportData: reader.bytes(64, 'REPORTDATA'), // +520
  };
  if (bodyType === 2) return base;
  const v15 = {
    teeTcbSvn2: reader.bytes(16, 'TEE_TCB_SVN_2'), // +584
    mrServiceTd: reader.bytes(48, 'MRSERVICETD'), // +600
  };
  if (bodyType === 3) return { ...base, v15 };
  return { ...base, v15, extended: readExtension(reader) };
}

/** The part that "TD preserving" added after a TD report 1.5. */
function readExtension(reader: Reader): NonNullable<TdReport['extended']> {
  return {
    vmid: reader.u8('vmid'), // +648
    tdId: reader.bytes(32, 'TD id'), // +649
    deviceInfoHash: reader.bytes(48, 'device info hash'), // +681
    initialServiceTdHash: reader.bytes(48, 'initial service TD hash'), // +729
    initialServiceTdAttributes: reader.bytes(8, 'initial service TD attributes'), // +777
    initialCpuSvn: reader.bytes(16, 'initial CPUSVN'), // +785
    initialTeeTcbSvn: reader.bytes(16, 'initial TEE_TCB_SVN'), // +801
    initialTeeFmspc: reader.bytes(12, 'initial FMSPC'), // +817
    currentServiceTdHash: reader.bytes(48, 'current service TD hash'), // +829
    currentServiceTdAttributes: reader.bytes(8, 'current service TD attributes'), // +877
  };
}

type AuthData = Pick<
  TdxQuote,
  | 'signature'
  | 'attestationKey'
  | 'qe'
  | 'qeReportBytes'
  | 'qeReportSignature'
  | 'qeAuthData'
  | 'qeSpan'
  | 'certificationType'
  | 'certificationData'
>;

/** A.3.8 "ECDSA 256-bit Quote Signature Data Structure", A.3.9 and A.3.11. */
function readAuthData(auth: Reader, start: number): AuthData {
  const signature = auth.bytes(64, 'quote signature'); // +0
  const attestationKey = auth.bytes(64, 'attestation key'); // +64
  const outerType = auth.u16le('certification type'); // +128
  if (outerType !== QE_REPORT_CERTIFICATION) {
    throw malformed(`certification type ${outerType}`, start + 128);
  }
  const outerSize = auth.u32le('certification size'); // +130
  if (outerSize !== auth.remaining) throw malformed('certification size', start + 130);
  const qeReportBytes = auth.bytes(384, 'QE report'); // +134
  const qeReportSignature = auth.bytes(64, 'QE report signature'); // +518
  const qeAuthSize = auth.u16le('QE authentication size'); // +582
  const qeAuthData = readView(auth, qeAuthSize, 'QE authentication data');
  const certificationType = auth.u16le('inner certification type');
  if (!INNER_TYPES.has(certificationType)) {
    throw malformed(`inner certification type ${certificationType}`, start + auth.offset - 2);
  }
  const innerSize = auth.u32le('inner certification size');
  if (innerSize !== auth.remaining) {
    throw malformed('inner certification size', start + auth.offset - 4);
  }
  return {
    signature,
    attestationKey,
    qe: readQeReport(qeReportBytes),
    qeReportBytes,
    qeReportSignature,
    qeAuthData,
    qeSpan: spanOf(attestationKey, qeAuthData),
    certificationType,
    certificationData: auth.rest(),
  };
}

function readView(reader: Reader, size: number, field: string): Uint8Array {
  return reader.bytes(size, field);
}

/** One view from the start of `first` to the end of `last`, which lie in the same buffer. */
function spanOf(first: Uint8Array, last: Uint8Array): Uint8Array {
  const length = last.byteOffset + last.length - first.byteOffset;
  return new Uint8Array(first.buffer, first.byteOffset, length);
}

/** Intel SGX ECDSA Quoting Library API, A.4 "Enclave Report Body". */
function readQeReport(bytes: Bytes<384>): QeReport {
  const at = <N extends number>(offset: number, size: N): Bytes<N> =>
    fixed(bytes.subarray(offset, offset + size), size);
  const u16 = (offset: number): number => new Reader(at(offset, 2), truncated).u16le('SVN');
  return {
    cpuSvn: at(0, 16),
    miscSelect: at(16, 4),
    attributes: at(48, 16),
    mrEnclave: at(64, 32),
    mrSigner: at(128, 32),
    isvProdId: u16(256),
    isvSvn: u16(258),
    reportData: at(320, 64),
  };
}
