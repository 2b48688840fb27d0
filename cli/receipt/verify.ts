/** What the checks of several bills add up to, and whether the gateway contradicts itself between them. @module */

import { toHex } from '../../core/bytes.ts';
import {
  checkBill,
  contradictionsIn,
  describeLine,
  type BillCheck,
  type CheckedBill,
} from '../../client/pay/check-bill.ts';
import type { Statement } from '../../settlement/statement.ts';
import type { ReadBill } from './read-bills.ts';

export interface Verified {
  readonly holds: boolean;
  readonly files: readonly { readonly file: string; readonly checks: readonly BillCheck[] }[];
  /** Lines under one gateway's signature that cannot be true together: evidence against it. */
  readonly contradictions: readonly {
    readonly gateway: string;
    readonly why: string;
    readonly one: string;
    readonly other: string;
  }[];
}

export function verifyBills(bills: readonly ReadBill[]): Verified {
  const checked = bills.map(({ file, bill }) => ({ file, found: checkBill(bill) }));
  const contradictions = byGateway(checked.map(({ found }) => found)).flatMap(([gateway, lines]) =>
    contradictionsIn(lines).map(({ one, other, why }) => ({
      gateway,
      why,
      one: describeLine(one),
      other: describeLine(other),
    })),
  );
  const files = checked.map(({ file, found }) => ({ file, checks: found.checks }));
  const fails = files.some(({ checks }) => checks.some(({ outcome }) => outcome === 'fail'));
  return { holds: !fails && contradictions.length === 0, files, contradictions };
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
