/** Bounds of requests by EHBP clients. Those of the form itself are in protocol/ehbp/limits.ts. @module */

/** A request is sealed and sent at once; the gateway dates it, when it has the whole of it. */
export const EHBP_TTL_S = 60;
/** As OpenAI's SDK waits. */
export const EHBP_DEADLINE_MS = 600_000;
/** A byte is at least one token; the chat template around the messages adds these. */
export const EHBP_TEMPLATE_TOKENS = 512;
/** What one request may cost where the app says nothing: 1 TON, 5 USDT. A card is its owner's to write. */
export const EHBP_AMOUNT_DEFAULT_MAX = { TON: 1_000_000_000n, USDT: 5_000_000n } as const;
