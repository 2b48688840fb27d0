/** The pieces of one gateway that outlive any request. @module */

import type { Clock } from '../core/clock.ts';
import type { GatewayDocumentJson } from '../protocol/gateway-document.ts';
import type { Ledger } from '../settlement/ledger/ledger.ts';
import type { PolicyDesk } from './policy/desk.ts';
import type { Store } from './store/store.ts';
import type { WorkerRegistry } from './workers/registry.ts';

/** What a composition root may use, before and after listening. */
export interface GatewayParts {
  readonly aud: string;
  readonly desk: PolicyDesk;
  readonly registry: WorkerRegistry;
  readonly store: Store;
  readonly ledger: Ledger;
  readonly clock: Clock;
  /** As it is at `/v1/gateway`; undefined before listening. */
  readonly document: () => GatewayDocumentJson | undefined;
}
