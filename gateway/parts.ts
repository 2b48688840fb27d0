/** The pieces of one gateway that outlive any request. @module */

import type { Clock } from '../core/clock.ts';
import type { CompiledPolicy } from '../attestation/policy/compile.ts';
import type { Store } from './store/store.ts';
import type { WorkerRegistry } from './workers/registry.ts';

/** What a composition root may use, before and after listening. */
export interface GatewayParts {
  readonly aud: string;
  readonly policy: CompiledPolicy;
  readonly registry: WorkerRegistry;
  readonly store: Store;
  readonly clock: Clock;
}
