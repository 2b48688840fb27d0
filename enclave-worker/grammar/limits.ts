/**
 * Every bound of the grammar compiler in one place. A schema comes from a stranger, and what it costs is paid by
 * everybody whose answer is sampled beside it. Spec: docs/structured-output.md "Limits".
 * @module
 */

/** Schemas that are read, references not counted again. */
export const SCHEMA_NODES_MAX = 4096;
/** Schemas within schemas; to follow a reference counts as a level the first time. */
export const SCHEMA_DEPTH_MAX = 128;
export const NAME_MAX_CHARS = 256;
/** Of one object. */
export const MEMBERS_MAX = 512;
/** Of one object: after each comma every optional member that may follow is a path that the sampler follows. */
export const OPTIONAL_MEMBERS_MAX = 64;
/** Alternatives of one union, with those of the unions inside it. */
export const BRANCHES_MAX = 64;
/** Values of all enums together. */
export const ENUM_VALUES_MAX = 2048;
export const ENUM_TEXT_MAX_CHARS = 65_536;
export const ENUM_VALUE_MAX_DEPTH = 8;
export const POINTER_MAX_STEPS = 64;

/** llama.cpp takes a larger upper bound for none at all, and says nothing. */
export const REPEAT_MAX = 2000;
/** Lengths beyond one repetition are counted in blocks of this size. */
export const LENGTH_BLOCK = 1000;
export const LENGTH_MAX = 20_000;
/** llama.cpp spells every repetition out. Sum of the upper bounds of all that differ. */
export const REPEATS_TOTAL_MAX = 40_000;

/** Paths of different meaning through nested unions that the sampler would have to follow at the same time. */
export const AMBIGUITY_MAX = 16;

/** Steps of the compiler that are not bounded by the other limits: pairs of alternatives, states of patterns. */
export const WORK_MAX = 400_000;
export const RULES_MAX = 16_384;
/** Of the whole text, so that whoever passes it on knows. */
export const GRAMMAR_MAX_CHARS = 524_288;

export const PATTERN_MAX_CHARS = 1024;
export const PATTERN_DEPTH_MAX = 24;
export const PATTERN_STATES_MAX = 4096;

/** Digits before the decimal point, so that every integer is one that JavaScript holds exactly. */
export const INTEGER_DIGITS_MAX = 15;
/** Of numbers with bounds: as many as a double keeps. */
export const SIGNIFICANT_DIGITS_MAX = 15;

/** Of JSON that no schema describes. */
export const FREE_JSON_DEPTH = 12;

export const TOOLS_MAX = 128;
/** OpenAI's. */
export const TOOL_NAME_MAX_CHARS = 64;
export const PARALLEL_CALLS_MAX = 32;
/** An SDK keeps them in memory; what is longer was never meant as arguments. */
export const ARGUMENTS_MAX_CHARS = 1_048_576;

/** Of a path in an error. */
export const PARAM_MAX_CHARS = 96;
export const PARAM_STEP_MAX_CHARS = 32;
