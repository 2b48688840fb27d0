/** The same few facts about a judgement that all three commands open with. @module */

import { toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { paint, type Colour } from '../../core/node/terminal.ts';
import { describeFindings, describeVerdict } from '../../attestation/policy/explain.ts';
import { tcbText } from '../../attestation/snp/tcb.ts';
import type { Check, PlatformIdentity } from '../../attestation/verdict.ts';
import type { Judgement, MachineResult } from './judge.ts';
import { EVIDENCE_KINDS, type Subject, type Unreadable } from './subject.ts';
import { labelled, paragraph, printable, wrappedRow, type Page } from './text.ts';

export const WORDS = {
  accepted: 'ACCEPTED',
  rejected: 'REJECTED',
  undecided: 'UNDECIDED',
} as const;
export const OUTCOME_COLOURS = {
  accepted: 'green',
  rejected: 'red',
  undecided: 'yellow',
} as const satisfies Record<Judgement['outcome'], Colour>;

export function takenFor({ kind, sizeBytes, encoding }: Subject): string {
  const form = encoding === 'binary' || encoding === 'json' ? '' : ` in ${encoding}`;
  return `${EVIDENCE_KINDS[kind]}, ${sizeBytes} bytes${form}`;
}

/** Verdict, what it is about and what it does not say: nobody may read the first word alone and be misled. */
export function headLines(judgement: Judgement, page: Page): readonly string[] {
  const { outcome, subject, machine, verdict, nowMs } = judgement;
  const word = verdict === undefined ? `${WORDS[outcome]}, NO POLICY` : WORDS[outcome];
  const [first = '', ...rest] = labelled(`${word}  `, subject.name, page, word.length + 2);
  const painted = paint(OUTCOME_COLOURS[outcome], paint('bold', word)) + first.slice(word.length);
  return [
    painted,
    ...rest,
    ...paragraph(
      `Taken for: ${takenFor(subject)}. Judged as of ${formatInstant(nowMs)}.`,
      page,
      '  ',
    ),
    ...(verdict === undefined ? paragraph(noPolicyText(judgement), page, '  ') : []),
    ...(subject.kind === 'azure-hcl' ? paragraph(PARAVISOR, page, '  ') : []),
    ...(machine.result.simulated
      ? paragraph(SIMULATED, page, '  ').map((line) => paint('yellow', line))
      : []),
    ...missingLines(judgement, page),
  ];
}

const PARAVISOR =
  'On Azure the hardware vouches for the paravisor, not for the guest: what runs there stands in a quote of the vTPM, which is not judged here (docs/azure.md).';
const SIMULATED =
  'SIMULATED: the chain ends in a development root that anybody may have made. This protects nothing.';

const NO_POLICY = {
  tdx: 'genuine TDX hardware, current firmware, no debugging',
  snp: 'genuine SEV-SNP hardware and no debugging. Whether its firmware is new enough was not judged: AMD has no word for that, a policy has floors',
} as const;

function noPolicyText({ subject, machine, outcome }: Judgement): string {
  const is = outcome === 'accepted' ? 'Accepted means no more than' : 'Judged was only';
  const what = subject.statements === undefined ? 'Measurements' : 'Measurements, image and model';
  const recording =
    subject.statements === undefined && !isReportDataAsked(machine)
      ? ' Nor was its report data (--report-data): it may be a recording.'
      : '';
  return `No policy was applied. ${is}: ${NO_POLICY[machine.tee]}. ${what} were compared with nothing, so any software may run there.${recording} ${
    subject.statements === undefined ? '' : 'Decide with --policy FILE.'
  }`.trimEnd();
}

function isReportDataAsked({ result }: MachineResult): boolean {
  return result.checks.some(
    ({ id, outcome }) => id === 'policy.reportData' && outcome !== 'waived',
  );
}

function missingLines({ missing, subject }: Judgement, page: Page): readonly string[] {
  const notes = subject.notes.flatMap((note) => paragraph(note, page, '  '));
  if (missing.length === 0) return notes;
  const byOption = Map.groupBy(missing, ({ option }) => option);
  const text = [...byOption]
    .map(
      ([option, parts]) => `${parts.map(({ name }) => name).join(', ')} (hand over with ${option})`,
    )
    .join('; ');
  const lines = paragraph(`Missing, and so not judged: ${text}.`, page, '  ');
  return [...lines.map((line) => paint('yellow', line)), ...notes];
}

export function unreadableLines({ name, code, reason }: Unreadable, page: Page): readonly string[] {
  const [first = '', ...rest] = labelled('UNREADABLE  ', `${name}: ${code}: ${reason}`, page, 12);
  return [paint('yellow', paint('bold', 'UNREADABLE')) + first.slice('UNREADABLE'.length), ...rest];
}

const HANG_COLUMNS = 8;

/** Failed and waived checks, and what else a verdict has: a policy's in full, without one in short. */
export function findingLines(judgement: Judgement, page: Page): readonly string[] {
  const { verdict, checks, warnings, validUntilMs, machine } = judgement;
  if (verdict !== undefined) {
    return describeVerdict(verdict).flatMap((row) => colouredRow(row, page));
  }
  const notAsked = checks.filter(isNotAsked);
  const platform = platformOf(machine);
  const tcbStatus = tcbStatusOf(machine);
  const rows = describeFindings({
    checks: checks.filter((check) => !isNotAsked(check)),
    warnings,
    ...(platform === undefined ? {} : { platform }),
    ...(tcbStatus === undefined ? {} : { tcbStatus }),
    validUntilMs,
  });
  return [...rows, ...notAskedRows(notAsked.map(({ id }) => id))].flatMap((row) =>
    colouredRow(row, page),
  );
}

const NOT_ASKED_SHOWN_MAX = 10;

/** The other two commands list them all. */
function notAskedRows(ids: readonly string[]): readonly string[] {
  if (ids.length === 0) return [];
  const more = ids.length - NOT_ASKED_SHOWN_MAX;
  const names = ids.slice(0, NOT_ASKED_SHOWN_MAX).join(' ');
  const rest = more > 0 ? ` and ${more} more (explain lists them)` : '';
  return [` waived ${ids.length} checks because no policy was applied: ${names}${rest}`];
}

function isNotAsked(check: Check): boolean {
  return check.outcome === 'waived' && check.note === 'no policy was applied';
}

const ROW_COLOURS: Readonly<Record<string, Colour>> = {
  fail: 'red',
  warn: 'yellow',
  waived: 'dim',
  skipped: 'dim',
  note: 'dim',
};

function colouredRow(row: string, page: Page): readonly string[] {
  const [first = '', ...rest] = wrappedRow(row, page, HANG_COLUMNS);
  const [, word = ''] = /^ (\w+)/.exec(first) ?? [];
  const colour = ROW_COLOURS[word];
  if (colour === undefined) return [first, ...rest];
  return [` ${paint(colour, word)}${first.slice(1 + word.length)}`, ...rest];
}

export function platformOf(machine: MachineResult): PlatformIdentity | undefined {
  if (machine.tee === 'tdx') {
    const { platform } = machine.result;
    if (platform === undefined) return undefined;
    const { ppid, fmspc, pckSerial } = platform;
    return { tee: 'tdx', ids: { ppid, fmspc, pckSerial } };
  }
  const { owner, facts } = machine.result;
  if (owner === undefined || facts === undefined) return undefined;
  const who: Record<string, string> =
    owner.kind === 'vlek'
      ? { cspId: printable(owner.cspId) }
      : { chipId: toHex(facts.report.chipId) };
  const line = facts.siliconLine === undefined ? {} : { siliconLine: facts.siliconLine };
  return { tee: 'snp', ids: { ...line, ...who } };
}

/** In the vendor's words; only of a genuine machine. */
export function tcbStatusOf(machine: MachineResult): string | undefined {
  if (machine.tee === 'tdx') return machine.result.tcb?.status;
  const { authentic, facts } = machine.result;
  return authentic && facts?.tcb !== undefined ? tcbText(facts.tcb.reported) : undefined;
}
