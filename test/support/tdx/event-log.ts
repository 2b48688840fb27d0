/**
 * Writes event logs byte by byte, sound or with one thing wrong, and replays them with node:crypto as a second opinion.
 * It checks nothing, so that tests can write logs no firmware would make. All integers are little-endian.
 * Spec: TCG PC Client Platform Firmware Profile 1.05, "Event Logging"; dstack `cc-eventlog`.
 * @module
 */

import { createHash } from 'node:crypto';
import type { Registers } from '../../../attestation/tdx/event-log/event.ts';
import { concat, fixed, toHex, utf8, type Bytes } from '../../../core/bytes.ts';

export const SHA384 = 0x000c;
export const SHA256 = 0x000b;

export const EV = {
  noAction: 0x3,
  separator: 0x4,
  eventTag: 0x6,
  platformFlags: 0xa,
  ipl: 0xd,
  driverConfig: 0x8000_0001,
  variableBoot: 0x8000_0002,
  application: 0x8000_0003,
  gpt: 0x8000_0006,
  action: 0x8000_0007,
  runtime: 0x0800_0001,
} as const;

export function sha384Of(...parts: readonly Uint8Array[]): Bytes<48> {
  const hash = createHash('sha384');
  for (const part of parts) hash.update(part);
  return fixed(new Uint8Array(hash.digest()), 48);
}

export function u16le(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, (value >>> 8) & 0xff);
}

export function u32le(value: number): Uint8Array {
  return concat(u16le(value & 0xffff), u16le(value >>> 16));
}

export function u64le(value: number): Uint8Array {
  return concat(u32le(value), u32le(0));
}

export function utf16(text: string): Uint8Array {
  return concat(...Array.from(text, (char) => u16le(char.charCodeAt(0))));
}

/** UEFI_VARIABLE_DATA. */
export function variable(name: string, value: Uint8Array): Uint8Array {
  const guid = new Uint8Array(16).fill(0x61);
  return concat(guid, u64le(name.length), u64le(value.length), utf16(name), value);
}

export interface CcelEvent {
  /** As the CCEL counts: 1 is RTMR0. */
  readonly register: number;
  readonly type: number;
  readonly data: Uint8Array;
  readonly digest: Uint8Array;
}

/** What is hashed, when it is not the data as a whole. */
export function ccelEvent(
  register: number,
  type: number,
  data: Uint8Array,
  hashed: Uint8Array = data,
): CcelEvent {
  return { register, type, data, digest: sha384Of(hashed) };
}

/** A sound log in which every way of covering occurs; the last event is measured. */
export function ccelEvents(): readonly CcelEvent[] {
  const order = Uint8Array.of(1, 0, 0, 0);
  const command = utf8('linux /vmlinuz ro');
  return [
    ccelEvent(1, EV.noAction, utf8('a remark')),
    ccelEvent(0, EV.noAction, utf8('a note on MRTD')),
    ccelEvent(1, EV.driverConfig, variable('SecureBoot', Uint8Array.of(1))),
    ccelEvent(1, EV.platformFlags, utf8('ACPI DATA'), utf8('the tables')),
    ccelEvent(1, EV.variableBoot, variable('BootOrder', order), order),
    ccelEvent(2, EV.action, utf8('Calling EFI Application from Boot Option')),
    ccelEvent(2, EV.application, utf8('some device path'), utf8('the boot loader')),
    ccelEvent(3, EV.ipl, concat(utf8('grub_cmd: '), command, Uint8Array.of(0)), command),
    ccelEvent(3, EV.ipl, utf8('/vmlinuz\0'), utf8('the kernel')),
    ccelEvent(4, EV.separator, u32le(0)),
    ccelEvent(2, EV.action, utf8('Exit Boot Services Returned with Success')),
  ];
}

export interface CcelFaults {
  readonly headerRegister?: number;
  readonly headerType?: number;
  readonly headerDigest?: Uint8Array;
  readonly signature?: string;
  readonly version?: readonly [minor: number, major: number];
  /** Algorithm and size. */
  readonly algorithms?: readonly (readonly [number, number])[];
  readonly algorithmCount?: number;
  readonly afterHeader?: Uint8Array;
  readonly vendorInfo?: Uint8Array;
  readonly padding?: Uint8Array;
  /** Writes one event otherwise. */
  readonly event?: (event: CcelEvent, index: number) => Uint8Array;
}

export function writeCcelEvent(event: CcelEvent): Uint8Array {
  const { register, type, digest, data } = event;
  return concat(
    u32le(register),
    u32le(type),
    u32le(1),
    u16le(SHA384),
    digest,
    u32le(data.length),
    data,
  );
}

function ccelHeader(faults: CcelFaults): Uint8Array {
  const algorithms = faults.algorithms ?? [[SHA384, 48]];
  const vendorInfo = faults.vendorInfo ?? new Uint8Array(0);
  const data = concat(
    utf8(faults.signature ?? 'Spec ID Event03\0'),
    u32le(0),
    Uint8Array.from(faults.version ?? [0, 2]),
    Uint8Array.of(0, 2),
    u32le(faults.algorithmCount ?? algorithms.length),
    ...algorithms.map(([id, size]) => concat(u16le(id), u16le(size))),
    Uint8Array.of(vendorInfo.length),
    vendorInfo,
    faults.afterHeader ?? new Uint8Array(0),
  );
  return concat(
    u32le(faults.headerRegister ?? 1),
    u32le(faults.headerType ?? EV.noAction),
    faults.headerDigest ?? new Uint8Array(20),
    u32le(data.length),
    data,
  );
}

const PADDING = new Uint8Array(16).fill(0xff);

export function writeCcel(
  events: readonly CcelEvent[] = ccelEvents(),
  faults: CcelFaults = {},
): Uint8Array {
  const write = faults.event ?? writeCcelEvent;
  return concat(ccelHeader(faults), ...events.map(write), faults.padding ?? PADDING);
}

/** Where the parts of each event lie in what `writeCcel` wrote without faults. */
export function ccelSpans(events: readonly CcelEvent[]): readonly CcelSpan[] {
  let at = writeCcel([], { padding: new Uint8Array(0) }).length;
  return events.map((event) => {
    const from = at;
    at += writeCcelEvent(event).length;
    return { event, register: from, type: from + 4, digest: from + 14, data: from + 66, end: at };
  });
}

export interface CcelSpan {
  readonly event: CcelEvent;
  readonly register: number;
  readonly type: number;
  readonly digest: number;
  readonly data: number;
  readonly end: number;
}

export function replayCcel(events: readonly CcelEvent[]): Registers {
  const isMeasured = ({ type }: CcelEvent): boolean => type !== EV.noAction;
  return replay(
    events.filter(isMeasured).map(({ register, digest }) => ({ register: register - 1, digest })),
  );
}

function replay(
  events: readonly { readonly register: number; readonly digest: Uint8Array }[],
): Registers {
  const valueOf = (register: number): Bytes<48> =>
    events
      .filter((event) => event.register === register)
      .reduce<Bytes<48>>(
        (value, { digest }) => sha384Of(value, digest),
        fixed(new Uint8Array(48), 48),
      );
  return [valueOf(0), valueOf(1), valueOf(2), valueOf(3)];
}

/** One element of a dstack log, as JSON has it. */
export type DstackEvent = Readonly<Record<string, string | number>>;

const TYPE_BYTES = u32le(EV.runtime);
const COLON = utf8(':');

/** Version 1, with its digest. */
export function dstackEvent(name: string, payload: Uint8Array = new Uint8Array(0)): DstackEvent {
  return {
    imr: 3,
    event_type: EV.runtime,
    digest: toHex(sha384Of(TYPE_BYTES, COLON, utf8(name), COLON, payload)),
    event: name,
    event_payload: toHex(payload),
  };
}

/** Version 2, with digest and preimage. */
export function dstackEventV2(name: string, payload: Uint8Array = new Uint8Array(0)): DstackEvent {
  const text = JSON.stringify(name);
  const preimage = utf8(`{"name":${text},"payload":"${toHex(payload)}","type":${EV.runtime}}`);
  return {
    ...dstackEvent(name, payload),
    digest: toHex(sha384Of(preimage)),
    version: 2,
    preimage: toHex(preimage),
  };
}

export function firmwareEvent(
  imr: number,
  type: number,
  data: Uint8Array,
  hashed = data,
): DstackEvent {
  return {
    imr,
    event_type: type,
    digest: toHex(sha384Of(hashed)),
    event: '',
    event_payload: toHex(data),
  };
}

export const APP_ID = new Uint8Array(20).fill(0x11);
export const COMPOSE_HASH = new Uint8Array(32).fill(0x22);
export const INSTANCE_ID = new Uint8Array(20).fill(0x33);
export const KEY_PROVIDER = '{"name":"kms","id":"ab"}';

export const FIRMWARE_EVENTS: readonly DstackEvent[] = [
  firmwareEvent(0, EV.driverConfig, variable('SecureBoot', new Uint8Array(0))),
  firmwareEvent(0, EV.platformFlags, utf8('ACPI DATA'), utf8('the tables')),
  firmwareEvent(1, EV.application, utf8('a device path'), utf8('the kernel')),
  firmwareEvent(2, EV.eventTag, utf8('a tag'), utf8('the command line')),
];

export const BOOT_EVENTS: readonly DstackEvent[] = [
  dstackEvent('system-preparing'),
  dstackEvent('app-id', APP_ID),
  dstackEvent('compose-hash', COMPOSE_HASH),
  dstackEvent('instance-id', INSTANCE_ID),
  dstackEvent('boot-mr-done'),
  dstackEvent('key-provider', utf8(KEY_PROVIDER)),
  dstackEvent('system-ready'),
];

/** A sound log. */
export function dstackEvents(): readonly DstackEvent[] {
  return [...FIRMWARE_EVENTS, ...BOOT_EVENTS, dstackEvent('app:started', utf8('now'))];
}

export function writeDstackLog(events: readonly DstackEvent[] = dstackEvents()): Uint8Array {
  return utf8(JSON.stringify(events));
}

/** By the digests that the events carry. */
export function replayDstack(events: readonly DstackEvent[]): Registers {
  return replay(
    events.map(({ imr, digest }) => ({
      register: Number(imr),
      digest: new Uint8Array(Buffer.from(String(digest), 'hex')),
    })),
  );
}

/** The log with one event changed, or another put in its place. */
export function withEvent(
  events: readonly DstackEvent[],
  name: string,
  change: Readonly<Record<string, string | number | undefined>>,
): readonly DstackEvent[] {
  return events.map((event) => {
    if (event['event'] !== name) return event;
    const changed = Object.entries({ ...event, ...change });
    return Object.fromEntries(
      changed.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
    );
  });
}
