/** What the devnet holds and answers at most. @module */

/** A highload batch of 254 transfers takes 17 KB; the network's own limit for an external message is 64 KiB. */
export const MESSAGE_MAX_BYTES = 65_536;
export const REQUEST_MAX_BYTES = 262_144;
export const CONNECTIONS_MAX = 256;
export const HEADERS_TIMEOUT_MS = 5000;
export const REQUEST_TIMEOUT_MS = 15_000;
export const CONNECTIONS_CHECK_EVERY_MS = 1000;
export const KEEP_ALIVE_TIMEOUT_MS = 5000;

/** External messages that wait for a block. */
export const PENDING_MAX = 1024;
/** What one block executes; the rest is left to the next, so that contracts that call each other without end do not stop it. */
export const BLOCK_TRANSACTIONS_MAX = 2048;
export const TRANSACTIONS_KEPT = 5000;
export const BLOCKS_KEPT = 10_000;
/** How far back a state can be read or a reorganisation can go. */
export const DEPTH_MAX = 64;
export const PAGE_MAX = 100;
export const SNAPSHOTS_MAX = 16;
export const FAULTS_MAX = 64;
export const DELAY_MAX_MS = 60_000;
export const BLOCK_TIME_MAX_MS = 60_000;
export const MINE_MAX = 1000;
/** 10 years. */
export const TIME_STEP_MAX_S = 315_360_000;
export const STACK_MAX = 64;
/** Nobody needs more than the whole supply. */
export const FAUCET_MAX_NANOTON = 5_000_000_000_000_000_000n;
/** An answer that no client should read to its end. */
export const HUGE_ANSWER_BYTES = 33_554_432;

export const STATE_FILE_MAX_BYTES = 268_435_456;
export const STATE_TRANSACTIONS_KEPT = 1000;
/** Between two writes of the state file. */
export const STATE_SAVE_EVERY_MS = 500;
/** Empty blocks alone are written so much more rarely. */
export const HEIGHT_SAVE_ROUNDS = 60;
