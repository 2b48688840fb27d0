/**
 * One item as it stands on disk and in bundles. Reading gives bytes and the item they claim to be; they are judged after
 * that like any others. Spec: docs/collateral.md.
 * @module
 */

import { z } from 'zod';
import { toBase64, utf8 } from '../../core/bytes.ts';
import { parseJson } from '../../core/json.ts';
import { base64Field } from '../byte-fields.ts';
import { BODY_MAX_BYTES, itemOfKey, type Item } from './items.ts';
import type { RawItem, Verified } from './judge.ts';
import { CHAIN_MAX_BYTES, DOCUMENT_MAX_BYTES, ENTRY_MAX_BYTES } from './limits.ts';

const KEY_MAX_CHARS = 200;

export const ENTRY_SCHEMA = z.strictObject({
  key: z.string().max(KEY_MAX_CHARS),
  body: base64Field(DOCUMENT_MAX_BYTES),
  chain: z.string().max(CHAIN_MAX_BYTES),
});

export interface Entry {
  readonly item: Item;
  readonly raw: RawItem;
}

export function entryOf({ key, raw }: Verified): z.input<typeof ENTRY_SCHEMA> {
  return { key, body: toBase64(raw.body), chain: raw.chain };
}

/** Undefined for a key of nothing we know, or a body too large for what it claims to be. */
export function readEntry({ key, body, chain }: z.output<typeof ENTRY_SCHEMA>): Entry | undefined {
  const item = itemOfKey(key);
  if (item === undefined || body.length > BODY_MAX_BYTES[item.kind]) return undefined;
  return { item, raw: { body, chain } };
}

const BLOB_SCHEMA = z.strictObject({ version: z.literal(1), entry: ENTRY_SCHEMA });

export function encodeBlob(verified: Verified): Uint8Array {
  const blob: z.input<typeof BLOB_SCHEMA> = { version: 1, entry: entryOf(verified) };
  return utf8(JSON.stringify(blob));
}

/** Undefined unless the blob is whole and of this key. Throws `json.*`. */
export function decodeBlob(bytes: Uint8Array, key: string): RawItem | undefined {
  const decoded = BLOB_SCHEMA.safeParse(parseJson(bytes, ENTRY_MAX_BYTES));
  if (!decoded.success || decoded.data.entry.key !== key) return undefined;
  return readEntry(decoded.data.entry)?.raw;
}
