/**
 * Writes the table of certificates that a host hands to its guest beside a report.
 * Spec: AMD SEV-ES Guest-Hypervisor Communication Block Standardization (56421), "SNP Extended Guest Request";
 * sev-snp.md §2.4.
 * @module
 */

import { concat, fromHex } from '../../../../core/bytes.ts';
import { u32le } from '../quote-writer.ts';

export const TABLE_GUID = {
  vcek: '63da758d-e664-4564-adc5-f4b93be8accd',
  vlek: 'a8074bc2-a25a-483e-aae6-39c045a0b8a1',
  /** ASK or ASVK. */
  intermediate: '4ab7b379-bbac-4fe4-a02f-05aef327c782',
  root: 'c0b406a4-a803-4952-9743-3fb6014cd0ae',
  crl: '92f81bc3-5811-4d3d-97ff-d19f88dc67ea',
} as const;

export interface TableEntry {
  /** Text form. */
  readonly guid: string;
  readonly bytes: Uint8Array;
  /** In place of where and how long the bytes are; tests lie with them. */
  readonly offset?: number;
  readonly length?: number;
}

/** `text`: the bytes as they are read aloud. `mixed`: the first three groups little-endian, as some hosts do. */
export type GuidOrder = 'text' | 'mixed';

const ENTRY_BYTES = 24;
const PAGE_BYTES = 4096;

/** Entries, an entry of zeros, then the blobs, padded to whole pages. */
export function writeCertificateTable(
  entries: readonly TableEntry[],
  order: GuidOrder = 'text',
): Uint8Array {
  let at = (entries.length + 1) * ENTRY_BYTES;
  const heads = entries.map((entry) => {
    const head = concat(
      guidBytes(entry.guid, order),
      u32le(entry.offset ?? at),
      u32le(entry.length ?? entry.bytes.length),
    );
    at += entry.bytes.length;
    return head;
  });
  const padding = new Uint8Array((PAGE_BYTES - (at % PAGE_BYTES)) % PAGE_BYTES);
  const blobs = entries.map(({ bytes }) => bytes);
  return concat(...heads, new Uint8Array(ENTRY_BYTES), ...blobs, padding);
}

export function guidBytes(guid: string, order: GuidOrder): Uint8Array {
  const groups = guid.split('-').map(fromHex);
  return concat(
    ...groups.map((group, at) => (order === 'mixed' && at < 3 ? group.slice().reverse() : group)),
  );
}
