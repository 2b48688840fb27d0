/** What every duty of a settler works with. @module */

import type { Bytes } from '../../core/bytes.ts';
import type { Payee } from '../ledger/ledger.ts';
import type { Treasury } from '../ton/treasury.ts';
import type { SettlerNotes } from './notes.ts';
import type { OpenParts } from './open-channel.ts';
import type { SettlerPolicy } from './policy.ts';
import type { Progress } from './progress.ts';
import type { WorkerBook } from './worker-book.ts';

export interface SettlerParts extends OpenParts {
  readonly notes: SettlerNotes;
  readonly progress: Progress;
  readonly workers: WorkerBook;
  readonly treasury: Treasury;
  /** Signs charges and the anchor's heads. */
  readonly settlementSeed: Bytes<32>;
  readonly policy: SettlerPolicy;
  /** Whom to pay and where; the same worker always the same. */
  readonly payees: () => Promise<readonly Payee[]>;
  /** Whose a top-up with this memo is. The memo is a stranger's text. */
  readonly accountOfMemo: (memo: string) => Promise<Bytes<32> | undefined>;
  /** There is more in this worker's channel than before. */
  readonly onWorkerChannel: (workerId: Bytes<32>) => void;
  /** Aborts when the settler closes. */
  readonly signal: AbortSignal;
}
