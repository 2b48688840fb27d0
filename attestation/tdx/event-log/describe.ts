/**
 * One event's data in words. Nothing here is evidence: a structure that does not parse is shown as bytes, and every
 * text that leaves is printable.
 * Spec: TCG PC Client Platform Firmware Profile 1.05 (structures by name); UEFI 2.11 §3.1.3 (EFI_LOAD_OPTION), §5.3
 * (GPT), §10.3 (device paths).
 * @module
 */

import { Reader } from '../../../core/bytes.ts';
import { attempt } from '../../attempt.ts';
import { malformedLog } from './errors.ts';
import {
  EV_EFI_BOOT_SERVICES_APPLICATION,
  EV_EFI_BOOT_SERVICES_DRIVER,
  EV_EFI_GPT_EVENT,
  EV_EFI_HANDOFF_TABLES2,
  EV_EFI_PLATFORM_FIRMWARE_BLOB2,
  EV_EFI_RUNTIME_SERVICES_DRIVER,
  EV_EVENT_TAG,
  EV_SEPARATOR,
  eventType,
} from './event-types.ts';
import { EXPLAINED_TEXT_MAX_CHARS as MAX } from './limits.ts';
import { printableBytes, printableUtf16, withoutEquals } from './printable.ts';
import { variableOf, type UefiVariable } from './variable.ts';

/** At most EXPLAINED_TEXT_MAX_CHARS. */
export function describeData(type: number, data: Uint8Array): string {
  const described = attempt(() => describeStructure(type, data));
  const text = described.outcome === 'read' ? described.value : undefined;
  return (text ?? printableBytes(data, MAX)).slice(0, MAX);
}

function describeStructure(type: number, data: Uint8Array): string | undefined {
  if (eventType(type).covers === 'variable') return describeVariable(data);
  const reader = new Reader(data, (field, at) => malformedLog(`${field} past the end`, at));
  switch (type) {
    case EV_SEPARATOR:
      return describeSeparator(reader);
    case EV_EVENT_TAG:
      return describeTag(reader);
    case EV_EFI_BOOT_SERVICES_APPLICATION:
    case EV_EFI_BOOT_SERVICES_DRIVER:
    case EV_EFI_RUNTIME_SERVICES_DRIVER:
      return describeImage(reader);
    case EV_EFI_GPT_EVENT:
      return describePartitions(reader);
    case EV_EFI_HANDOFF_TABLES2:
    case EV_EFI_PLATFORM_FIRMWARE_BLOB2:
      return printableBytes(reader.bytes(reader.u8('description size'), 'description'), MAX);
    default:
      return undefined;
  }
}

function describeSeparator(reader: Reader): string | undefined {
  const value = `0x${reader.u32le('separator').toString(16).padStart(8, '0')}`;
  return reader.remaining === 0 ? value : undefined;
}

/** The name and what it is set to; undefined when the data is no variable. */
function describeVariable(data: Uint8Array): string | undefined {
  const variable = variableOf(data);
  if (variable === undefined) return undefined;
  const value = data.subarray(variable.value.from, variable.value.to);
  const name = variableName(variable);
  return `${name} = ${describeValue(name, value)}`;
}

export function variableName({ name }: UefiVariable): string {
  return withoutEquals(printableUtf16(name, MAX));
}

/** Names as UEFI 2.11 §3.3 "Globally Defined Variables" has them. */
export function describeValue(name: string, value: Uint8Array): string {
  if (value.length === 0) return 'empty';
  if (value.length === 1) return String(value[0]);
  if (name === 'BootOrder' && value.length % 2 === 0) return describeOrder(value);
  if (/^Boot[0-9A-F]{4}$/.test(name)) return describeLoadOption(value);
  if (/^(PK|KEK|db|dbx|dbr|dbt|MokList|MokListX)$/.test(name)) return `${value.length} bytes`;
  return printableBytes(value, MAX);
}

const BOOT_ENTRIES_SHOWN_MAX = 16;

function describeOrder(value: Uint8Array): string {
  const reader = new Reader(value, (field, at) => malformedLog(`${field} past the end`, at));
  const entries: string[] = [];
  while (reader.remaining > 0 && entries.length < BOOT_ENTRIES_SHOWN_MAX) {
    entries.push(reader.u16le('boot entry').toString(16).padStart(4, '0').toUpperCase());
  }
  return [...entries, ...(reader.remaining > 0 ? ['...'] : [])].join(', ');
}

/** EFI_LOAD_OPTION: attributes u32, length of paths u16, description up to a zero. */
function describeLoadOption(value: Uint8Array): string {
  const text = value.subarray(6);
  let end = 0;
  while (end + 1 < text.length && (text[end] !== 0 || text[end + 1] !== 0)) end += 2;
  return printableUtf16(text.subarray(0, end), MAX);
}

/** TCG_PCClientTaggedEvent. */
function describeTag(reader: Reader): string {
  const tag = `tag 0x${reader.u32le('taggedEventID').toString(16).padStart(8, '0')}`;
  const size = reader.u32le('taggedEventDataSize');
  return `${tag} ${printableBytes(reader.bytes(size, 'taggedEventData'), MAX)}`;
}

const PATH_NODES_MAX = 64;
const MEDIA = 4;
const FILE_PATH = 4;
const END = 0x7f;

/** UEFI_IMAGE_LOAD_EVENT: the file names of its device path; undefined when it has none. */
function describeImage(reader: Reader): string | undefined {
  reader.skip(24, 'image location, length, link time address');
  const size = reader.u64le('length of device path');
  if (size > BigInt(reader.remaining)) return undefined;
  const path = new Reader(reader.bytes(Number(size), 'device path'), (field, at) =>
    malformedLog(`${field} past the end`, at),
  );
  const files: string[] = [];
  for (let node = 0; node < PATH_NODES_MAX && path.remaining > 0; node++) {
    const type = path.u8('node type');
    const subtype = path.u8('node subtype');
    const length = path.u16le('node length');
    if (type === END || length < 4) break;
    const body = path.bytes(length - 4, 'node');
    if (type === MEDIA && subtype === FILE_PATH) files.push(printableUtf16(withoutZero(body), MAX));
  }
  return files.length === 0 ? undefined : files.join('');
}

function withoutZero(text: Uint8Array): Uint8Array {
  return text.at(-1) === 0 && text.at(-2) === 0 ? text.subarray(0, -2) : text;
}

const GPT_HEADER_BYTES = 92;
const GPT_ENTRY_BYTES = 128;

/** UEFI_GPT_DATA: header, count, entries. */
function describePartitions(reader: Reader): string | undefined {
  reader.skip(GPT_HEADER_BYTES, 'partition table header');
  const count = reader.u64le('number of partitions');
  if (count * BigInt(GPT_ENTRY_BYTES) !== BigInt(reader.remaining)) return undefined;
  return `${count} partitions`;
}
