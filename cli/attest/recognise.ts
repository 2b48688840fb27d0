/**
 * From bytes to evidence: which kind it is, by what stands in it and never by its name. Only the frame is read here; what
 * is inside is judged later.
 * Spec: Intel TDX DCAP Quoting Library API, A.3.1 (quote header); AMD SEV-SNP Firmware ABI (56860) §7.3; sev-snp.md §5.
 * @module
 */

import { z } from 'zod';
import { attempt } from '../../attestation/attempt.ts';
import { HCL_MAX_BYTES, parseHcl } from '../../attestation/azure/hcl.ts';
import { decodeEvidence, type EvidenceBundle } from '../../attestation/evidence.ts';
import { CERT_TABLE_MAX_BYTES } from '../../attestation/snp/cert-table.ts';
import { SNP_REPORT_BYTES } from '../../attestation/snp/report.ts';
import { parseTdxQuote } from '../../attestation/tdx/quote.ts';
import {
  ascii,
  equalPublic,
  fromBase64,
  fromBase64Url,
  fromHex,
  fromUtf8,
} from '../../core/bytes.ts';
import type { VeilError } from '../../core/errors.ts';
import { parseJson } from '../../core/json.ts';
import { decodeEvidenceList, type Candidate } from '../../client/directory.ts';
import { attestError } from './errors.ts';
import { NO_COLLATERAL, type Finds, type Machine, type Subject } from './subject.ts';

/** A gateway's list of evidence is the largest thing there is. */
export const INPUT_MAX_BYTES = 32 * 1024 * 1024;
/** Binary evidence written as text takes at most this. */
const TEXT_MAX_BYTES = 1024 * 1024;

/** One piece of evidence, or several where a gateway's list was saved. Throws `attest.*`. */
export function recognise(name: string, bytes: Uint8Array): Finds {
  if (bytes.length === 0) throw attestError('attest.unknown', `${name} is empty`);
  if (bytes.find((byte) => !isSpace(byte)) === OPEN_BRACE) return recogniseJson(name, bytes);
  const binary = recogniseBinary(bytes);
  if (binary !== undefined) return one({ ...binary, name, encoding: 'binary', notes: [] });
  const text = decodedText(bytes);
  const found = text === undefined ? undefined : recogniseBinary(text.bytes);
  if (text === undefined || found === undefined) throw unknown(name, bytes, text);
  return one({ ...found, name, encoding: text.encoding, notes: [] });
}

function one(subject: Subject): Finds {
  return { subjects: [subject], unreadable: [] };
}

const OPEN_BRACE = 0x7b;

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

const WANTED =
  'want an evidence bundle, a TDX quote, an SEV-SNP report or an Azure attestation blob';

function unknown(name: string, bytes: Uint8Array, text: DecodedText | undefined): VeilError {
  if (equalPublic(bytes.subarray(0, PEM.length), PEM)) {
    const what = 'is PEM: a certificate or a list, no evidence';
    return attestError('attest.unknown', `${name} ${what}; ${WANTED}`);
  }
  const size =
    text === undefined ? `${bytes.length} bytes` : `${text.encoding} of ${text.bytes.length} bytes`;
  return attestError('attest.unknown', `${name} (${size}) is no known kind of evidence; ${WANTED}`);
}

const PEM = ascii('-----BEGIN ');

const MEMBERS = z.looseObject({
  tee: z.unknown().optional(),
  candidates: z.unknown().optional(),
});

function recogniseJson(name: string, bytes: Uint8Array): Finds {
  const read = attempt(() => parseJson(bytes, INPUT_MAX_BYTES));
  if (read.outcome === 'malformed') {
    throw attestError('attest.malformed', `${name}, taken for JSON: ${read.reason}`);
  }
  const members = MEMBERS.safeParse(read.value);
  if (members.success && members.data.candidates !== undefined) {
    return listed(name, read.value);
  }
  if (!members.success || members.data.tee === undefined) {
    throw attestError('attest.unknown', `${name} is JSON without a member "tee"; ${WANTED}`);
  }
  const bundle = attempt(() => decodeEvidence(read.value));
  if (bundle.outcome === 'malformed') {
    const what = 'taken for an evidence bundle';
    throw attestError('attest.malformed', `${name}, ${what}: ${bundle.reason}`);
  }
  return one(bundleSubject(name, bundle.value));
}

const WORKER_ID_SHOWN_CHARS = 16;

/** What a gateway answers at /v1/evidence, saved in a file. */
function listed(name: string, json: unknown): Finds {
  const list = attempt(() => decodeEvidenceList(json).candidates);
  if (list.outcome === 'malformed') {
    const what = 'taken for a gateway’s list of evidence';
    throw attestError('attest.malformed', `${name}, ${what}: ${list.reason}`);
  }
  if (list.value.length === 0) throw attestError('attest.unknown', `${name} lists no evidence`);
  return candidateFinds(list.value, (workerId) => `${name}, worker ${workerId}`);
}

/** One unreadable bundle does not spoil the others. */
export function candidateFinds(
  candidates: readonly Candidate[],
  nameOf: (shortWorkerId: string) => string,
): Finds {
  const read = candidates.map(({ claimedWorkerId, evidence, claimedVerdict }) => ({
    name: nameOf(claimedWorkerId.slice(0, WORKER_ID_SHOWN_CHARS)),
    bundle: attempt(evidence),
    claimed: claimedVerdict === undefined ? {} : { claimed: claimedVerdict },
  }));
  return {
    subjects: read.flatMap(({ name, bundle, claimed }) =>
      bundle.outcome === 'read' ? [{ ...bundleSubject(name, bundle.value), ...claimed }] : [],
    ),
    unreadable: read.flatMap(({ name, bundle }) =>
      bundle.outcome === 'read' ? [] : [{ name, code: 'attest.malformed', reason: bundle.reason }],
    ),
  };
}

export function bundleSubject(name: string, bundle: EvidenceBundle): Subject {
  const { statement, card, quote } = bundle;
  const common = {
    name,
    encoding: 'json',
    sizeBytes: statement.length + quote.length + card.length,
    statements: { statement, card },
    notes: [],
  } as const;
  if (bundle.tee === 'tdx') {
    const machine = { tee: 'tdx', quote, collateral: bundle.endorsements } as const;
    return { ...common, kind: 'tdx-bundle', machine };
  }
  const { endorsements } = bundle;
  const machine = { tee: 'snp', form: 'report', bytes: quote, endorsements } as const;
  return { ...common, kind: 'snp-bundle', machine };
}

type Found = Pick<Subject, 'kind' | 'machine' | 'sizeBytes'>;

/** Undefined when it looks like nothing that is known. Throws when it does and is broken. */
function recogniseBinary(bytes: Uint8Array): Found | undefined {
  const sizeBytes = bytes.length;
  if (equalPublic(bytes.subarray(0, HCL_SIGNATURE.length), HCL_SIGNATURE)) {
    return { sizeBytes, kind: 'azure-hcl', machine: hclMachine(bytes) };
  }
  if (startsLikeQuote(bytes)) return { sizeBytes, kind: 'tdx-quote', machine: tdxMachine(bytes) };
  if (!startsLikeReport(bytes)) return undefined;
  const certTable = bytes.subarray(SNP_REPORT_BYTES);
  if (certTable.length > CERT_TABLE_MAX_BYTES) {
    const size = `${certTable.length} bytes after it`;
    throw attestError('attest.malformed', `taken for an SEV-SNP report: ${size}`);
  }
  const report = bytes.subarray(0, SNP_REPORT_BYTES);
  const machine = { tee: 'snp', form: 'report', bytes: report, endorsements: {} } as const;
  if (certTable.length === 0) return { sizeBytes, kind: 'snp-report', machine };
  return { sizeBytes, kind: 'snp-report-table', machine: { ...machine, certTable } };
}

const HCL_SIGNATURE = ascii('HCLA');

function hclMachine(bytes: Uint8Array): Machine {
  const hcl = attempt(() => parseHcl(bytes.subarray(0, HCL_MAX_BYTES + 1)));
  if (hcl.outcome === 'malformed') {
    throw attestError('attest.malformed', `taken for an Azure attestation blob: ${hcl.reason}`);
  }
  if (hcl.value.reportType === 'tdx') {
    const why = 'its TDREPORT can be checked on that machine only';
    const instead = 'exchange it for a quote at the metadata service (/acc/tdquote)';
    throw attestError('attest.unsupported', `an Azure blob of a TDX machine: ${why}; ${instead}`);
  }
  return { tee: 'snp', form: 'azure-hcl', bytes, endorsements: {} };
}

const QUOTE_HEADER_BYTES = 48;
const TDX_TEE_TYPE = 0x81;
const TDX_VERSIONS = [4, 5];
const ECDSA_P256 = 2;

/** Version, type of key and type of TEE. */
function startsLikeQuote(bytes: Uint8Array): boolean {
  if (bytes.length < QUOTE_HEADER_BYTES) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [version, keyType] = [view.getUint16(0, true), view.getUint16(2, true)];
  const teeType = view.getUint32(4, true);
  if (teeType === TDX_TEE_TYPE) return TDX_VERSIONS.includes(version);
  if (teeType === 0 && keyType === ECDSA_P256 && version >= 3 && version <= 5) {
    throw attestError('attest.unsupported', 'a quote of an SGX enclave, not of a TDX machine');
  }
  return false;
}

function tdxMachine(quote: Uint8Array): Machine {
  const read = attempt(() => parseTdxQuote(quote));
  if (read.outcome === 'read') return { tee: 'tdx', quote, collateral: NO_COLLATERAL };
  throw attestError('attest.malformed', `taken for a TDX quote: ${read.reason}`);
}

const REPORT_VERSION_MAX = 16;
const SIGNATURE_ALGORITHM_AT = 0x34;

/** VERSION, and SIGNATURE_ALGO where more follows; a file of exactly the size is taken for a report without it. */
function startsLikeReport(bytes: Uint8Array): boolean {
  if (bytes.length < SNP_REPORT_BYTES) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(0, true);
  if (version === 0 || version > REPORT_VERSION_MAX) return false;
  return bytes.length === SNP_REPORT_BYTES || view.getUint32(SIGNATURE_ALGORITHM_AT, true) === 1;
}

interface DecodedText {
  readonly encoding: 'hex' | 'base64';
  readonly bytes: Uint8Array;
}

/** Hex with or without 0x, base64 in either alphabet; white space anywhere. Undefined for anything else. */
function decodedText(bytes: Uint8Array): DecodedText | undefined {
  if (bytes.length > TEXT_MAX_BYTES) return undefined;
  const symbols = bytes.filter((byte) => !isSpace(byte));
  if (symbols.length === 0 || symbols.some((byte) => byte > 0x7e)) return undefined;
  const text = attempt(() => fromUtf8(symbols));
  if (text.outcome === 'malformed') return undefined;
  const hex = attempt(() => fromHex(text.value.replace(/^0x/, '')));
  if (hex.outcome === 'read') return { encoding: 'hex', bytes: hex.value };
  const base64 = attempt(() =>
    /[-_]/.test(text.value) ? fromBase64Url(text.value.replace(/=+$/, '')) : fromBase64(text.value),
  );
  return base64.outcome === 'read' ? { encoding: 'base64', bytes: base64.value } : undefined;
}
