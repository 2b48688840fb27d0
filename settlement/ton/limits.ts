/** What is asked of providers, waited for and taken from them at most. @module */

export const PROVIDERS_MAX = 8;
/** For one request and its answer. */
export const REQUEST_TIMEOUT_MS = 5000;
/** For one read, with all its repetitions. */
export const READ_DEADLINE_MS = 10_000;
export const CONNECT_TIMEOUT_MS = 3000;
export const CONNECTIONS_PER_PROVIDER = 8;
/** A page of transactions is the largest answer; one with code and data of the largest contracts comes next. */
export const ANSWER_MAX_BYTES = 8_388_608;
export const CELL_TEXT_MAX = 2_097_152;
export const STACK_ITEMS_MAX = 256;
export const STACK_DEPTH_MAX = 16;
export const PAGE_SIZE = 50;
export const HISTORY_MAX = 1000;

export const ATTEMPTS_MAX = 4;
export const BACKOFF_FIRST_MS = 200;
export const BACKOFF_MAX_MS = 3000;
/** What a provider may ask us to wait: a mistake in it must not silence us for a day. */
export const RETRY_AFTER_MAX_MS = 60_000;
/** Between two questions to one provider while there is no agreement. */
export const ASK_AGAIN_MS = 250;
/** How old a head may be: some blocks are missed, but the network makes one in less than five seconds. */
export const HEAD_AGE_MAX_S = 120;
/** How often a provider has to name its network again. */
export const NETWORK_CHECK_EVERY_MS = 600_000;
/** Between two looks at a channel whose claim is on its way. */
export const CLAIM_LOOK_AGAIN_MS = 500;
