/**
 * From one piece of evidence to a judgement: a policy's where there is one and the evidence is a whole bundle; otherwise
 * authenticity, the baseline rules of the verifier and the form of the statement, with everything else shown as waived.
 * Decides nothing that the verifiers do not.
 * @module
 */

import { appraise, checkCard, gpuCheck, type AppraiseInput } from '../../attestation/appraise.ts';
import type { Card } from '../../attestation/card.ts';
import {
  EVIDENCE_MAX_BYTES,
  oversizedPart,
  type EvidenceBundle,
} from '../../attestation/evidence.ts';
import type { Certificate } from '../../attestation/pki/certificate.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { holds } from '../../attestation/policy/rule-check.ts';
import { AMD_ANCHORS, findAnchor, type SnpAnchor } from '../../attestation/snp/anchors.ts';
import { baselineSnpPolicy } from '../../attestation/snp/guest-policy.ts';
import { verifySnp, type SnpResult } from '../../attestation/snp/verify.ts';
import { verifyStatement, type StatementResult } from '../../attestation/statement-checks.ts';
import type { Statement } from '../../attestation/statement.ts';
import { DEFAULT_ROOTS, findRoot, type TrustRoot } from '../../attestation/tdx/roots.ts';
import { baselineTdxPolicy } from '../../attestation/tdx/td-policy.ts';
import { verifyTdx, type TdxResult } from '../../attestation/tdx/verify.ts';
import type { Check, Verdict, Warning } from '../../attestation/verdict.ts';
import type { Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { attestError } from './errors.ts';
import { isMissing, missingOfSnp, missingOfTdx, type MissingPart } from './missing.ts';
import type { SnpMachine, Statements, Subject, TdxMachine } from './subject.ts';

export interface Question {
  readonly nowMs: number;
  readonly policy?: CompiledPolicy;
  readonly aud?: string;
  readonly challenge?: Bytes<32>;
  readonly reportData?: Bytes<64>;
  /** A development root, by --root. */
  readonly root?: Certificate;
  /** SHA-256 of development roots that a policy names which does not judge here. */
  readonly simulatedRoots?: readonly Bytes<32>[];
}

export type MachineResult =
  | { readonly tee: 'tdx'; readonly machine: TdxMachine; readonly result: TdxResult }
  | {
      readonly tee: 'snp';
      readonly machine: SnpMachine;
      readonly result: SnpResult;
      readonly anchors: readonly SnpAnchor[];
    };

export interface Judgement {
  readonly subject: Subject;
  readonly nowMs: number;
  /** `undecided`: nothing speaks against it but that something to judge it by is missing. */
  readonly outcome: 'accepted' | 'rejected' | 'undecided';
  /** Fixed order, always complete. */
  readonly checks: readonly Check[];
  readonly warnings: readonly Warning[];
  readonly missing: readonly MissingPart[];
  /** Of the policy; absent when none was applied. */
  readonly verdict?: Verdict;
  /** Genuine, whatever a policy says. Under the baseline rules of the verifier. */
  readonly machine: MachineResult;
  /** 0 unless accepted. */
  readonly validUntilMs: number;
  /** The form is right; nothing else is promised. */
  readonly statement?: Statement;
  readonly card?: Card;
}

/** Throws `attest.option` when the question does not fit the evidence. */
export function judge(subject: Subject, question: Question): Judgement {
  assertFits(subject, question);
  const machine = judgeMachine(subject, question);
  const { statements } = subject;
  if (statements === undefined) return judgeBare(subject, question, machine);
  return judgeBundle(subject, question, { statements, machine });
}

function assertFits({ statements, kind }: Subject, question: Question): void {
  const is = kind.endsWith('-bundle') ? 'an evidence bundle' : 'bare evidence of a machine';
  const refuse = (option: string, why: string): never => {
    throw attestError('attest.option', `${option} does not go with ${is}: ${why}`);
  };
  if (statements !== undefined) {
    if (question.reportData !== undefined) {
      refuse('--report-data', 'there the statement says what the report data must be');
    }
    if (question.policy !== undefined && question.root !== undefined) {
      refuse('--root', 'a policy names its own development roots (roots)');
    }
    return;
  }
  if (question.policy !== undefined) {
    refuse('--policy', 'a policy judges the worker’s statement and card too, and here are none');
  }
  if (question.aud !== undefined) refuse('--aud', 'only a statement is made for somebody');
  if (question.challenge !== undefined) {
    refuse('--challenge', 'only a statement answers one; give --report-data');
  }
}

/** Who left it open: there is no policy line to name. */
export const COMMAND_LINE = 'the command line';
const NOT_ASKED = { unchecked: 'no policy was applied' };
const NO_REPORT_DATA = { unchecked: 'no --report-data was given' };
const BY_STATEMENT = { unchecked: 'judged with the statement' };

function judgeMachine({ machine, statements }: Subject, question: Question): MachineResult {
  const { nowMs, reportData: expected } = question;
  const bound = statements === undefined ? NO_REPORT_DATA : BY_STATEMENT;
  const reportData = expected === undefined ? bound : { equals: expected };
  const choices = { reportData, measurements: NOT_ASKED };
  if (machine.tee === 'tdx') {
    const { quote, collateral } = machine;
    const policy = baselineTdxPolicy(choices);
    const result = verifyTdx({ quote, collateral, nowMs, policy, roots: tdxRoots(question) });
    return { tee: 'tdx', machine, result: { ...result, checks: result.checks.map(named) } };
  }
  const { tee: _tee, ...evidence } = machine;
  const policy = baselineSnpPolicy(choices);
  const anchors = snpAnchors(question);
  const result = verifySnp({ evidence, nowMs, policy, anchors });
  return { tee: 'snp', machine, anchors, result: { ...result, checks: result.checks.map(named) } };
}

/** What the baseline leaves open is left open because there is no policy, whichever member it is. */
function named(check: Check): Check {
  if (check.outcome !== 'waived') return check;
  const isOurs = check.note === NO_REPORT_DATA.unchecked || check.note === BY_STATEMENT.unchecked;
  return { ...check, by: COMMAND_LINE, note: isOurs ? check.note : NOT_ASKED.unchecked };
}

function namedRoots({ policy, simulatedRoots = [] }: Question): readonly Bytes<32>[] {
  return [...simulatedRoots, ...(policy?.document.roots ?? []).map(({ simulated }) => simulated)];
}

function tdxRoots(question: Question): readonly TrustRoot[] {
  const { root } = question;
  const named = namedRoots(question);
  const given = root === undefined ? named : [...named, root.sha256];
  const unknown = given.filter((digest) => findRoot(DEFAULT_ROOTS, digest) === undefined);
  return [...DEFAULT_ROOTS, ...unknown.map((sha256) => ({ sha256, simulated: true }))];
}

/** A given root stands first: it has AMD's name, and completes chains that bring none. */
function snpAnchors(question: Question): readonly SnpAnchor[] {
  const { root } = question;
  const named = namedRoots(question);
  const unknown = named.filter((digest) => findAnchor(AMD_ANCHORS, digest) === undefined);
  const isNew = root !== undefined && findAnchor(AMD_ANCHORS, root.sha256) === undefined;
  return [
    ...(isNew ? [{ sha256: root.sha256, certificate: root, simulated: true }] : []),
    ...AMD_ANCHORS,
    ...unknown.map((sha256) => ({ sha256, simulated: true })),
  ];
}

function missingOf(machine: MachineResult, checks: readonly Check[]): readonly MissingPart[] {
  return machine.tee === 'tdx'
    ? missingOfTdx(machine.machine)
    : missingOfSnp(machine.machine, checks);
}

function outcomeOf(
  checks: readonly Check[],
  missing: readonly MissingPart[],
): Judgement['outcome'] {
  if (checks.every(holds)) return 'accepted';
  const failing = checks.filter(({ outcome }) => outcome === 'fail');
  return failing.every(({ id }) => isMissing(id, missing)) ? 'undecided' : 'rejected';
}

type Judged = Pick<Judgement, 'checks' | 'warnings' | 'validUntilMs'> &
  Partial<Pick<Judgement, 'verdict' | 'statement' | 'card'>>;

function finished(
  subject: Subject,
  { nowMs }: Question,
  machine: MachineResult,
  judged: Judged,
): Judgement {
  const missing = missingOf(machine, judged.checks);
  const outcome = outcomeOf(judged.checks, missing);
  const isDenied = judged.verdict?.decision === 'denied';
  assert(outcome !== 'accepted' || !isDenied, 'accepted what the policy denies');
  const validUntilMs = outcome === 'accepted' ? judged.validUntilMs : 0;
  return { subject, nowMs, machine, missing, outcome, ...judged, validUntilMs };
}

function judgeBare(subject: Subject, question: Question, machine: MachineResult): Judgement {
  const { checks, warnings, validUntilMs } = machine.result;
  return finished(subject, question, machine, { checks, warnings, validUntilMs });
}

interface BundleParts {
  readonly statements: Statements;
  readonly machine: MachineResult;
}

function judgeBundle(subject: Subject, question: Question, parts: BundleParts): Judgement {
  const { policy } = question;
  const said = judgeStatement(subject, question, parts);
  const expected = (checks: readonly Check[]): readonly Check[] =>
    asAsked(checks, subject, question);
  const isReadable = said.statement !== undefined && said.card !== undefined;
  const readable = isReadable ? { statement: said.statement, card: said.card } : {};
  if (policy === undefined) {
    const { warnings, validUntilMs: machineEndsMs } = parts.machine.result;
    const endsMs = (said.statement?.exp ?? 0) * 1000;
    return finished(subject, question, parts.machine, {
      checks: expected(baselineChecks(subject, said, parts)),
      warnings,
      validUntilMs: Math.min(machineEndsMs, endsMs),
      ...readable,
    });
  }
  const asked = { subject, nowMs: question.nowMs, ...readable };
  const input = appraisalInputOf(asked, question, policy);
  assert(input !== undefined, 'a bundle with its statements');
  const { verdict } = appraise(input);
  const checks = expected(verdict.checks);
  const decision = checks.every(holds) ? verdict.decision : 'denied';
  const shown: Verdict = { ...verdict, decision, checks };
  return finished(subject, question, parts.machine, { ...shown, verdict: shown, ...readable });
}

type Said = StatementResult & { readonly card?: Card; readonly cardChecks: readonly Check[] };

function judgeStatement(subject: Subject, question: Question, parts: BundleParts): Said {
  const { statements, machine } = parts;
  const { challenge, nowMs } = question;
  const because = machine.result.checks.find(({ outcome }) => outcome === 'fail')?.id;
  const reportData = machine.result.authentic ? reportDataOf(machine) : undefined;
  const result = verifyStatement({
    bytes: statements.statement,
    reportData: reportData ?? { because: because ?? 'statement.reportData' },
    expected: {
      aud: audienceOf(subject, question) ?? '',
      tee: machine.tee,
      nonce:
        challenge === undefined
          ? { waived: NO_CHALLENGE, by: COMMAND_LINE }
          : { equals: challenge },
      devices: 'as-stated',
    },
    nowMs,
  });
  const { checks: cardChecks, card } = checkCard(statements.card, result.statement, result.checks);
  return { ...result, cardChecks, ...(card === undefined ? {} : { card }) };
}

const NO_CHALLENGE = 'no --challenge was given: dated by the worker’s clock alone';
const NO_LIST = 'what has been revoked since was not asked';
const NO_AUDIENCE = 'no --aud was given: whom it was made for was not compared';

function reportDataOf(machine: MachineResult): Uint8Array | undefined {
  return machine.tee === 'tdx'
    ? machine.result.quote?.td.reportData
    : machine.result.facts?.report.reportData;
}

/** Whom the statement must be made for; undefined when nobody said. */
function audienceOf({ gateway }: Subject, { aud }: Question): string | undefined {
  return aud ?? gateway?.aud;
}

/** The question of an appraisal with this policy, as `judge` asks it; undefined for bare evidence of a machine. */
export function appraisalInputOf(
  { subject, statement, nowMs }: Pick<Judgement, 'subject' | 'statement' | 'nowMs'>,
  question: Question,
  policy: CompiledPolicy,
): AppraiseInput | undefined {
  const { statements } = subject;
  if (statements === undefined) return undefined;
  const { challenge } = question;
  return {
    evidence: bundleOf(subject, statements),
    policy,
    nowMs,
    aud: audienceOf(subject, question) ?? statement?.aud ?? '',
    challenge: challenge === undefined ? { waived: NO_CHALLENGE } : { equals: challenge },
    revocations: { waived: NO_LIST, by: COMMAND_LINE },
  };
}

/** What the command was not told to compare shows as waived; a gateway’s own check stands first. */
export function asAsked(
  checks: readonly Check[],
  subject: Subject,
  question: Question,
): readonly Check[] {
  return withGateway(subject, withAudience(checks, audienceOf(subject, question)));
}

/** Without an expectation there is nothing to compare, which is shown and not hidden. */
function withAudience(checks: readonly Check[], aud: string | undefined): readonly Check[] {
  if (aud !== undefined) return checks;
  return checks.map((check) =>
    check.id === 'statement.aud' && check.outcome !== 'skipped'
      ? { id: check.id, outcome: 'waived', by: COMMAND_LINE, note: NO_AUDIENCE }
      : check,
  );
}

function withGateway({ gateway }: Subject, checks: readonly Check[]): readonly Check[] {
  return gateway === undefined ? checks : [gateway.check, ...checks];
}

const FORM_CHECKS = 3;

/** In the order of an appraisal, without what only a policy can say. */
function baselineChecks(subject: Subject, said: Said, parts: BundleParts): readonly Check[] {
  const { checks, statement, cardChecks } = said;
  return [
    sizeCheck(bundleOf(subject, parts.statements)),
    ...checks.slice(0, FORM_CHECKS),
    // Judged as `statement.reportData`, so not listed a second time as waived.
    ...parts.machine.result.checks.filter(({ id }) => id !== 'policy.reportData'),
    ...checks.slice(FORM_CHECKS),
    gpuCheck(statement, checks),
    ...cardChecks,
  ];
}

function sizeCheck(bundle: EvidenceBundle): Check {
  const id = 'evidence.size';
  const over = oversizedPart(bundle);
  if (over === undefined) return { id, outcome: 'pass' };
  return { id, outcome: 'fail', want: `at most ${EVIDENCE_MAX_BYTES} bytes`, got: over };
}

/** As it would be sent, with what completed it; undefined for bare evidence of a machine. */
export function bundleOfSubject(subject: Subject): EvidenceBundle | undefined {
  return subject.statements === undefined ? undefined : bundleOf(subject, subject.statements);
}

export function bundleOf(
  { machine }: Pick<Subject, 'machine'>,
  statements: Statements,
): EvidenceBundle {
  if (machine.tee === 'tdx') {
    return { tee: 'tdx', ...statements, quote: machine.quote, endorsements: machine.collateral };
  }
  return { tee: 'snp', ...statements, quote: machine.bytes, endorsements: machine.endorsements };
}
