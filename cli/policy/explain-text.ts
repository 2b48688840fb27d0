/**
 * What `veilgate policy explain` says to people: the decision, the nearest rule with what failed in it and where the line
 * stands, what is known about the value that came, and what to do. Nothing from evidence moves a cursor.
 * Spec: gpu-and-policy §5.5 (model output).
 * @module
 */

import { formatInstant } from '../../core/clock.ts';
import { toHex } from '../../core/bytes.ts';
import { paint } from '../../core/node/terminal.ts';
import { countText } from '../../attestation/policy/explain.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import type { JudgedRule } from '../../attestation/policy/judge-rule.ts';
import {
  knownTuples,
  measuredValues,
  type KnownTuple,
} from '../../attestation/policy/remedy/known.ts';
import type { Remedy } from '../../attestation/policy/remedy.ts';
import type { TeeFacts } from '../../attestation/tee.ts';
import type { Check } from '../../attestation/verdict.ts';
import { explainedChecks, MENDERS } from '../attest/explain.ts';
import type { Judgement } from '../attest/judge.ts';
import { labelled, paragraph, type Page } from '../attest/text.ts';
import { checkLines, short, skippedLines } from './check-text.ts';
import { policyName } from './compile.ts';
import { editLines } from './edit-text.ts';
import type { Ruling } from './evidence.ts';

export interface Explained {
  readonly judgement: Judgement;
  readonly policy: CompiledPolicy;
  readonly ruling: Ruling;
  readonly remedy: Remedy;
  readonly candidate?: { readonly policy: CompiledPolicy; readonly ruling: Ruling };
}

export interface Shown {
  readonly rule?: string;
  readonly allRules?: true;
}

/** The one that is asked for, else the one of the verdict. */
export function nearestRule({ rules, verdict }: Ruling, only?: string): JudgedRule | undefined {
  const name = only ?? verdict.rule;
  return rules.find(({ rule }) => rule === name);
}

export function explainedLines(explained: Explained, shown: Shown, page: Page): readonly string[] {
  const { ruling } = explained;
  const first = nearestRule(ruling, shown.rule);
  const others = shown.allRules === true ? ruling.rules.filter((rule) => rule !== first) : [];
  const isWhole = shown.allRules === true || shown.rule !== undefined;
  const sections = [
    commonLines(ruling.common, isWhole, page),
    first === undefined ? [] : tableLines(first.checks, isWhole, page),
    ...others.map((rule) => [ruleHeading('rule', rule), ...tableLines(rule.checks, true, page)]),
    noteLines(explained, page),
    nextLines(explained, page),
  ];
  return [
    ...headLines(explained, first, page),
    ...sections.filter((lines) => lines.length > 0).flatMap((lines) => ['', ...lines]),
  ];
}

function headLines(
  { judgement, policy, ruling }: Explained,
  rule: JudgedRule | undefined,
  page: Page,
): readonly string[] {
  const word = ruling.isAdmitted ? 'ADMIT' : 'DENY';
  const [first = '', ...rest] = labelled(`${word}  `, judgement.subject.name, page, 7);
  const colour = ruling.isAdmitted ? 'green' : 'red';
  const kind = ruling.isAdmitted ? 'rule' : 'nearest rule';
  const { image, shape, model, simulated } = ruling.verdict;
  const names = [model, image, shape].filter((name) => name !== undefined).join(' / ');
  const about = `policy ${policyName(policy)} (${digestText(policy)}), as of ${formatInstant(judgement.nowMs)}`;
  return [
    paint(colour, paint('bold', word)) + first.slice(word.length),
    ...rest,
    ...paragraph(about, page, '  '),
    ...(names === '' ? [] : paragraph(names, page, '  ')),
    ...(rule === undefined ? ['  no rule'] : [`  ${ruleHeading(kind, rule)}`]),
    ...(simulated && judgement.machine.result.authentic
      ? [paint('yellow', '  SIMULATED: a development root vouches for it. This protects nothing.')]
      : []),
    ...judgement.subject.notes.flatMap((note) => paragraph(note, page, '  ')),
  ];
}

function digestText({ digest }: CompiledPolicy): string {
  return `sha256:${toHex(digest).slice(0, 16)}…`;
}

function ruleHeading(kind: string, { rule, checks }: JudgedRule): string {
  return `${kind}: ${paint('bold', rule)} (${countText(checks)})`;
}

/** What no rule decides: the failed ones alone, because there are over a hundred. */
function commonLines(checks: readonly Check[], isWhole: boolean, page: Page): readonly string[] {
  const failed = checks.filter(({ outcome }) => outcome === 'fail');
  const waived = checks.filter(({ outcome }) => outcome === 'waived');
  if (failed.length === 0 && !isWhole) return [];
  return [
    `in common to all rules (${countText(checks)})`,
    ...failed.flatMap((check) => checkLines(check, page)),
    ...(isWhole ? waived.flatMap((check) => checkLines(check, page)) : []),
    ...skippedLines(checks, page),
  ];
}

function tableLines(checks: readonly Check[], isWhole: boolean, page: Page): readonly string[] {
  const order = isWhole ? (['fail', 'waived', 'pass'] as const) : (['fail', 'waived'] as const);
  return [
    ...order.flatMap((outcome) =>
      checks
        .filter((check) => check.outcome === outcome)
        .flatMap((check) => checkLines(check, page)),
    ),
    ...skippedLines(checks, page),
  ];
}

/** Where what came is known already, here or in the policy that is to come. */
function noteLines(explained: Explained, page: Page): readonly string[] {
  const { ruling, policy, candidate, judgement } = explained;
  const isMeasured = nearestRule(ruling)?.checks.some(
    ({ id, outcome }) =>
      outcome === 'fail' && (id === 'cpu.measurements' || id === 'workload.image'),
  );
  const known = isMeasured === true && ruling.facts !== undefined ? knownNotes : noNotes;
  const notes = [
    ...oldEvidence(judgement, ruling),
    ...known(ruling.facts, { policy, where: 'this policy', nearest: policy }),
    ...(candidate === undefined
      ? []
      : [
          ...known(ruling.facts, {
            policy: candidate.policy,
            where: `candidate ${policyName(candidate.policy)}`,
            nearest: policy,
          }),
          candidateNote(candidate),
        ]),
  ];
  return notes.flatMap((note) => labelled(' note    ', note, page, 9));
}

/** Captured evidence ends within the hour: what was true then is asked with the clock of then. */
function oldEvidence({ statement }: Judgement, { common }: Ruling): readonly string[] {
  const isOver = common.some(({ id, outcome }) => id === 'statement.expired' && outcome === 'fail');
  if (!isOver || statement === undefined) return [];
  const made = formatInstant(statement.iat * 1000);
  return [`this evidence was made at ${made}: to judge it as of then, add --at ${made}`];
}

interface Knowing {
  readonly policy: CompiledPolicy;
  readonly where: string;
  /** Whose nearest tuple says which values are in question. */
  readonly nearest: CompiledPolicy;
}

function noNotes(): readonly string[] {
  return [];
}

function knownNotes(
  facts: TeeFacts | undefined,
  { policy, where, nearest }: Knowing,
): readonly string[] {
  if (facts === undefined) return [];
  const tuples = knownTuples(facts, policy);
  const place = ({ image, shape, at }: KnownTuple): string =>
    `${image}/${shape} of ${where} [${at}]`;
  const [best] = tuples;
  if (best?.other.length === 0) return [`all that it measured is known: ${place(best)}`];
  const values = measuredValues(facts);
  const [wanted] = knownTuples(facts, nearest);
  const asked = wanted === undefined ? [] : wanted.other;
  return asked.flatMap((name) => {
    const found = tuples.find(({ same }) => same.includes(name));
    return found === undefined
      ? []
      : [`${name} ${short(values.get(name) ?? '')} is known: ${place(found)}`];
  });
}

function candidateNote({ policy, ruling }: NonNullable<Explained['candidate']>): string {
  const { rule, image, shape } = ruling.verdict;
  const by = [rule, image, shape].filter((name) => name !== undefined).join(' / ');
  const failed = [...ruling.common, ...(nearestRule(ruling)?.checks ?? [])]
    .filter(({ outcome }) => outcome === 'fail')
    .map(({ id }) => id);
  return ruling.isAdmitted
    ? `candidate ${policyName(policy)} would ADMIT it, by ${by}`
    : `candidate ${policyName(policy)} would DENY it: ${failed.join(', ')}`;
}

/** The sound action first, and it need not be an edit; then the smallest edit, then why there is none. */
function nextLines(explained: Explained, page: Page): readonly string[] {
  const { ruling, remedy, candidate } = explained;
  if (ruling.isAdmitted) return [];
  const promote =
    candidate?.ruling.isAdmitted === true
      ? labelled(' next    ', `promote the candidate ${policyName(candidate.policy)}`, page, 9)
      : [];
  return [...promote, ...adviceLines(explained, page), ...remedyLines(explained, remedy, page)];
}

const ADVICE_MAX = 6;

/** For what others than the writer of the policy can mend. */
function adviceLines({ judgement, ruling }: Explained, page: Page): readonly string[] {
  const rule = nearestRule(ruling);
  const checks = [...ruling.common, ...(rule?.checks ?? [])];
  const others = explainedChecks({ ...judgement, checks }).filter(
    ({ explanation }) => explanation.mender !== 'policy',
  );
  const byText = Map.groupBy(
    others,
    ({ explanation: { mender, fix }, advice }) => `(${MENDERS[mender]}) ${advice ?? fix}`,
  );
  const shown = [...byText].slice(0, ADVICE_MAX);
  const more = byText.size - shown.length;
  return [
    ...shown.flatMap(([text, group]) =>
      labelled(' next    ', `${group.map(({ id }) => id).join(', ')}: ${text}`, page, 9),
    ),
    ...(more > 0 ? [`         and ${more} more: veilgate attest explain`] : []),
  ];
}

function remedyLines({ policy }: Explained, remedy: Remedy, page: Page): readonly string[] {
  if (remedy.outcome === 'admitted') {
    return labelled(
      ' edit    ',
      'none is needed: the policy admits this evidence otherwise',
      page,
      9,
    );
  }
  if (remedy.outcome === 'none') {
    return [
      ' edit    none: no change of the policy admits this evidence',
      ...[...Map.groupBy(remedy.obstacles, ({ why }) => why)].flatMap(([why, group]) =>
        labelled('         ', `${group.map(({ check }) => check).join(', ')}: ${why}`, page, 9),
      ),
    ];
  }
  const count = remedy.edits.length === 1 ? '1 edit' : `${remedy.edits.length} edits`;
  const { serial } = policy.document;
  const proof = `the smallest change that would admit it, by rule ${remedy.rule} (${count}; tried: with this it is admitted, with less it is not). Raise serial above ${serial}; a person decides whether it is right.`;
  return [
    ...labelled(' edit    ', proof, page, 9),
    ...remedy.edits.flatMap((each, index) => editLines(each, index + 1, { policy, page })),
  ];
}
