/** Every bound of the local proxy in one place. @module */

export const PORT_DEFAULT = 8080;
export const HOST_DEFAULT = '127.0.0.1';

/** Requests that run at once; more are told to come back, nothing queues. */
export const CONCURRENCY_DEFAULT = 128;
export const CONCURRENCY_MAX = 1024;
/** Request bodies in memory, all together. */
export const BODY_BYTES_IN_FLIGHT_MAX = 134_217_728;
/** A program that reads nothing for this long has left. */
export const SLOW_READER_TIMEOUT_MS = 60_000;
/** What a program that is refused has to read why, before its connection goes. */
export const REFUSED_LINGER_MS = 1000;
/** Beyond the longest honest silence, which is a whole answer that takes its full time. */
export const SILENCE_MARGIN_MS = 60_000;
/** For answers under way when the proxy is asked to end. */
export const CLOSE_GRACE_MS = 120_000;

export const TOKEN_BYTES = 32;
export const TOKEN_FILE_MAX_BYTES = 256;
export const API_KEY_FILE_MAX_BYTES = 1024;
/** With everything that it repeats for people. */
export const POLICY_FILE_MAX_BYTES = 1_048_576;
export const ROOT_FILE_MAX_BYTES = 262_144;
/** What is compared at all of an `authorization` header. */
export const AUTHORIZATION_MAX_CHARS = 512;

/** Between two looks at the workers while all is well, and while it is not. */
export const LOOK_EVERY_MS = 30_000;
export const LOOK_AGAIN_MS = 5000;
/** For all models together. */
export const LOOK_TIMEOUT_MS = 60_000;
export const MODELS_LOOKED_AT_MAX = 64;

/** Receipts and bills whose request has not ended yet. */
export const BILLS_WAITING_MAX = 2048;
/** Ended requests and faults that are kept to be shown. */
export const REQUESTS_SHOWN_MAX = 200;
export const FAULTS_SHOWN_MAX = 20;
export const WORKERS_SHOWN_MAX = 256;
/** What is refused at the door is said at most this often for each reason: a page in a loop must not fill a log. */
export const REFUSALS_SAID_EVERY_MS = 1000;

/** Between two frames of the live view. */
export const FRAME_EVERY_MS = 100;
/** Running clocks move this often. */
export const TICK_EVERY_MS = 1000;
