/**
 * What a kind of test vector is to `veilgate vectors`. Expectations are not part of it: a manifest's `expect` and
 * `observed` are dropped when it is decoded, so no runner can lean on them.
 * @module
 */

/** Reads a file named in a case, below the manifest's folder. Throws `vectors.file`. */
export type ReadCaseFile = (path: string) => Uint8Array;

export interface VectorOutcome {
  readonly verdict: 'accept' | 'reject';
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
