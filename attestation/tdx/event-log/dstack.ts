/**
 * Reads the JSON event log of a dstack guest agent. Firmware events (registers 0 to 2, and dstack writes nothing there)
 * are digests with claims beside them; on RTMR3 stand dstack's runtime events, whose digest is recomputed here from
 * name and payload, so that what is read is what was measured.
 * Spec: dstack `cc-eventlog`, `TdxEvent` and `RuntimeEvent` (event log versions 1 and 2); RFC 8785 for version 2.
 * @module
 */

import { sha384 } from '#primitives';
import { z } from 'zod';
import {
  ascii,
  concat,
  equalPublic,
  fixed,
  fromHex,
  fromUtf8,
  toHex,
  utf8,
  type Bytes,
} from '../../../core/bytes.ts';
import { canonicalJson, parseStrictJson } from '../../../core/json.ts';
import { attempt } from '../../attempt.ts';
import { describeIssues } from '../../issues.ts';
import { coverageOf } from './covered.ts';
import { malformedEvent, malformedLog } from './errors.ts';
import { FailureList, type Covered, type EventLog, type LogEvent } from './event.ts';
import { DSTACK_RUNTIME_EVENT } from './event-types.ts';
import {
  EVENT_DATA_MAX_BYTES,
  EVENT_LOG_MAX_BYTES,
  EVENT_NAME_MAX_CHARS,
  EVENTS_MAX,
} from './limits.ts';

/** Ends the boot: what stands before was written by dstack, what follows by the application. */
export const SYSTEM_READY = 'system-ready';

/** One text for one byte string. */
function hexText(maxBytes: number): z.ZodType<Uint8Array, string> {
  return z
    .string()
    .max(2 * maxBytes, `want at most ${maxBytes} bytes`)
    .regex(/^[0-9a-f]*$/, 'want lower-case hex')
    .refine((text) => text.length % 2 === 0, 'want whole bytes')
    .transform(fromHex);
}

/** Newer agents leave out digests of runtime events and payloads of firmware events: absent and empty are the same. */
const EVENT = z.strictObject({
  imr: z.union([z.literal(0), z.literal(1), z.literal(2), z.literal(3)], {
    error: 'want a register from 0 to 3',
  }),
  event_type: z.int().min(0).max(0xffff_ffff),
  digest: hexText(48)
    .refine(({ length }) => length === 0 || length === 48, 'want 48 bytes or none')
    .default(new Uint8Array(0)),
  event: z.string().max(EVENT_NAME_MAX_CHARS),
  event_payload: hexText(EVENT_DATA_MAX_BYTES).default(new Uint8Array(0)),
  version: z.union([z.literal(1), z.literal(2)], { error: 'want version 1 or 2' }).default(1),
  /** What was hashed, in full. */
  preimage: hexText(4 * EVENT_DATA_MAX_BYTES).exactOptional(),
});
type DstackEvent = z.output<typeof EVENT>;

/** Throws `event_log.format`, `json.*`, `bytes.utf8`. */
export function readDstackLog(bytes: Uint8Array): EventLog {
  const { value } = parseStrictJson(bytes, {
    maxBytes: EVENT_LOG_MAX_BYTES,
    maxDepth: 2, // list, event, member
    numbers: 'integers',
  });
  if (!Array.isArray(value)) throw malformedLog('want a list of events', 0);
  if (value.length > EVENTS_MAX) throw malformedLog(`${value.length} events`, 0);
  const failures = new FailureList();
  const events: LogEvent[] = [];
  let booting = true;
  for (const [index, element] of value.entries()) {
    // One by one: a list of a million wrong elements is refused at the first.
    const event = readEvent(index, element, booting ? 'boot' : 'running', failures);
    if (isRuntimeEvent(event) && event.name === SYSTEM_READY) booting = false;
    events.push(event);
  }
  return { kind: 'dstack', events, failures: failures.list() };
}

/** Type, name and payload of these are inside the digest. */
export function isRuntimeEvent({ register, type }: LogEvent): boolean {
  return register === 3 && type === DSTACK_RUNTIME_EVENT;
}

function readEvent(
  index: number,
  element: unknown,
  phase: 'boot' | 'running',
  failures: FailureList,
): LogEvent {
  const decoded = EVENT.safeParse(element);
  if (!decoded.success) throw malformedEvent(index, describeIssues(decoded.error));
  const event = decoded.data;
  const base = {
    index,
    register: event.imr,
    type: event.event_type,
    name: event.event,
    data: event.event_payload,
  };
  if (event.imr === 3 && event.event_type === DSTACK_RUNTIME_EVENT) {
    return { ...base, ...bindRuntimeEvent(event, { index, phase, failures }) };
  }
  if (event.imr === 3) {
    failures.add('log.unboundEvent', `event ${index}: RTMR3 has an event of another type`);
  }
  if (event.version !== 1 || event.preimage !== undefined) {
    throw malformedEvent(index, 'version and preimage belong to runtime events');
  }
  if (event.digest.length !== 48) throw malformedEvent(index, 'digest: want 48 bytes');
  const firmware = { ...base, digest: fixed(event.digest, 48) };
  return { ...firmware, covered: coverageOf(firmware) };
}

interface RuntimeContext {
  readonly index: number;
  readonly phase: 'boot' | 'running';
  readonly failures: FailureList;
}

function bindRuntimeEvent(
  event: DstackEvent,
  { index, phase, failures }: RuntimeContext,
): { readonly digest: Bytes<48>; readonly covered: Covered } {
  const preimage = preimageOf(event);
  const digest = sha384(preimage);
  if (event.version === 2 && event.preimage === undefined) {
    throw malformedEvent(index, 'preimage: version 2 carries it');
  }
  if (event.digest.length === 48 && !equalPublic(event.digest, digest)) {
    failures.add('log.eventDigest', `event ${index}: name and payload do not hash to the digest`);
  }
  if (event.preimage !== undefined && !equalPublic(event.preimage, preimage)) {
    failures.add('log.eventDigest', `event ${index}: the preimage is not of this event`);
  }
  const isVersion1 = event.version === 1;
  const hasColon = isVersion1 && event.event.includes(':');
  if (hasColon && phase === 'boot') {
    failures.add('log.eventName', `event ${index}: a colon in the name of a version 1 event`);
  }
  const joined = hasColon || (isVersion1 && phase === 'running' && mayEndAName(event));
  return { digest, covered: { kind: joined ? 'joined' : 'event' } };
}

const COLON = ascii(':');
const COLON_BYTE = 0x3a;

/**
 * Whether a longer name reaches into what is shown as the payload. Applications may have colons in their names, so a
 * name without one can be the first piece of another. What stands before a border is UTF-8, or it is no name.
 */
function mayEndAName({ event_payload: payload }: DstackEvent): boolean {
  const colonAt = payload.indexOf(COLON_BYTE);
  return colonAt >= 0 && attempt(() => fromUtf8(payload.subarray(0, colonAt))).outcome === 'read';
}

/** DSTACK_RUNTIME_EVENT as the guest holds it, little-endian. */
const TYPE_BYTES = Uint8Array.of(0x01, 0x00, 0x00, 0x08);

/** Version 1 begins with the byte 01, version 2 with a brace: no text is both. */
function preimageOf({ version, event, event_payload: payload }: DstackEvent): Uint8Array {
  if (version === 1) return concat(TYPE_BYTES, COLON, utf8(event), COLON, payload);
  return utf8(canonicalJson({ name: event, payload: toHex(payload), type: DSTACK_RUNTIME_EVENT }));
}
