/** The real chain through somebody who tells one thing differently, or waits for less. @module */

import type { AccountState, TonChain } from '../../../settlement/ton/chain.ts';

export function toldChain(
  chain: TonChain,
  lie: (state: AccountState) => Partial<AccountState>,
): TonChain {
  return {
    ...plain(chain, undefined),
    readAccount: async (...call) => {
      const state = await chain.readAccount(...call);
      return { ...state, ...lie(state) };
    },
  };
}

/** So that a test need not wait for it to give up. */
export function impatientChain(chain: TonChain, deadlineMs = 300): TonChain {
  return plain(chain, deadlineMs);
}

function plain(chain: TonChain, deadlineMs: number | undefined): TonChain {
  const limit = deadlineMs === undefined ? {} : { deadlineMs };
  return {
    network: chain.network,
    readAccount: (address, options) => chain.readAccount(address, { ...options, ...limit }),
    runGetMethod: (address, method, stack, options) =>
      chain.runGetMethod(address, method, stack, { ...options, ...limit }),
    transactionsSince: (address, afterLt, options) =>
      chain.transactionsSince(address, afterLt, { ...options, ...limit }),
    send: (message, options) => chain.send(message, { ...options, ...limit }),
    health: () => chain.health(),
    providers: () => chain.providers(),
    close: () => chain.close(),
  };
}
