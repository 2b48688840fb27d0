/** Bounds of the OpenAI surface. @module */

/** Pictures come inside the JSON. An operator may choose less or more, see config.ts. */
export const PLAIN_BODY_MAX_BYTES = 20_971_520;
/** What the sealed request can carry, less its own overhead. */
export const PLAIN_BODY_LIMIT_BYTES = 33_000_000;
/** Proxies cut connections that are silent for longer; SDK time-outs do not cover the body. */
export const PING_INTERVAL_MS = 12_000;
