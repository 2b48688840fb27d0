/** A word along with coins, as wallets show it. Spec: TEP-74 and the wallet guidelines (op 0, text in a snake of cells). @module */

import { beginCell, type Cell } from '@ton/core';

const TEXT_OP = 0;

export function commentBody(text: string): Cell {
  return beginCell().storeUint(TEXT_OP, 32).storeStringTail(text).endCell();
}
