/** One transfer out of a wallet. @module */

import type { Address, Cell } from '@ton/core';

export interface Payment {
  readonly to: Address;
  readonly nanoton: bigint;
  readonly body?: Cell;
  /** Absent: coins for an address without a contract stay there. */
  readonly bounce?: boolean;
  /** Deploys the contract at `to` along the way. */
  readonly init?: { readonly code: Cell; readonly data: Cell };
}
