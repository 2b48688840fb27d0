/** What keeping policies current takes from the rest of the gateway. @module */

import type { Clock } from '../../core/clock.ts';
import type { Lifecycle } from '../../core/node/lifecycle.ts';
import type { Audit } from '../audit.ts';
import type { GatewayConfig } from '../config.ts';
import type { Counters } from '../counters.ts';
import type { GatewayLog } from '../events.ts';
import type { WorkerJudge } from '../workers/judge.ts';
import type { WorkerRegistry } from '../workers/registry.ts';
import type { RefusedEvidence } from './refused-evidence.ts';

export interface PolicyParts {
  readonly config: GatewayConfig;
  readonly clock: Clock;
  readonly log: GatewayLog;
  readonly counters: Counters;
  readonly audit: Audit;
  readonly lifecycle: Lifecycle;
}

export interface PolicyUsers {
  readonly registry: WorkerRegistry;
  readonly judge: WorkerJudge;
  readonly refused: RefusedEvidence;
}
