/**
 * The certificate table that a host hands to its guest with an extended report (`auxblob` of configfs-tsm). Host data:
 * reading it bounds every access and trusts nothing.
 * Spec: GHCB Specification (56421) §4.1.8.1, table "SNP_EXTENDED_REQUEST certificate data".
 * @module
 */

import { equalPublic, fromHex, isZero, Reader } from '../../core/bytes.ts';
import type { VeilError } from '../../core/errors.ts';
import type { SnpEndorsements } from './endorsements.ts';
import { snpError } from './errors.ts';

export const CERT_TABLE_MAX_BYTES = 64 * 1024;
const CERT_MAX_BYTES = 16 * 1024;
const ENTRY_BYTES = 24;
const ENTRIES_MAX = 64;

/** RFC 9562 text order. */
const GUIDS = {
  vcek: '63da758de6644564adc5f4b93be8accd',
  vlek: 'a8074bc2a25a483eaae639c045a0b8a1',
  intermediate: '4ab7b379bbac4fe4a02f05aef327c782',
  root: 'c0b406a4a803495297433fb6014cd0ae',
  crl: '92f81bc358114d3d97ffd19f88dc67ea',
} as const;
type EntryName = keyof typeof GUIDS;

export type CertTable = Readonly<Partial<Record<EntryName, Uint8Array>>>;

interface Entry {
  readonly guid: Uint8Array;
  readonly offset: number;
  readonly length: number;
}

/** Entries with other GUIDs are read over. Throws `snp.certificate_table`. */
export function parseCertTable(bytes: Uint8Array): CertTable {
  if (bytes.length > CERT_TABLE_MAX_BYTES) throw malformed(`${bytes.length} bytes`);
  const entries = readEntries(bytes);
  const headerBytes = (entries.length + 1) * ENTRY_BYTES;
  const found = new Map<EntryName, Uint8Array>();
  for (const { guid, offset, length } of entries) {
    // Offsets and lengths are 32-bit; their sum is not, so it is made in doubles.
    if (offset < headerBytes) throw malformed('an entry inside the header');
    if (offset + length > bytes.length) throw malformed('an entry past the end');
    const name = nameOf(guid);
    if (name === undefined) continue;
    if (length > CERT_MAX_BYTES) throw malformed(`${name} of ${length} bytes`);
    const blob = bytes.subarray(offset, offset + length);
    const known = found.get(name);
    if (known !== undefined && !equalPublic(known, blob)) throw malformed(`two of ${name}`);
    found.set(name, blob);
  }
  return Object.fromEntries(found);
}

function readEntries(bytes: Uint8Array): readonly Entry[] {
  const reader = new Reader(bytes, (field) => malformed(`no ${field}`));
  const entries: Entry[] = [];
  for (;;) {
    const guid = reader.bytes(16, 'end of the header');
    const offset = reader.u32le('offset');
    const length = reader.u32le('length');
    if (isZero(guid) && offset === 0 && length === 0) return entries;
    if (entries.length === ENTRIES_MAX) throw malformed('too many entries');
    entries.push({ guid, offset, length });
  }
}

/** Hosts write the first three fields of a GUID in either byte order. */
function nameOf(guid: Uint8Array): EntryName | undefined {
  for (const [name, hex] of NAMES) {
    const text = fromHex(hex);
    if (equalPublic(text, guid) || equalPublic(mixedEndian(text), guid)) return name;
  }
  return undefined;
}

const NAMES: readonly (readonly [EntryName, string])[] = [
  ['vcek', GUIDS.vcek],
  ['vlek', GUIDS.vlek],
  ['intermediate', GUIDS.intermediate],
  ['root', GUIDS.root],
  ['crl', GUIDS.crl],
];

const MIXED_ORDER = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

function mixedEndian(guid: Uint8Array): Uint8Array {
  return Uint8Array.from(MIXED_ORDER, (at) => guid[at] ?? 0);
}

/** What the table has for a report of this signer. */
export function endorsementsOf(table: CertTable, signer: 'vcek' | 'vlek'): SnpEndorsements {
  const vek = signer === 'vlek' ? (table.vlek ?? table.vcek) : (table.vcek ?? table.vlek);
  return {
    ...(vek === undefined ? {} : { vek }),
    ...(table.intermediate === undefined ? {} : { intermediate: table.intermediate }),
    ...(table.root === undefined ? {} : { root: table.root }),
    ...(table.crl === undefined ? {} : { crl: table.crl }),
  };
}

function malformed(what: string): VeilError {
  return snpError('snp.certificate_table', what);
}
