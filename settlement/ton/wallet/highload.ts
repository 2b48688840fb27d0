/**
 * Many payments in one message: highload-wallet-v3. A batch is named by a query id that the wallet executes once, and by
 * the time it was made at: after its timeout it can no longer happen, so a batch that is neither processed nor alive may
 * be planned anew. Spec: ton-settlement §2, §4.7; ton-blockchain/highload-wallet-contract-v3.
 * @module
 */

import {
  type Address,
  beginCell,
  contractAddress,
  external,
  internal,
  SendMode,
  storeMessage,
  storeMessageRelaxed,
  storeOutList,
  type Cell,
  type Transaction,
} from '@ton/core';
import { ed25519PublicKey, signEd25519 } from '#primitives';
import { fixed, type Bytes } from '../../../core/bytes.ts';
import { assert } from '../../../core/errors.ts';
import type { ReadOptions, TonChain } from '../chain.ts';
import { tonError } from '../errors.ts';
import type { Payment } from './payment.ts';
import { HIGHLOAD_V3_CODE } from './highload-code.ts';

export const BATCH_MAX = 254;
/** The last number is left for emergencies, as the contract's authors ask. */
export const QUERY_IDS = 8_380_415;
const BITS_PER_SHIFT = 1023;
const SUBWALLET_ID = 0x10ad;
const INTERNAL_TRANSFER = 0xae42e5a4;
const TIMEOUT_MAX_S = 4_194_303;
/** For the gas of the message to itself; what is left stays in the wallet. */
const SELF_VALUE_NANOTON = 100_000_000n;

export interface HighloadWallet {
  readonly address: Address;
  readonly publicKey: Bytes<32>;
  readonly timeoutS: number;
  batch(batch: Batch): SignedBatch;
  /** Whether the number is used up; asked of the wallet within its timeout. It may have failed: see `outcome`. */
  isProcessed(chain: TonChain, number: number, options?: ReadOptions): Promise<boolean>;
  /**
   * What became of the batch, by the wallet's own transactions after `sinceLt`: `paid` is all of it, `failed` none of it
   * (the coins did not suffice), `none` not yet or never. Throws as the chain, and `ton.history` where they do not reach.
   */
  outcome(
    chain: TonChain,
    batch: { readonly number: number; readonly sinceLt: bigint },
    options?: ReadOptions,
  ): Promise<'none' | 'paid' | 'failed'>;
}

export interface Batch {
  /** 0 to QUERY_IDS − 1; never used again within the timeout. */
  readonly number: number;
  readonly payments: readonly Payment[];
  /** By the clock of the chain, and not in its future: take some seconds off. */
  readonly createdAtS: number;
  /** `new`: the message brings the code along. */
  readonly wallet: 'new' | 'deployed';
}

export interface SignedBatch {
  readonly message: Cell;
  readonly queryId: number;
  /** Of what the wallet tells itself, payments and all; hexadecimal. `readOrder` finds it in a transaction. */
  readonly orderHash: string;
  /** From then on it cannot happen any more. */
  readonly expiresAtS: number;
}

/** `timeoutS` is part of the wallet's address. Throws `ton.wallet`. */
export function openHighloadWallet(
  seed: Bytes<32>,
  { timeoutS }: { readonly timeoutS: number },
): HighloadWallet {
  if (!Number.isInteger(timeoutS) || timeoutS < 1 || timeoutS > TIMEOUT_MAX_S) {
    throw tonError('ton.wallet', `timeout: 1 to ${TIMEOUT_MAX_S} s`);
  }
  const publicKey = ed25519PublicKey(seed);
  const data = beginCell()
    .storeBuffer(Buffer.from(publicKey))
    .storeUint(SUBWALLET_ID, 32)
    // Two empty dictionaries of queries, and never cleaned.
    .storeUint(0, 1 + 1 + 64)
    .storeUint(timeoutS, 22)
    .endCell();
  const init = { code: HIGHLOAD_V3_CODE, data };
  const address = contractAddress(0, init);
  return {
    address,
    publicKey,
    timeoutS,
    batch: ({ number, payments, createdAtS, wallet }) => {
      const queryId = queryIdOf(number);
      const order = orderBody(queryId, payments);
      const inner = beginCell()
        .storeUint(SUBWALLET_ID, 32)
        .storeRef(toItself(address, order))
        .storeUint(SendMode.PAY_GAS_SEPARATELY, 8)
        .storeUint(queryId, 23)
        .storeUint(createdAtS, 64)
        .storeUint(timeoutS, 22)
        .endCell();
      const signature = signEd25519(seed, fixed(new Uint8Array(inner.hash()), 32));
      const body = beginCell().storeBuffer(Buffer.from(signature)).storeRef(inner).endCell();
      const message = external({ to: address, body, ...(wallet === 'new' ? { init } : {}) });
      return {
        message: beginCell().store(storeMessage(message)).endCell(),
        queryId,
        orderHash: order.hash().toString('hex'),
        expiresAtS: createdAtS + timeoutS,
      };
    },
    isProcessed: async (chain, number, options) => {
      const [answer] = await chain.runGetMethod(
        address,
        'processed?',
        // The second: do not forget what is old enough to be forgotten.
        [
          { type: 'int', value: BigInt(queryIdOf(number)) },
          { type: 'int', value: 0n },
        ],
        options,
      );
      if (answer?.type !== 'int') throw tonError('ton.answer', 'processed?');
      return answer.value !== 0n;
    },
    outcome: async (chain, { number, sinceLt }, options) => {
      const found = await chain.transactionsSince(address, sinceLt, options);
      const executed = found.transactions.find((transaction) =>
        isBatch(transaction, { address, queryId: queryIdOf(number) }),
      );
      if (executed !== undefined) return isDone(executed) ? 'paid' : 'failed';
      if (!found.isComplete) throw tonError('ton.history', 'too many transactions to look through');
      return 'none';
    },
  };
}

/** Throws `ton.wallet`. */
export function queryIdOf(number: number): number {
  if (!Number.isInteger(number) || number < 0 || number >= QUERY_IDS) {
    throw tonError('ton.wallet', `query number: 0 to ${QUERY_IDS - 1}`);
  }
  return (Math.floor(number / BITS_PER_SHIFT) << 10) | (number % BITS_PER_SHIFT);
}

/** Executed by the wallet itself, so that one message from outside makes all of them. */
function toItself(address: Address, body: Cell): Cell {
  const message = internal({ to: address, value: SELF_VALUE_NANOTON, bounce: false, body });
  return beginCell().store(storeMessageRelaxed(message)).endCell();
}

function orderBody(queryId: number, payments: readonly Payment[]): Cell {
  assert(payments.length > 0 && payments.length <= BATCH_MAX, `1 to ${BATCH_MAX} payments`);
  const actions = payments.map(({ to, nanoton, body, init, bounce = false }) => ({
    type: 'sendMsg' as const,
    // Without IGNORE_ERRORS: all payments of a batch are made, or none.
    mode: SendMode.PAY_GAS_SEPARATELY,
    outMsg: internal({
      to,
      value: nanoton,
      bounce,
      ...(body === undefined ? {} : { body }),
      ...(init === undefined ? {} : { init }),
    }),
  }));
  return beginCell()
    .storeUint(INTERNAL_TRANSFER, 32)
    .storeUint(queryId, 64)
    .storeRef(beginCell().store(storeOutList(actions)).endCell())
    .endCell();
}

/** What one of the wallet's own transactions did about a batch. */
export type WalletStep =
  /** The message from outside was taken: its query id is used up. `failed`: and nothing will come of it. */
  | { readonly step: 'accepted' | 'failed'; readonly queryId: number; readonly createdAtS: number }
  /** All payments were made, or none. */
  | { readonly step: 'executed'; readonly orderHash: string; readonly isPaid: boolean };

/** Undefined for all that others did. */
export function readOrder(transaction: Transaction, address: Address): WalletStep | undefined {
  const { inMessage } = transaction;
  if (inMessage?.info.type === 'external-in') return acceptedIn(transaction, inMessage.body);
  if (inMessage?.info.type !== 'internal' || !inMessage.info.src.equals(address)) return undefined;
  const body = inMessage.body.beginParse();
  if (body.remainingBits < ORDER_BITS || body.loadUint(32) !== INTERNAL_TRANSFER) return undefined;
  const orderHash = inMessage.body.hash().toString('hex');
  return { step: 'executed', orderHash, isPaid: isDone(transaction) };
}

/** The wallet takes nothing that it has not checked the signature of, so its form is ours. */
function acceptedIn(transaction: Transaction, body: Cell): WalletStep | undefined {
  const [inner] = body.refs;
  if (inner === undefined) return undefined;
  const slice = inner.beginParse();
  if (slice.remainingBits < INNER_BITS) return undefined;
  const [queryId, createdAtS] = [slice.skip(32 + 8).loadUint(23), slice.loadUint(64)];
  // Marked as processed before it is carried out, so a failure here is for good.
  return { step: isDone(transaction) ? 'accepted' : 'failed', queryId, createdAtS };
}

const INNER_BITS = 32 + 8 + 23 + 64 + 22;
const ORDER_BITS = 96;

/** Only the wallet itself is obeyed, so that nobody else's message counts as the batch. */
function isBatch(
  { inMessage }: Transaction,
  { address, queryId }: { readonly address: Address; readonly queryId: number },
): boolean {
  if (inMessage?.info.type !== 'internal' || !inMessage.info.src.equals(address)) return false;
  const body = inMessage.body.beginParse();
  if (body.remainingBits < ORDER_BITS || body.loadUint(32) !== INTERNAL_TRANSFER) return false;
  return body.loadUintBig(64) === BigInt(queryId);
}

function isDone({ description }: Transaction): boolean {
  return description.type === 'generic' && description.actionPhase?.success === true;
}
