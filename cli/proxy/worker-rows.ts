/**
 * Verdicts as rows: one for each worker and model, with what was verified about it in one line, and why not where it was
 * not. Everything that came from outside is made printable here, once.
 * @module
 */

import { formatInstant } from '../../core/clock.ts';
import { printable } from '../../core/node/terminal.ts';
import { toHex } from '../../core/bytes.ts';
import { countText, describeFindings, describeVerdict } from '../../attestation/policy/explain.ts';
import { wantText, type Verdict } from '../../attestation/verdict.ts';
import type { JsonObject } from '../../core/json.ts';
import type { WorkerVerdict } from '../../client/session.ts';
import { WORKERS_SHOWN_MAX } from './limits.ts';

export interface WorkerRow {
  /** By the attested card where it was admitted; otherwise as the gateway names it. */
  readonly workerId: string;
  readonly model: string;
  readonly outcome: 'verified' | 'denied' | 'unreadable';
  readonly simulated: boolean;
  /** Of checks, such as `57 pass, 4 waived`; empty where none was made. */
  readonly checks: string;
  /** The first failing check, or what could not be read. */
  readonly why: string | undefined;
  /** The verdict in one line. */
  readonly line: string;
  readonly rule: string | undefined;
  readonly image: string | undefined;
  readonly policy: string;
  readonly validUntilMs: number;
}

const ID_MAX_CHARS = 64;
const TEXT_MAX_CHARS = 400;

export function safe(text: string, maxChars = TEXT_MAX_CHARS): string {
  return printable(text).slice(0, maxChars);
}

/** Admitted ones first; of one worker and model the best, because old and new statements overlap. */
export function workerRows(verdicts: readonly WorkerVerdict[]): readonly WorkerRow[] {
  const rows = new Map<string, WorkerRow>();
  for (const verdict of verdicts) {
    const row = workerRow(verdict);
    const known = rows.get(rowKey(row));
    if (known === undefined || isBetter(row, known)) rows.set(rowKey(row), row);
  }
  return [...rows.values()].sort((a, b) => rank(a) - rank(b)).slice(0, WORKERS_SHOWN_MAX);
}

export function rowKey({ workerId, model }: WorkerRow): string {
  return `${workerId} ${model}`;
}

const RANKS = { verified: 0, denied: 1, unreadable: 2 } as const;

function rank({ outcome }: WorkerRow): number {
  return RANKS[outcome];
}

function isBetter(row: WorkerRow, than: WorkerRow): boolean {
  if (rank(row) !== rank(than)) return rank(row) < rank(than);
  return row.validUntilMs > than.validUntilMs;
}

export function workerRow({ claimedWorkerId, appraisal }: WorkerVerdict): WorkerRow {
  if (appraisal.outcome === 'unreadable') {
    return {
      ...NOBODY,
      workerId: safe(claimedWorkerId, ID_MAX_CHARS),
      outcome: 'unreadable',
      why: appraisal.code,
      line: `UNREADABLE  ${appraisal.code}`,
    };
  }
  const { verdict } = appraisal;
  const [line = ''] = describeVerdict(verdict);
  const isAdmitted = appraisal.outcome === 'admitted';
  return {
    workerId: isAdmitted ? provenId(verdict, claimedWorkerId) : safe(claimedWorkerId, ID_MAX_CHARS),
    model: safe(verdict.model ?? ''),
    outcome: isAdmitted ? 'verified' : 'denied',
    simulated: verdict.simulated,
    checks: countText(verdict.checks),
    why: isAdmitted ? undefined : firstFailure(verdict),
    line: safe(line),
    rule: verdict.rule,
    image: verdict.image,
    policy: `${verdict.policy.name}#${verdict.policy.serial}`,
    validUntilMs: verdict.validUntilMs,
  };
}

const NOBODY = {
  model: '',
  simulated: false,
  checks: '',
  rule: undefined,
  image: undefined,
  policy: '',
  validUntilMs: 0,
} as const;

/** What a revocation of this worker would name. */
function provenId({ revocable }: Verdict, claimed: string): string {
  const key = revocable.find(({ kind }) => kind === 'key');
  return key?.value ?? safe(claimed, ID_MAX_CHARS);
}

function firstFailure({ checks }: Verdict): string | undefined {
  const failed = checks.find((check) => check.outcome === 'fail');
  if (failed === undefined) return undefined;
  return safe(`${failed.id}: want ${wantText(failed)}, got ${failed.got}`);
}

/** Nothing is left out: every check with its outcome. */
export function verdictJson(verdict: WorkerVerdict, nowMs: number): JsonObject {
  const row = workerRow(verdict);
  const { appraisal, gateway } = verdict;
  return {
    worker: row.workerId,
    model: row.model,
    outcome: row.outcome,
    simulated: row.simulated,
    why: row.why ?? null,
    gateway: { outcome: gateway.outcome, note: 'note' in gateway ? gateway.note : null },
    ...(appraisal.outcome === 'unreadable' ? {} : judgedJson(appraisal.verdict, nowMs)),
  };
}

function judgedJson(verdict: Verdict, nowMs: number): JsonObject {
  const { policy, rule, image, shape, tcbStatus, platform, validUntilMs } = verdict;
  return {
    policy: { name: policy.name, serial: policy.serial, sha256: toHex(policy.digest) },
    rule: rule ?? null,
    image: image ?? null,
    shape: shape ?? null,
    tee: platform?.tee ?? null,
    platform: platform === undefined ? null : { ...platform.ids },
    tcbStatus: tcbStatus ?? null,
    validUntil: validUntilMs > 0 ? formatInstant(validUntilMs) : null,
    expired: validUntilMs <= nowMs,
    warnings: verdict.warnings.map(({ id, detail }) => ({ id, detail })),
    checks: verdict.checks.map((check) => ({ ...check })),
  };
}

/** For people who ask with curl: the same, as text. */
export function verdictText(verdict: WorkerVerdict): readonly string[] {
  const row = workerRow(verdict);
  const head = `${row.workerId}  ${row.line}`;
  const { appraisal } = verdict;
  if (appraisal.outcome === 'unreadable') return [head];
  return [head, ...describeFindings(appraisal.verdict)];
}
