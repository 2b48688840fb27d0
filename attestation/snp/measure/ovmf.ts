/**
 * What a launch takes from an OVMF image: where the pages lie, which further pages the firmware asks for, where the
 * vCPUs start, and where the hashes of a kernel go. The image is somebody's file: every length is checked before it is
 * used, and what no launch can have is refused.
 * Spec: edk2, OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm (table), X64/OvmfSevMetadata.asm (metadata).
 * @module
 */

import { ascii, equalPublic, Reader, toHex } from '../../../core/bytes.ts';
import type { VeilError } from '../../../core/errors.ts';
import { measureError } from './errors.ts';
import { guidBytes } from './guid.ts';
import { FIRMWARE_MAX_BYTES, SECTION_PAGES_MAX, SECTIONS_MAX } from './limits.ts';
import { PAGE_BYTES } from './page-info.ts';

/** The image is mapped so that it ends here. */
const FIRMWARE_END = 0x1_0000_0000;

/** OvmfSevMetadata.asm, OVMF_SECTION_TYPE_*. */
const SECTION_KINDS = {
  1: 'sec-mem',
  2: 'secrets',
  3: 'cpuid',
  4: 'svsm-caa',
  16: 'kernel-hashes',
} as const;
export type SectionKind = (typeof SECTION_KINDS)[keyof typeof SECTION_KINDS];
const KIND_OF: ReadonlyMap<number, SectionKind> = new Map(
  Object.entries(SECTION_KINDS).map(([type, kind]) => [Number(type), kind]),
);
/** The secure processor fills exactly one page of these. */
const ONE_PAGE: ReadonlySet<SectionKind> = new Set(['secrets', 'cpuid']);

export interface OvmfSection {
  readonly kind: SectionKind;
  readonly gpa: number;
  /** Whole pages. */
  readonly sizeBytes: number;
}

export interface Ovmf {
  readonly bytes: Uint8Array;
  readonly gpa: number;
  /** SEV-ES reset block: where every vCPU but the first starts. */
  readonly apResetAddress: number;
  /** Where a kernel's hashes go. */
  readonly hashTable?: { readonly gpa: number; readonly sizeBytes: number };
  /** In the order of the metadata, which is the order of measurement. */
  readonly sections: readonly OvmfSection[];
}

/** Throws `measure.firmware_size`, `.firmware_table`, `.reset_vector`, `.metadata`, `.section`. */
export function parseOvmf(bytes: Uint8Array): Ovmf {
  checkSize(bytes.length);
  const table = parseTable(bytes);
  const gpa = FIRMWARE_END - bytes.length;
  const hashTable = parseHashTable(table);
  const sections = parseMetadata(bytes, table);
  checkSections(sections, gpa);
  return {
    bytes,
    gpa,
    apResetAddress: parseResetBlock(table),
    ...(hashTable === undefined ? {} : { hashTable }),
    sections,
  };
}

function checkSize(size: number): void {
  if (size === 0 || size % PAGE_BYTES !== 0) {
    throw measureError('measure.firmware_size', `${size} bytes are not whole pages of 4096`);
  }
  if (size > FIRMWARE_MAX_BYTES) {
    throw measureError('measure.firmware_size', `${size} bytes, at most ${FIRMWARE_MAX_BYTES}`);
  }
}

const TABLE_FOOTER = toHex(guidBytes('96b582de-1fb2-45f7-baea-a366c55a082d'));
const RESET_BLOCK = toHex(guidBytes('00f771de-1a7e-4fcb-890e-68c77e2fb44e'));
const SEV_METADATA = toHex(guidBytes('dc886566-984a-4798-a75e-5585a7bf67cc'));
const HASH_TABLE = toHex(guidBytes('7255371f-3a3b-4b04-927b-1da6efa8d454'));

/** The table ends before the last 32 bytes, which are the reset vector. */
const AFTER_TABLE_BYTES = 32;
const ENTRY_HEADER_BYTES = 18;

/** GUID in hex to data. */
type FirmwareTable = ReadonlyMap<string, Uint8Array>;

/** Read backwards: the footer is an entry whose data is the table, and so is each entry before it. */
function parseTable(bytes: Uint8Array): FirmwareTable {
  const footer = entryEndingAt(bytes, bytes.length - AFTER_TABLE_BYTES);
  if (footer?.guid !== TABLE_FOOTER) {
    throw measureError('measure.firmware_table', 'no OVMF table: is this an OVMF image?');
  }
  const table = new Map<string, Uint8Array>();
  let end = footer.data.length;
  while (end > 0) {
    const entry = entryEndingAt(footer.data, end);
    if (entry === undefined) {
      throw measureError('measure.firmware_table', `broken entry ending at ${end} of the table`);
    }
    if (table.has(entry.guid))
      throw measureError('measure.firmware_table', 'an entry stands twice');
    table.set(entry.guid, entry.data);
    end = entry.start;
  }
  return table;
}

interface TableEntry {
  readonly guid: string;
  readonly data: Uint8Array;
  readonly start: number;
}

/** Data, then u16 size of the whole entry, then GUID. Undefined where these do not fit into what lies before `end`. */
function entryEndingAt(bytes: Uint8Array, end: number): TableEntry | undefined {
  const headerStart = end - ENTRY_HEADER_BYTES;
  if (headerStart < 0) return undefined;
  const header = new Reader(bytes.subarray(headerStart, end), brokenTable);
  const size = header.u16le('entry size');
  const guid = toHex(header.bytes(16, 'entry GUID'));
  if (size < ENTRY_HEADER_BYTES || size > end) return undefined;
  const start = end - size;
  return { guid, data: bytes.subarray(start, headerStart), start };
}

function brokenTable(field: string): VeilError {
  return measureError('measure.firmware_table', field);
}

/** ResetVectorVtf0.asm, sevEsResetBlock: u32 address. QEMU refuses firmware without it, and zero. */
function parseResetBlock(table: FirmwareTable): number {
  const data = table.get(RESET_BLOCK);
  if (data === undefined) throw measureError('measure.reset_vector', 'no SEV-ES reset block');
  const reader = new Reader(data, resetError);
  const address = reader.u32le('address');
  if (reader.remaining > 0 || address === 0) throw resetError('address');
  return address;
}

function resetError(field: string): VeilError {
  return measureError('measure.reset_vector', `SEV-ES reset block: ${field}`);
}

/** ResetVectorVtf0.asm, sevHashTableStart: u32 address, u32 size; zero in builds without measured boot. */
function parseHashTable(table: FirmwareTable): Ovmf['hashTable'] {
  const data = table.get(HASH_TABLE);
  if (data === undefined) return undefined;
  const reader = new Reader(data, brokenTable);
  const gpa = reader.u32le('hash table address');
  const sizeBytes = reader.u32le('hash table size');
  if (reader.remaining > 0) throw brokenTable('hash table entry');
  return gpa === 0 ? undefined : { gpa, sizeBytes };
}

const METADATA_HEADER_BYTES = 16;
const SECTION_BYTES = 12;
const METADATA_VERSION = 1;

/** OvmfSevMetadata.asm: "ASEV", u32 length, u32 version, u32 sections, then u32 address, size, type of each. */
function parseMetadata(bytes: Uint8Array, table: FirmwareTable): readonly OvmfSection[] {
  const entry = table.get(SEV_METADATA);
  if (entry === undefined) {
    throw metadataError('none: this firmware is not built for SEV-SNP');
  }
  const pointer = new Reader(entry, metadataTruncated);
  const fromEnd = pointer.u32le('offset');
  if (pointer.remaining > 0 || fromEnd > bytes.length) throw metadataTruncated('offset');
  const reader = new Reader(bytes.subarray(bytes.length - fromEnd), metadataTruncated);
  if (!equalPublic(reader.bytes(4, 'signature'), ascii('ASEV'))) throw metadataError('signature');
  const length = reader.u32le('length'); // +4
  const version = reader.u32le('version'); // +8
  const count = reader.u32le('number of sections'); // +12
  if (version !== METADATA_VERSION) throw metadataError(`version ${version}, want 1`);
  if (count > SECTIONS_MAX) throw metadataError(`${count} sections, at most ${SECTIONS_MAX}`);
  if (length !== METADATA_HEADER_BYTES + count * SECTION_BYTES) throw metadataError('length');
  return Array.from({ length: count }, () => readSection(reader));
}

function metadataError(what: string): VeilError {
  return measureError('measure.metadata', `SEV metadata: ${what}`);
}

function metadataTruncated(field: string): VeilError {
  return metadataError(`${field} outside the image`);
}

function readSection(reader: Reader): OvmfSection {
  const gpa = reader.u32le('section address');
  const sizeBytes = reader.u32le('section size');
  const type = reader.u32le('section type');
  const kind = KIND_OF.get(type);
  // How a monitor would measure a type of the future cannot be known here, so there is no digest to give.
  if (kind === undefined) throw sectionError(`type ${type} is not known`);
  return { kind, gpa, sizeBytes };
}

function sectionError(what: string): VeilError {
  return measureError('measure.section', what);
}

/** A page is measured once: overlapping sections, or sections over the firmware, cannot be launched. */
function checkSections(sections: readonly OvmfSection[], firmwareGpa: number): void {
  let pages = 0;
  for (const { kind, gpa, sizeBytes } of sections) {
    if (gpa % PAGE_BYTES !== 0 || sizeBytes % PAGE_BYTES !== 0 || sizeBytes === 0) {
      throw sectionError(`${kind} at ${hex(gpa)} is not whole pages`);
    }
    if (ONE_PAGE.has(kind) && sizeBytes !== PAGE_BYTES)
      throw sectionError(`${kind} is not one page`);
    pages += sizeBytes / PAGE_BYTES;
  }
  if (pages > SECTION_PAGES_MAX) throw sectionError(`${pages} pages, at most ${SECTION_PAGES_MAX}`);
  const inOrder = sections.toSorted((a, b) => a.gpa - b.gpa);
  for (const [at, { kind, gpa, sizeBytes }] of inOrder.entries()) {
    const next = inOrder[at + 1]?.gpa ?? firmwareGpa;
    if (gpa + sizeBytes > next) throw sectionError(`${kind} at ${hex(gpa)} overlaps what follows`);
  }
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
