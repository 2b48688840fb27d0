/** Bounds of everything that TDX verification reads. Spec: tdx module design, "Limits". @module */

export const QUOTE_MAX_BYTES = 128 * 1024;
/** TCB info is 4 KiB to 20 KiB today. */
export const COLLATERAL_BODY_MAX_BYTES = 1024 * 1024;
/** Levels of one list in a signed document; Intel's have fewer than twenty. */
export const TCB_LEVELS_MAX = 1024;
export const ADVISORIES_MAX = 1024;
export const ADVISORY_ID_MAX_CHARS = 64;
export const MODULE_IDENTITIES_MAX = 256;
