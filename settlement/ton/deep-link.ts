/**
 * One payment as a link that a wallet app opens, for coins whose key is on a phone. It says what to pay and where; the app
 * shows it, and its owner decides. Spec: docs.ton.org "Deep links" (`ton://transfer`); TEP-2 (addresses).
 * @module
 */

import { beginCell, storeStateInit, type Cell } from '@ton/core';
import { shownAddress } from './address-text.ts';
import type { TonNetwork } from './network.ts';
import type { Payment } from './wallet/payment.ts';

/** Deploys along the way where the payment does. Amounts are nanoTON, cells are BoCs in base64url. */
export function transferLink(payment: Payment, network: TonNetwork): string {
  const { to, nanoton, body, init, bounce = false } = payment;
  const address = shownAddress(to, network, bounce ? 'contract' : 'account');
  const parts = [`amount=${nanoton}`];
  if (body !== undefined) parts.push(`bin=${bocOf(body)}`);
  if (init !== undefined) {
    parts.push(`init=${bocOf(beginCell().store(storeStateInit(init)).endCell())}`);
  }
  return `ton://transfer/${address}?${parts.join('&')}`;
}

/** The checksum costs four bytes and nobody needs it here: a cell is known by its hash. */
function bocOf(cell: Cell): string {
  return cell.toBoc({ idx: false, crc32: false }).toString('base64url');
}
