/**
 * The 112 clear bytes at the head of every sealed request: what a gateway needs to route, reserve and refuse, and
 * nothing about content. All of them enter th0, so none can be changed. Spec: P§3.
 * @module
 */

import {
  ascii,
  concat,
  fixed,
  isZero,
  Reader,
  u16be,
  u32be,
  u64be,
  type Bytes,
} from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { KEM_IDS, type KemName } from '../../attestation/verdict.ts';
import { sha256 } from '#primitives';
import { refused, sxError } from './errors.ts';
import { DEADLINE_MAX_MS, RECIPIENTS_MAX, TTL_MAX_S } from './limits.ts';

export const PRELUDE_BYTES = 112;
const MAGIC = 0x5358; // "SX"
const VERSION = 1;

/** 0 nanoTON, 1 µUSDT. */
export type AssetId = 0 | 1;

export interface PreludeFlags {
  readonly stream: boolean;
  /** The answer comes in frames of one size at one pace, whatever the model does (P§10.8). */
  readonly constantRate: boolean;
  /** The gateway must not hand the request to a second worker once the first may have read it. */
  readonly singleRecipient: boolean;
  readonly receiptRequired: boolean;
}

export interface Prelude {
  readonly recipientCount: number;
  readonly flags: PreludeFlags;
  readonly msgId: Bytes<16>;
  readonly issuedAtMs: number;
  readonly ttlS: number;
  /** After `issuedAtMs`. */
  readonly deadlineMs: number;
  readonly kem: KemName;
  readonly routeTag: Bytes<16>;
  /** Ceiling for the whole exchange in the asset's atomic unit; 0 only where every price is 0. */
  readonly maxAmount: bigint;
  readonly maxPrompt: number;
  /** All choices and reasoning together. */
  readonly maxOutput: number;
  readonly asset: AssetId;
  readonly payerRef: Bytes<32>;
}

// P§3.2. The other bits are reserved: a mode that is not built must not be asked for in silence.
const STREAM = 1;
const CONSTANT_RATE = 1 << 1;
const SINGLE_RECIPIENT = 1 << 2;
const RECEIPT_REQUIRED = 1 << 3;
const ROUND_USAGE = 1 << 4;
const SERVED = STREAM | CONSTANT_RATE | SINGLE_RECIPIENT | RECEIPT_REQUIRED;

function parseFlags(bits: number): PreludeFlags {
  if ((bits & ROUND_USAGE) !== 0) throw sxError('sx.unsupported', 'round-usage');
  if ((bits & ~SERVED) !== 0) throw refused('prelude');
  return {
    stream: (bits & STREAM) !== 0,
    constantRate: (bits & CONSTANT_RATE) !== 0,
    singleRecipient: (bits & SINGLE_RECIPIENT) !== 0,
    receiptRequired: (bits & RECEIPT_REQUIRED) !== 0,
  };
}

function flagBits(flags: PreludeFlags): number {
  return (
    (flags.stream ? STREAM : 0) |
    (flags.constantRate ? CONSTANT_RATE : 0) |
    (flags.singleRecipient ? SINGLE_RECIPIENT : 0) |
    (flags.receiptRequired ? RECEIPT_REQUIRED : 0)
  );
}

/** Only of such an answer may be told on the way how far it is (P§10.7): elsewhere METER would say what the pace hides. */
export function isMetered({ stream, constantRate }: PreludeFlags): boolean {
  return stream && !constantRate;
}

function kemOfId(id: number): KemName {
  if (id === KEM_IDS['X-Wing']) return 'X-Wing';
  if (id === KEM_IDS.X25519) return 'X25519';
  throw sxError('sx.unsupported', 'kem');
}

/**
 * Copies what it keeps: a prelude outlives the megabytes it came with.
 * Throws `sx.refused`, or `sx.unsupported` for a version, suite or mode of another day.
 */
export function parsePrelude(bytes: Uint8Array): Prelude {
  const reader = new Reader(bytes, () => refused('size'));
  if (reader.u16be('magic') !== MAGIC) throw refused('prelude'); // +0
  if (reader.u8('version') !== VERSION) throw sxError('sx.unsupported', 'version'); // +2
  const recipientCount = reader.u8('n'); // +3
  if (recipientCount < 1 || recipientCount > RECIPIENTS_MAX) throw refused('prelude');
  const flags = parseFlags(reader.u16be('flags')); // +4
  if (reader.u16be('reserved') !== 0) throw refused('prelude'); // +6
  const msgId = fixed(reader.bytes(16, 'msg_id').slice(), 16); // +8
  const issuedAtMs = Number(reader.u64be('issued_at')); // +24
  if (!Number.isSafeInteger(issuedAtMs)) throw refused('prelude');
  const ttlS = reader.u16be('ttl'); // +32
  if (ttlS < 1 || ttlS > TTL_MAX_S) throw refused('prelude');
  const deadlineMs = reader.u32be('deadline'); // +34
  if (deadlineMs < 1 || deadlineMs > DEADLINE_MAX_MS) throw refused('prelude');
  const kem = kemOfId(reader.u16be('kem_id')); // +38
  const routeTag = fixed(reader.bytes(16, 'route_tag').slice(), 16); // +40
  const maxAmount = reader.u64be('max_amount'); // +56
  const maxPrompt = reader.u32be('max_prompt'); // +64
  const maxOutput = reader.u32be('max_output'); // +68
  if (maxPrompt < 1 || maxOutput < 1) throw refused('prelude');
  const asset = reader.u8('asset'); // +72
  if (asset !== 0 && asset !== 1) throw refused('prelude');
  if (!isZero(reader.bytes(7, 'zero'))) throw refused('prelude'); // +73
  const payerRef = fixed(reader.bytes(32, 'payer_ref').slice(), 32); // +80
  return {
    recipientCount,
    flags,
    msgId,
    issuedAtMs,
    ttlS,
    deadlineMs,
    kem,
    routeTag,
    maxAmount,
    maxPrompt,
    maxOutput,
    asset,
    payerRef,
  };
}

export function encodePrelude(prelude: Prelude): Bytes<112> {
  const bytes = concat(
    u16be(MAGIC),
    Uint8Array.of(VERSION, prelude.recipientCount),
    u16be(flagBits(prelude.flags)),
    u16be(0),
    prelude.msgId,
    u64be(BigInt(prelude.issuedAtMs)),
    u16be(prelude.ttlS),
    u32be(prelude.deadlineMs),
    u16be(KEM_IDS[prelude.kem]),
    prelude.routeTag,
    u64be(prelude.maxAmount),
    u32be(prelude.maxPrompt),
    u32be(prelude.maxOutput),
    Uint8Array.of(prelude.asset, 0, 0, 0, 0, 0, 0, 0),
    prelude.payerRef,
  );
  assert(bytes.length === PRELUDE_BYTES, 'prelude size');
  return fixed(bytes, PRELUDE_BYTES);
}

/** What the gateway routes by: it learns the model of a small public list, never the prompt. */
export function routeTag(modelId: string): Bytes<16> {
  return fixed(sha256(ascii('sx1 route'), ascii(modelId)).slice(0, 16), 16);
}

/** `payer` is a channel id or SHA-256(API key); a worker cannot link two requests of one payer. */
export function payerRefOf(payer: Bytes<32>, msgId: Bytes<16>): Bytes<32> {
  return sha256(ascii('vg-payer'), payer, msgId);
}
