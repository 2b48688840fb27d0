/** Every limit of a ledger in one place. Spec: ton-settlement §4.6, §5. @module */

import { amount, type Amount, type Asset } from '../money.ts';

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
/** Of a note. */
export const NOTE_MAX_BYTES = 262_144;
export const NOTE_KIND_MAX_CHARS = 32;

/** What a channel may owe on the word of one provider alone, before the chain was seen to pay from it. §4.6. */
export type RampCaps = Readonly<Record<Asset, Amount>>;
export const RAMP_CAPS: RampCaps = { TON: amount(200_000_000n), USDT: amount(1_000_000n) };

export const BUSY_TIMEOUT_MS = 5000;
/** Of SQLite's pages in memory. */
export const CACHE_KIB = 65_536;
/** Of the log before it is copied into the file: 16 MiB. */
export const CHECKPOINT_PAGES = 4096;
