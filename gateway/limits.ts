/**
 * Every bound of the gateway in one place. What an operator may choose is in config.ts and starts from these.
 * Spec: openai-gateway-and-engine §2.8; gateways-and-e2ee §8.2 D and E.
 * @module
 */

// Connections and headers.
export const HEADER_MAX_BYTES = 16_384;
export const HEADERS_TIMEOUT_MS = 10_000;
/** For a whole request with its body, so that a trickle cannot hold a slot. */
export const REQUEST_TIMEOUT_MS = 60_000;
export const KEEP_ALIVE_TIMEOUT_MS = 30_000;
export const CONNECTIONS_CHECK_INTERVAL_MS = 2000;
export const CONNECTIONS_MAX = 8192;
/** From TCP to a finished TLS handshake: the limits of HTTP begin only after it. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;
/** What a peer that broke the rules of HTTP has to read its answer, before the socket goes. */
export const REFUSED_LINGER_MS = 1000;
/** Of a refused body, what is read and dropped so that the refusal arrives. */
export const REFUSED_BODY_MAX_BYTES = 33_554_432;
export const REFUSED_BODY_LINGER_MS = 5000;
// HTTP/2. An SDK keeps one connection and cancels what it no longer needs, all at once at worst.
export const HTTP2_STREAMS_PER_CONNECTION_MAX = 128;
/** Over all connections: as many requests at once as HTTP/1.1 could bring, and as many again. */
export const HTTP2_STREAMS_MAX = CONNECTIONS_MAX * 2;
/** What a peer may send ahead of its reader. A connection has no more than one of its streams. */
export const HTTP2_WINDOW_BYTES = 65_535;
export const HTTP2_HEADERS_MAX = 128;
export const HTTP2_SESSION_MEMORY_MIB = 10;
/** In one frame. */
export const HTTP2_SETTINGS_MAX = 16;
export const HTTP2_RESETS_BURST = HTTP2_STREAMS_PER_CONNECTION_MAX * 2;
export const HTTP2_RESETS_PER_S = 32;
export const HTTP2_INVALID_FRAMES_MAX = 32;
export const HTTP2_REJECTED_STREAMS_MAX = 100;
/** PING and SETTINGS, each of which is answered. Honest ones measure a path with a ping a second at most. */
export const HTTP2_CONTROL_FRAMES_BURST = 64;
export const HTTP2_CONTROL_FRAMES_PER_S = 8;

export const CONTROL_BODY_MAX_BYTES = 2_097_152;
/** Bodies of control routes being read at once. */
export const CONTROL_BODIES_MAX = 32;
export const CONTROL_BODY_TIMEOUT_MS = 5000;

// Exchanges.
export const EXCHANGES_MAX = 2048;
/** Request bodies in memory, all together; an account has an eighth, in which the largest request has room. */
export const BODY_BYTES_IN_FLIGHT_MAX = 536_870_912;
/** From forwarding to the first sealed frame; keepalives do not extend it. */
export const FIRST_SEALED_TIMEOUT_MS = 120_000;
/** Between two pieces of an answer. */
export const IDLE_TIMEOUT_MS = 60_000;
/** A client that reads nothing for this long has left. */
export const SLOW_READER_TIMEOUT_MS = 120_000;
/**
 * At the client's deadline the worker ends the exchange itself, with a receipt. Cutting it at the same moment would blame
 * the worker for a deadline that nobody can meet.
 */
export const DEADLINE_GRACE_MS = 2000;
export const DEADLINE_TICK_MS = 250;
/** What a relay keeps at most while the client is slow: one read of the link and one held end. */
export const RECEIPT_FETCH_TIMEOUT_MS = 3000;
export const RECEIPT_FETCH_ATTEMPTS = 3;
export const RECEIPT_FETCH_PAUSE_MS = 400;
export const RECEIPT_FETCHES_MAX = 256;
/** With what lies between them, about four minutes; the next receipt, or `refresh`, is a new start. */
export const ACKNOWLEDGE_ATTEMPTS = 12;
export const ACKNOWLEDGE_BACK_OFF_MS = 250;
export const ACKNOWLEDGE_BACK_OFF_MAX_MS = 60_000;
export const ACKNOWLEDGE_TIMEOUT_MS = 5000;
/** In a row, then a worker is told of its sums without its channel. */
export const CHANNEL_REFUSALS_MAX = 2;
/** Of receipts that this gateway missed, in one answer and in one round. */
export const MISSED_RECEIPTS_PAGE = 256;
export const MISSED_RECEIPTS_PAGES_MAX = 80;

/** Of one Idempotency-Key, while the ledger remembers those that came to nothing. */
export const IDEMPOTENT_ATTEMPTS_MAX = 16;

// Workers.
export const WORKERS_MAX = 1024;
/** Old and new statement while keys roll over. */
export const STATEMENTS_PER_WORKER_MAX = 4;
export const CHALLENGE_LIFETIME_MS = 60_000;
/** Used ones, until they expire. */
export const CHALLENGES_USED_MAX = 65_536;
/** An owner renews once in many minutes; more is a worker in a loop. */
export const REGISTRATIONS_PER_OWNER_MAX = 12;
export const OWNERS_PER_MINUTE_MAX = 65_536;
/** Places on top, for the workers that are in: newcomers cannot take them. */
export const CHALLENGES_USED_BY_WORKERS_MAX = WORKERS_MAX * REGISTRATIONS_PER_OWNER_MAX;
/** Appraisals with what they wait for: the name and the probe of the endpoint. */
export const APPRAISALS_OF_NEWCOMERS_MAX = 64;
export const APPRAISALS_OF_WORKERS_MAX = 64;
export const PUBLISH_MARGIN_MAX_MS = 600_000;
/** A short statement gives up this part of its life instead. */
export const PUBLISH_MARGIN_DIVISOR = 6;
/** For the store of collateral; it usually has what it needs at hand. */
export const VOUCH_TIMEOUT_MS = 15_000;
/** For the collateral of all workers together, when a policy changes: the old one is in force meanwhile. */
export const CHANGE_COLLATERAL_WAIT_MS = 5000;
export const SWEEP_INTERVAL_MS = 10_000;
/** For published policies, when the gateway starts. */
export const FIRST_LOOK_TIMEOUT_MS = 15_000;
/** A candidate is judged on all evidence again this often. */
export const SHADOW_INTERVAL_MS = 60_000;
/** How far ahead a pass or token may end: a month, and what clocks differ by. */
export const PASS_LIFETIME_MAX_MS = 31 * 86_400_000;
export const EXPIRY_NOTICE_DAYS = 14;
/** Evidence kept of refused registrations, one per worker. */
export const REFUSED_EVIDENCE_MAX = 64;
export const EVIDENCE_CANDIDATES_MAX = 64;
export const WORKER_CONNECTIONS_MAX = 256;
/** For notices and stops, beside those that carry exchanges. */
export const WORKER_CONTROL_CONNECTIONS_MAX = 2;
export const WORKER_CONNECT_TIMEOUT_MS = 3000;
export const PROBE_TIMEOUT_MS = 3000;
export const PROBE_FAILURES_MAX = 3;

// Choice of a worker.
export const BREAKER_FAILURES = 3;
export const BREAKER_OPEN_MIN_MS = 1000;
export const BREAKER_OPEN_MAX_MS = 60_000;
export const BUSY_HOLD_MS = 250;

// Accounts.
export const API_KEYS_MAX = 100_000;
export const ACCOUNT_CONCURRENCY_MAX = 256;
export const ACCOUNT_REQUESTS_PER_MINUTE = 6000;
export const ACCOUNT_STATES_MAX = 16_384;

// A gateway that is in a TEE itself.
/** With the collateral that belongs to it. */
export const OWN_QUOTE_TIMEOUT_MS = 30_000;
/** How often the age of the published statement is looked at. */
export const OWN_EVIDENCE_ROUND_MS = 5000;
/** Challenges cost a quote each, and anybody can send them. */
export const OWN_CHALLENGES_PER_MINUTE_MAX = 60;
/** Proofs of answers wait so long for their app, so many at once. */
export const ANSWER_PROOF_LIFETIME_MS = 900_000;
export const ANSWER_PROOFS_MAX = 4096;

// Reservations.
export const RESERVATION_SKEW_MS = 60_000;
export const PURGE_INTERVAL_MS = 60_000;

// Payments.
/** Accounts of API keys known to be open; beyond this they are asked for again. */
export const ACCOUNTS_OPENED_MAX = 65_536;
/** Announcements and closes of channels, which anybody can send and which ask every provider. */
export const CHAIN_QUESTIONS_AT_ONCE_MAX = 8;
export const CHAIN_QUESTIONS_PER_MINUTE_MAX = 60;
/** Of `/v1/pricing`. */
export const PRICES_VALID_MS = 60_000;
/** Tokens of output between two steps of pay-as-you-go. */
export const CHUNK_TOKENS_MAX = 1_000_000;
export const STOP_TIMEOUT_MS = 3000;
export const RECOVERY_INTERVAL_MS = 30_000;
export const RECOVERY_PAGE = 256;
/** Looked at in one round. */
export const RECOVERY_RESERVATIONS_MAX = 4096;
/** A worker that cannot be asked may have a receipt for so long after its reservation's time is over: as long as it keeps one. */
export const RECOVERY_UNHEARD_MS = 900_000;
/** Entries of one answer about settlements, and how long it may be waited for. */
export const SETTLEMENTS_PAGE = 256;
export const SETTLEMENTS_WAIT_MAX_MS = 30_000;

// Audit log. What strangers cause, and whoever can write where the policy is published.
export const AUDIT_DENIALS_PER_MINUTE_MAX = 60;
export const AUDIT_REFUSALS_PER_MINUTE_MAX = 60;
/** Of what was written, so that it is not written again. */
export const AUDIT_REMEMBERED_MAX = 8192;

/** Where nothing else is configured: control routes answer at once. */
export const SILENCE_TIMEOUT_MS = 240_000;
/** On top of the longest silence that the configuration allows an exchange. */
export const SILENCE_MARGIN_MS = 30_000;
