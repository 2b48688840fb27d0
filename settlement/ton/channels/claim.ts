/** The messages that move a channel, as anybody may send them. Spec: ton-settlement §4.8, D5. @module */

import { beginCell, external, storeMessage, type Cell } from '@ton/core';
import type { Bytes } from '../../../core/bytes.ts';
import {
  CHANNEL_ATTACH,
  claimBody,
  claimExternalBody,
  type SignedClaim,
} from '../contracts/pay-channel.ts';
import { transferOf, type Transfer } from '../wallet/transfer.ts';
import { addressOfId } from './place.ts';

/** From outside: its gas comes out of what it pays. */
export function claimMessage(channel: Bytes<32>, claim: SignedClaim): Cell {
  const message = external({ to: addressOfId(channel), body: claimExternalBody(claim) });
  return beginCell().store(storeMessage(message)).endCell();
}

/** Out of a wallet, for what is too little to pay its own gas; what is not used comes to the payee. */
export function claimTransfer(channel: Bytes<32>, claim: SignedClaim): Transfer {
  const body = claimBody(claim, 0n);
  return transferOf({ to: addressOfId(channel), nanoton: CHANNEL_ATTACH, body });
}
