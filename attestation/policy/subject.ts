/** What a policy is judged on: what one worker proved and stated, and what is known to be revoked. @module */

import type { Card } from '../card.ts';
import type { Statement } from '../statement.ts';
import type { Tee, TeeFinding } from '../tee.ts';
import type { CompiledPolicy } from './compile.ts';
import type { RevocationKnowledge } from './revocations.ts';

export interface Subject {
  readonly statement: Statement;
  /** As received. */
  readonly statementBytes: Uint8Array;
  readonly card: Card;
}

export interface PolicyInput {
  readonly policy: CompiledPolicy;
  readonly tee: Tee;
  readonly finding: TeeFinding;
  /** Or the failed check because of which there is nothing to judge. */
  readonly subject: Subject | { readonly because: string };
  readonly revocations: RevocationKnowledge;
  readonly nowMs: number;
}
