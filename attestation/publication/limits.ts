/** Bounds of published documents and of what a reader keeps. Spec: docs/publication.md §1, §2. @module */

const KIB = 1024;
const MIB = 1024 * KIB;

export const BUNDLE_MAX_BYTES = 4 * MIB;
export const REVOCATIONS_MAX_BYTES = 2 * MIB;
export const SMALL_DOCUMENT_MAX_BYTES = 64 * KIB;

export const SIGNATURES_MAX = 16;
export const KEYS_MAX = 64;
export const ENTRIES_MAX = 10_000;
export const REASON_MAX_CHARS = 1000;
export const BY_MAX_CHARS = 128;

export const LINE_FILES_MAX = 64;
export const LINE_FILE_MAX_CHARS = 256;
export const LINES_MAX = 100_000;
export const LINE_PATH_MAX_CHARS = 1024;
export const LINE_MAX = 1_000_000;

/** How far two honest clocks may be apart. */
export const CLOCK_SKEW_MS = 60_000;
/** Roots that a reader climbs from the one it pins; past this a newer one has to be pinned. */
export const ROOTS_MAX = 256;
/** Holds a full chain of roots, two bundles and one list, in base64. */
export const STATE_MAX_BYTES = 48 * MIB;
