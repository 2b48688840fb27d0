/**
 * What `veilgate measure tdx` says. Texts of the log arrive printable from `explain.ts`; those that no digest covers
 * stand between angle brackets, which such a text cannot contain.
 * @module
 */

import { toHex, isZero, type Bytes } from '../../core/bytes.ts';
import { paint, type Colour } from '../../core/node/terminal.ts';
import type {
  EventLog,
  LogFailure,
  Registers,
  RtmrIndex,
} from '../../attestation/tdx/event-log/event.ts';
import {
  explainEventLog,
  type ExplainedEvent,
  type ExplainedRegister,
} from '../../attestation/tdx/event-log/explain.ts';
import { readFactsUnverified, type DstackFacts } from '../../attestation/tdx/event-log/facts.ts';
import { printableText } from '../../attestation/tdx/event-log/printable.ts';
import type { EventLogResult, Replay } from '../../attestation/tdx/event-log/replay.ts';

export interface TdxMeasurement {
  /** File name of the log. */
  readonly name: string;
  readonly kind: EventLog['kind'];
  readonly replay: Replay;
  /** With a quote. */
  readonly compared?: { readonly quoted: Registers; readonly result: EventLogResult };
}

const TEXT_MAX_CHARS = 160;
const WIDTH = 100;
const TYPE_COLUMN = 32;
const DIGEST_SHOWN_CHARS = 12;
const WRAPPED_LINES_MAX = 10;

/** For programs: the same, with whole digests and every text. */
export function reportJson(measurement: TdxMeasurement): Readonly<Record<string, unknown>> {
  const { kind, replay, compared } = measurement;
  const verdict = compared?.result.verdict ?? null;
  const quote = compared === undefined ? null : { verified: false };
  if (replay.outcome === 'rejected') {
    return { kind, verdict, quote, usable: false, failures: replay.failures };
  }
  const { registers, log, contradictions } = replay;
  const { registers: explained, notMeasured } = explainEventLog(log, registers);
  const facts = factsOf(measurement, log);
  return {
    kind,
    verdict,
    quote,
    usable: contradictions.length === 0,
    failures: contradictions,
    failing: compared?.result.failing ?? [],
    registers: explained.map(({ register, title, value, events }) => ({
      register,
      title,
      value: toHex(value),
      quoted: compared === undefined ? null : toHex(compared.quoted[register]),
      events: events.map(eventJson),
    })),
    notMeasured: notMeasured.map(eventJson),
    facts: facts === undefined || typeof facts === 'string' ? null : factsJson(facts),
    policy: policyOf(measurement, registers) ?? null,
  };
}

function eventJson({ digest, ...event }: ExplainedEvent): Readonly<Record<string, unknown>> {
  return { ...event, digest: toHex(digest) };
}

function factsJson(facts: DstackFacts): Readonly<Record<string, unknown>> {
  const { appId, composeHash, instanceId, osImageHash, keyProvider, applicationEvents } = facts;
  return {
    appId: toHex(appId),
    composeHash: toHex(composeHash),
    instanceId: toHex(instanceId),
    osImageHash: osImageHash === undefined ? null : toHex(osImageHash),
    keyProvider: keyProvider ?? null,
    applicationEvents: applicationEvents.map(({ name, border }) => ({ name, border })),
  };
}

export function reportLines(measurement: TdxMeasurement): readonly string[] {
  const { name, kind, replay } = measurement;
  const title = `${paint('bold', 'TDX event log')} ${printableText(name, TEXT_MAX_CHARS)} (${kind})`;
  if (replay.outcome === 'rejected') {
    return [
      title,
      '',
      paint('red', 'This log cannot be used.'),
      ...replay.failures.map(failureLine),
    ];
  }
  const { registers, log, contradictions } = replay;
  const { registers: explained, notMeasured } = explainEventLog(log, registers);
  return [
    `${title}, ${log.events.length} events`,
    ...explained.flatMap((register) => ['', ...registerLines(register, measurement)]),
    ...(notMeasured.length === 0 ? [] : ['', ...notMeasuredLines(notMeasured)]),
    ...factLines(measurement, log),
    '',
    ...LEGEND,
    '',
    ...contradictions.map(failureLine),
    ...verdictLines(measurement),
    ...policyLines(measurement, registers),
  ];
}

function failureLine({ id, reason }: LogFailure): string {
  return `  ${paint('red', id)}  ${reason}`;
}

function registerLines(
  { register, title, holds, value, events }: ExplainedRegister,
  { compared }: TdxMeasurement,
): readonly string[] {
  const quoted = compared?.quoted[register];
  const agreement = quoted === undefined ? [] : agreementLines(value, quoted);
  return [
    paint('bold', `RTMR${register}  ${title}`),
    ...wrap(holds, INDENT),
    `  ${isZero(value) ? `${toHex(value).slice(0, 16)}…  zero: no event in this log` : toHex(value)}`,
    ...agreement,
    ...events.flatMap(eventLines),
  ];
}

function agreementLines(value: Bytes<48>, quoted: Bytes<48>): readonly string[] {
  if (toHex(value) === toHex(quoted)) return [`  ${paint('green', 'agrees with the quote')}`];
  return [`  ${paint('red', 'differs from the quote, which says')}`, `  ${toHex(quoted)}`];
}

const BOUND: Readonly<Record<ExplainedEvent['bound'], readonly [word: string, colour: Colour]>> = {
  all: ['bound', 'green'],
  part: ['part', 'green'],
  none: ['claim', 'dim'],
  contradicted: ['FALSE', 'red'],
};

const LEGEND: readonly string[] = [
  'bound  the text hashes to the digest, and the digest went into the register',
  'part   the same is true of the text outside the angle brackets',
  'claim  only the digest went into the register: <text> is what the log says about it, and',
  '       whoever handed you the log could have written anything there',
];

function eventLines(event: ExplainedEvent): readonly string[] {
  const [word, colour] = BOUND[event.bound];
  const claimed = event.claimedText === '' ? '' : `<${event.claimedText}>`;
  const text = [claimed, event.boundText].filter((part) => part !== '').join(' ');
  const head = [
    String(event.index).padStart(5),
    event.typeName.padEnd(TYPE_COLUMN),
    toHex(event.digest).slice(0, DIGEST_SHOWN_CHARS),
    paint(colour, word.padEnd(5)),
  ].join('  ');
  const used = 5 + TYPE_COLUMN + DIGEST_SHOWN_CHARS + 5 + 4 * 2;
  if (text.length <= WIDTH - used) return [`${head}  ${text}`.trimEnd()];
  return [head.trimEnd(), ...wrap(text, EVENT_TEXT)];
}

const INDENT = '  ';
/** Before every line of a text from the log: whatever it says, it is not the row of an event. */
const EVENT_TEXT = '       | ';

/** At words where there are any; a long text is cut and says how much is missing. */
function wrap(text: string, before: string): readonly string[] {
  const width = WIDTH - before.length;
  const lines: string[] = [];
  let rest = text;
  while (rest !== '' && lines.length < WRAPPED_LINES_MAX) {
    const space = rest.length <= width ? rest.length : rest.lastIndexOf(' ', width);
    const end = space > width / 2 || rest.length <= width ? space : width;
    lines.push(`${before}${rest.slice(0, end)}`);
    rest = rest.slice(end).trimStart();
  }
  return rest === '' ? lines : [...lines, `${before}… ${rest.length} more characters`];
}

function notMeasuredLines(events: readonly ExplainedEvent[]): readonly string[] {
  return [
    paint('bold', 'In the log, in no register'),
    ...wrap(
      'Remarks of the firmware. Nothing vouches for them, not even for their digests.',
      INDENT,
    ),
    ...events.flatMap(eventLines),
  ];
}

function factsOf({ compared }: TdxMeasurement, log: EventLog): DstackFacts | string | undefined {
  if (log.kind !== 'dstack') return undefined;
  if (compared !== undefined && compared.result.verdict !== 'match') return undefined;
  const facts = readFactsUnverified(log);
  return facts.outcome === 'read' ? facts.value : facts.reason;
}

function factLines(measurement: TdxMeasurement, log: EventLog): readonly string[] {
  const facts = factsOf(measurement, log);
  if (facts === undefined) return [];
  const title = paint('bold', 'What dstack says about the application');
  if (typeof facts === 'string') return ['', title, `  nothing: ${facts}`];
  const rows: readonly (readonly [string, string])[] = [
    ['app id', toHex(facts.appId)],
    ['compose hash', toHex(facts.composeHash)],
    ['instance id', facts.instanceId.length === 0 ? 'none' : toHex(facts.instanceId)],
    ...(facts.osImageHash === undefined ? [] : [['OS image', toHex(facts.osImageHash)] as const]),
    ...(facts.keyProvider === undefined
      ? []
      : [['key provider', printableText(facts.keyProvider, TEXT_MAX_CHARS)] as const]),
    ['its own events', String(facts.applicationEvents.length)],
  ];
  return [
    '',
    title,
    '  As good as RTMR3 is: compare that with a quote you verified.',
    ...rows.map(([name, value]) => `  ${name.padEnd(15)} ${value}`),
  ];
}

function verdictLines({ compared }: TdxMeasurement): readonly string[] {
  if (compared === undefined) {
    return ['No quote to compare with: this is what the log says, and nothing more.'];
  }
  const { result } = compared;
  const unverified = 'The quote was read, not verified: anybody can write one.';
  if (result.verdict === 'match') {
    return [paint('green', 'All four registers agree with the quote.'), unverified];
  }
  const failing = result.failing.join(', ');
  return [paint('red', `The log and the quote do not belong together: ${failing}`), unverified];
}

type PolicyEntry = Readonly<Record<`rtmr${RtmrIndex}`, string>>;

function policyLines(measurement: TdxMeasurement, registers: Registers): readonly string[] {
  const entry = policyOf(measurement, registers);
  if (entry === undefined) return [];
  return [
    '',
    'For the image in a policy, an entry of `tdx:` beside shape and mrtd:',
    '',
    ...Object.entries(entry).map(([name, value]) => {
      return `        ${name}: ${value === 'zero' ? 'zero  # no event in this log' : `"${value}"`}`;
    }),
  ];
}

/** Only for a log that may be what a machine measured. */
function policyOf(
  { replay, compared }: TdxMeasurement,
  registers: Registers,
): PolicyEntry | undefined {
  const isUsable =
    compared === undefined
      ? replay.outcome === 'replayed' && replay.contradictions.length === 0
      : compared.result.verdict === 'match';
  if (!isUsable) return undefined;
  const word = (register: RtmrIndex): string =>
    isZero(registers[register]) ? 'zero' : toHex(registers[register]);
  return { rtmr0: word(0), rtmr1: word(1), rtmr2: word(2), rtmr3: word(3) };
}
