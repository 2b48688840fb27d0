/** Bounds of the OpenAI surface. @module */

/** What the sealed request can carry, less its own overhead. */
export const CHAT_BODY_MAX_BYTES = 8_000_000;
/** Proxies cut connections that are silent for longer; SDK time-outs do not cover the body. */
export const PING_INTERVAL_MS = 12_000;
