/** Every bound of the adapter in one place. Spec: openai-gateway-and-engine §6. @module */

/** Of one event of a stream, comments included. */
export const EVENT_MAX_BYTES = 1_048_576;
/** Of text that waits for a slow reader. The upstream is paused above the first, and goes on below the second. */
export const WAITING_HIGH_BYTES = 262_144;
export const WAITING_LOW_BYTES = 65_536;
/** Of what an upstream says beside a stream: errors, lists, states. */
export const STATUS_MAX_BYTES = 65_536;
export const ANSWER_MAX_BYTES = 4 * 1_048_576;
/** Numbers of all tokens of a prompt. */
export const COUNT_MAX_BYTES = 67_108_864;
export const EMBEDDINGS_MAX_BYTES = 134_217_728;
export const DIMENSIONS_MAX = 65_536;

/** Idle connections are left alone for less long than any known server keeps them (uvicorn: five seconds). */
export const KEEP_ALIVE_MS = 2000;
export const CONNECT_TIMEOUT_MS = 2000;
/** Connections beside those of running answers: probes, counts. */
export const CONNECTIONS_MARGIN = 4;
export const CONTROL_TIMEOUT_MS = 10_000;

/** Tokens that leave no byte behind, as clients allow for them: client/limits.ts. */
export const SPECIAL_TOKENS_PER_CHOICE = 64;
export const SPECIAL_TOKENS_PER_CALL = 64;
/** What a template adds around messages. */
export const TEMPLATE_TOKENS = 512;
/** A tokenizer that is asked beside the answer may leave out a mark or two. */
export const COUNT_SLACK = 32;
export const CALLS_MAX = 128;
/** An upstream may send a little more than it was asked for, such as an empty last piece. */
export const PIECES_SLACK = 16;

export const HEALTH_EVERY_MS = 2000;
export const HEALTH_TIMEOUT_MS = 2000;
/** Of looks in a row that went wrong. */
export const HEALTH_MISSES_MAX = 2;
/** The files are looked at again this often: names, sizes and times, not contents. */
export const WEIGHTS_LOOK_EVERY_MS = 60_000;
/** Of answers in a row that broke. */
export const BREAK_AFTER = 3;
export const BREAK_FIRST_MS = 2000;
export const BREAK_MAX_MS = 60_000;

export const READY_POLL_MS = 1000;
export const PROBE_TIMEOUT_MS = 120_000;
export const PROBE_TOKENS = 16;
/** How long an upstream may go on with what was aborted. */
export const ABORT_EFFECT_MAX_MS = 5000;
export const ABORT_POLL_MS = 100;
/** Of the answer that is aborted: long enough that it is not over by itself. */
export const ABORT_PROBE_TOKENS = 2048;
