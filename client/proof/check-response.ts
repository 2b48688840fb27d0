/**
 * Judges a kept proof again, offline, as of the instants it names: policy, evidence, times, receipt, bill, texts. Years later
 * the same documents say the same thing; what has been taken back since is for whoever asks today. By whose word all of it
 * is true stands beside the result, because anybody can make a proof of a root, a gateway and a worker of his own.
 * Spec: docs/response-proof.md.
 * @module
 */

import { equalPublic, toHex, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { parseJson } from '../../core/json.ts';
import { appraise, type Appraisal } from '../../attestation/appraise.ts';
import {
  decodeEvidence,
  EVIDENCE_MAX_BYTES,
  type EvidenceBundle,
} from '../../attestation/evidence.ts';
import { parseStatement } from '../../attestation/statement.ts';
import type { AttestedKey, Check, Verdict } from '../../attestation/verdict.ts';
import { parseReceiptUnverified, type Receipt } from '../../protocol/receipt.ts';
import { CLOCK_SKEW_MAX_MS } from '../../protocol/sx/limits.ts';
import { parsePrelude, routeTag, type Prelude } from '../../protocol/sx/prelude.ts';
import { parseBill, type Bill } from '../pay/bill.ts';
import { checkBill, type BillCheck } from '../pay/check-bill.ts';
import { BILLED_WITHIN_MS } from '../limits.ts';
import { CHALLENGE_WAIVED_BY, policyForEvidence } from '../session.ts';
import type { Trust } from '../trust.ts';
import { judgePolicy, type PolicyPins } from './judge-policy.ts';
import { failed, named, passed, skippedFor, waivedBy } from './proof-check.ts';
import { hashText, type ResponseProof } from './response-proof.ts';

/** What the verifier knows by other ways than the proof. What is absent shows as waived. */
export interface ProofPins extends PolicyPins {
  /** `gw1.…`. */
  readonly gateway?: string;
  /** The body of the request, as the app gave it. */
  readonly request?: Uint8Array;
  /** The body of the answer, as the app got it. */
  readonly response?: Uint8Array;
}

export const PROOF_SECTIONS = ['policy', 'evidence', 'time', 'receipt', 'bill', 'texts'] as const;
export type ProofSection = (typeof PROOF_SECTIONS)[number];

/** What nobody but the person who verifies can know. */
const PINNED_CHECKS = ['policy.root', 'policy.digest', 'gateway.id'] as const;
export type PinnedCheck = (typeof PINNED_CHECKS)[number];

export interface CheckedProof {
  /** No check failed, and the evidence is admitted. */
  readonly holds: boolean;
  /** Checks that only a pin could make and none did. Unless empty, whoever made the proof chose what it holds by. */
  readonly unpinned: readonly PinnedCheck[];
  readonly sections: Readonly<Record<ProofSection, readonly Check[]>>;
  /** Of the worker; undefined where there was nothing to judge it by. */
  readonly verdict: Verdict | undefined;
  readonly bill: Bill | undefined;
  readonly receipt: Receipt | undefined;
  /** `gw1.…` of the document in the bill, once its signature verified. */
  readonly gateway: string | undefined;
  /** By whose keys the policy is signed; undefined for an unsigned policy, and where it is not. */
  readonly rootSha256: Bytes<32> | undefined;
}

/** Whose clock dated the sealing, and whose policy the request named. */
export type SealedBy = 'client' | 'gateway';

/** Never throws at what a proof says. `gateway`: of an answer that an attested gateway sealed for. */
export function checkProof(
  proof: ResponseProof,
  pins: ProofPins = {},
  sealedBy: SealedBy = 'client',
): CheckedProof {
  const policy = judgePolicy(proof, pins);
  const bill = orUndefined(() => parseBill(proof.bill));
  const billed = bill && checkBill(bill);
  const worker = judgeWorker(proof, policy.trust, billed?.aud);
  const signed = bill?.receipt;
  const parts: Parts = {
    proof,
    sealedBy,
    bill,
    worker,
    receipt: signed && orUndefined(() => parseReceiptUnverified(signed)),
    prelude: bill && orUndefined(() => parsePrelude(bill.request.prelude)),
  };
  const sections = {
    policy: policy.checks,
    evidence: worker.checks,
    time: timeChecks(parts),
    receipt: receiptChecks(parts),
    bill: billSection(bill, billed?.checks ?? [], { aud: billed?.aud, pinned: pins.gateway }),
    texts: textChecks(proof, pins),
  };
  const isAdmitted = worker.appraisal?.outcome === 'admitted';
  const checks = Object.values(sections).flat();
  const fails = checks.some(({ outcome }) => outcome === 'fail');
  return {
    holds: isAdmitted && !fails,
    unpinned: PINNED_CHECKS.filter((pin) =>
      checks.some(({ id, outcome }) => id === pin && outcome === 'waived'),
    ),
    sections,
    verdict: worker.appraisal?.verdict,
    bill,
    receipt: parts.receipt?.receipt,
    gateway: billed?.aud,
    rootSha256: policy.rootSha256,
  };
}

interface Parts {
  readonly proof: ResponseProof;
  readonly sealedBy: SealedBy;
  readonly bill: Bill | undefined;
  readonly worker: JudgedWorker;
  readonly receipt: ReturnType<typeof parseReceiptUnverified> | undefined;
  readonly prelude: Prelude | undefined;
}

interface JudgedWorker {
  readonly checks: readonly Check[];
  readonly evidence: EvidenceBundle | undefined;
  readonly appraisal: Appraisal | undefined;
  readonly key: AttestedKey | undefined;
}

function judgeWorker(
  { evidence: bytes, appraisedAtMs }: ResponseProof,
  trust: Trust | undefined,
  aud: string | undefined,
): JudgedWorker {
  const evidence = orUndefined(() => decodeEvidence(parseJson(bytes, 2 * EVIDENCE_MAX_BYTES)));
  const form = named('evidence.form', evidence !== undefined, 'evidence that can be read');
  const nobody = { evidence, appraisal: undefined, key: undefined };
  if (evidence === undefined) return { ...nobody, checks: [form] };
  if (trust === undefined) {
    return { ...nobody, checks: [form, skippedFor('evidence.judged', 'no policy holds')] };
  }
  const appraisal = appraise({
    evidence,
    policy: policyForEvidence(trust, evidence),
    nowMs: appraisedAtMs,
    // Of no gateway: then the statement is made for another one, and says so.
    aud: aud ?? '',
    challenge: { waived: CHALLENGE_WAIVED_BY },
    revocations: trust.revocations,
  });
  const key = appraisal.outcome === 'admitted' ? appraisal.key : undefined;
  return { evidence, appraisal, key, checks: [form, ...appraisal.verdict.checks] };
}

/** The client's clock dates the judgement and the sealing, the worker's its statement and its receipt; `opened` ties both. */
function timeChecks({ proof, sealedBy, worker, ...rest }: Parts): readonly Check[] {
  const { receipt, prelude, bill } = rest;
  // A client asks before a gateway seals; their clocks differ by what workers allow too.
  const appraisedAtMs = proof.appraisedAtMs - (sealedBy === 'gateway' ? CLOCK_SKEW_MAX_MS : 0);
  const { key } = worker;
  const statement = bill && orUndefined(() => parseStatement(bill.worker.statement));
  return [
    prelude === undefined || key === undefined
      ? skippedFor('time.sealed', 'no worker, or no request')
      : named(
          'time.sealed',
          appraisedAtMs <= prelude.issuedAtMs && prelude.issuedAtMs < key.expiresAtMs,
          'sealed after the evidence was judged, while all that it rests on was valid',
        ),
    receipt === undefined || prelude === undefined
      ? skippedFor('time.opened', 'no receipt, or no request')
      : named(
          'time.opened',
          isOpenedInTime(prelude, receipt.receipt),
          'an answer begun within the life of the request',
        ),
    bill === undefined || prelude === undefined
      ? skippedFor('time.billed', 'no bill, or no request')
      : named(
          'time.billed',
          isBilledInTime(prelude, bill),
          'a bill made behind its answer: at that instant the document of the gateway is judged',
        ),
    receipt === undefined || statement === undefined
      ? skippedFor('time.answered', 'no receipt, or no statement')
      : named(
          'time.answered',
          statement.iat * MS_PER_S <= receipt.receipt.startMs &&
            receipt.receipt.startMs < statement.exp * MS_PER_S,
          'begun within the life of the key, by the clock of the worker',
        ),
  ];
}

const MS_PER_S = 1000;

/** What a worker asks of a request before it opens it: without this, old evidence would do for a late answer. */
function isOpenedInTime({ issuedAtMs, ttlS }: Prelude, { startMs }: Receipt): boolean {
  const lastMs = issuedAtMs + ttlS * MS_PER_S + CLOCK_SKEW_MAX_MS;
  return issuedAtMs - CLOCK_SKEW_MAX_MS <= startMs && startMs <= lastMs;
}

/** Without this, keys that a gateway had long before or long after would do for its line. */
function isBilledInTime({ issuedAtMs, deadlineMs }: Prelude, { atMs }: Bill): boolean {
  return issuedAtMs <= atMs && atMs <= issuedAtMs + deadlineMs + BILLED_WITHIN_MS;
}

/** That the worker of the bill is the one whose evidence was judged, under the policy it was judged by. */
function receiptChecks(parts: Parts): readonly Check[] {
  const { worker, bill, receipt: signed, prelude, sealedBy } = parts;
  const { evidence, appraisal, key } = worker;
  const receipt = signed?.receipt;
  const against = <Known>(
    id: string,
    known: Known | undefined,
    judge: (known: Known) => readonly [holds: boolean, want: string],
  ): Check => {
    if (known === undefined) return skippedFor(id, 'not known, see the failed check before it');
    const [holds, want] = judge(known);
    return named(id, holds, want);
  };
  return [
    against('receipt.attested', bill && evidence && { bill, evidence }, (both) => [
      equalPublic(both.bill.worker.statement, both.evidence.statement) &&
        equalPublic(both.bill.worker.card, both.evidence.card),
      'statement and card of the evidence',
    ]),
    sealedBy === 'gateway' && receipt !== undefined && !isUnderPolicy(receipt, appraisal)
      ? waivedBy(
          'receipt.policy',
          `the gateway sealed under sha256:${toHex(receipt.policyDigest)}; here the worker is judged by the policy of this file`,
          'the gateway that was trusted with the request',
        )
      : against('receipt.policy', receipt && appraisal && { receipt, appraisal }, (both) => [
          isUnderPolicy(both.receipt, both.appraisal),
          'the policy that the worker was judged by',
        ]),
    against('receipt.simulated', receipt && key && { receipt, key }, (both) => [
      both.receipt.simulated === both.key.simulated,
      'a receipt that says whether the machine is simulated',
    ]),
    against('receipt.route', prelude && key && { prelude, key }, (both) => [
      equalPublic(both.prelude.routeTag, routeTag(both.key.model.id)),
      'a request for the model that the worker serves',
    ]),
  ];
}

function isUnderPolicy(
  { policyDigest }: Pick<Receipt, 'policyDigest'>,
  appraisal: Appraisal | undefined,
): boolean {
  return appraisal !== undefined && equalPublic(policyDigest, appraisal.verdict.policy.digest);
}

function billSection(
  bill: Bill | undefined,
  checks: readonly BillCheck[],
  { aud, pinned }: { readonly aud: string | undefined; readonly pinned: string | undefined },
): readonly Check[] {
  if (bill === undefined) return [failed('bill.form', 'a bill that can be read')];
  const gateway =
    pinned === undefined
      ? waivedBy(
          'gateway.id',
          'the gateway is the one that the bill names; pin it to have it checked',
        )
      : named('gateway.id', aud === pinned, `gateway ${pinned}`);
  return [passed('bill.form'), gateway, ...checks.map((check) => billCheck(bill, check))];
}

function billCheck({ payment, line }: Bill, { id, outcome }: BillCheck): Check {
  if (id === 'line.present' && line === undefined && payment === undefined) {
    return waivedBy(
      id,
      'no ledger line and no channel stand in the bill; whoever made it may have left them out',
    );
  }
  if (outcome === 'pass') return passed(id);
  if (outcome === 'skipped') return skippedFor(id, 'nothing to hold it against');
  return failed(id, 'what is signed to fit together');
}

function textChecks({ texts }: ResponseProof, pins: ProofPins): readonly Check[] {
  return (['request', 'response'] as const).map((which) => {
    const text = pins[which];
    if (text === undefined) return skippedFor(`text.${which}`, 'the text was not given');
    const hash = hashText(texts.salt, which, text);
    return named(
      `text.${which}`,
      equalPublic(hash, texts[which]),
      `the text that the client hashed, ${toHex(texts[which])}`,
    );
  });
}

function orUndefined<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof VeilError) || error.spec.status === 500) throw error;
    return undefined; // an answer: the check named after it fails
  }
}
