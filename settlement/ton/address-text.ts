/**
 * Addresses as people write and read them. Inside the product an address is raw, `0:` and 64 digits; a wallet shows 48
 * characters with a checksum and a mark for test networks, which is checked here so that no coins go to the wrong one.
 * Spec: TEP-2.
 * @module
 */

import { Address } from '@ton/core';
import { tonError } from './errors.ts';
import type { TonNetwork } from './network.ts';

/** `accounts` take coins without a contract being there; `contracts` send back what they refuse. */
export type AddressForm = 'account' | 'contract';

/** Test networks share their mark, so testnet's and devnet's look alike. */
export function shownAddress(address: Address, network: TonNetwork, form: AddressForm): string {
  return address.toString({
    urlSafe: true,
    bounceable: form === 'contract',
    testOnly: network.name !== 'mainnet',
  });
}

/** Of an account that is known by its raw address. */
export function shownRaw(raw: string, network: TonNetwork): string {
  return shownAddress(Address.parseRaw(raw), network, 'account');
}

export interface ReadAddress {
  readonly address: Address;
  /** As it was written: a friendly one says whether what is refused should come back. */
  readonly bounce: boolean;
}

/** Raw or friendly. Throws `ton.wallet` for what is none, and for one of a test network on mainnet. */
export function readAddress(text: string, network: TonNetwork): ReadAddress {
  try {
    if (Address.isRaw(text)) return { address: Address.parseRaw(text), bounce: false };
    const { address, isBounceable, isTestOnly } = Address.parseFriendly(text);
    if (!isTestOnly || network.name !== 'mainnet') return { address, bounce: isBounceable };
  } catch (cause) {
    throw tonError('ton.wallet', 'not an address of TON', { cause });
  }
  throw tonError('ton.wallet', 'an address of a test network; nothing of mainnet goes there');
}
