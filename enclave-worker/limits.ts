/** Every bound of the worker in one place. Those of the exchange are in protocol/sx/limits.ts. @module */

export const STATEMENT_LIFETIME_MAX_S = 3600;
export const RECEIPT_KEEP_MS = 15 * 60_000;
export const RECEIPTS_MAX = 20_000;
export const RECEIPTS_PAGE = 256;
/** Of statements whose receipts were signed here: two an hour. */
export const STATEMENTS_REMEMBERED_MAX = 64;

// Earnings. The largest notice is SETTLED_MAX_BYTES.
/** A gateway's clock before ours. */
export const NOTICE_CLOCK_AHEAD_MAX_MS = 5 * 60_000;
/** Notices of two replicas may arrive in the other order. */
export const NOTICE_OVERTAKING_MS = 5000;
export const CHANNELS_WATCHED_MAX = 8;
export const CHAIN_LOOK_EVERY_MS = 60_000;
/** What the chain said counts for half a withdraw delay, and this long at least. */
export const CHAIN_TRUST_MIN_MS = 5 * 60_000;
export const EARNINGS_BUSY_MS = 5000;
/** Of single receipts. Sums are kept for good. */
export const EARNINGS_ROWS_KEEP_DAYS = 400;
export const TERMS_JSON_MAX_BYTES = 4096;
/** How rarely a gateway may ask for a METER. */
export const METER_EVERY_MAX = 1_000_000;
/** A gateway that is not reachable is asked again after this, then ever more slowly. */
export const REGISTER_BACK_OFF_FIRST_MS = 500;
export const REGISTER_BACK_OFF_MAX_MS = 30_000;
export const REGISTER_TIMEOUT_MS = 20_000;
export const OWNER_TIMEOUT_MS = 10_000;
export const GATEWAY_ANSWER_MAX_BYTES = 262_144;
export const OWNER_REQUESTS_MAX = 16;
/** Between the clock that dated a statement and the one of the owner who signs it. */
export const OWNER_CLOCK_APART_MAX_MS = 5 * 60_000;

/** How long the sealed status waits for the first text, so that a failure can still be an HTTP error. */
export const HEAD_HOLD_MAX_MS = 10_000;
export const PING_EVERY_MS = 10_000;
/** Behind the client's deadline: a gateway gives up before that, and nobody reads on. */
export const ANSWER_LATE_MAX_MS = 10_000;
/** What an engine holds of a prompt for the next request of its namespace. */
export const PREFIX_KEEP_MS = 5 * 60_000;
/** Fewer are evaluated as fast as they are found. */
export const PREFIX_TOKENS_MIN = 16;
/** 128 bits in base64url. */
export const CACHE_SALT_MIN_CHARS = 22;

/** Clients read answers of up to 64 MiB. */
export const EMBEDDINGS_ANSWER_MAX_CHARS = 60_000_000;

export const LINK_CONNECTIONS_MAX = 512;
/** Silent connections of strangers must not keep the gateway out; Node's default is two minutes. */
export const LINK_HANDSHAKE_TIMEOUT_MS = 5000;
export const LINK_HEADERS_TIMEOUT_MS = 10_000;
/** For the whole request; the largest is 32 MiB. */
export const LINK_REQUEST_TIMEOUT_MS = 60_000;
/** Longer than the gateway keeps an idle connection, so that it is never the worker that closes one in use. */
export const LINK_KEEP_ALIVE_MS = 75_000;
export const LINK_HEADER_BYTES_MAX = 8192;
/** The certificate is pinned by its key: its dates carry no trust and only have to include now. */
export const TLS_CERTIFICATE_SKEW_MS = 24 * 3_600_000;
export const TLS_CERTIFICATE_LIFE_MS = 10 * 365 * 24 * 3_600_000;
export const PURGE_EVERY_MS = 10_000;
export const CLOCK_CHECK_EVERY_MS = 1000;

/** A statement and a card in base64, and a little around them. */
export const OWNER_BODY_MAX_BYTES = 49_152;
export const OWNER_REQUEST_TIMEOUT_MS = 10_000;
/** Also for the handshake before them. */
export const OWNER_HEADERS_TIMEOUT_MS = 3000;
export const OWNER_CHECK_EVERY_MS = 1000;
export const OWNER_AGENT_CONNECTIONS_MAX = 64;
/** Of one call for evidence, with everything that it waits for. The kernel gives a TDX host 30 seconds. */
export const COLLECT_TIMEOUT_MS = 60_000;
/** What hangs in the kernel cannot be aborted: after this the caller goes without it. */
export const COLLECT_LEAVE_AFTER_MS = 2000;
export const COLLECT_WAITING_MAX = 16;
export const COLLECT_ATTEMPTS_MAX = 10;
export const COLLECT_BACK_OFF_FIRST_MS = 20;
export const COLLECT_BACK_OFF_MAX_MS = 2000;
/** The kernel's own limit for a certificate table is 16 KiB today. */
export const CERTIFICATE_TABLE_MAX_BYTES = 65_536;
export const EVENT_LOG_MAX_BYTES = 1_048_576;
/** Text attributes of pseudo file systems are one page. */
export const ATTRIBUTE_MAX_BYTES = 4096;
/** A quote in hexadecimal digits, an event log as text inside JSON, and the description of the machine. */
export const AGENT_ANSWER_MAX_BYTES = 3 * 1_048_576;
export const VM_CONFIG_MAX_CHARS = 65_536;
export const AGENT_CONNECT_TIMEOUT_MS = 5000;
/** For the first answer of an agent, to whatever. */
export const AGENT_PROBE_TIMEOUT_MS = 10_000;
/** Texts about the system that grow with it, such as the list of its processors. */
export const SYSTEM_TEXT_MAX_BYTES = 4 * 1_048_576;
