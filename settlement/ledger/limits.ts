/** Every limit of a ledger in one place. Spec: ton-settlement §5. @module */

/** Operations that share one commit. */
export const GROUP_MAX = 256;
/** Operations that may wait; beyond this a caller is told `ledger.busy`, at once. */
export const WAITING_MAX = 8192;
/** Recipients of one sealed request. */
export const WORKERS_MAX = 8;
/** Rows of one answer. */
export const PAGE_MAX = 1000;
/** Transfers of one message of a highload wallet. */
export const PAYOUTS_MAX = 254;
export const DESTINATION_MAX_CHARS = 80;
export const FEE_BPS_MAX = 10_000;
/** Accounts and workers kept in memory; the rest is read when it is needed. */
export const ROWS_CACHED_MAX = 65_536;
export const BUSY_TIMEOUT_MS = 5000;
/** Of SQLite's pages in memory. */
export const CACHE_KIB = 65_536;
/** Of the log before it is copied into the file: 16 MiB. */
export const CHECKPOINT_PAGES = 4096;
