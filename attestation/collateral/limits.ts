/** Bounds of everything around fetching and keeping collateral. Spec: tdx §10 "Cache rules"; sev-snp §2.3, §8. @module */

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Evidence has to carry documents and lists on, so nothing larger than it can carry is of use. */
export const DOCUMENT_MAX_BYTES = 512 * 1024;
export const LIST_MAX_BYTES = 512 * 1024;
/** Hex doubles a list; PEM and base64 take a third more. */
export const LIST_TEXT_MAX_BYTES = 2 * LIST_MAX_BYTES + 4096;
export const CHAIN_MAX_BYTES = 32 * 1024;
export const LEAF_MAX_BYTES = 16 * 1024;
/** Percent-encoding triples what it encodes. */
export const CHAIN_HEADER_MAX_CHARS = 16 * 1024;

export const CONNECT_TIMEOUT_MS = 5 * SECOND_MS;
export const FETCH_TIMEOUT_MS = 20 * SECOND_MS;
/** A host that has not answered in this time is at fault, whether or not the caller waited any longer. */
export const SILENCE_MS = 10 * SECOND_MS;

/** AMD's service answers about one request per ten seconds and client. */
export const KDS_SPACING_MS = 10 * SECOND_MS;
/** Requests to one host at a time, where the host sets no pace. */
export const SOURCE_CONCURRENCY_MAX = 4;
/** Requests that wait at one host before one's own turn: single machines do not take the places of lists. */
export const SOURCE_WAITERS_MAX = 64;
/** Nobody waits longer for a turn: the caller is told to come again instead. */
export const TURN_WAIT_MAX_MS = MINUTE_MS;

export const BACKOFF_MIN_MS = 2 * SECOND_MS;
export const BACKOFF_MAX_MS = 10 * MINUTE_MS;
/** A server may not silence itself for longer. */
export const RETRY_AFTER_MAX_MS = HOUR_MS;
export const NEGATIVE_TTL_MS = MINUTE_MS;
export const NEGATIVE_MAX = 4096;
/** Pairs of source and item that are left alone after a bad answer. */
export const DISTRUSTED_MAX = 1024;
/** Items being fetched at once, of all sources together. */
export const FLIGHTS_MAX = 256;

export const REFRESH_MIN_MS = 12 * HOUR_MS;
export const REFRESH_MAX_MS = DAY_MS;
/** So that a document that is served again and again just before its end is not asked for without pause. */
export const REFRESH_FLOOR_MS = MINUTE_MS;
/** Certificates of chips and their issuers live for years under one key: renewed only when they near their end. */
export const CERTIFICATE_REFRESH_MS = 30 * DAY_MS;
/** What nobody asked for in this time is not refreshed any more. */
export const UNUSED_MAX_MS = 7 * DAY_MS;
/** Documents that were shown to us and are still to be looked for. */
export const UNSEEN_MAX = 256;
/** The longest the refreshing loop sleeps. */
export const REFRESH_TICK_MAX_MS = MINUTE_MS;
export const REFRESH_TICK_MIN_MS = SECOND_MS;

/** In memory: documents, lists and chains; and, apart from them, the certificates of single chips. */
export const SHARED_MAX = 1024;
export const SHARED_MAX_BYTES = 64 * 1024 * 1024;
export const LEAVES_MAX = 4096;
export const LEAVES_MAX_BYTES = 16 * 1024 * 1024;

/** An item with its chain in base64 inside JSON. */
export const ENTRY_MAX_BYTES = 1024 * 1024;
/** Files in the folder on disk. */
export const BLOBS_MAX = 16_384;
export const FLOORS_MAX_BYTES = 512 * 1024;
export const LIST_FLOORS_MAX = 64;
export const DOCUMENT_FLOORS_MAX = 2048;

export const BUNDLE_MAX_BYTES = 32 * 1024 * 1024;
export const BUNDLE_ENTRIES_MAX = 8192;

export const SOURCES_MAX = 8;
export const EVALUATION_NUMBER_MAX = 0xffff_ffff;
/** In Intel's list of evaluation data numbers; it has four today. */
export const EVALUATION_NUMBERS_MAX = 256;
