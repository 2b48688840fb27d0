/** One line for each event: for people without a terminal, and as JSON for programs. @module */

import { formatInstant } from '../../core/clock.ts';
import type { JsonObject } from '../../core/json.ts';
import { amount, formatAmount, type Asset } from '../../settlement/money.ts';
import { adviceOn } from './advice.ts';
import type { Cost, EndedRequest, ModelRow, ProxyEvent } from './events.ts';
import type { WorkerRow } from './worker-rows.ts';

export function money(value: bigint, asset: Asset): string {
  return `${formatAmount(amount(value), asset)} ${asset}`;
}

export function costText(cost: Cost | undefined): string {
  if (cost === undefined) return '';
  if (cost.amount === 0n) return 'free';
  return `${money(cost.amount, cost.asset)}${cost.by === 'worker' ? ' (by the receipt)' : ''}`;
}

export function seconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(2)} s` : `${(ms / 1000).toFixed(1)} s`;
}

const ID_SHOWN_CHARS = 16;

export function shortId(id: string): string {
  return id.length > ID_SHOWN_CHARS ? `${id.slice(0, ID_SHOWN_CHARS)}…` : id;
}

/** Undefined for what is no news to a reader of lines. */
export function eventLine(event: ProxyEvent): string | undefined {
  switch (event.kind) {
    case 'worker':
      return workerLine(event.worker);
    case 'model':
      return modelLine(event.model);
    case 'ready':
      return `ready: ${event.models.join(', ')}`;
    case 'gateway':
      return event.state === 'back'
        ? 'the gateway answers again'
        : `cannot ask the gateway: ${event.code}: ${event.why}${withAdvice(adviceOn(event.code))}`;
    case 'policy':
      return `policy: ${event.document} ${event.outcome} ${event.detail}`;
    case 'asked':
      return undefined;
    case 'ended':
      return requestLine(event.request);
    case 'refused':
      return `refused at the door: ${event.reason}${event.count > 1 ? ` (${event.count} times)` : ''}`;
    case 'fault':
      return `FAULT: a bill does not hold (${event.trouble.faults.join(', ')}); nothing is paid any more${savedText(event.trouble.savedAs)}`;
    case 'stopping':
    default:
      return `stopping: ${event.running} running ${event.running === 1 ? 'answer' : 'answers'} may finish`;
  }
}

function savedText(savedAs: string | undefined): string {
  return savedAs === undefined ? '' : `; evidence: ${savedAs}`;
}

function workerLine({ workerId, outcome, simulated, line, why }: WorkerRow): string {
  const label = simulated ? ' SIMULATED' : '';
  return `${outcome}${label}  worker ${shortId(workerId)}  ${line}${why === undefined ? '' : `  first failed: ${why}`}`;
}

function modelLine({ model, outcome, workers, code, why, advice }: ModelRow): string {
  if (outcome === 'verified') return `model ${model}: ${workers} verified`;
  return `model ${model}: ${code}: ${why}${withAdvice(advice)}`;
}

function withAdvice(advice: string | undefined): string {
  return advice === undefined ? '' : ` ${advice}`;
}

function requestLine(request: EndedRequest): string {
  const { n, route, outcome, status, code, advice, model, tokens, firstMs, totalMs } = request;
  const parts = [
    `#${n} ${route} ${outcome}`,
    ...(status === undefined || outcome === 'left' ? [] : [String(status)]),
    ...(code === undefined ? [] : [code]),
    ...(model === undefined ? [] : [model]),
    ...(request.simulated ? ['SIMULATED'] : []),
    ...(tokens === undefined ? [] : [`${tokens.read} read, ${tokens.written} written`]),
    ...(firstMs === undefined ? [] : [`first ${seconds(firstMs)}`]),
    `total ${seconds(totalMs)}`,
    ...(request.cost === undefined ? [] : [costText(request.cost)]),
    ...(advice === undefined ? [] : [advice]),
  ];
  return parts.join('  ');
}

export function eventJson(event: ProxyEvent, nowMs: number): JsonObject {
  return { event: event.kind, at: formatInstant(nowMs), ...membersOf(event) };
}

function membersOf(event: ProxyEvent): JsonObject {
  switch (event.kind) {
    case 'worker': {
      const { worker } = event;
      return {
        worker: worker.workerId,
        model: worker.model,
        outcome: worker.outcome,
        simulated: worker.simulated,
        checks: worker.checks,
        why: worker.why ?? null,
        policy: worker.policy,
        rule: worker.rule ?? null,
        image: worker.image ?? null,
        validUntilMs: worker.validUntilMs,
      };
    }
    case 'model':
      return withoutUndefined({ ...event.model });
    case 'ready':
      return { models: event.models };
    case 'gateway':
      return { state: event.state, code: event.code ?? null, why: event.why ?? null };
    case 'policy':
      return { outcome: event.outcome, document: event.document, detail: event.detail };
    case 'asked':
      return { n: event.n, route: event.route };
    case 'ended':
      return requestJson(event.request);
    case 'refused':
      return { reason: event.reason, count: event.count };
    case 'fault':
      return { faults: event.trouble.faults, savedAs: event.trouble.savedAs ?? null };
    case 'stopping':
    default:
      return { running: event.running };
  }
}

/** Amounts are text: they are 64 bits wide. */
function requestJson({ cost, tokens, ...request }: EndedRequest): JsonObject {
  return {
    ...withoutUndefined(request),
    tokens: tokens === undefined ? null : { read: tokens.read, written: tokens.written },
    cost:
      cost === undefined
        ? null
        : { amount: cost.amount.toString(), asset: cost.asset, by: cost.by },
  };
}

type Plain = string | number | boolean | undefined;

/** A member that is not known is null, never absent. */
function withoutUndefined(fields: Readonly<Record<string, Plain>>): JsonObject {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, value ?? null]));
}
