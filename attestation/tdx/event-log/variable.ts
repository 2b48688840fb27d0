/** UEFI_VARIABLE_DATA as a structure. Spec: TCG PC Client Platform Firmware Profile 1.05, "UEFI_VARIABLE_DATA". @module */

import { Reader } from '../../../core/bytes.ts';
import type { Range } from './event.ts';
import { malformedLog } from './errors.ts';

/** GUID, two lengths. */
const HEADER_BYTES = 32;

export interface UefiVariable {
  readonly guid: Uint8Array;
  /** UTF-16LE, without a zero at the end. */
  readonly name: Uint8Array;
  readonly value: Range;
}

/** Undefined unless the lengths fill the data exactly. */
export function variableOf(data: Uint8Array): UefiVariable | undefined {
  if (data.length < HEADER_BYTES) return undefined;
  const reader = new Reader(data, (field, at) => malformedLog(`${field} past the end`, at));
  const guid = reader.bytes(16, 'VariableName'); // +0
  const nameChars = reader.u64le('UnicodeNameLength'); // +16
  const valueBytes = reader.u64le('VariableDataLength'); // +24
  if (2n * nameChars + valueBytes !== BigInt(reader.remaining)) return undefined;
  const name = reader.bytes(2 * Number(nameChars), 'UnicodeName'); // +32
  return { guid, name, value: { from: reader.offset, to: data.length } };
}
