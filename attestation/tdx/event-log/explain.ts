/**
 * For people: what each register stands for and the events that made it, in order. Every event keeps apart what is
 * proven (once its register agrees with a verified quote) and what the log merely claims.
 * @module
 */

import type { Bytes } from '../../../core/bytes.ts';
import { describeData, describeValue, variableName } from './describe.ts';
import {
  isMeasured,
  RTMR_INDEXES,
  type EventLog,
  type LogEvent,
  type Range,
  type Registers,
  type RtmrIndex,
} from './event.ts';
import { eventType } from './event-types.ts';
import { EXPLAINED_TEXT_MAX_CHARS as MAX } from './limits.ts';
import { printableBytes, printableText, withoutEquals } from './printable.ts';
import { variableOf } from './variable.ts';

export interface ExplainedEvent {
  readonly index: number;
  readonly type: number;
  /** Such as EV_SEPARATOR. In a CCEL the type itself is a claim. */
  readonly typeName: string;
  readonly means: string;
  readonly digest: Bytes<48>;
  readonly dataBytes: number;
  /** `none`: the digest alone is proven, of unmeasured events not even that. `contradicted`: data and digest exclude each other. */
  readonly bound: 'all' | 'part' | 'none' | 'contradicted';
  /** Printable ASCII without angle brackets; empty when there is none. What the claimed type makes of proven bytes. */
  readonly boundText: string;
  /** The same, of bytes that no digest covers: whoever delivered the log chose them. */
  readonly claimedText: string;
}

export interface ExplainedRegister {
  readonly register: RtmrIndex;
  readonly title: string;
  readonly holds: string;
  readonly value: Bytes<48>;
  readonly events: readonly ExplainedEvent[];
}

export interface Explanation {
  readonly registers: readonly ExplainedRegister[];
  /** In the log, but in no register: remarks, and what firmware noted about MRTD. All of it is claims. */
  readonly notMeasured: readonly ExplainedEvent[];
}

/** Intel TDX Virtual Firmware Design Guide, chapter on measurement. */
const REGISTERS: Readonly<Record<RtmrIndex, { readonly title: string; readonly holds: string }>> = {
  0: {
    title: 'firmware configuration',
    holds:
      'What the host gave the firmware: machine layout, ACPI tables, secure boot keys, boot order. Differs with the number of CPUs, memory and devices.',
  },
  1: {
    title: 'boot applications and kernel',
    holds: 'What the firmware started, and from where: boot loader, kernel, partition table.',
  },
  2: {
    title: 'command line and initrd',
    holds:
      'What boot loader and kernel were told: their commands, the kernel command line, the initrd.',
  },
  3: {
    title: 'runtime',
    holds:
      'What user space added after boot: with dstack the application, its compose file and instance.',
  },
};

export function explainEventLog(log: EventLog, values: Registers): Explanation {
  return {
    registers: RTMR_INDEXES.map((register) => ({
      register,
      ...REGISTERS[register],
      value: values[register],
      events: log.events
        .filter((event) => event.register === register && isMeasured(event))
        .map(explainEvent),
    })),
    notMeasured: log.events.filter((event) => !isMeasured(event)).map(explainEvent),
  };
}

function explainEvent(event: LogEvent): ExplainedEvent {
  const { index, type, digest, data } = event;
  const { name: typeName, means } = eventType(type);
  return { index, type, typeName, means, digest, dataBytes: data.length, ...textsOf(event) };
}

type Texts = Pick<ExplainedEvent, 'bound' | 'boundText' | 'claimedText'>;

function textsOf(event: LogEvent): Texts {
  const { covered, type, data, name } = event;
  if (covered.kind === 'unmeasured' || covered.kind === 'digest') {
    return { bound: 'none', boundText: '', claimedText: claimOf(event) };
  }
  if (covered.kind === 'contradicted') {
    return { bound: 'contradicted', boundText: '', claimedText: claimOf(event) };
  }
  if (covered.kind === 'part') return { bound: 'part', ...partTexts(event, covered) };
  if (covered.kind === 'data') {
    return { bound: 'all', boundText: describeData(type, data), claimedText: textOf(name) };
  }
  return { bound: 'all', boundText: runtimeText(event), claimedText: '' };
}

function claimOf({ name, type, data }: LogEvent): string {
  const about = data.length === 0 ? '' : describeData(type, data);
  return name === '' ? about : cut(`${textOf(name)} ${about}`.trimEnd());
}

function textOf(name: string): string {
  return printableText(name, MAX);
}

function payloadText(data: Uint8Array): string {
  return printableBytes(data, MAX);
}

function cut(text: string): string {
  return text.slice(0, MAX);
}

/** Where the border is not proven, name and payload are shown as they were hashed. */
function runtimeText({ name, data, covered }: LogEvent): string {
  if (covered.kind === 'joined') return cut(withoutEquals(`${textOf(name)}:${payloadText(data)}`));
  const shown = withoutEquals(textOf(name));
  return cut(data.length === 0 ? shown : `${shown} = ${payloadText(data)}`);
}

/** The value of a variable without its name, or a command without its label. */
function partTexts({ type, data }: LogEvent, { from, to }: Range): Omit<Texts, 'bound'> {
  const part = data.subarray(from, to);
  const variable = eventType(type).covers === 'variable' ? variableOf(data) : undefined;
  if (variable !== undefined) {
    const name = variableName(variable);
    return { claimedText: cut(name), boundText: cut(describeValue(name, part)) };
  }
  return {
    claimedText: printableBytes(data.subarray(0, from), MAX).trimEnd(),
    boundText: printableBytes(part, MAX),
  };
}
