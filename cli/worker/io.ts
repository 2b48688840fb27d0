/** What the commands about earnings share: where they write, and how they end. @module */

export const EARNINGS_FORMAT = 'veilgate.earnings/1';

export const EXIT = { ok: 0, findings: 1, usage: 2, unreadable: 3 } as const;

export interface WorkerIo {
  /** A line of the result. */
  readonly output: (line: string) => void;
  /** A line beside the result. */
  readonly error: (line: string) => void;
}

export interface EarningsOptions {
  readonly dir: string;
  /** JSON-RPC addresses. */
  readonly providers: readonly string[];
  readonly format: 'text' | 'json';
}
