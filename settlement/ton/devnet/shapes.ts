/**
 * How toncenter v2 writes what the chain says: exactly the fields that clients insist on.
 * Spec: ton-settlement §6, table of methods; the response schemas of @ton/ton 16.3.
 * @module
 */

import type { Message, ShardAccount, Transaction } from '@ton/core';
import { toBase64 } from '../../../core/bytes.ts';

export interface BlockId {
  readonly workchain: number;
  readonly seqno: number;
  readonly rootHash: Uint8Array;
  readonly fileHash: Uint8Array;
}

/** One shard per workchain: the whole of it. */
export const WHOLE_SHARD = '-9223372036854775808';

export function blockIdShape({ workchain, seqno, rootHash, fileHash }: BlockId) {
  return {
    '@type': 'ton.blockIdExt',
    workchain,
    shard: WHOLE_SHARD,
    seqno,
    root_hash: toBase64(rootHash),
    file_hash: toBase64(fileHash),
  };
}

export function transactionIdShape(lt: bigint, hash: string) {
  return { '@type': 'internal.transactionId', lt: lt.toString(), hash };
}

/** 32 bytes of a hash that the sandbox keeps as a number. */
export function hashOfNumber(value: bigint): string {
  return Buffer.from(value.toString(16).padStart(64, '0'), 'hex').toString('base64');
}

const STATES = { uninit: 'uninitialized', active: 'active', frozen: 'frozen' } as const;

export function accountShape(
  found: ShardAccount | undefined,
  balance: bigint,
): Readonly<Record<string, unknown>> {
  const state = found?.account?.storage.state ?? { type: 'uninit' as const };
  const { code, data } = state.type === 'active' ? state.state : {};
  return {
    '@type': 'raw.fullAccountState',
    balance: balance.toString(),
    extra_currencies: [],
    state: STATES[state.type],
    code: code?.toBoc().toString('base64') ?? '',
    data: data?.toBoc().toString('base64') ?? '',
    frozen_hash: state.type === 'frozen' ? hashOfNumber(state.stateHash) : '',
    last_transaction_id: transactionIdShape(
      found?.lastTransactionLt ?? 0n,
      hashOfNumber(found?.lastTransactionHash ?? 0n),
    ),
  };
}

export type TransactionShape = Readonly<Record<string, unknown>>;

export function transactionShape(transaction: Transaction): TransactionShape {
  const { description, inMessage } = transaction;
  const storage =
    'storagePhase' in description ? (description.storagePhase?.storageFeesCollected ?? 0n) : 0n;
  const total = transaction.totalFees.coins;
  return {
    '@type': 'raw.transaction',
    data: transaction.raw.toBoc().toString('base64'),
    utime: transaction.now,
    transaction_id: transactionIdShape(transaction.lt, transaction.hash().toString('base64')),
    fee: total.toString(),
    storage_fee: storage.toString(),
    other_fee: (total - storage).toString(),
    ...(inMessage === null || inMessage === undefined ? {} : { in_msg: messageShape(inMessage) }),
    out_msgs: [...transaction.outMessages.values()].map(messageShape),
  };
}

function messageShape({ info, body }: Message) {
  const isInternal = info.type === 'internal';
  return {
    '@type': 'raw.message',
    source: info.type === 'external-in' ? '' : info.src.toString(),
    destination: info.type === 'external-out' ? '' : info.dest.toString(),
    value: isInternal ? info.value.coins.toString() : '0',
    fwd_fee: isInternal ? info.forwardFee.toString() : '0',
    ihr_fee: isInternal ? info.ihrFee.toString() : '0',
    created_lt: info.type === 'external-in' ? '0' : info.createdLt.toString(),
    body_hash: body.hash().toString('base64'),
    msg_data: {
      '@type': 'msg.dataRaw',
      body: body.toBoc().toString('base64'),
      init_state: '',
    },
  };
}

/** The parts of one transaction's fees, in the order in which the network takes them. */
export function feesShape(transaction: Transaction) {
  const { description } = transaction;
  const ordinary = description.type === 'generic' ? description : undefined;
  const storage = ordinary?.storagePhase?.storageFeesCollected ?? 0n;
  const gas = ordinary?.computePhase.type === 'vm' ? ordinary.computePhase.gasFees : 0n;
  const action = ordinary?.actionPhase?.totalActionFees ?? 0n;
  const forward = ordinary?.actionPhase?.totalFwdFees ?? 0n;
  return {
    '@type': 'query.fees',
    source_fees: {
      '@type': 'fees',
      in_fwd_fee: Number(transaction.totalFees.coins - storage - gas - action),
      storage_fee: Number(storage),
      gas_fee: Number(gas),
      fwd_fee: Number(forward),
    },
    destination_fees: [],
  };
}
