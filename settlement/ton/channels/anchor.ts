/** The anchor of one ledger, on chain: read, filled, moved forward. Spec: ton-settlement §4.9. @module */

import { beginCell, external, storeMessage, type Cell } from '@ton/core';
import type { Bytes } from '../../../core/bytes.ts';
import type { ReadOptions, TonChain } from '../chain.ts';
import {
  anchorAddress,
  anchorBody,
  anchorInit,
  decodeAnchorData,
  signHead,
  type AnchorTerms,
} from '../contracts/ledger-anchor.ts';
import { LEDGER_ANCHOR } from '../contracts/compiled.ts';
import { channelId } from '../contracts/pay-channel.ts';
import { transferOf, type Transfer } from '../wallet/transfer.ts';
import { tonError } from '../errors.ts';

export interface ReadAnchor {
  readonly outcome: 'read';
  readonly seq: bigint;
  readonly head: Bytes<32>;
  readonly balance: bigint;
  /** The chain's clock. */
  readonly timeS: number;
}

export type AnchorReading = ReadAnchor | { readonly outcome: 'absent'; readonly balance: bigint };

/** Raw. */
export function anchorAddressOf(terms: AnchorTerms): string {
  return anchorAddress(terms).toRawString();
}

/** From the account itself, so that it is of a block. Throws as the chain does. */
export async function readAnchor(
  chain: TonChain,
  terms: AnchorTerms,
  options?: ReadOptions,
): Promise<AnchorReading> {
  const account = await chain.readAccount(anchorAddress(terms), options);
  const { state, code, data, balanceNanoton: balance, timeS } = account;
  if (state !== 'active' || data === undefined) return { outcome: 'absent', balance };
  if (code?.hash().toString('hex') !== LEDGER_ANCHOR.codeHash) {
    throw tonError('ton.answer', 'an anchor with other code');
  }
  const { seq, head } = decodeAnchorData(data);
  return { outcome: 'read', seq, head, balance, timeS };
}

/** Deploys it too, when it is not there. */
export function anchorFunding(terms: AnchorTerms, nanoton: bigint): Transfer {
  return transferOf({ to: anchorAddress(terms), nanoton, init: anchorInit(terms) });
}

export interface NextHead {
  readonly from: ReadAnchor;
  readonly head: Bytes<32>;
  readonly validUntilS: number;
}

/** Taken by the contract after `from` and after nothing else. */
export function anchorMessage(
  secretKey: Bytes<32>,
  terms: AnchorTerms,
  { from, head, validUntilS }: NextHead,
): Cell {
  const to = anchorAddress(terms);
  const seq = from.seq + 1n;
  const signed = { anchor: channelId(to), seq, head, previous: from.head, validUntil: validUntilS };
  const body = anchorBody({
    seq,
    head,
    validUntil: validUntilS,
    signature: signHead(secretKey, signed),
  });
  return beginCell()
    .store(storeMessage(external({ to, body })))
    .endCell();
}
