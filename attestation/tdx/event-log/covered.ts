/**
 * Which bytes of an event its digest covers, found by hashing. A match proves that these bytes were measured in this
 * place; it does not prove the event type, which may be a lie that happens to fit.
 * Spec: TCG PC Client Platform Firmware Profile 1.05, §10.4.1 and "UEFI_VARIABLE_DATA"; GNU GRUB
 * `commands/efi/tpm.c`, which hashes a command without the label before it and the zero behind it.
 * @module
 */

import { sha384 } from '#primitives';
import { ascii, equalPublic } from '../../../core/bytes.ts';
import type { Covered, LogEvent, Range } from './event.ts';
import { EV_IPL, EV_NO_ACTION, eventType } from './event-types.ts';
import { variableOf } from './variable.ts';

/** Every range that may be what was hashed, at most two: hashing a log stays linear in its size. */
export function candidateRanges(type: number, data: Uint8Array): readonly Range[] {
  const whole = { from: 0, to: data.length };
  const part = partOf(type, data);
  return part === undefined ? [whole] : [whole, part];
}

function partOf(type: number, data: Uint8Array): Range | undefined {
  if (eventType(type).covers === 'variable') return variableOf(data)?.value;
  return type === EV_IPL ? commandOf(data) : undefined;
}

const GRUB_LABELS = ['grub_cmd: ', 'kernel_cmdline: ', 'module_cmdline: '].map(ascii);

function commandOf(data: Uint8Array): Range | undefined {
  const label = GRUB_LABELS.find((label) => equalPublic(data.subarray(0, label.length), label));
  if (label === undefined) return undefined;
  return { from: label.length, to: data.at(-1) === 0 ? data.length - 1 : data.length };
}

export function coverageOf({
  register,
  type,
  digest,
  data,
}: Pick<LogEvent, 'register' | 'type' | 'digest' | 'data'>): Covered {
  // What no register vouches for vouches for nothing itself, whatever it hashes to.
  if (register === 'mrtd' || type === EV_NO_ACTION) return { kind: 'unmeasured' };
  const range = candidateRanges(type, data).find(({ from, to }) =>
    equalPublic(sha384(data.subarray(from, to)), digest),
  );
  // Agents of dstack leave payloads out; that contradicts nothing.
  if (range === undefined && data.length === 0) return { kind: 'digest' };
  if (range !== undefined) {
    return range.from === 0 && range.to === data.length
      ? { kind: 'data' }
      : { kind: 'part', ...range };
  }
  return { kind: eventType(type).covers === undefined ? 'digest' : 'contradicted' };
}
