/**
 * `veilgate attest explain`: for each failed check what it compares, why that matters and who does what about it; what of
 * the machine is behind and which advisories that leaves open; and what nobody looked at.
 * @module
 */

import { formatInstant } from '../../core/clock.ts';
import { paint } from '../../core/node/terminal.ts';
import { spanText } from '../../attestation/dated-advice.ts';
import type { Explanation, Mender } from '../../attestation/explanation.ts';
import { explanationOf, warningExplanationOf } from '../../attestation/explanations.ts';
import {
  ADVISORIES_CAVEAT,
  judgeAdvisories,
  type AdvisoryFinding,
} from '../../attestation/snp/advisories.ts';
import { snpRemedies, tcbRemarks } from '../../attestation/snp/remedies.ts';
import {
  behindParts,
  freshnessAdvice,
  relaunchAdvice,
  type BehindPart,
} from '../../attestation/tdx/behind.ts';
import { componentNames } from '../../attestation/tdx/component-names.ts';
import { wantText, type Check } from '../../attestation/verdict.ts';
import { COMMAND_LINE, type Judgement, type MachineResult } from './judge.ts';
import { inShort } from './short.ts';
import { labelled, paragraph, printable, type Page } from './text.ts';

export interface ExplainedCheck {
  readonly id: string;
  readonly want: string;
  readonly got: string;
  readonly explanation: Explanation;
  /** With the numbers of this evidence. */
  readonly advice?: string;
  /** Checks that could not be made because of it. */
  readonly hides: readonly string[];
}

const UNEXPLAINED: Explanation = {
  checks: 'A check that this version has no words for.',
  matters: 'It did not pass.',
  mender: 'verifier',
  fix: 'Report it.',
};

export function explainedChecks(judgement: Judgement): readonly ExplainedCheck[] {
  const { checks, machine } = judgement;
  const advice = adviceOf(judgement);
  return checks.flatMap((check) => {
    if (check.outcome !== 'fail') return [];
    const { id, got } = check;
    const want = wantText(check);
    const found = advice.get(id) ?? advice.get(id.replace(/^cpu\./, 'policy.'));
    const hides = checks.flatMap((other) =>
      other.outcome === 'skipped' && other.because === id ? [other.id] : [],
    );
    const explanation = explanationOf(machine.tee, id) ?? UNEXPLAINED;
    return [
      { id, want, got, explanation, hides, ...(found === undefined ? {} : { advice: found }) },
    ];
  });
}

/** With the certificate of another key no signature holds: that is no sign of forgery yet. */
const WRONG_CERTIFICATE = [
  'report.signature',
  'Hand over the right certificate first (see the bind checks): with that of another key no signature holds.',
] as const;

function adviceOf({ machine, statement, checks, nowMs }: Judgement): ReadonlyMap<string, string> {
  const isForeign = checks.some(
    ({ id, outcome }) => outcome === 'fail' && id.startsWith('bind.') && id !== 'bind.tcbOrder',
  );
  const ofMachine =
    machine.tee === 'tdx'
      ? freshnessAdvice(machine.result.collateral, nowMs)
      : new Map([...snpRemedies(machine.result.facts), ...(isForeign ? [WRONG_CERTIFICATE] : [])]);
  if (statement === undefined) return ofMachine;
  const { iat, exp } = statement;
  const ahead = iat * 1000 - nowMs;
  const over = nowMs - exp * 1000;
  return new Map([
    ...ofMachine,
    ...(ahead > 0
      ? [
          [
            'statement.notYetValid',
            `The worker’s clock is ${spanText(ahead)} ahead of yours.`,
          ] as const,
        ]
      : []),
    ...(over >= 0
      ? [['statement.expired', `It ended ${spanText(over)} ago: ask for new evidence.`] as const]
      : []),
  ]);
}

/** Of a genuine TDX machine; empty when it is current. */
export function behindOf(machine: MachineResult): readonly BehindPart[] {
  if (machine.tee === 'snp' || machine.result.tcb === undefined) return [];
  return behindParts(machine.result.tcb, componentNames(machine.machine.collateral.tcbInfo));
}

/** What AMD's bulletins ask for and this report shows, whether or not the report is genuine. */
export function bulletinsOf(machine: MachineResult): readonly AdvisoryFinding[] {
  if (machine.tee === 'tdx' || machine.result.facts === undefined) return [];
  return judgeAdvisories(machine.result.facts);
}

/** How the parts of the machine stand to each other, and what follows. */
export function remarksOf(machine: MachineResult): readonly string[] {
  if (machine.tee === 'snp') {
    return machine.result.facts === undefined ? [] : tcbRemarks(machine.result.facts);
  }
  const relaunch =
    machine.result.tcb === undefined ? undefined : relaunchAdvice(machine.result.tcb);
  return relaunch === undefined ? [] : [relaunch];
}

export function explainLines(judgement: Judgement, page: Page): readonly string[] {
  const { machine, warnings } = judgement;
  const sections = [
    shortLines(judgement, page),
    failureLines(explainedChecks(judgement), page),
    machine.tee === 'tdx'
      ? behindLines(judgement, page)
      : [...remarkLines(machine, page), ...bulletinLines(machine, page)],
    warnings.flatMap((warning) => warningLines(warning, page)),
    waivedLines(judgement, page),
  ];
  return sections.filter(({ length }) => length > 0).flatMap((lines) => ['', ...lines]);
}

function shortLines(judgement: Judgement, page: Page): readonly string[] {
  const text = inShort(judgement);
  return text === undefined ? [] : [heading('In short'), ...paragraph(text, page, '  ')];
}

function heading(text: string): string {
  return paint('bold', text);
}

const LABEL_COLUMNS = 8;
export const MENDERS: Readonly<Record<Mender, string>> = {
  host: 'whoever runs the machine',
  guest: 'whoever builds and launches the guest',
  verifier: 'you, who verify',
  sender: 'whoever sent it',
  policy: 'whoever writes the policy',
};

function failureLines(explained: readonly ExplainedCheck[], page: Page): readonly string[] {
  if (explained.length === 0) return [heading('Nothing failed.')];
  const title = explained.length === 1 ? '1 check failed' : `${explained.length} checks failed`;
  return [heading(title), ...explained.flatMap((check) => checkLines(check, page))];
}

function checkLines(check: ExplainedCheck, page: Page): readonly string[] {
  const { id, want, got, explanation, advice, hides } = check;
  const { checks, matters, mender, fix } = explanation;
  const line = (label: string, text: string): readonly string[] =>
    labelled(`  ${label}`, text, page, LABEL_COLUMNS);
  return [
    '',
    paint('red', id),
    ...line('want', want),
    ...line('got', got),
    ...line('what', checks),
    ...line('why', matters),
    ...line('do', `(${MENDERS[mender]}) ${advice ?? fix}`),
    ...(hides.length === 0 ? [] : line('hides', hidesText(hides))),
  ];
}

const HIDDEN_SHOWN_MAX = 6;

function hidesText(ids: readonly string[]): string {
  const shown = ids.slice(0, HIDDEN_SHOWN_MAX).join(', ');
  const more = ids.length - HIDDEN_SHOWN_MAX;
  const what = ids.length === 1 ? '1 further check' : `${ids.length} further checks`;
  return `${what} could not be made: ${shown}${more > 0 ? ` and ${more} more` : ''}`;
}

function behindLines(judgement: Judgement, page: Page): readonly string[] {
  const { machine } = judgement;
  if (machine.tee !== 'tdx') return [];
  const { tcb, authentic } = machine.result;
  if (!authentic || tcb === undefined) {
    return [
      heading('What is behind'),
      ...paragraph(
        'Not known: TCB levels count for genuine evidence with genuine collateral only.',
        page,
        '  ',
      ),
    ];
  }
  const parts = behindOf(machine);
  if (parts.length === 0) return [heading('Nothing is behind: every part is up to date.')];
  const remarks = remarksOf(machine).flatMap((remark) => paragraph(remark, page, '  '));
  const site = parts.some(({ advisoryIds }) => advisoryIds.length > 0)
    ? ['', ...paragraph(`Intel’s advisories: ${ADVISORY_SITE}`, page, '  ')]
    : [];
  return [
    heading('What is behind'),
    ...parts.flatMap((part) => partLines(part, page)),
    ...(remarks.length === 0 ? [] : ['', ...remarks]),
    ...site,
  ];
}

const JUDGED: Readonly<Record<BehindPart['judged'], string>> = {
  both: '',
  launch: ' at launch',
  current: ' now',
};
const ADVISORY_SITE = 'https://www.intel.com/content/www/us/en/security-center/default.html';

function partLines(behind: BehindPart, page: Page): readonly string[] {
  const { part, judged, status, tcbDate, advisoryIds, components, remedies } = behind;
  const level =
    tcbDate === undefined
      ? 'below every level that Intel lists'
      : `reaches Intel’s level of ${tcbDate}`;
  const width = 4;
  return [
    '',
    ...labelled('  ', `${part}${JUDGED[judged]}: ${status}, ${level}`, page, 2),
    ...components.flatMap(({ component, name, have, need }) =>
      labelled('    ', `${name} (${component}) has ${have}, needs ${need}`, page, width),
    ),
    ...(advisoryIds.length === 0
      ? []
      : labelled('    open: ', advisoryIds.join(', '), page, LABEL_COLUMNS + 2)),
    ...remedies.flatMap((remedy) => labelled('    do: ', remedy, page, LABEL_COLUMNS)),
  ];
}

function remarkLines(machine: MachineResult, page: Page): readonly string[] {
  const remarks = remarksOf(machine);
  if (remarks.length === 0) return [];
  return [
    heading('What the TCB values say'),
    ...remarks.flatMap((remark) => labelled('  do: ', remark, page, LABEL_COLUMNS - 2)),
    '',
  ];
}

function bulletinLines(machine: MachineResult, page: Page): readonly string[] {
  const findings = bulletinsOf(machine);
  if (findings.length === 0) return [];
  const { authentic } = machine.result;
  const title = authentic
    ? 'AMD’s bulletins, by what this report shows'
    : 'AMD’s bulletins, by what this report claims (it did not verify)';
  const of = (outcome: AdvisoryFinding['outcome']): readonly AdvisoryFinding[] =>
    findings.filter((finding) => finding.outcome === outcome);
  return [
    heading(title),
    ...paragraph(ADVISORIES_CAVEAT, page, '  '),
    ...of('lacking').flatMap((finding) => lackingLines(finding, page)),
    ...namesLine('fix shown', of('shown'), page),
    ...namesLine('number not known here, see the bulletin', of('unnumbered'), page),
    ...namesLine('no report can show it', of('unseen'), page),
  ];
}

function lackingLines({ advisory, gaps }: AdvisoryFinding, page: Page): readonly string[] {
  const { id, name, about, note } = advisory;
  const gapText = gaps
    .map(({ what, have, need }) => `${what} is ${have}, needs ${need}`)
    .join('; ');
  return [
    ...labelled('  fix not shown: ', `${id}${name === id ? '' : ` (${name})`}. ${about}`, page, 4),
    ...labelled('    ', gapText, page, 4),
    ...(note === undefined ? [] : labelled('    ', note, page, 4)),
  ];
}

function namesLine(
  label: string,
  findings: readonly AdvisoryFinding[],
  page: Page,
): readonly string[] {
  if (findings.length === 0) return [];
  const names = findings.map(({ advisory: { id, name } }) =>
    id === name ? id : `${name} (${id})`,
  );
  return labelled(`  ${label}: `, names.join(', '), page, 4);
}

function warningLines(
  { id, detail }: { readonly id: string; readonly detail: string },
  page: Page,
): readonly string[] {
  const explanation = warningExplanationOf(id);
  return [
    `${paint('yellow', 'warning')} ${printable(id)}`,
    ...labelled('  got', detail, page, LABEL_COLUMNS),
    ...(explanation === undefined
      ? []
      : [
          ...labelled('  why', explanation.matters, page, LABEL_COLUMNS),
          ...labelled(
            '  do',
            `(${MENDERS[explanation.mender]}) ${explanation.fix}`,
            page,
            LABEL_COLUMNS,
          ),
        ]),
  ];
}

/** Nothing is left unchecked without a word. */
function waivedLines({ checks, validUntilMs }: Judgement, page: Page): readonly string[] {
  const waived = checks.filter((check) => check.outcome === 'waived');
  const until =
    validUntilMs === 0
      ? []
      : paragraph(`Good until ${formatInstant(validUntilMs)}; verify again then.`, page);
  if (waived.length === 0) return until;
  const groups = Map.groupBy(waived, noteOf);
  return [
    heading('What nobody looked at (waived)'),
    ...[...groups].flatMap(([note, group]) =>
      labelled('  ', `${note}: ${group.map(({ id }) => id).join(' ')}`, page, 4),
    ),
    ...until,
  ];
}

function noteOf(check: Check): string {
  if (check.outcome !== 'waived') return '';
  // A policy's line is named; the command line knows what it was not given.
  return check.by === COMMAND_LINE ? check.note : `${check.note} [${check.by}]`;
}
