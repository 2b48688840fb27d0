/** What the three commands share: where they write, and how they end. @module */

import type { Page } from '../attest/text.ts';

export const AUDIT_FORMAT = 'veilgate.audit/1';

export const EXIT = { ok: 0, findings: 1, usage: 2, unreadable: 3 } as const;

export interface AuditIo {
  readonly page: Page;
  /** A line of the result. */
  readonly output: (line: string) => void;
  /** A line beside the result. */
  readonly error: (line: string) => void;
  /** How far it is; empty when it is over. */
  readonly progress: (text: string) => void;
  /** Aborts when the user has seen enough. Until it is asked for, Ctrl-C ends the command at once, as ever. */
  readonly enough: () => AbortSignal;
}
