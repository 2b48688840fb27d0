/**
 * VGR1, the one receipt: what a worker signs about an exchange, for the client, the gateway and settlement alike.
 * Here are its layout, its signature and its chain; whether it fits an exchange is sx/check-receipt.ts. Spec: P§9.
 * @module
 */

import {
  ascii,
  concat,
  fixed,
  Reader,
  u32be,
  u64be,
  u128be,
  equalPublic,
  toHex,
  type Bytes,
} from '../core/bytes.ts';
import { ExpiringCache } from '../core/cache.ts';
import { assert } from '../core/errors.ts';
import type { PriceList } from '../attestation/verdict.ts';
import { sha256, signEd25519, verifyEd25519 } from '#primitives';
import { encodeMeter, METER_BYTES, type Meter } from './meter.ts';
import { amountDue, amountOf } from './price.ts';
import { sxError } from './sx/errors.ts';

const MAGIC = ascii('VGR1');
export const VGR1_BYTES = 381;
const SIGNATURE_BYTES = 64;
/** signature ‖ VGR1: the payload of frame 0x10. */
export const RECEIPT_BYTES = 445;

/** Four disjoint kinds: `prompt` excludes `cached`, `completion` excludes `reasoning`. */
export interface Usage {
  readonly prompt: number;
  readonly cached: number;
  readonly completion: number;
  readonly reasoning: number;
}

export type ReceiptOutcome = 'ok' | 'cancelled' | 'error';

// P§9.2: the low two bits, then five that must be zero, then bit 7.
const OUTCOMES: readonly ReceiptOutcome[] = ['ok', 'cancelled', 'error'];
const SIMULATED = 0x80;

/** As parsed. Says nothing about who signed it. */
export interface Receipt {
  readonly requestId: Bytes<16>;
  readonly statementHash: Bytes<32>;
  readonly kid: Bytes<16>;
  readonly payerRef: Bytes<32>;
  readonly workerId: Bytes<32>;
  readonly modelDigest: Bytes<32>;
  readonly priceDigest: Bytes<32>;
  readonly policyDigest: Bytes<32>;
  readonly usage: Usage;
  readonly amount: bigint;
  readonly outcome: ReceiptOutcome;
  readonly simulated: boolean;
  readonly startMs: number;
  readonly endMs: number;
  readonly reqHash: Bytes<32>;
  readonly respHash: Bytes<32>;
  readonly workerSeq: bigint;
  readonly prevReceiptHash: Bytes<32>;
}

export interface SignedReceipt {
  readonly receipt: Receipt;
  readonly signature: Bytes<64>;
  /** signature ‖ VGR1 as received. */
  readonly payload: Bytes<445>;
  /** SHA-256(payload): what FINAL repeats, the next receipt chains to and the ledger line names. */
  readonly hash: Bytes<32>;
}

export function encodeReceipt(receipt: Receipt): Bytes<381> {
  const outcome = OUTCOMES.indexOf(receipt.outcome);
  const bytes = concat(
    MAGIC,
    receipt.requestId,
    receipt.statementHash,
    receipt.kid,
    receipt.payerRef,
    receipt.workerId,
    receipt.modelDigest,
    receipt.priceDigest,
    receipt.policyDigest,
    u32be(receipt.usage.prompt),
    u32be(receipt.usage.cached),
    u32be(receipt.usage.completion),
    u32be(receipt.usage.reasoning),
    u128be(receipt.amount),
    Uint8Array.of(outcome | (receipt.simulated ? SIMULATED : 0)),
    u64be(BigInt(receipt.startMs)),
    u64be(BigInt(receipt.endMs)),
    receipt.reqHash,
    receipt.respHash,
    u64be(receipt.workerSeq),
    receipt.prevReceiptHash,
  );
  return fixed(bytes, VGR1_BYTES, 'VGR1');
}

const malformed = (what: string) =>
  sxError('sx.receipt', what, { facts: { check: `format.${what}` } });

/** Throws `sx.receipt`. Checks no signature. Copies the payload. */
export function parseReceiptUnverified(bytes: Uint8Array): SignedReceipt {
  if (bytes.length !== RECEIPT_BYTES) throw malformed('size');
  const payload = fixed(bytes.slice(), RECEIPT_BYTES);
  const reader = new Reader(payload, malformed);
  const signature = reader.bytes(SIGNATURE_BYTES, 'signature'); // +0
  if (!equalPublic(reader.bytes(4, 'magic'), MAGIC)) throw malformed('magic'); // VGR1 +0
  const requestId = reader.bytes(16, 'requestId'); // +4
  const statementHash = reader.bytes(32, 'statementHash'); // +20
  const kid = reader.bytes(16, 'kid'); // +52
  const payerRef = reader.bytes(32, 'payerRef'); // +68
  const workerId = reader.bytes(32, 'workerId'); // +100
  const modelDigest = reader.bytes(32, 'modelDigest'); // +132
  const priceDigest = reader.bytes(32, 'priceDigest'); // +164
  const policyDigest = reader.bytes(32, 'policyDigest'); // +196
  const usage = {
    prompt: reader.u32be('prompt'), // +228
    cached: reader.u32be('cached'), // +232
    completion: reader.u32be('completion'), // +236
    reasoning: reader.u32be('reasoning'), // +240
  };
  const amount = reader.u128be('amount'); // +244
  const status = reader.u8('status'); // +260
  const outcome = OUTCOMES[status & ~SIMULATED];
  if (outcome === undefined) throw malformed('status');
  const startMs = Number(reader.u64be('startMs')); // +261
  const endMs = Number(reader.u64be('endMs')); // +269
  if (!Number.isSafeInteger(startMs) || !Number.isSafeInteger(endMs)) throw malformed('time');
  const reqHash = reader.bytes(32, 'reqHash'); // +277
  const respHash = reader.bytes(32, 'respHash'); // +309
  const workerSeq = reader.u64be('workerSeq'); // +341
  const prevReceiptHash = reader.bytes(32, 'prevReceiptHash'); // +349
  const simulated = (status & SIMULATED) !== 0;
  const receipt: Receipt = {
    requestId,
    statementHash,
    kid,
    payerRef,
    workerId,
    modelDigest,
    priceDigest,
    policyDigest,
    usage,
    amount,
    outcome,
    simulated,
    startMs,
    endMs,
    reqHash,
    respHash,
    workerSeq,
    prevReceiptHash,
  };
  return { receipt, signature, payload, hash: sha256(payload) };
}

/**
 * Strict Ed25519 over the VGR1 bytes. In the convenience mode the gateway and its sealing client both check each receipt:
 * one that verified lately is known again by every byte of it and of the key.
 */
export function isReceiptSignedBy(signed: SignedReceipt, receiptKey: Bytes<32>): boolean {
  const { signature, payload } = signed;
  const claim = concat(receiptKey, signature, payload.subarray(SIGNATURE_BYTES));
  const name = toHex(signature);
  const known = VERIFIED.get(name, 0);
  if (known !== undefined && equalPublic(known, claim)) return true;
  if (!verifyEd25519(receiptKey, signature, payload.subarray(SIGNATURE_BYTES))) return false;
  VERIFIED.set(name, claim, Number.POSITIVE_INFINITY);
  return true;
}

const VERIFIED_MAX = 256;
/** Key, signature, signed bytes; copies, so that nobody can change what was verified. */
const VERIFIED = new ExpiringCache<Uint8Array>(VERIFIED_MAX);

export interface ReceiptSignerInput {
  /** The secret half of `keys.sig`. */
  readonly secretKey: Bytes<32>;
  readonly workerId: Bytes<32>;
  readonly statementHash: Bytes<32>;
  readonly modelDigest: Bytes<32>;
  readonly priceDigest: Bytes<32>;
  readonly prices: PriceList;
  readonly simulated: boolean;
}

/** What differs from one exchange to the next. */
export interface ReceiptFields {
  readonly requestId: Bytes<16>;
  readonly kid: Bytes<16>;
  readonly payerRef: Bytes<32>;
  readonly policyDigest: Bytes<32>;
  readonly usage: Usage;
  readonly outcome: ReceiptOutcome;
  readonly startMs: number;
  readonly endMs: number;
  readonly reqHash: Bytes<32>;
  readonly respHash: Bytes<32>;
}

/**
 * One per `keys.sig`: holds the key and the hash chain. `workerSeq` starts at 1 and the first receipt points at the statement,
 * so a missing receipt leaves a hole that anybody with the next one can see.
 */
export class ReceiptSigner {
  readonly #input: ReceiptSignerInput;
  #nextSeq = 1n;
  #previous: Bytes<32>;

  constructor(input: ReceiptSignerInput) {
    this.#input = input;
    this.#previous = input.statementHash;
  }

  /** The amount follows from the usage. */
  sign(fields: ReceiptFields): SignedReceipt {
    const { secretKey, prices, workerId, statementHash, modelDigest, priceDigest, simulated } =
      this.#input;
    assert(fields.startMs <= fields.endMs, 'a receipt ends after it starts');
    const receipt: Receipt = {
      ...fields,
      workerId,
      statementHash,
      modelDigest,
      priceDigest,
      simulated,
      amount: amountDue(prices, fields.usage, fields.outcome),
      workerSeq: this.#nextSeq,
      prevReceiptHash: this.#previous,
    };
    const body = encodeReceipt(receipt);
    const signature = signEd25519(secretKey, body);
    const payload = fixed(concat(signature, body), RECEIPT_BYTES);
    const hash = sha256(payload);
    this.#nextSeq += 1n;
    this.#previous = hash;
    return { receipt, signature, payload, hash };
  }

  /** signature ‖ VGM1 about an exchange that still runs. Leaves the chain of receipts as it is. */
  signMeter(
    msgId: Bytes<16>,
    { usage, seq, frames }: Pick<Meter, 'seq' | 'frames'> & { readonly usage: Usage },
  ): Bytes<144> {
    const { secretKey, statementHash, prices } = this.#input;
    const body = encodeMeter({
      msgId,
      statementHash,
      completion: usage.completion + usage.reasoning,
      amount: amountOf(prices, usage),
      seq,
      frames,
    });
    return fixed(concat(signEd25519(secretKey, body), body), METER_BYTES);
  }
}
