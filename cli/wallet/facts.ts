/** A wallet as the chain has it. @module */

import { toHex } from '../../core/bytes.ts';
import { shownAddress } from '../../settlement/ton/address-text.ts';
import type { TonNetwork } from '../../settlement/ton/network.ts';
import type { TonWallet } from '../../settlement/ton/wallet.ts';

export interface WalletFacts {
  readonly network: TonNetwork['name'];
  /** To be shown and paid to: what comes before the wallet's first payment stays there. */
  readonly address: string;
  readonly raw: string;
  readonly publicKey: string;
}

export function walletFacts(wallet: TonWallet, network: TonNetwork): WalletFacts {
  return {
    network: network.name,
    address: shownAddress(wallet.address, network, 'account'),
    raw: wallet.address.toRawString(),
    publicKey: toHex(wallet.publicKey),
  };
}
