/**
 * OVMF images of any shape, sound and broken: random pages with the table and the SEV metadata where real ones have
 * them. Written from edk2's sources, not from the reader that they test.
 * Spec: edk2, OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm, X64/OvmfSevMetadata.asm.
 * @module
 */

import { seededBytes } from '../changes.ts';

export const SECTION_TYPES = {
  secMem: 1,
  secrets: 2,
  cpuid: 3,
  svsmCaa: 4,
  kernelHashes: 0x10,
} as const;

export interface TestSection {
  readonly gpa: number;
  readonly size: number;
  readonly type: number;
}

/** Every type once; the CPUID page before others, so that its order is seen. */
export const SECTIONS: readonly TestSection[] = [
  { gpa: 0x80_0000, size: 0x3000, type: SECTION_TYPES.secMem },
  { gpa: 0x80_e000, size: 0x1000, type: SECTION_TYPES.cpuid },
  { gpa: 0x80_d000, size: 0x1000, type: SECTION_TYPES.secrets },
  { gpa: 0x81_0000, size: 0x1000, type: SECTION_TYPES.kernelHashes },
  { gpa: 0x80_f000, size: 0x1000, type: SECTION_TYPES.svsmCaa },
];

export const RESET_ADDRESS = 0x0080_b004;
export const HASH_TABLE = { gpa: 0x81_0c00, size: 0x400 };

export const GUIDS = {
  footer: '96b582de-1fb2-45f7-baea-a366c55a082d',
  resetBlock: '00f771de-1a7e-4fcb-890e-68c77e2fb44e',
  metadata: 'dc886566-984a-4798-a75e-5585a7bf67cc',
  hashTable: '7255371f-3a3b-4b04-927b-1da6efa8d454',
} as const;

export interface TableEntry {
  readonly guid: string;
  readonly data: Uint8Array;
  /** What the entry says of its size, where that is a lie. */
  readonly size?: number;
}

export interface OvmfParts {
  readonly sizeBytes?: number;
  readonly sections?: readonly TestSection[];
  /** From the first to the last; `undefined` stands for the three that real images have. */
  readonly entries?: readonly TableEntry[];
  readonly metadata?: Partial<{
    signature: string;
    length: number;
    version: number;
    count: number;
  }>;
  readonly metadataFromEnd?: number;
  readonly footer?: Partial<{ guid: string; size: number }>;
}

/** Where the metadata starts, counted from the end of the image. */
export const METADATA_FROM_END = 2048;
const AFTER_TABLE_BYTES = 32;
const ENTRY_HEADER_BYTES = 18;

export function buildOvmf(parts: OvmfParts = {}): Uint8Array {
  const { sizeBytes = 0x4000, sections = SECTIONS, metadataFromEnd = METADATA_FROM_END } = parts;
  const image = distinctPages(sizeBytes);
  image.set(metadataBytes(sections, parts.metadata), sizeBytes - METADATA_FROM_END);
  const table = tableBytes(parts.entries ?? standardEntries(metadataFromEnd), parts.footer);
  image.set(table, sizeBytes - AFTER_TABLE_BYTES - table.length);
  return image;
}

/** No two alike, and none of zeros. */
function distinctPages(sizeBytes: number): Uint8Array {
  const page = seededBytes('ovmf', 4096);
  const image = new Uint8Array(sizeBytes);
  for (let at = 0; at < sizeBytes; at += page.length) {
    image.set(page.subarray(0, sizeBytes - at), at);
    image.set(words(at).subarray(0, sizeBytes - at), at);
  }
  return image;
}

export function standardEntries(metadataFromEnd = METADATA_FROM_END): readonly TableEntry[] {
  return [
    { guid: GUIDS.metadata, data: words(metadataFromEnd) },
    { guid: GUIDS.hashTable, data: words(HASH_TABLE.gpa, HASH_TABLE.size) },
    { guid: GUIDS.resetBlock, data: words(RESET_ADDRESS) },
  ];
}

/** The three entries with one replaced, or left out where `data` is undefined. */
export function entriesWith(guid: string, data: Uint8Array | undefined): readonly TableEntry[] {
  return standardEntries().flatMap((entry) => {
    if (entry.guid !== guid) return [entry];
    return data === undefined ? [] : [{ guid, data }];
  });
}

/** Little-endian 32-bit words. */
export function words(...values: readonly number[]): Uint8Array {
  const out = Buffer.alloc(4 * values.length);
  for (const [at, value] of values.entries()) out.writeUInt32LE(value, 4 * at);
  return out;
}

/** `aabbccdd-eeff-…` as firmware stores it: the first three groups back to front. */
export function storedGuid(text: string): Uint8Array {
  const raw = Buffer.from(text.replaceAll('-', ''), 'hex');
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
  return Uint8Array.from(order, (at) => raw[at] ?? 0);
}

function metadataBytes(
  sections: readonly TestSection[],
  claims: OvmfParts['metadata'] = {},
): Uint8Array {
  const { length = 16 + 12 * sections.length, version = 1, count = sections.length } = claims;
  return Buffer.concat([
    Buffer.from(claims.signature ?? 'ASEV', 'latin1'),
    words(length, version, count),
    ...sections.map(({ gpa, size, type }) => words(gpa, size, type)),
  ]);
}

function tableBytes(entries: readonly TableEntry[], footer: OvmfParts['footer'] = {}): Uint8Array {
  const body = Buffer.concat(entries.map(entryBytes));
  const size = footer.size ?? body.length + ENTRY_HEADER_BYTES;
  return Buffer.concat([
    body,
    entryBytes({ guid: footer.guid ?? GUIDS.footer, data: new Uint8Array(), size }),
  ]);
}

function entryBytes({ guid, data, size }: TableEntry): Uint8Array {
  const length = Buffer.alloc(2);
  length.writeUInt16LE(size ?? data.length + ENTRY_HEADER_BYTES);
  return Buffer.concat([data, length, storedGuid(guid)]);
}
