/** What the ledger's thread and its face say to each other. @module */

import type { Facts } from '../../../core/errors.ts';
import type { ledgerError } from '../../errors.ts';
import type { Call, MethodName, Output } from '../calls.ts';
import type { RampCaps } from '../limits.ts';
import type { SignerSource } from '../signer.ts';
import type { DatabaseOptions } from './database.ts';

export interface ThreadOptions extends DatabaseOptions {
  readonly signer: SignerSource;
  readonly rampCaps: RampCaps;
}

export type LedgerErrorCode = Parameters<typeof ledgerError>[0];

export interface Failure {
  readonly code: LedgerErrorCode;
  readonly detail: string;
  readonly facts: Facts;
}

export type ToThread =
  | { readonly kind: 'group'; readonly calls: readonly Call[] }
  | { readonly kind: 'close' };

export interface Answer<Name extends MethodName = MethodName> {
  readonly method: Name;
  readonly output: Output<Name>;
}

export type Reply = Answer | { readonly failure: Failure };

export type FromThread =
  | { readonly kind: 'opened' }
  /** In order of the calls. All of it is on the disk. */
  | { readonly kind: 'done'; readonly replies: readonly Reply[] }
  /** Nothing is known of the last group, and there will be no other. */
  | { readonly kind: 'broken'; readonly failure: Failure }
  | { readonly kind: 'closed' };
