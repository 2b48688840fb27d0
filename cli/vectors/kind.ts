/**
 * What a kind of test vector is to `veilgate vectors`. Expectations are not part of it: a manifest's `expect` and
 * `observed` are dropped when it is decoded, so no runner can lean on them.
 * @module
 */

/** Reads a file named in a case, below a folder of the manifest. Throws `vectors.file`. */
export type ReadCaseFile = (path: string) => Uint8Array;

/** What event log cases say beside the rest; null where the log was refused or has no such thing. */
export interface LogOutcome {
  readonly replayed: readonly string[] | null;
  readonly events?: number;
  /** Register, event type, digest, bytes of data. */
  readonly list?: readonly (readonly (number | string | null)[])[];
  readonly facts: Readonly<Record<string, string>> | null;
  readonly applicationEvents?: readonly string[];
}

export interface VectorOutcome extends Partial<LogOutcome> {
  /** Evidence is accepted or rejected; a log matches registers, does not, or is rejected. */
  readonly verdict: 'accept' | 'match' | 'mismatch' | 'reject';
  /** In the corpus's own words. */
  readonly failing: readonly string[];
  readonly warnings: readonly string[];
  /** Null where the kind has no such notion. */
  readonly authentic: boolean | null;
  readonly tcb: Readonly<Record<string, unknown>> | null;
  readonly fields: Readonly<Record<string, unknown>> | null;
}

export interface VectorKind {
  readonly name: string;
  /** `entry` is one element of `cases`, undecoded. Throws when it is not of the kind's form. */
  readonly run: (entry: unknown, readFile: ReadCaseFile) => VectorOutcome;
}
