/**
 * A verdict as text for people: the decision in one line, then what failed, what was waived and by which line, then
 * what to know. Names measurements and identities, never content.
 * Spec: gpu-and-policy §5.5.
 * @module
 */

import { toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { wantText, type Check, type Verdict } from '../verdict.ts';

const ID_COLUMN_MIN = 20;

/** One line each, no line breaks inside. */
export function describeVerdict(verdict: Verdict): string[] {
  return [oneLine(headline(verdict)), ...describeFindings(verdict)];
}

/** What stands below a verdict's first line; also where no policy decided. */
export type Findings = Pick<
  Verdict,
  'checks' | 'warnings' | 'platform' | 'tcbStatus' | 'validUntilMs'
>;

/** One line each, no line breaks inside. */
export function describeFindings(findings: Findings): string[] {
  const shown = (['fail', 'waived'] as const).flatMap((outcome) =>
    findings.checks.filter((check) => check.outcome === outcome),
  );
  const width = Math.max(ID_COLUMN_MIN, ...shown.map(({ id }) => id.length));
  const rows = shown.map(
    (check) => ` ${check.outcome.padEnd(7)}${check.id.padEnd(width)}  ${detail(check)}`,
  );
  return [...rows, ...skippedLines(findings.checks), ...noteLines(findings)].map(oneLine);
}

function headline({
  decision,
  policy,
  rule,
  image,
  shape,
  model,
  simulated,
  checks,
}: Verdict): string {
  const subject = [model, image, shape].filter((part) => part !== undefined).join(' / ');
  const ruleText =
    rule === undefined
      ? 'no rule'
      : `${decision === 'admitted' ? 'rule' : 'nearest rule'}: ${rule}`;
  return [
    decision === 'admitted' ? 'ADMIT' : 'DENY ',
    ...(simulated ? ['(simulated)'] : []),
    ...(subject === '' ? [] : [subject]),
    `policy ${policy.name}#${policy.serial} (sha256:${toHex(policy.digest).slice(0, 16)}…)`,
    ruleText,
    `(${countText(checks)})`,
  ].join('  ');
}

/** Such as `41 pass, 2 fail`. */
export function countText(checks: readonly Check[]): string {
  const outcomes = ['pass', 'waived', 'fail', 'skipped'] as const;
  return outcomes
    .map(
      (outcome) => [checks.filter((check) => check.outcome === outcome).length, outcome] as const,
    )
    .filter(([count, outcome]) => count > 0 || outcome === 'pass')
    .map(([count, outcome]) => `${count} ${outcome}`)
    .join(', ');
}

function detail(check: Check): string {
  if (check.outcome === 'fail') return `want ${wantText(check)}   got ${check.got}`;
  if (check.outcome === 'waived') return `${check.note}   by ${check.by}`;
  return check.outcome === 'skipped' ? `because of ${check.because}` : '';
}

/** One line per cause: a broken quote skips dozens of checks. */
function skippedLines(checks: readonly Check[]): readonly string[] {
  const byCause = new Map<string, string[]>();
  for (const check of checks) {
    if (check.outcome !== 'skipped') continue;
    byCause.set(check.because, [...(byCause.get(check.because) ?? []), check.id]);
  }
  return [...byCause].map(([cause, ids]) => ` skipped because of ${cause}: ${ids.join(' ')}`);
}

function noteLines(findings: Findings): readonly string[] {
  const { platform, tcbStatus, warnings, validUntilMs } = findings;
  const ids = platform === undefined ? [] : Object.entries(platform.ids);
  return [
    ...(platform === undefined
      ? []
      : [` note   ${platform.tee} ${ids.map(([name, value]) => `${name} ${value}`).join(', ')}`]),
    ...(tcbStatus === undefined ? [] : [` note   TCB status ${tcbStatus}`]),
    ...warnings.map(({ id, detail }) => ` warn   ${id}  ${detail}`),
    ...(validUntilMs > 0 ? [` note   valid until ${formatInstant(validUntilMs)}`] : []),
  ];
}

/** Parts of the evidence stand in these lines: nothing in them may move a cursor or start a line. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}
