/**
 * What a dstack log says about the application. Facts come from runtime events before `system-ready` only; whatever
 * stands on another register, or was written by the application later, supplies none.
 * Spec: dstack `dstack-util` (order and form of the boot events), `dstack-attest` (what is read before `system-ready`).
 * @module
 */

import { fixed, fromUtf8, type Bytes } from '../../../core/bytes.ts';
import { attempt, type Attempt } from '../../attempt.ts';
import { isRuntimeEvent, SYSTEM_READY } from './dstack.ts';
import { malformedLog } from './errors.ts';
import type { EventLog, LogEvent } from './event.ts';
import { KEY_PROVIDER_MAX_BYTES } from './limits.ts';

export interface DstackFacts {
  readonly appId: Bytes<20>;
  /** SHA-256 of the app-compose file. */
  readonly composeHash: Bytes<32>;
  /** 20 bytes, or none when the application asked for no instance identity. */
  readonly instanceId: Uint8Array;
  /** SHA-256 of the image's list of digests. */
  readonly osImageHash?: Bytes<32>;
  /** JSON text that names who keeps the application's keys; not decoded here. */
  readonly keyProvider?: string;
  readonly applicationEvents: readonly ApplicationEvent[];
}

/** Written by the application after `system-ready`: proves what the application said, nothing about it. */
export interface ApplicationEvent {
  /** With `border: 'unproven'` only name ‖ ":" ‖ payload is proven, and the name may end elsewhere. */
  readonly name: string;
  readonly payload: Uint8Array;
  readonly border: 'proven' | 'unproven';
}

const FACT_NAMES = [
  'app-id',
  'compose-hash',
  'instance-id',
  'os-image-hash',
  'key-provider',
] as const;
type FactName = (typeof FACT_NAMES)[number];

/**
 * The facts of a log without failures. They are worth what its RTMR3 is worth: compare that with a verified quote
 * first. Malformed when the boot never reached `system-ready` (nothing tells boot events from the application's then),
 * when a fact is missing, comes twice, or has a wrong form.
 */
export function readFactsUnverified(log: EventLog): Attempt<DstackFacts> {
  return attempt(() => {
    const events = log.kind === 'dstack' ? log.events.filter(isRuntimeEvent) : [];
    const ready = events.findIndex(({ name }) => name === SYSTEM_READY);
    if (ready < 0) throw malformedLog('no system-ready event', events.length);
    const payloads = payloadsOf(events.slice(0, ready));
    const osImageHash = payloads.get('os-image-hash');
    const keyProvider = payloads.get('key-provider');
    return {
      appId: sized(payloads, 'app-id', 20),
      composeHash: sized(payloads, 'compose-hash', 32),
      instanceId: instanceIdOf(payloads),
      ...(osImageHash === undefined ? {} : { osImageHash: sized(payloads, 'os-image-hash', 32) }),
      ...(keyProvider === undefined ? {} : { keyProvider: textOf(keyProvider) }),
      applicationEvents: events.slice(ready + 1).map(({ name, data, covered }) => ({
        name,
        payload: data,
        border: covered.kind === 'joined' ? 'unproven' : 'proven',
      })),
    };
  });
}

type Payloads = ReadonlyMap<FactName, Uint8Array>;

function payloadsOf(events: readonly LogEvent[]): Payloads {
  const payloads = new Map<FactName, Uint8Array>();
  for (const { index, name, data } of events) {
    const fact = FACT_NAMES.find((known) => known === name);
    if (fact === undefined) continue;
    if (payloads.has(fact)) throw malformedLog(`second ${fact} event`, index);
    payloads.set(fact, data);
  }
  return payloads;
}

function sized<N extends number>(payloads: Payloads, fact: FactName, size: N): Bytes<N> {
  const payload = payloads.get(fact);
  if (payload === undefined) throw malformedLog(`no ${fact} event`, 0);
  return fixed(payload, size, fact);
}

function instanceIdOf(payloads: Payloads): Uint8Array {
  const payload = payloads.get('instance-id');
  return payload?.length === 0 ? payload : sized(payloads, 'instance-id', 20);
}

function textOf(payload: Uint8Array): string {
  if (payload.length > KEY_PROVIDER_MAX_BYTES) throw malformedLog('key-provider too long', 0);
  return fromUtf8(payload);
}
