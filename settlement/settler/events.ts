/**
 * What a settler says: a closed set of names and fields, so that no content and no foreign text has a way out. Spread the
 * table into the events of whoever logs. Level `error` is an alarm: somebody has to look. @module
 */

import { defineEvents, type Log } from '../../core/node/log.ts';

export const SETTLER_EVENTS = defineEvents({
  'settler.started': { level: 'info', fields: { channels: 'count', degraded: 'flag' } },
  'settler.duty_failed': { level: 'warn', fields: { duty: 'id', code: 'code' } },
  'settler.chain_away': { level: 'error', fields: { code: 'code' } },
  'settler.chain_back': { level: 'info', fields: {} },
  'settler.rolled_back': { level: 'error', fields: { witness: 'id' } },
  'settler.channel_opened': { level: 'info', fields: { channel: 'digest', deposited: 'amount' } },
  'settler.channel_refused': { level: 'info', fields: { channel: 'digest', reason: 'id' } },
  'settler.channel_closing': {
    level: 'info',
    fields: { channel: 'digest', withdrawing: 'amount', unlockAtS: 'count' },
  },
  'settler.channel_behind': {
    level: 'error',
    fields: { channel: 'digest', claimed: 'amount', charged: 'amount' },
  },
  'settler.channel_contradicted': { level: 'error', fields: { channel: 'digest', reason: 'id' } },
  'settler.channel_gone': { level: 'error', fields: { channel: 'digest', reason: 'id' } },
  /** Charged, and no longer to be had: the payer has withdrawn it. */
  'settler.channel_lost': { level: 'error', fields: { channel: 'digest', lost: 'amount' } },
  'settler.claim_sent': {
    level: 'info',
    fields: { channel: 'digest', charged: 'amount', why: 'id' },
  },
  'settler.claim_refused': {
    level: 'warn',
    fields: { channel: 'digest', code: 'code', exitCode: 'count' },
  },
  'settler.claim_seen': { level: 'info', fields: { channel: 'digest', claimed: 'amount' } },
  'settler.payouts_planned': { level: 'info', fields: { order: 'count', workers: 'count' } },
  'settler.payouts_paid': { level: 'info', fields: { order: 'count', late: 'flag' } },
  'settler.order_sent': { level: 'info', fields: { order: 'count', kind: 'id' } },
  'settler.order_paid': { level: 'info', fields: { order: 'count', kind: 'id' } },
  'settler.order_failed': { level: 'error', fields: { order: 'count', kind: 'id', why: 'id' } },
  'settler.treasury_low': { level: 'error', fields: { needed: 'amount', balance: 'amount' } },
  'settler.payee_unusable': { level: 'warn', fields: { worker: 'digest' } },
  /** Our wallet executed what no order of this ledger explains. */
  'settler.foreign_order': { level: 'error', fields: { lt: 'amount' } },
  'settler.history_missing': { level: 'error', fields: { afterLt: 'amount' } },
  'settler.worker_channel_funding': {
    level: 'info',
    fields: { worker: 'digest', channel: 'digest', funded: 'amount' },
  },
  'settler.worker_channel_filled': {
    level: 'info',
    fields: { worker: 'digest', channel: 'digest', deposited: 'amount' },
  },
  /** Our own treasury takes its coins back: only somebody else with its key can have asked for that. */
  'settler.worker_channel_closing': {
    level: 'error',
    fields: { worker: 'digest', channel: 'digest', withdrawing: 'amount' },
  },
  /** Claimed with a voucher that this ledger does not remember. */
  'settler.worker_channel_behind': {
    level: 'error',
    fields: { worker: 'digest', channel: 'digest', claimed: 'amount', promised: 'amount' },
  },
  'settler.worker_channel_contradicted': {
    level: 'error',
    fields: { worker: 'digest', channel: 'digest' },
  },
  /** Beyond its reserve the treasury has less than the deposits that are due. Nobody waits: transfers pay meanwhile. */
  'settler.worker_channels_short': {
    level: 'warn',
    fields: { needed: 'amount', balance: 'amount' },
  },
  'settler.worker_channels_full': { level: 'warn', fields: { max: 'count' } },
  'settler.anchored': { level: 'info', fields: { seq: 'amount' } },
  'settler.topped_up': { level: 'info', fields: { account: 'digest', credited: 'amount' } },
  /** Sent with a memo of ours, and credited to nobody. */
  'settler.top_up_unmatched': {
    level: 'warn',
    fields: { transaction: 'digest', value: 'amount', reason: 'id' },
  },
});

export type SettlerEvents = typeof SETTLER_EVENTS;
export type OnSettlerEvent = Log<SettlerEvents>['event'];
