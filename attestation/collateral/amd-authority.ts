/** What the store has to know about AMD: judged documents, chains at hand, and what a report says to ask for. @module */

import type { SnpEndorsements } from '../snp/endorsements.ts';
import type { EndorsableEvidence } from './endorser.ts';
import type { AmdItem, AmdProduct, AmdSigner, AmdTcb } from './items.ts';
import type { Judge, RawItem } from './judge.ts';

export interface SnpQuery {
  readonly product: AmdProduct;
  readonly signer: AmdSigner;
  /** Absent for a VLEK, and for a report that does not name its chip: the certificate can only be offered then. */
  readonly chip?: {
    /** Lower-case hex, 64 bytes, or 8 on Turin. */
    readonly hwid: string;
    /** REPORTED_TCB. */
    readonly tcb: AmdTcb;
  };
  readonly offered?: SnpEndorsements;
}

export interface AmdAuthority {
  readonly judge: Judge<AmdItem>;
  /** Chains that the program brings along, so that they need not be fetched. */
  readonly builtIn: (item: AmdItem) => RawItem | undefined;
  /** Throws coded errors. */
  readonly question: (evidence: EndorsableEvidence) => SnpQuery;
}
