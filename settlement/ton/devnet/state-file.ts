/**
 * The devnet between two runs: accounts, time and the newest transactions in one private file. It is written after
 * transactions, at most twice a second, and at the end; what a crash takes is less than a second of play money. Faults and snapshots are
 * not kept. Spec: ton-settlement §6.
 * @module
 */

import { beginCell, Cell, loadShardAccount, storeShardAccount } from '@ton/core';
import { z } from 'zod';
import { parseJson } from '../../../core/json.ts';
import { readPrivate, saveOver } from '../../../core/node/private-files.ts';
import type { TonNetwork } from '../network.ts';
import type { ChainState } from './chain.ts';
import { devnetError } from './errors.ts';
import { STATE_FILE_MAX_BYTES, STATE_TRANSACTIONS_KEPT } from './limits.ts';

const NUMBER = z
  .string()
  .regex(/^\d{1,20}$/)
  .transform(BigInt);
const ADDRESS = z.string().regex(/^(?:-1|0):[0-9a-f]{64}$/);
const MESSAGE = z.string().max(256);
const STATE = z.strictObject({
  format: z.literal('veilgate.ton-devnet/1'),
  globalId: z.int(),
  lt: NUMBER,
  seqno: z.int().min(0),
  timeS: z.int().min(0),
  accounts: z.array(z.tuple([ADDRESS, z.base64()])),
  transactions: z
    .array(
      z.strictObject({
        account: ADDRESS,
        lt: NUMBER,
        hash: z.base64().length(44),
        seqno: z.int().min(0),
        messageIn: MESSAGE,
        messagesOut: z.array(MESSAGE).max(256),
        shape: z.record(z.string().max(64), z.unknown()),
      }),
    )
    .max(STATE_TRANSACTIONS_KEPT),
});

/** Undefined when there is none. Throws `devnet.state`, `file.private`. */
export function loadState(path: string, network: TonNetwork): ChainState | undefined {
  const bytes = readPrivate(path, { privacy: 'secret', maxBytes: STATE_FILE_MAX_BYTES });
  if (bytes === undefined) return undefined;
  try {
    const { globalId, accounts, ...state } = STATE.parse(parseJson(bytes, STATE_FILE_MAX_BYTES));
    if (globalId !== network.globalId) throw devnetError('devnet.state', 'of another network');
    return {
      ...state,
      accounts: accounts.map(([address, boc]) => [
        address,
        loadShardAccount(Cell.fromBase64(boc).beginParse()),
      ]),
    };
  } catch (cause) {
    throw devnetError('devnet.state', `${path} is not a devnet's; move it away to begin anew`, {
      cause,
    });
  }
}

/** Throws the system's error. */
export function saveState(path: string, network: TonNetwork, state: ChainState): void {
  const text = JSON.stringify({
    format: 'veilgate.ton-devnet/1',
    globalId: network.globalId,
    lt: state.lt.toString(),
    seqno: state.seqno,
    timeS: state.timeS,
    accounts: state.accounts.map(([address, account]) => [
      address,
      beginCell().store(storeShardAccount(account)).endCell().toBoc().toString('base64'),
    ]),
    transactions: state.transactions
      .slice(-STATE_TRANSACTIONS_KEPT)
      .map((transaction) => ({ ...transaction, lt: transaction.lt.toString() })),
  });
  saveOver(path, text);
}
