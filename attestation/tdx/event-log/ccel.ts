/**
 * Reads the log that firmware leaves in memory and ACPI table CCEL points to (`/sys/firmware/acpi/tables/data/CCEL`).
 * The file comes from whoever runs the machine: every length in it is hostile.
 * Spec: UEFI 2.11 §38.4 (EFI_CC_EVENT_LOG_FORMAT_TCG_2, measurement register indexes); TCG PC Client Platform
 * Firmware Profile 1.05, TCG_PCClientPCREvent, TCG_PCR_EVENT2, TCG_EfiSpecIdEvent.
 * @module
 */

import { ascii, equalPublic, isZero, Reader, type Bytes } from '../../../core/bytes.ts';
import { coverageOf } from './covered.ts';
import { malformedEvent, malformedLog } from './errors.ts';
import type { EventLog, LogEvent } from './event.ts';
import { EV_NO_ACTION } from './event-types.ts';
import {
  DIGEST_ALGORITHMS_MAX,
  DIGEST_MAX_BYTES,
  EVENT_DATA_MAX_BYTES,
  EVENT_LOG_MAX_BYTES,
  EVENTS_MAX,
} from './limits.ts';

const SIGNATURE = ascii('Spec ID Event03\0');
/** TCG Algorithm Registry, TPM_ALG_SHA384. */
const SHA384 = 0x000c;
/** Fills the reserved memory behind the last event. */
const PADDING = 0xffff_ffff;

/** Algorithm id to digest size, as the header record lists them. */
type DigestSizes = ReadonlyMap<number, number>;

/**
 * Registers 1 to 4 are RTMR0 to RTMR3; register 0 is MRTD, on which some firmware leaves remarks. Works on a copy, so
 * that a buffer which the caller reuses cannot change what was judged. Throws `event_log.format`.
 */
export function readCcel(bytes: Uint8Array): EventLog {
  if (bytes.length > EVENT_LOG_MAX_BYTES) throw malformedLog('log too large', bytes.length);
  const copy = new Uint8Array(bytes);
  const reader = new Reader(copy, (field, at) => malformedLog(`${field} past the end`, at));
  const sizes = readHeader(reader);
  const events: LogEvent[] = [];
  while (reader.remaining > 0) {
    const register = reader.u32le('register'); // +0
    if (register === PADDING) {
      requirePadding(reader);
      break;
    }
    if (events.length === EVENTS_MAX) throw malformedLog('too many events', reader.offset);
    events.push(readEvent(reader, { index: events.length, register, sizes }));
  }
  return { kind: 'ccel', events, failures: [] };
}

/** The first record has the older form, so that older readers can skip it; it is not measured. */
function readHeader(reader: Reader): DigestSizes {
  const register = reader.u32le('register'); // +0; EDK2 writes 1, td-shim 0
  if (register > 1) throw malformedLog(`header register ${register}`, 0);
  const type = reader.u32le('event type'); // +4
  if (type !== EV_NO_ACTION) throw malformedLog(`header type ${type}`, 4);
  if (!isZero(reader.bytes(20, 'digest'))) throw malformedLog('header digest', 8); // +8
  const size = reader.u32le('event size'); // +28
  const start = reader.offset;
  const data = readView(reader, size, 'header');
  return readSpecId(
    new Reader(data, (field, at) => malformedLog(`${field} past the end`, start + at)),
    start,
  );
}

/** TCG_EfiSpecIdEvent. */
function readSpecId(reader: Reader, start: number): DigestSizes {
  if (!equalPublic(reader.bytes(16, 'signature'), SIGNATURE))
    throw malformedLog('signature', start); // +0
  reader.skip(4, 'platformClass'); // +16
  const minor = reader.u8('specVersionMinor'); // +20
  const major = reader.u8('specVersionMajor'); // +21
  if (major !== 2 || minor !== 0) throw malformedLog(`version ${major}.${minor}`, start + 20);
  reader.skip(2, 'specErrata and uintnSize'); // +22
  const count = reader.u32le('numberOfAlgorithms'); // +24
  if (count > DIGEST_ALGORITHMS_MAX) throw malformedLog(`${count} algorithms`, start + 24);
  const sizes = new Map<number, number>();
  for (let i = 0; i < count; i++) {
    const at = start + reader.offset;
    const algorithm = reader.u16le('algorithmId');
    const size = reader.u16le('digestSize');
    if (sizes.has(algorithm)) throw malformedLog(`algorithm ${algorithm} listed twice`, at);
    if (size === 0 || size > DIGEST_MAX_BYTES) throw malformedLog(`digest size ${size}`, at);
    sizes.set(algorithm, size);
  }
  if (sizes.get(SHA384) !== 48) throw malformedLog('SHA-384 is not listed', start + 24);
  reader.skip(reader.u8('vendorInfoSize'), 'vendorInfo');
  if (reader.remaining > 0) throw malformedLog('bytes after the header', start + reader.offset);
  return sizes;
}

interface EventFrame {
  readonly index: number;
  readonly register: number;
  readonly sizes: DigestSizes;
}

/** After the register. */
function readEvent(reader: Reader, { index, register, sizes }: EventFrame): LogEvent {
  const type = reader.u32le('event type'); // +4
  const digest = readDigests(reader, index, sizes); // +8
  const size = reader.u32le('event size');
  if (size > EVENT_DATA_MAX_BYTES) throw malformedEvent(index, `${size} bytes of data`);
  const data = readView(reader, size, 'event data');
  const measured = { register: registerOf(register, index), type, digest, data };
  return { index, name: '', ...measured, covered: coverageOf(measured) };
}

function registerOf(register: number, index: number): LogEvent['register'] {
  switch (register) {
    case 0:
      return 'mrtd';
    case 1:
      return 0;
    case 2:
      return 1;
    case 3:
      return 2;
    case 4:
      return 3;
    default:
      throw malformedEvent(index, `register ${register}`);
  }
}

/** TPML_DIGEST_VALUES: one digest for each algorithm of the header, in any order. */
function readDigests(reader: Reader, index: number, sizes: DigestSizes): Bytes<48> {
  const count = reader.u32le('digest count');
  if (count !== sizes.size) throw malformedEvent(index, `${count} digests`);
  const seen = new Set<number>();
  let sha384: Bytes<48> | undefined;
  for (let i = 0; i < count; i++) {
    const algorithm = reader.u16le('algorithm');
    const size = sizes.get(algorithm);
    if (size === undefined) throw malformedEvent(index, `algorithm ${algorithm} is not listed`);
    if (seen.has(algorithm)) throw malformedEvent(index, `two digests of algorithm ${algorithm}`);
    seen.add(algorithm);
    if (algorithm === SHA384) sha384 = reader.bytes(48, 'digest');
    else reader.skip(size, 'digest');
  }
  if (sha384 === undefined) throw malformedEvent(index, 'no SHA-384 digest');
  return sha384;
}

/** A log that ends and goes on again would show different events to different readers. */
function requirePadding(reader: Reader): void {
  const at = reader.offset;
  if (!reader.rest().every((byte) => byte === 0xff)) throw malformedLog('bytes in the padding', at);
}

function readView(reader: Reader, size: number, field: string): Uint8Array {
  return reader.bytes(size, field);
}
