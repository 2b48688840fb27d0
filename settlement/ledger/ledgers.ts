/** Every ledger a gateway can keep. To add one: write the driver, add its line here. @module */

import type { Ledger } from './ledger.ts';
import type { RampCaps } from './limits.ts';
import type { SignerSource } from './signer.ts';
import { openSqliteLedger } from './sqlite/sqlite-ledger.ts';

export interface LedgerOptions {
  readonly dataDir: string;
  readonly durability: 'full' | 'normal';
  readonly signer: SignerSource;
  readonly rampCaps?: RampCaps;
}

/** Its end as a crash would be; tests only. */
export interface AbandonedLedger extends Ledger {
  abandon(): Promise<void>;
}

export const LEDGERS = [
  {
    name: 'sqlite',
    open: (options: LedgerOptions): Promise<AbandonedLedger> => openSqliteLedger(options),
  },
] as const;
export type LedgerName = (typeof LEDGERS)[number]['name'];
