/**
 * What a policy would decide about a worker whose evidence was captured earlier: the evidence is judged as of the moment it
 * was made, because documents and statements live for hours, and the policy as of now, because its grants end now. Admits
 * nobody: there is no key in the answer.
 * Spec: gpu-and-policy §5.5 ("diff --evidence").
 * @module
 */

import { checkCard, gpuCheck } from '../appraise.ts';
import { parseCard } from '../card.ts';
import { oversizedPart, type EvidenceBundle } from '../evidence.ts';
import { verifyStatement } from '../statement-checks.ts';
import { parseStatement } from '../statement.ts';
import { attempt } from '../attempt.ts';
import type { AppraisalCaches } from '../tee.ts';
import { teeOf } from '../tees.ts';
import type { Check, PlatformIdentity } from '../verdict.ts';
import type { CompiledPolicy } from './compile.ts';
import { evaluatePolicy, type PolicyFinding } from './evaluate.ts';
import { holds } from './rule-check.ts';

export interface RehearsalInput {
  readonly evidence: EvidenceBundle;
  readonly policy: CompiledPolicy;
  readonly nowMs: number;
  readonly caches: AppraisalCaches;
}

export type Rehearsal =
  | {
      readonly outcome: 'admitted' | 'denied';
      /** Those that do not hold: of the machine, the statement, the card, the policy. */
      readonly failing: readonly Check[];
      /** That admits, or the nearest one. */
      readonly rule?: string;
      readonly image?: string;
      /** Temporary exceptions that it leans on. */
      readonly advisories: readonly string[];
      readonly platform?: PlatformIdentity;
    }
  /** No policy could admit it. */
  | { readonly outcome: 'unjudged'; readonly because: string };

/** Judged at another instant than the policy, and so not at all. */
const NOT_REHEARSED: readonly string[] = ['policy.evidenceAge'];
const NOT_ASKED = { waived: 'a rehearsal', by: 'the command line' };
const SECOND_MS = 1000;

export function rehearse(input: RehearsalInput): Rehearsal {
  const { evidence, policy, nowMs, caches } = input;
  if (oversizedPart(evidence) !== undefined)
    return { outcome: 'unjudged', because: 'evidence.size' };
  const statement = attempt(() => parseStatement(evidence.statement));
  if (statement.outcome === 'malformed') return { outcome: 'unjudged', because: statement.reason };
  const card = attempt(() => parseCard(evidence.card));
  if (card.outcome === 'malformed') return { outcome: 'unjudged', because: card.reason };
  // The sender's word; what is made for the future is judged as of now.
  const capturedMs = Math.min(nowMs, statement.value.iat * SECOND_MS);
  const tee = teeOf(evidence.tee);
  const simulatedRoots = policy.document.roots?.map(({ simulated }) => simulated) ?? [];
  const finding = tee.verify({ evidence, nowMs: capturedMs, simulatedRoots, caches });
  const said = verifyStatement({
    bytes: evidence.statement,
    reportData: finding.reportData,
    expected: {
      aud: statement.value.aud,
      tee: tee.name,
      nonce: NOT_ASKED,
      devices: 'as-stated',
    },
    nowMs: capturedMs,
  });
  const cards = checkCard(evidence.card, said.statement, said.checks);
  const subject = {
    statement: statement.value,
    statementBytes: evidence.statement,
    card: card.value,
  };
  const ruling = evaluatePolicy({ policy, tee, finding, subject, revocations: NOT_ASKED, nowMs });
  const checks = [
    ...finding.checks,
    ...said.checks,
    gpuCheck(said.statement, said.checks),
    ...cards.checks,
    ...ruling.checks.filter(({ id }) => !NOT_REHEARSED.includes(id)),
  ];
  const failing = checks.filter((check) => !holds(check));
  return {
    outcome: failing.length === 0 ? 'admitted' : 'denied',
    failing,
    ...namesOf(ruling),
    ...(finding.platform === undefined ? {} : { platform: finding.platform }),
  };
}

function namesOf({ rule, image, revocable }: PolicyFinding) {
  return {
    ...(rule === undefined ? {} : { rule }),
    ...(image === undefined ? {} : { image }),
    advisories: revocable.flatMap(({ kind, value }) => (kind === 'advisory' ? [value] : [])),
  };
}
