/** Bounds of everything that event log reading takes in and gives out. @module */

/** Firmware reserves 64 KiB; guests that let IMA write into the table reserve 1 MiB. A dstack log doubles bytes as hex. */
export const EVENT_LOG_MAX_BYTES = 2 * 1024 * 1024;
/** The smallest event takes 66 bytes; real logs have dozens, logs of file integrity thousands. */
export const EVENTS_MAX = 16_384;
/** Revocation databases of secure boot (`dbx`) are the largest events today, some 25 KiB. */
export const EVENT_DATA_MAX_BYTES = 256 * 1024;
/** Of the header record, and so of every event. */
export const DIGEST_ALGORITHMS_MAX = 8;
export const DIGEST_MAX_BYTES = 64;
export const EVENT_NAME_MAX_CHARS = 256;
export const KEY_PROVIDER_MAX_BYTES = 4096;
/** Of one text in an explanation. */
export const EXPLAINED_TEXT_MAX_CHARS = 2048;
