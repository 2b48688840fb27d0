/**
 * Requests that may have run and whose bill nobody has shown: how much each can have cost, and what its bill will be held
 * against once the gateway says what became of it. Spec: ton-settlement §4.3 "Client check", §4.5 "Endpoints".
 * @module
 */

import { equalPublic, type Bytes } from '../../core/bytes.ts';
import type { AttestedKey } from '../../attestation/verdict.ts';
import type { ReceiptKey } from '../../protocol/sx/check-receipt.ts';
import type { Prelude } from '../../protocol/sx/prelude.ts';
import type { Amount } from '../../settlement/money.ts';
import type { WorkerProof } from './books.ts';

export type WitnessKey = ReceiptKey & Pick<AttestedKey, 'policyDigest'>;

/** What a request said in clear and whom it was sealed to: enough for every check of P§9.4 but respHash. No content. */
export interface Witness {
  readonly prelude: Prelude;
  readonly th: Bytes<32>;
  readonly keys: readonly WitnessKey[];
  /** For bills. Absent after a restart. */
  readonly proofOf?: (kid: Bytes<16>) => WorkerProof | undefined;
}

export interface LostRequest {
  readonly id: Bytes<16>;
  /** `max_amount`, and what of it the ceiling was raised for. */
  readonly most: Amount;
  readonly covered: Amount;
  /** Undefined: nothing that is said of it can be verified, so it stays until its time is over. */
  readonly witness: Witness | undefined;
  /**
   * `open`: nobody has said, or it is under way there. `unknown`: the gateway has never seen it, which leaves nothing to pay,
   * but it may yet arrive.
   */
  readonly word: 'open' | 'unknown';
  /** From then on no gateway admits it that has not. */
  readonly admittedUntilMs: number;
  /** From then on it is under way nowhere. */
  readonly untilMs: number;
}

/** What the ceiling was raised for. */
export function coveredIn(lost: readonly LostRequest[]): bigint {
  return lost.filter(isOpen).reduce((sum, { covered }) => sum + covered, 0n);
}

/** What they may have cost beyond it, served with what was left over of others. */
export function roomIn(lost: readonly LostRequest[]): bigint {
  return lost.filter(isOpen).reduce((sum, { most, covered }) => sum + most - covered, 0n);
}

/** What a ledger line may count without being a surprise: all that each may cost, also of what may yet arrive. */
export function mostBeside(lost: readonly LostRequest[], id: Bytes<16>): bigint {
  return without(lost, id).reduce((sum, { most }) => sum + most, 0n);
}

function isOpen({ word }: LostRequest): boolean {
  return word === 'open';
}

/** Those that the limit is on. `over`: they were charged or let go, and nobody says which. */
export function unbilledIn(
  lost: readonly LostRequest[],
  nowMs: number,
): { readonly open: number; readonly over: number } {
  const unbilled = lost.filter(isOpen);
  const open = unbilled.filter(({ untilMs }) => nowMs < untilMs).length;
  return { open, over: unbilled.length - open };
}

export function lostIn(lost: readonly LostRequest[], id: Bytes<16>): LostRequest | undefined {
  return lost.find((each) => equalPublic(each.id, id));
}

export function without(lost: readonly LostRequest[], id: Bytes<16>): readonly LostRequest[] {
  return lost.filter((each) => !equalPublic(each.id, id));
}

/** The one to let go when there are too many: it costs nothing, or else it is the oldest. */
export function leastTelling(lost: readonly LostRequest[]): LostRequest | undefined {
  return lost.find(({ word }) => word === 'unknown') ?? lost[0];
}
