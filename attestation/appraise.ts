/**
 * The one place where evidence becomes trust: bundle, policy and one instant in; a complete verdict out, and only with
 * it, for an admitted worker, its keys. Pure and synchronous; bad evidence ends in failed checks.
 * Order: sizes → statement form → quote, chain, TCB → report data → statement fields → devices → card → workload →
 * policy. Spec: gpu-and-policy §4.4, §5.3; overview "Rules that bind the papers together".
 * @module
 */

import { equalPublic, toHex, type Bytes } from '../core/bytes.ts';
import { VeilError } from '../core/errors.ts';
import { cardDigestOf, parseCard, workerIdOf, type Card } from './card.ts';
import { EVIDENCE_MAX_BYTES, oversizedPart, type EvidenceBundle } from './evidence.ts';
import { assertCompiled, policyRef, type CompiledPolicy } from './policy/compile.ts';
import { POLICY_CHECK_IDS, evaluatePolicy, judgeRules } from './policy/evaluate.ts';
import type { PolicyFinding } from './policy/evaluate.ts';
import type { PolicyInput } from './policy/subject.ts';
import { RULE_CHECK_IDS, type JudgedRule } from './policy/judge-rule.ts';
import type { RevocationKnowledge } from './policy/revocations.ts';
import { holds, skipped } from './policy/rule-check.ts';
import { STATEMENT_CHECK_IDS, verifyStatement } from './statement-checks.ts';
import type { StatementExpectation } from './statement-checks.ts';
import { ehbpKidOf, kidOf, statementHash, type Statement } from './statement.ts';
import { SignatureMemo } from './pki/signature.ts';
import { passedCheck } from './shared-checks.ts';
import type { AppraisalCaches, Tee, TeeFacts, TeeInput } from './tee.ts';
import { teeOf } from './tees.ts';
import { mintAttestedKey, type AttestedKey, type Check, type Verdict } from './verdict.ts';

export interface AppraiseInput {
  readonly evidence: EvidenceBundle;
  readonly policy: CompiledPolicy;
  /** The one instant at which everything must be valid, Unix ms. */
  readonly nowMs: number;
  /** The gateway identity that the statement must be made for. */
  readonly aud: string;
  /** The challenge this verifier set, or why it has none; the policy decides whether it may have none. */
  readonly challenge: { readonly equals: Bytes<32> } | { readonly waived: string };
  /** What this verifier knows to be taken back, or who decided to do without. */
  readonly revocations: RevocationKnowledge;
  readonly caches?: AppraisalCaches;
}

export type Appraisal =
  | { readonly outcome: 'admitted'; readonly key: AttestedKey; readonly verdict: Verdict }
  | { readonly outcome: 'denied'; readonly verdict: Verdict };

/** Statement checks about its form; those about its content come after the quote in the verdict. */
const FORM_CHECKS = 3;

const CARD_CHECK_IDS = ['card.format', 'card.digest', 'card.weights'] as const;

/** Every check of a verdict, in its order. */
export function appraisalCheckIds(tee: Tee): readonly string[] {
  return [
    'evidence.size',
    ...STATEMENT_CHECK_IDS.slice(0, FORM_CHECKS),
    ...tee.checkIds,
    ...STATEMENT_CHECK_IDS.slice(FORM_CHECKS),
    'gpu.unsupported',
    ...CARD_CHECK_IDS,
    ...POLICY_CHECK_IDS,
    ...RULE_CHECK_IDS,
    ...tee.ruleCheckIds,
  ];
}

/** Throws only for a policy that `compilePolicy` did not make. */
export function appraise(input: AppraiseInput): Appraisal {
  assertCompiled(input.policy);
  const tee = teeOf(input.evidence.tee);
  const over = oversizedPart(input.evidence);
  if (over !== undefined) return oversized(input, tee, over);
  const proven = prove(input, tee);
  return concluded(input, proven, evaluatePolicy(proven.question));
}

/** An appraisal with the whole of what a policy says about it, for people who ask why. */
export interface RulesAppraisal {
  /** As `appraise` says it. */
  readonly verdict: Verdict;
  /** What no rule decides, in the order of the verdict. */
  readonly common: readonly Check[];
  /** Every rule in full, in the order of the file; empty for evidence that is too large to read. */
  readonly rules: readonly JudgedRule[];
  /** Of genuine evidence alone. */
  readonly facts?: TeeFacts;
  readonly statement?: Statement;
  readonly card?: Card;
}

/** The verdict of `appraise`, and every rule beside the nearest. Mints no key. */
export function appraiseRules(input: AppraiseInput): RulesAppraisal {
  assertCompiled(input.policy);
  const tee = teeOf(input.evidence.tee);
  const ofRule = RULE_CHECK_IDS.length + tee.ruleCheckIds.length;
  const over = oversizedPart(input.evidence);
  if (over !== undefined) {
    const { verdict } = oversized(input, tee, over);
    return { verdict, common: verdict.checks.slice(0, -ofRule), rules: [] };
  }
  const proven = prove(input, tee);
  const { verdict } = concluded(input, proven, evaluatePolicy(proven.question));
  const { statement, card, question } = proven;
  const { facts } = question.finding;
  return {
    verdict,
    common: verdict.checks.slice(0, -ofRule),
    rules: judgeRules(question),
    ...(facts === undefined ? {} : { facts }),
    ...(statement === undefined ? {} : { statement }),
    ...(card === undefined ? {} : { card }),
  };
}

/** What holds of the evidence before the policy's own checks. */
interface Proven {
  /** One per id, in the order of the verdict. */
  readonly checks: readonly Check[];
  readonly statement: Statement | undefined;
  readonly card: Card | undefined;
  readonly question: PolicyInput;
}

function prove(input: AppraiseInput, tee: Tee): Proven {
  const { evidence, policy, nowMs, revocations } = input;
  // Everything in `evidence` is the sender's word until the verdict at the end.
  const finding = tee.verify(teeInputOf(input));
  const { checks: statementChecks, statement } = verifyStatement({
    bytes: evidence.statement,
    reportData: finding.reportData,
    expected: {
      aud: input.aud,
      tee: tee.name,
      nonce: expectedNonce(input),
      devices: 'as-stated',
    },
    nowMs,
  });
  const { checks: cardChecks, card } = checkCard(evidence.card, statement, statementChecks);
  const subject = subjectOf(evidence.statement, statement, card, [
    ...statementChecks,
    ...cardChecks,
  ]);
  return {
    checks: [
      passedCheck('evidence.size'),
      ...statementChecks.slice(0, FORM_CHECKS),
      ...finding.checks,
      ...statementChecks.slice(FORM_CHECKS),
      gpuCheck(statement, statementChecks),
      ...cardChecks,
    ],
    statement,
    card,
    question: { policy, tee, finding, subject, revocations, nowMs },
  };
}

function concluded(
  input: AppraiseInput,
  { checks: proven, statement, card, question: { finding } }: Proven,
  ruling: PolicyFinding,
): Appraisal {
  const { policy } = input;
  const checks = [...proven, ...ruling.checks];
  const isAdmitted = checks.every(holds);
  const { checks: _rulingChecks, validUntilMs: rulingEnds, ...names } = ruling;
  const facts = {
    checks,
    warnings: finding.warnings,
    policy: policyRef(policy),
    ...names,
    ...(card === undefined ? {} : { model: card.model.id }),
    ...(finding.platform === undefined ? {} : { platform: finding.platform }),
    ...(finding.tcbStatus === undefined ? {} : { tcbStatus: finding.tcbStatus }),
    simulated: finding.simulated,
  };
  if (!isAdmitted || statement === undefined || card === undefined) {
    return { outcome: 'denied', verdict: { decision: 'denied', ...facts, validUntilMs: 0 } };
  }
  const validUntilMs = Math.min(finding.validUntilMs, statement.exp * 1000, rulingEnds);
  const verdict: Verdict = { decision: 'admitted', ...facts, validUntilMs };
  return { outcome: 'admitted', key: keyOf(input, statement, card, verdict), verdict };
}

function teeInputOf({ evidence, policy, nowMs, caches }: AppraiseInput): TeeInput {
  return {
    evidence,
    nowMs,
    simulatedRoots: policy.document.roots?.map(({ simulated }) => simulated) ?? [],
    caches: caches ?? {},
  };
}

/**
 * As `appraise`, with the costly arithmetic away from the calling thread: for servers, whose event loop has others to
 * serve. The answer is the same.
 */
export async function appraiseApart(input: AppraiseInput): Promise<Appraisal> {
  assertCompiled(input.policy);
  const { evidence } = input;
  const caches = { signatures: new SignatureMemo(), ...input.caches };
  const prepared = { ...input, caches };
  if (oversizedPart(evidence) === undefined) {
    await teeOf(evidence.tee).verifyApart?.(teeInputOf(prepared));
  }
  return appraise(prepared);
}

function keyOf(
  { evidence, policy }: AppraiseInput,
  statement: Statement,
  card: Card,
  verdict: Verdict,
): AttestedKey {
  const { keys } = statement;
  const hash = statementHash(evidence.statement);
  return mintAttestedKey({
    workerId: workerIdOf(card.owner),
    tee: statement.tee,
    statementHash: hash,
    kid: kidOf(hash, keys.hpke.kem, keys.hpke.pk),
    kem: keys.hpke.kem,
    publicKey: keys.hpke.pk,
    receiptKey: keys.sig.pk,
    tlsSpkiSha256: keys.tls.spkiSha256,
    ...(keys.ehbp === undefined
      ? {}
      : { ehbp: { kid: ehbpKidOf(hash, keys.ehbp.pk), publicKey: keys.ehbp.pk } }),
    model: {
      id: card.model.id,
      digest: statement.workload.model,
      contextLength: card.model.contextLength,
      capabilities: card.model.capabilities,
    },
    limits: card.limits,
    prices: card.prices,
    priceDigest: cardDigestOf(evidence.card),
    policyDigest: policy.digest,
    simulated: verdict.simulated,
    expiresAtMs: verdict.validUntilMs,
  });
}

function expectedNonce({ challenge, policy }: AppraiseInput): StatementExpectation['nonce'] {
  if ('equals' in challenge) return challenge;
  const rule = policy.document.limits.challenge;
  const by = `limits.challenge: ${rule} [${policy.at('limits', 'challenge')}]`;
  if (rule === 'gateway') return { waived: challenge.waived, by };
  return { demanded: `an answer to a challenge of this verifier, ${by}` };
}

export function checkCard(
  bytes: Uint8Array,
  statement: Statement | undefined,
  statementChecks: readonly Check[],
): { readonly checks: readonly Check[]; readonly card?: Card } {
  const read = readCard(bytes);
  const noStatement = firstFailed(statementChecks);
  const digest =
    statement === undefined
      ? skipped('card.digest', noStatement)
      : compared(
          'card.digest',
          toHex(cardDigestOf(bytes)),
          statement.card === undefined ? 'no card in the statement' : toHex(statement.card),
        );
  if (read.card === undefined) {
    return { checks: [read.check, digest, skipped('card.weights', 'card.format')] };
  }
  const { weights } = read.card.model;
  const matches =
    statement === undefined
      ? skipped('card.weights', noStatement)
      : equalPublic(weights, statement.workload.model)
        ? passedCheck('card.weights')
        : compared('card.weights', toHex(statement.workload.model), toHex(weights));
  return { checks: [read.check, digest, matches], card: read.card };
}

function readCard(bytes: Uint8Array): { readonly check: Check; readonly card?: Card } {
  try {
    return { check: passedCheck('card.format'), card: parseCard(bytes) };
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    const check: Check = {
      id: 'card.format',
      outcome: 'fail',
      want: 'a worker card',
      got: error.message,
    };
    return { check };
  }
}

function subjectOf(
  statementBytes: Uint8Array,
  statement: Statement | undefined,
  card: Card | undefined,
  checks: readonly Check[],
) {
  if (statement === undefined || card === undefined) return { because: firstFailed(checks) };
  return { statement, statementBytes, card };
}

/** Until GPU evidence is verified, a statement that names devices is not half believed. */
export function gpuCheck(
  statement: Statement | undefined,
  statementChecks: readonly Check[],
): Check {
  const id = 'gpu.unsupported';
  if (statement === undefined) return skipped(id, firstFailed(statementChecks));
  if (statement.devices === null) return passedCheck(id);
  return {
    id,
    outcome: 'fail',
    want: 'no devices: GPU evidence is not verified yet',
    got: `${statement.devices.count} of ${statement.devices.type}`,
  };
}

function oversized(input: AppraiseInput, tee: Tee, over: string): Appraisal {
  const [size, ...rest] = appraisalCheckIds(tee);
  const first: Check = {
    id: size ?? 'evidence.size',
    outcome: 'fail',
    want: `at most ${EVIDENCE_MAX_BYTES} bytes and the cap of each part`,
    got: over,
  };
  const verdict: Verdict = {
    decision: 'denied',
    checks: [first, ...rest.map((id) => skipped(id, first.id))],
    warnings: [],
    policy: policyRef(input.policy),
    revocable: [],
    simulated: true,
    validUntilMs: 0,
  };
  return { outcome: 'denied', verdict };
}

function firstFailed(checks: readonly Check[]): string {
  return checks.find(({ outcome }) => outcome === 'fail')?.id ?? 'statement.json';
}

function compared(id: string, want: string, got: string): Check {
  return want === got ? passedCheck(id) : { id, outcome: 'fail', want, got };
}
