/** What the gateway may write to its log. Ids, numbers, codes; never content. Spec: STYLE §7. @module */

import { defineEvents, type Log } from '../core/node/log.ts';

export const GATEWAY_EVENTS = defineEvents({
  'gateway.started': {
    level: 'info',
    fields: { aud: 'id', httpPort: 'count', httpsPort: 'count', policy: 'digest' },
  },
  'gateway.stopped': { level: 'info', fields: { late: 'count' } },
  'gateway.failed': { level: 'error', fields: { code: 'code' } },
  /** Of the store of collateral: a newer list or document, with the number of newly revoked serials. */
  'collateral.replaced': { level: 'info', fields: { revoked: 'count' } },
  'collateral.trouble': { level: 'warn', fields: { kind: 'id', code: 'code' } },
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
  'worker.refused': { level: 'warn', fields: { code: 'code', check: 'id' } },
  'worker.removed': { level: 'info', fields: { workerId: 'id', kid: 'id', reason: 'id' } },
  'plain.failed': { level: 'warn', fields: { code: 'code', stage: 'id' } },
  'control.failed': { level: 'error', fields: { code: 'code', requestId: 'id' } },
});

export type GatewayLog = Log<typeof GATEWAY_EVENTS>;
