/** What the gateway may write to its log. Ids, numbers, codes; never content. Spec: STYLE §7. @module */

import { defineEvents, type Log } from '../core/node/log.ts';
import { SETTLER_EVENTS } from '../settlement/settler/events.ts';

export const GATEWAY_EVENTS = defineEvents({
  ...SETTLER_EVENTS,
  'gateway.started': {
    level: 'info',
    fields: { aud: 'id', httpPort: 'count', httpsPort: 'count', policy: 'digest' },
  },
  /** A new statement about this gateway's own keys, quoted by its machine. */
  'gateway.evidence': {
    level: 'info',
    fields: { statement: 'digest', tee: 'id', simulated: 'flag', expiresMs: 'count' },
  },
  'gateway.evidence_failed': { level: 'error', fields: { code: 'code' } },
  'gateway.stopped': { level: 'info', fields: { late: 'count' } },
  'gateway.failed': { level: 'error', fields: { code: 'code' } },
  /** Of the store of collateral: a newer list or document, with the number of newly revoked serials. */
  'collateral.replaced': { level: 'info', fields: { revoked: 'count' } },
  'collateral.trouble': { level: 'warn', fields: { kind: 'id', code: 'code' } },
  /** Nothing more is written to the audit log until a restart. */
  'audit.failed': { level: 'error', fields: { code: 'code' } },
  'policy.enforced': {
    level: 'info',
    fields: {
      serial: 'count',
      policy: 'digest',
      kept: 'count',
      returned: 'count',
      lost: 'count',
      durMs: 'count',
    },
  },
  /** Every worker that was in has lost its place: somebody should look. */
  'policy.nobody_left': { level: 'error', fields: { serial: 'count', lost: 'count' } },
  'policy.revoked': { level: 'warn', fields: { number: 'count', cut: 'count' } },
  'policy.shadow': {
    level: 'info',
    fields: { serial: 'count', judged: 'count', newlyDenied: 'count', newlyAdmitted: 'count' },
  },
  'policy.shadow_change': {
    level: 'info',
    fields: { serial: 'count', workerId: 'id', change: 'id', check: 'id' },
  },
  'policy.document_accepted': { level: 'info', fields: { document: 'id', number: 'count' } },
  'policy.document_refused': { level: 'error', fields: { document: 'id', code: 'code' } },
  'policy.unreachable': { level: 'warn', fields: { document: 'id', code: 'code' } },
  /** No request is served until word of revocations is fresh again. */
  'policy.stale': { level: 'error', fields: { why: 'id' } },
  'policy.fresh': { level: 'info', fields: {} },
  'policy.expires_soon': { level: 'warn', fields: { what: 'id', days: 'count' } },
  'exchange.done': {
    level: 'info',
    fields: {
      requestId: 'id',
      keyId: 'id',
      outcome: 'id',
      code: 'code',
      workerId: 'id',
      attempts: 'count',
      bytesIn: 'count',
      bytesOut: 'count',
      firstMs: 'count',
      durMs: 'count',
    },
  },
  'exchange.moved': { level: 'info', fields: { requestId: 'id', workerId: 'id', code: 'code' } },
  'exchange.receipt_fetched': {
    level: 'info',
    fields: { requestId: 'id', workerId: 'id', found: 'flag', code: 'code' },
  },
  /** A receipt asked for more than was reserved; the worker got what was reserved. */
  'settlement.clamped': { level: 'warn', fields: { requestId: 'id', workerId: 'id' } },
  'settlement.recovered': {
    level: 'info',
    fields: { workerId: 'id', settled: 'count', unknown: 'count' },
  },
  /** What a worker said to word of its settlements; `rolled_back` is an alarm. */
  'settlement.acknowledged': {
    level: 'debug',
    fields: { workerId: 'id', outcome: 'id', code: 'code' },
  },
  /** It does not take the channel that it is shown, and is paid what is not promised on it by transfers. */
  'settlement.channel_refused': { level: 'warn', fields: { workerId: 'id' } },
  'settlement.rolled_back': { level: 'error', fields: { workerId: 'id' } },
  /** Nothing is served any more: the books are not what the chain remembers, or cannot be written. */
  'settlement.halted': { level: 'error', fields: { code: 'code' } },
  'settlement.failed': { level: 'error', fields: { code: 'code' } },
  'worker.admitted': {
    level: 'info',
    fields: {
      workerId: 'id',
      kid: 'id',
      model: 'id',
      simulated: 'flag',
      publishUntilMs: 'count',
    },
  },
  'worker.benched': { level: 'warn', fields: { workerId: 'id', kid: 'id', reason: 'id' } },
  'worker.returned': { level: 'info', fields: { workerId: 'id', kid: 'id' } },
  'worker.refused': { level: 'warn', fields: { code: 'code', check: 'id' } },
  'worker.removed': { level: 'info', fields: { workerId: 'id', kid: 'id', reason: 'id' } },
  'plain.failed': { level: 'warn', fields: { code: 'code', stage: 'id' } },
  'control.failed': { level: 'error', fields: { code: 'code', requestId: 'id' } },
});

export type GatewayLog = Log<typeof GATEWAY_EVENTS>;
