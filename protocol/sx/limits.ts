/**
 * Every bound of SX/1 in one place. Spec: P§12.
 * @module
 */

export const RECIPIENTS_MAX = 8;
export const TTL_MAX_S = 300;
/** A clock may run this far ahead of ours; the replay set remembers this much longer than a request lives. */
export const CLOCK_SKEW_MAX_MS = 60_000;
/** Open streams may outlive their key by this much, and no longer. */
export const DEADLINE_MAX_MS = 1_800_000;

/** The inner request (BHTTP), before padding. Padmé leaves a power of two as it is. */
export const INNER_REQUEST_MAX_BYTES = 33_554_432;
/** One frame's plaintext: data length, data and padding together. */
export const FRAME_PLAINTEXT_MAX_BYTES = 65_536;
export const REQUEST_PAD_FRAMES_MAX = 16;
/** Padded data frames, PAD and FINAL. */
export const REQUEST_FRAMES_MAX = 544;
/** Prelude, eight X-Wing recipients, commit, frames with headers and tags. */
export const REQUEST_WIRE_MAX_BYTES = 33_619_968;

/** Floor of request padding: the shortest prompts all look alike. */
export const REQUEST_PADDING_FLOOR_BYTES = 256;
/** Sealed response plaintexts are multiples of this. */
export const RESPONSE_PADDING_BYTES = 128;

/** Constant rate (P§10.8): every sealed frame before the receipt has a plaintext of this size, one leaves in each tick, */
export const CONSTANT_FRAME_BYTES = 4096;
export const CONSTANT_TICK_MS = 50;
/** and their number is a multiple of this. */
export const CONSTANT_FRAMES_STEP = 20;
/** What is generated ahead of the pace and not sent yet; an app that leaves has paid for it. */
export const CONSTANT_AHEAD_MAX_BYTES = 16_384;

export const RESPONSE_FRAMES_MAX = 1_048_576;
export const RESPONSE_PAD_FRAMES_MAX = 65_536;
export const RESPONSE_KEEPALIVE_FRAMES_MAX = 1024;
export const RESPONSE_METER_FRAMES_MAX = 65_536;
export const RESPONSE_WIRE_MAX_BYTES = 268_435_456;
export const LEDGER_FRAME_MAX_BYTES = 1024;
export const GATEWAY_ERROR_CODE_MAX_BYTES = 64;
export const TRAILER_MAX_BYTES = 8192;

export const INNER_HEADERS_MAX = 16;
export const INNER_HEADER_VALUE_MAX_BYTES = 256;

/** 1000 requests a second for the 360 s that a request can be remembered, and some air. */
export const REPLAY_ENTRIES_MAX = 400_000;
export const RECIPIENT_KEYS_MAX = 64;

export const COALESCING_WINDOW_MS = 20;
/** A full frame leaves at once. */
export const COALESCING_MAX_BYTES = 16_384;
