/**
 * Everything a store holds in one file, for sites without a way out: made where there is one, carried over, and judged
 * entry by entry on arrival exactly as from the network. The file is trusted no more than a server is.
 * Spec: docs/collateral.md "Air-gapped sites".
 * @module
 */

import { z } from 'zod';
import { utf8 } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { parseStrictJson } from '../../core/json.ts';
import { collateralError } from './errors.ts';
import { ENTRY_SCHEMA, entryOf, readEntry, type Entry } from './entries.ts';
import { itemKey, supportsOf } from './items.ts';
import type { ItemStore } from './item-store.ts';
import { BUNDLE_ENTRIES_MAX, BUNDLE_MAX_BYTES } from './limits.ts';

const FORMAT = 'veilgate.collateral/1';
const JSON_DEPTH_MAX = 4;
/** An entry has four: itself and its members. */
const JSON_VALUES_MAX = 4 * BUNDLE_ENTRIES_MAX + 16;

const SCHEMA = z.strictObject({
  format: z.literal(FORMAT),
  entries: z.array(ENTRY_SCHEMA).max(BUNDLE_ENTRIES_MAX),
});

export interface BundleReport {
  /** Keys that were taken, or were there already in a newer form. */
  readonly taken: readonly string[];
  readonly refused: readonly {
    readonly key: string;
    readonly code: string;
    readonly reason: string;
  }[];
}

/** Throws `collateral.bundle` when more is held than a bundle may carry. */
export async function exportBundle(store: ItemStore): Promise<Uint8Array> {
  const held = await store.all();
  if (held.length > BUNDLE_ENTRIES_MAX) throw bad(`${held.length} entries`);
  const file: z.input<typeof SCHEMA> = { format: FORMAT, entries: held.map(entryOf) };
  const bytes = utf8(JSON.stringify(file));
  if (bytes.length > BUNDLE_MAX_BYTES) throw bad(`${bytes.length} bytes`);
  return bytes;
}

/**
 * Throws `collateral.bundle` for a file that is none; what is in it and does not hold is reported and left out. Nothing
 * is asked of the network meanwhile.
 */
export async function importBundle(store: ItemStore, bytes: Uint8Array): Promise<BundleReport> {
  const entries = readBundle(bytes);
  const taken: string[] = [];
  const refused: { key: string; code: string; reason: string }[] = [];
  for (const { item, raw } of entries) {
    const key = itemKey(item);
    try {
      await store.take(item, raw);
      taken.push(key);
    } catch (error) {
      if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
      refused.push({ key, code: error.code, reason: String(error.facts['reason'] ?? '') });
    }
  }
  return { taken, refused };
}

/** In the order in which they can be judged. */
function readBundle(bytes: Uint8Array): readonly Entry[] {
  const decoded = SCHEMA.safeParse(parsed(bytes));
  if (!decoded.success) throw bad('form');
  const entries = decoded.data.entries.map((entry) => {
    const read = readEntry(entry);
    if (read === undefined) throw bad('an entry of no known kind or size');
    return read;
  });
  if (new Set(entries.map(({ item }) => itemKey(item))).size !== entries.length) {
    throw bad('two entries of one key');
  }
  return entries.toSorted((a, b) => supportsOf(a.item).length - supportsOf(b.item).length);
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return parseStrictJson(bytes, {
      maxBytes: BUNDLE_MAX_BYTES,
      maxDepth: JSON_DEPTH_MAX,
      maxValues: JSON_VALUES_MAX,
      numbers: 'integers',
    }).value;
  } catch (cause) {
    if (!(cause instanceof VeilError)) throw cause;
    throw bad(cause.code, cause);
  }
}

function bad(reason: string, cause?: unknown): VeilError {
  return collateralError('collateral.bundle', reason, { facts: { reason }, cause });
}
