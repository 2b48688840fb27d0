/** What a worker may say about itself: ids, codes, counts. Never content. Spec: STYLE §7. @module */

import { defineEvents, type Log } from '../core/node/log.ts';

export const WORKER_EVENTS = defineEvents({
  'worker.started': { level: 'info', fields: { worker: 'digest', model: 'id', port: 'count' } },
  /** One line per way to get evidence that `provider: auto` has tried. */
  'worker.evidence_tried': {
    level: 'info',
    fields: { provider: 'id', found: 'flag', reason: 'id' },
  },
  'worker.evidence': {
    level: 'info',
    fields: { provider: 'id', tee: 'id', simulated: 'flag' },
  },
  /** Of the store of collateral. */
  'worker.collateral': { level: 'warn', fields: { kind: 'id', code: 'code' } },
  'worker.registered': {
    level: 'info',
    fields: { worker: 'digest', statement: 'digest', expires_in_s: 'count', simulated: 'flag' },
  },
  'worker.register_failed': { level: 'warn', fields: { code: 'code', retry_in_ms: 'count' } },
  /** One check of the gateway's verdict that failed, by its id. */
  'worker.denied': { level: 'error', fields: { check: 'id' } },
  'worker.engine': { level: 'warn', fields: { state: 'id' } },
  /** What an engine beside the worker did wrong in an answer, by a word of ours. */
  'worker.upstream': { level: 'warn', fields: { problem: 'id' } },
  'worker.measuring': { level: 'info', fields: { done_mib: 'count', total_mib: 'count' } },
  'worker.settled': {
    level: 'debug',
    fields: { statement: 'digest', earned: 'amount', paid: 'amount', open: 'amount' },
  },
  /** A notice of settlement of which nothing counts, by the check that failed. */
  'worker.notice_refused': { level: 'warn', fields: { check: 'id' } },
  /** The gateway has forgotten what it acknowledged: it is served no more until somebody has looked. */
  'worker.gateway_rolled_back': {
    level: 'error',
    fields: { statement: 'digest', known: 'amount', said: 'amount' },
  },
  'worker.earnings_failed': { level: 'error', fields: { code: 'code' } },
  /** What the chain says of the channel that pays this worker, when it changes. `closing`: claim now. */
  'worker.channel': {
    level: 'warn',
    fields: { channel: 'digest', status: 'id', holds: 'amount', claimed: 'amount' },
  },
  'worker.chain_failed': { level: 'warn', fields: { code: 'code' } },
  'worker.closing': { level: 'info', fields: { active: 'count' } },
  'worker.closed': { level: 'info', fields: {} },
  'worker.failed': { level: 'error', fields: { code: 'code' } },
  'exchange.refused': { level: 'info', fields: { code: 'code', reason: 'id' } },
  'exchange.done': {
    level: 'info',
    fields: {
      request: 'digest',
      status: 'count',
      outcome: 'id',
      code: 'code',
      prompt_tokens: 'count',
      completion_tokens: 'count',
      duration_ms: 'count',
    },
  },
});

export type WorkerLog = Log<typeof WORKER_EVENTS>;
