/**
 * One line of a chained log: canonical JSON `{entry, hash, prev, seq, time}`, where `hash` is SHA-256 of the label, a
 * zero byte and the canonical JSON of the other four, and `prev` the hash of the line before. Whoever changes, adds,
 * takes out or moves a line has to make every hash after it anew. Spec: docs/audit.md §1; RFC 8785.
 * @module
 */

import { sha256 } from '#primitives';
import { ascii, concat, fromUtf8, toHex, utf8 } from '../bytes.ts';
import { formatInstant, parseInstant } from '../clock.ts';
import { assert } from '../errors.ts';
import { canonicalJson, isJsonObject, parseStrictJson, type JsonObject } from '../json.ts';

/** How far a chain has come: the number of its last entry, and that line's hash in hex. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: string;
}

/** Before the first entry. */
export const CHAIN_START: ChainHead = { seq: 0, hash: '0'.repeat(64) };

export interface ChainedLine extends ChainHead {
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly prev: string;
  readonly entry: JsonObject;
}

export type ReadLine =
  | { readonly outcome: 'sound'; readonly line: ChainedLine }
  /** Everything can be read, and the hash is of something else. */
  | { readonly outcome: 'altered'; readonly line: ChainedLine }
  | { readonly outcome: 'unreadable'; readonly fault: 'size' | 'form' | 'canonical' };

export const ENTRY_MAX_BYTES = 16_384;
/** With everything around the entry, without the line's end. */
export const LINE_MAX_BYTES = ENTRY_MAX_BYTES + 512;
const LABEL = concat(ascii('veilgate.log/1'), Uint8Array.of(0));
const ENTRY_MAX_DEPTH = 8;

const HEAD = '{"entry":';
/** Members of canonical JSON are sorted: what comes after the entry has one form. */
const TAIL =
  /,"hash":"([0-9a-f]{64})","prev":"([0-9a-f]{64})","seq":([1-9]\d{0,15}),"time":"([0-9TZ:.-]{20,24})"\}$/;

/**
 * The line after `after`, without its line end. Throws `internal.invariant` for an entry that could not be read back.
 */
export function encodeLine(
  after: ChainHead,
  atMs: number,
  entry: JsonObject,
): { readonly bytes: Uint8Array; readonly head: ChainHead } {
  const [seq, time, prev] = [after.seq + 1, formatInstant(atMs), after.hash];
  const text = canonicalJson(entry);
  const hash = hashOf({ text, prev, seq, time });
  const bytes = utf8(
    `${HEAD}${text},"hash":"${hash}","prev":"${prev}","seq":${seq},"time":"${time}"}`,
  );
  // What does not read back would make the log unusable from here on.
  assert(readLine(bytes).outcome === 'sound', 'an entry that does not read back');
  return { bytes, head: { seq, hash } };
}

/** Judges the line by itself; whether it follows the one before is `ChainCheck`'s part. Throws nothing. */
export function readLine(bytes: Uint8Array): ReadLine {
  if (bytes.length > LINE_MAX_BYTES) return { outcome: 'unreadable', fault: 'size' };
  const text = textOf(bytes);
  const match = TAIL.exec(text);
  if (match === null || !text.startsWith(HEAD)) return { outcome: 'unreadable', fault: 'form' };
  const [tail, hash = '', prev = '', number, time = ''] = match;
  const seq = Number(number);
  if (!Number.isSafeInteger(seq) || !isInstant(time)) {
    return { outcome: 'unreadable', fault: 'form' };
  }
  const entryText = text.slice(HEAD.length, text.length - tail.length);
  const entry = entryOf(entryText);
  if (entry === undefined) return { outcome: 'unreadable', fault: 'canonical' };
  const isSound = hash === hashOf({ text: entryText, prev, seq, time });
  return { outcome: isSound ? 'sound' : 'altered', line: { seq, time, prev, hash, entry } };
}

function hashOf(line: {
  readonly text: string;
  readonly prev: string;
  readonly seq: number;
  readonly time: string;
}): string {
  const { text, prev, seq, time } = line;
  const hashed = `${HEAD}${text},"prev":"${prev}","seq":${seq},"time":"${time}"}`;
  return toHex(sha256(LABEL, utf8(hashed)));
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch {
    return ''; // not text, so not a line: the form decides
  }
}

/** Undefined for what is not an object, or has another spelling too. */
function entryOf(text: string): JsonObject | undefined {
  try {
    const { value } = parseStrictJson(utf8(text), {
      maxBytes: ENTRY_MAX_BYTES,
      maxDepth: ENTRY_MAX_DEPTH,
      numbers: 'integers',
    });
    return isJsonObject(value) && canonicalJson(value) === text ? value : undefined;
  } catch {
    return undefined; // which rule of JSON it breaks helps nobody: we did not write it
  }
}

function isInstant(text: string): boolean {
  const ms = parseInstant(text);
  return ms !== undefined && formatInstant(ms) === text;
}
