/**
 * Troubles a provider can have, on demand: each kind is what a real one does on a bad day or on purpose. Every provider in
 * front of one chain has its own. Spec: ton-settlement §6 "fault injection".
 * @module
 */

import { z } from 'zod';
import { devnetError } from './errors.ts';
import { DELAY_MAX_MS, DEPTH_MAX, FAULTS_MAX } from './limits.ts';

const TIMES = z.int().min(1).max(1_000_000).optional();
const METHOD = z
  .string()
  .regex(/^[A-Za-z]{1,32}$/)
  .optional();
const WHEN = { method: METHOD, times: TIMES };

export const FAULT = z.discriminatedUnion('kind', [
  /** `sendBoc` says yes and nothing ever happens. */
  z.strictObject({ kind: z.literal('drop'), times: TIMES }),
  /** The message waits for so many blocks more. */
  z.strictObject({
    kind: z.literal('hold'),
    blocks: z.int().min(1).max(DEPTH_MAX),
    times: TIMES,
  }),
  /** The message arrives twice. */
  z.strictObject({ kind: z.literal('duplicate'), times: TIMES }),
  /** The answer comes late. */
  z.strictObject({ kind: z.literal('delay'), ms: z.int().min(1).max(DELAY_MAX_MS), ...WHEN }),
  /** The connection ends without an answer. */
  z.strictObject({ kind: z.literal('hang_up'), ...WHEN }),
  z.strictObject({
    kind: z.literal('rate_limit'),
    retryAfterS: z.int().min(0).max(3600),
    ...WHEN,
  }),
  /** A page for people, as load balancers send. */
  z.strictObject({
    kind: z.literal('html'),
    status: z.literal([200, 429, 502, 503]),
    ...WHEN,
  }),
  /** An answer without end. */
  z.strictObject({ kind: z.literal('huge'), ...WHEN }),
  /** Reads tell the state of so many blocks ago. */
  z.strictObject({ kind: z.literal('stale'), blocks: z.int().min(1).max(DEPTH_MAX), ...WHEN }),
  /** This account is said to hold so much. */
  z.strictObject({
    kind: z.literal('balance'),
    address: z.string().max(70),
    nanoton: z.string().regex(/^\d{1,19}$/),
    times: TIMES,
  }),
  /** The first masterchain state of another network. */
  z.strictObject({
    kind: z.literal('network'),
    name: z.enum(['mainnet', 'testnet']),
    times: TIMES,
  }),
]);

export type Fault = z.output<typeof FAULT>;
export type FaultKind = Fault['kind'];

export class Faults {
  #armed: { readonly fault: Fault; left: number }[] = [];

  list(): readonly Fault[] {
    return this.#armed.map(({ fault }) => fault);
  }

  /** Throws `devnet.request`. */
  add(fault: Fault): void {
    if (this.#armed.length >= FAULTS_MAX) throw devnetError('devnet.request', 'too many faults');
    this.#armed.push({ fault, left: fault.times ?? Infinity });
  }

  clear(): void {
    this.#armed = [];
  }

  /** The first of its kind that is meant for this call; counts as used. */
  take<Kind extends FaultKind>(
    kind: Kind,
    method: string,
    isMeant: (fault: Extract<Fault, { kind: Kind }>) => boolean = () => true,
  ): Extract<Fault, { kind: Kind }> | undefined {
    for (const armed of this.#armed) {
      const { fault } = armed;
      if (!isOfKind(fault, kind) || !isMeant(fault)) continue;
      if ('method' in fault && fault.method !== undefined && fault.method !== method) continue;
      armed.left--;
      if (armed.left <= 0) this.#armed = this.#armed.filter((other) => other !== armed);
      return fault;
    }
    return undefined;
  }
}

function isOfKind<Kind extends FaultKind>(
  fault: Fault,
  kind: Kind,
): fault is Extract<Fault, { kind: Kind }> {
  return fault.kind === kind;
}
