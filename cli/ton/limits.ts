/** What commands that move coins read, wait for and agree to at most. @module */

export const DOCUMENT_MAX_BYTES = 65_536;
export const ANSWER_MAX_BYTES = 65_536;
export const GATEWAY_TIMEOUT_MS = 20_000;
export const SETTLEMENTS_MAX_BYTES = 4_194_304;
export const KEY_FILE_MAX_BYTES = 4096;
export const CHANNEL_FILE_MAX_BYTES = 16_384;
export const CHANNELS_MAX = 256;

/** A gateway that wants a payer to wait longer for his own coins gets none. */
export const WITHDRAW_DELAY_MAX_S = 30 * 86_400;

/** A gateway sees a new channel a little after its payer does. */
export const ANNOUNCE_ATTEMPTS_MAX = 20;
export const ANNOUNCE_PAUSE_MS = 3000;
/** What a gateway says in words is shown so far. */
export const WORDS_MAX_CHARS = 200;
