/** How long a payer waits, and what it sets aside. @module */

/** An order to the wallet is good for so long by the clock of the chain. */
export const ORDER_VALID_S = 120;
/** The clocks of this machine and of the chain may differ by so much. */
export const CLOCK_AHEAD_MAX_S = 60;
/** Beyond the validity, for answers about it. */
export const ORDER_GRACE_MS = 60_000;
/** Between two looks at the chain. */
export const POLL_MS = 1500;
/** A message between two contracts arrives within some blocks; more than this and a person should look. */
export const ARRIVAL_MS = 120_000;
/** Of an account's newest transactions, when one message is looked for. */
export const LOOK_BACK_MAX = 40;

/** What the wallet burns for one order with some messages and a deploy is a third of it. nanoTON. */
export const WALLET_FEES = 30_000_000n;
/** What storage takes from a channel in a year, with some to spare: 0.0186 at the prices that @ton/sandbox ships. */
export const STORAGE_PER_YEAR = 20_000_000n;
/** For a gateway that said that it closes: it claims first, and that takes a message or two. */
export const CLOSE_WAIT_MS = 180_000;
/** A signed withdraw is good for so long: the chain adds what is left of it to the delay. */
export const WITHDRAW_VALID_S = 300;
