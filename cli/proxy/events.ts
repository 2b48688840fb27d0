/**
 * What the proxy says of itself: to its live view, to lines, to programs. Closed sets of ids, numbers and codes; a path or a
 * model's name that only the app wrote is in none of them.
 * @module
 */

import type { Asset } from '../../settlement/money.ts';
import type { RefusalReason } from './door.ts';
import type { WorkerRow } from './worker-rows.ts';

export type Route = 'chat' | 'completions' | 'embeddings' | 'responses' | 'messages' | 'models';

export interface Tokens {
  readonly read: number;
  readonly written: number;
}

export interface Cost {
  readonly amount: bigint;
  readonly asset: Asset;
  /** `gateway`: settled, with the gateway's signature. `worker`: by the receipt alone, and no ledger line came. */
  readonly by: 'gateway' | 'worker';
}

export interface EndedRequest {
  readonly n: number;
  readonly route: Route | 'other';
  readonly startedMs: number;
  /** `left`: the program went away before the end. */
  readonly outcome: 'answered' | 'failed' | 'left';
  readonly status: number | undefined;
  /** Of the failure: a code of ours, or the one in the answer's body as far as it is a known one. */
  readonly code: string | undefined;
  /** What to do about it, in fixed words. */
  readonly advice: string | undefined;
  readonly requestId: string | undefined;
  /** As attested. */
  readonly model: string | undefined;
  readonly workerId: string | undefined;
  readonly simulated: boolean;
  readonly tokens: Tokens | undefined;
  /** Of a stream: to its first piece. */
  readonly firstMs: number | undefined;
  readonly totalMs: number;
  readonly cost: Cost | undefined;
}

export interface ModelRow {
  /** As the gateway lists it. */
  readonly model: string;
  readonly outcome: 'verified' | 'refused';
  readonly workers: number;
  /** Why nobody is admitted. */
  readonly code: string | undefined;
  readonly why: string | undefined;
  readonly advice: string | undefined;
}

export interface PayTrouble {
  readonly faults: readonly string[];
  readonly savedAs: string | undefined;
}

export type ProxyEvent =
  | { readonly kind: 'worker'; readonly worker: WorkerRow }
  | { readonly kind: 'model'; readonly model: ModelRow }
  | { readonly kind: 'ready'; readonly models: readonly string[] }
  | {
      readonly kind: 'gateway';
      readonly state: 'away' | 'back';
      readonly code: string | undefined;
      readonly why: string | undefined;
    }
  | {
      readonly kind: 'policy';
      readonly outcome: 'accepted' | 'refused';
      readonly document: string;
      readonly detail: string;
    }
  | { readonly kind: 'asked'; readonly n: number; readonly route: Route | 'other' }
  | { readonly kind: 'ended'; readonly request: EndedRequest }
  | { readonly kind: 'refused'; readonly reason: RefusalReason; readonly count: number }
  | { readonly kind: 'fault'; readonly trouble: PayTrouble }
  | { readonly kind: 'stopping'; readonly running: number };

export type Say = (event: ProxyEvent) => void;
