/**
 * What the checks of several bills add up to, and whether the gateway contradicts itself between them. Anybody can make a
 * bill in which everything holds, of a gateway and a worker of his own: whose word it is stands beside every result.
 * @module
 */

import { equalPublic, toHex } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { parseCard, workerIdOf } from '../../attestation/card.ts';
import type { Bill } from '../../client/pay/bill.ts';
import {
  checkBill,
  contradictionsIn,
  describeLine,
  type BillCheck,
  type CheckedBill,
} from '../../client/pay/check-bill.ts';
import { parseReceiptUnverified } from '../../protocol/receipt.ts';
import type { Statement } from '../../settlement/statement.ts';
import { placeChannel } from '../../settlement/ton/channels/place.ts';
import type { ReadBill } from './read-bills.ts';

export interface VerifiedFile {
  readonly file: string;
  /** `gw1.…`; null for a document that is not signed by the gateway it names. */
  readonly gateway: string | null;
  /** Whether an attested machine stands behind it, no bill can say. */
  readonly worker: string | null;
  readonly checks: readonly BillCheck[];
}

export interface Verified {
  readonly holds: boolean;
  readonly files: readonly VerifiedFile[];
  /** Lines under one gateway's signature that cannot be true together: evidence against it. */
  readonly contradictions: readonly {
    readonly gateway: string;
    readonly why: string;
    readonly one: string;
    readonly other: string;
  }[];
}

/** `gatewayId`: the only one whose bills hold. */
export function verifyBills(bills: readonly ReadBill[], gatewayId?: string): Verified {
  const checked = bills.map(({ file, bill }) => ({ file, bill, found: checkBill(bill) }));
  const contradictions = byGateway(checked.map(({ found }) => found)).flatMap(([gateway, lines]) =>
    contradictionsIn(lines).map(({ one, other, why }) => ({
      gateway,
      why,
      one: describeLine(one),
      other: describeLine(other),
    })),
  );
  const files = checked.map((each) => verifiedFile(each, gatewayId));
  const fails = files.some(({ checks }) => checks.some(({ outcome }) => outcome === 'fail'));
  return { holds: !fails && contradictions.length === 0, files, contradictions };
}

interface CheckedFile extends ReadBill {
  readonly found: CheckedBill;
}

function verifiedFile(
  { file, bill, found: { aud, checks } }: CheckedFile,
  gatewayId: string | undefined,
): VerifiedFile {
  const named = gatewayId === undefined ? [] : [check('gateway.id', aud === gatewayId)];
  return {
    file,
    gateway: aud ?? null,
    worker: workerOf(bill),
    checks: [...named, ...checks, ...placeChecks(bill)],
  };
}

/** A channel that is not the one of its terms pays nobody that the terms name. */
export function placeChecks({ payment }: Bill): readonly BillCheck[] {
  if (payment === undefined) return [{ id: 'voucher.channel', outcome: 'skipped' }];
  const placed = readable(() => placeChannel(payment.terms).id);
  const isIts = placed !== undefined && equalPublic(placed, payment.voucher.channel);
  return [check('voucher.channel', isIts)];
}

/** An answer that broke off has no receipt to name it: then it is whose card is shown. */
function workerOf({ receipt, worker }: Bill): string | null {
  const workerId = readable(() =>
    receipt === undefined
      ? workerIdOf(parseCard(worker.card).owner)
      : parseReceiptUnverified(receipt).receipt.workerId,
  );
  return workerId === undefined ? null : toHex(workerId);
}

function check(id: string, holds: boolean): BillCheck {
  return { id, outcome: holds ? 'pass' : 'fail' };
}

function readable<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    return undefined; // an answer: the check named after it fails
  }
}

/** The same line in two bills is one line. */
function byGateway(
  found: readonly CheckedBill[],
): readonly (readonly [gateway: string, lines: readonly Statement[]])[] {
  const gateways = new Map<string, Map<string, Statement>>();
  for (const { aud, proven } of found) {
    if (aud === undefined) continue;
    const lines = gateways.get(aud) ?? new Map<string, Statement>();
    for (const { payload, statement } of proven) lines.set(toHex(payload), statement);
    gateways.set(aud, lines);
  }
  return [...gateways].map(([aud, lines]) => [aud, [...lines.values()]]);
}
