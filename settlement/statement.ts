/**
 * VGS1, the ledger line: what a gateway says that a request cost and where that leaves the account. Two that cannot both
 * be true are evidence against whoever signed them. Spec: ton-settlement §4.3; overview "One receipt" (VGS1 ‖ signature
 * is frame 0x12) and "Policy in the request" (the gateway's own policy digest).
 * @module
 */

import {
  ascii,
  concat,
  equalPublic,
  fixed,
  Reader,
  u16be,
  u64be,
  u128be,
  type Bytes,
} from '../core/bytes.ts';
import { signEd25519, verifyEd25519 } from '#primitives';
import { artefactError, readAmount } from './artefact.ts';
import type { Amount } from './money.ts';

const TAG = ascii('VGS1');
export const VGS1_BYTES = 166;
/** VGS1 ‖ signature: the payload of frame 0x12. */
export const STATEMENT_BYTES = 230;

export interface Statement {
  /** Account id of the channel's contract; of a custodial account, its id. */
  readonly channel: Bytes<32>;
  readonly epoch: number;
  /** Rises by one per settled request of the channel; begins at 1. */
  readonly n: bigint;
  readonly requestId: Bytes<16>;
  readonly receiptHash: Bytes<32>;
  readonly amount: Amount;
  /** Everything charged to the channel, this request included: the request is the interval (cum − amount, cum]. */
  readonly cum: Amount;
  readonly atMs: number;
  readonly policyDigest: Bytes<32>;
}

export interface SignedStatement {
  readonly statement: Statement;
  readonly signature: Bytes<64>;
  /** VGS1 ‖ signature. */
  readonly payload: Bytes<230>;
}

export function encodeStatement(statement: Statement): Bytes<166> {
  const bytes = concat(
    TAG,
    statement.channel,
    u16be(statement.epoch),
    u64be(statement.n),
    statement.requestId,
    statement.receiptHash,
    u128be(statement.amount),
    u128be(statement.cum),
    u64be(BigInt(statement.atMs)),
    statement.policyDigest,
  );
  return fixed(bytes, VGS1_BYTES, 'VGS1');
}

/** Throws `settlement.artefact`. Checks no signature. Copies. */
export function parseStatementUnverified(bytes: Uint8Array): SignedStatement {
  if (bytes.length !== STATEMENT_BYTES) throw artefactError('size');
  const payload = fixed(bytes.slice(), STATEMENT_BYTES);
  const reader = new Reader(payload, artefactError);
  if (!equalPublic(reader.bytes(4, 'tag'), TAG)) throw artefactError('tag'); // +0
  const channel = reader.bytes(32, 'channel'); // +4
  const epoch = reader.u16be('epoch'); // +36
  const n = reader.u64be('n'); // +38
  if (n === 0n) throw artefactError('n');
  const requestId = reader.bytes(16, 'requestId'); // +46
  const receiptHash = reader.bytes(32, 'receiptHash'); // +62
  const amount = readAmount(reader, 'amount'); // +94
  const cum = readAmount(reader, 'cum'); // +110
  if (amount > cum) throw artefactError('interval');
  const atMs = Number(reader.u64be('atMs')); // +126
  if (!Number.isSafeInteger(atMs)) throw artefactError('atMs');
  const policyDigest = reader.bytes(32, 'policyDigest'); // +134
  const signature = reader.bytes(64, 'signature'); // +166
  const statement = { channel, epoch, n, requestId, receiptHash, amount, cum, atMs, policyDigest };
  return { statement, signature, payload };
}

export function signStatement(
  statement: Statement,
  sign: (bytes: Uint8Array) => Bytes<64>,
): SignedStatement {
  const body = encodeStatement(statement);
  const signature = sign(body);
  return { statement, signature, payload: fixed(concat(body, signature), STATEMENT_BYTES) };
}

export function statementSigner(secretKey: Bytes<32>): (bytes: Uint8Array) => Bytes<64> {
  return (bytes) => signEd25519(secretKey, bytes);
}

export function isStatementSignedBy(signed: SignedStatement, ledgerKey: Bytes<32>): boolean {
  return verifyEd25519(ledgerKey, signed.signature, signed.payload.subarray(0, VGS1_BYTES));
}

export type Contradiction =
  /** One number of one channel, two contents. */
  | 'same_number'
  /** One request, charged under two numbers. */
  | 'charged_twice'
  /** Neighbours that do not join, or intervals in the wrong order. */
  | 'broken_interval';

/**
 * Why two statements cannot both be true, or undefined. Evidence only when both signatures were verified under ledger
 * keys of one gateway. The sums run on through epochs, so statements of different epochs are held against each other too.
 */
export function contradictionBetween(one: Statement, other: Statement): Contradiction | undefined {
  if (!equalPublic(one.channel, other.channel)) return undefined;
  const [first, second] = one.n <= other.n ? [one, other] : [other, one];
  if (first.n === second.n) {
    return equalPublic(encodeStatement(first), encodeStatement(second)) ? undefined : 'same_number';
  }
  if (equalPublic(first.requestId, second.requestId)) return 'charged_twice';
  const begins = second.cum - second.amount;
  if (first.epoch > second.epoch || begins < first.cum) return 'broken_interval';
  return second.n === first.n + 1n && begins !== first.cum ? 'broken_interval' : undefined;
}
