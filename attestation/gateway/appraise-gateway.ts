/**
 * The one place where the evidence of a gateway becomes trust: evidence, policy and one instant in; a complete verdict out,
 * and only with it, for an admitted gateway, its keys. Pure and synchronous; bad evidence ends in failed checks.
 * Order: sizes → statement form → quote, chain, TCB → report data → statement fields → policy.
 * Not checked: that a connection ends in the TLS key; whoever opens one compares. Spec: docs/attested-gateway.md.
 * @module
 */

import { sha256 } from '#primitives';
import type { Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { EVIDENCE_MAX_BYTES, oversizedPart } from '../evidence.ts';
import { assertCompiled, policyRef, type CompiledPolicy } from '../policy/compile.ts';
import type { RevocationKnowledge } from '../policy/revocations.ts';
import { holds, skipped } from '../policy/rule-check.ts';
import { passedCheck } from '../shared-checks.ts';
import type { AppraisalCaches, Tee, TeeFinding } from '../tee.ts';
import { teeOf } from '../tees.ts';
import type { Check, TeeName, Verdict } from '../verdict.ts';
import type { GatewayEvidence } from './gateway-evidence.ts';
import {
  GATEWAY_FORM_CHECKS,
  GATEWAY_STATEMENT_CHECK_IDS,
  verifyGatewayStatement,
  type Expected,
  type GatewayExpectation,
} from './gateway-statement-checks.ts';
import type { GatewayStatement } from './gateway-statement.ts';
import {
  GATEWAY_POLICY_CHECK_IDS,
  GATEWAY_RULE_CHECK_IDS,
  judgeGateway,
  type GatewayRuling,
} from './judge-gateway.ts';

export interface AppraiseGatewayInput {
  readonly evidence: GatewayEvidence;
  readonly policy: CompiledPolicy;
  /** The one instant at which everything must be valid, Unix ms. */
  readonly nowMs: number;
  /** The gateway that was asked for, or who did not say. */
  readonly aud: Expected<string>;
  /** The host name it was reached under, or who does not know. */
  readonly host: Expected<string>;
  /** That this verifier set; without one the policy decides whether that is enough. */
  readonly challenge?: Bytes<32>;
  readonly revocations: RevocationKnowledge;
  readonly caches?: AppraisalCaches;
}

/** A gateway's keys, proven: only `appraiseGateway` makes one. */
export interface AttestedGateway {
  readonly aud: string;
  readonly hosts: readonly string[];
  readonly tee: TeeName;
  readonly identity: Bytes<32>;
  readonly ledgerKeys: readonly Bytes<32>[];
  /** Of the listener: a connection that ends in another key does not end in this gateway. */
  readonly tlsSpkiSha256: Bytes<32>;
  /** SHA-256 of the statement bytes as received. */
  readonly statementHash: Bytes<32>;
  readonly policyDigest: Bytes<32>;
  readonly simulated: boolean;
  /** Unix ms; never use it at or after it. */
  readonly expiresAtMs: number;
}

export type GatewayAppraisal =
  | { readonly outcome: 'admitted'; readonly gateway: AttestedGateway; readonly verdict: Verdict }
  | { readonly outcome: 'denied'; readonly verdict: Verdict };

const MINTED = new WeakSet<AttestedGateway>();

/** Throws when `gateway` did not come out of `appraiseGateway` or has expired. */
export function assertAttestedGateway(gateway: AttestedGateway, nowMs: number): void {
  assert(MINTED.has(gateway), 'a gateway that no appraisal minted');
  assert(nowMs < gateway.expiresAtMs, 'an attested gateway past its expiry');
}

/** Every check of a verdict on a gateway, in its order. */
export function gatewayCheckIds(tee: Tee): readonly string[] {
  return [
    'evidence.size',
    ...GATEWAY_STATEMENT_CHECK_IDS.slice(0, GATEWAY_FORM_CHECKS),
    ...tee.checkIds,
    ...GATEWAY_STATEMENT_CHECK_IDS.slice(GATEWAY_FORM_CHECKS),
    ...GATEWAY_POLICY_CHECK_IDS,
    ...GATEWAY_RULE_CHECK_IDS,
    ...tee.ruleCheckIds,
  ];
}

/** Throws only for a policy that `compilePolicy` did not make. */
export function appraiseGateway(input: AppraiseGatewayInput): GatewayAppraisal {
  const { evidence, policy, nowMs, revocations, caches } = input;
  assertCompiled(policy);
  const tee = teeOf(evidence.machine.tee);
  const over = oversizedPart(evidence.machine);
  if (over !== undefined) return oversized(input, tee, over);
  // Everything in `evidence` is the sender's word until the verdict at the end.
  const finding = tee.verify({
    evidence: evidence.machine,
    nowMs,
    simulatedRoots: policy.document.roots?.map(({ simulated }) => simulated) ?? [],
    caches: caches ?? {},
  });
  const { checks: stated, statement } = verifyGatewayStatement({
    bytes: evidence.statement,
    reportData: finding.reportData,
    expected: { tee: tee.name, aud: input.aud, host: input.host, nonce: expectedNonce(input) },
    nowMs,
  });
  const ruling = judgeGateway({
    policy,
    tee,
    finding,
    statement: statement ?? { because: firstFailed(stated) },
    revocations,
    nowMs,
  });
  const checks = [
    passedCheck('evidence.size'),
    ...stated.slice(0, GATEWAY_FORM_CHECKS),
    ...finding.checks,
    ...stated.slice(GATEWAY_FORM_CHECKS),
    ...ruling.checks,
  ];
  return concluded(input, { checks, finding, ruling, statement });
}

function firstFailed(checks: readonly Check[]): string {
  return checks.find(({ outcome }) => outcome === 'fail')?.id ?? 'statement.json';
}

function expectedNonce({ challenge, policy }: AppraiseGatewayInput): GatewayExpectation['nonce'] {
  if (challenge !== undefined) return { equals: challenge };
  const rule = policy.document.gateways?.challenge ?? 'required';
  const by = policy.at('gateways', 'challenge');
  if (rule !== 'required') return { waived: rule.note, by };
  return { demanded: `an answer to a challenge of this verifier [${by}]` };
}

interface Found {
  readonly checks: readonly Check[];
  readonly finding: TeeFinding;
  readonly ruling: GatewayRuling;
  readonly statement: GatewayStatement | undefined;
}

function concluded(
  { policy, evidence }: AppraiseGatewayInput,
  { checks, finding, ruling, statement }: Found,
): GatewayAppraisal {
  const { checks: _checks, validUntilMs: rulingEnds, ...names } = ruling;
  const facts = {
    checks,
    warnings: finding.warnings,
    policy: policyRef(policy),
    ...names,
    ...(finding.platform === undefined ? {} : { platform: finding.platform }),
    ...(finding.tcbStatus === undefined ? {} : { tcbStatus: finding.tcbStatus }),
    simulated: finding.simulated,
  };
  if (!checks.every(holds) || statement === undefined) {
    return { outcome: 'denied', verdict: { decision: 'denied', ...facts, validUntilMs: 0 } };
  }
  const validUntilMs = Math.min(finding.validUntilMs, statement.exp * 1000, rulingEnds);
  const { aud, hosts, tee, keys } = statement;
  const gateway: AttestedGateway = Object.freeze({
    aud,
    hosts: Object.freeze([...hosts]),
    tee,
    identity: keys.identity,
    ledgerKeys: Object.freeze([...keys.ledger]),
    tlsSpkiSha256: keys.tls.spkiSha256,
    statementHash: sha256(evidence.statement),
    policyDigest: policy.digest,
    simulated: finding.simulated,
    expiresAtMs: validUntilMs,
  });
  MINTED.add(gateway);
  return {
    outcome: 'admitted',
    gateway,
    verdict: { decision: 'admitted', ...facts, validUntilMs },
  };
}

function oversized({ policy }: AppraiseGatewayInput, tee: Tee, over: string): GatewayAppraisal {
  const first: Check = {
    id: 'evidence.size',
    outcome: 'fail',
    want: `at most ${EVIDENCE_MAX_BYTES} bytes and the cap of each part`,
    got: over,
  };
  const rest = gatewayCheckIds(tee).slice(1);
  const verdict: Verdict = {
    decision: 'denied',
    checks: [first, ...rest.map((id) => skipped(id, first.id))],
    warnings: [],
    policy: policyRef(policy),
    revocable: [],
    simulated: true,
    validUntilMs: 0,
  };
  return { outcome: 'denied', verdict };
}
