/**
 * The proof of an answer made by hand, with every key in the test's hands: evidence over the very statement of the bill, and
 * signed documents that admit it. Each party's lie is one change here, signed as it would be, so that exactly the check
 * against that lie can fail.
 * @module
 */

import { randomBytes, sha256 } from '#primitives';
import { utf8 } from '../../core/bytes.ts';
import { encodeEvidence } from '../../attestation/evidence.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { encodeRelease } from '../../attestation/publication/release.ts';
import { encodeRevocations } from '../../attestation/publication/revocations.ts';
import type { Offered } from '../../attestation/publication/advance.ts';
import { encodeState } from '../../attestation/publication/saved-state.ts';
import { encodeBill, type Bill } from '../../client/pay/bill.ts';
import { hashText, type ResponseProof } from '../../client/proof/response-proof.ts';
import type { Json } from '../../core/json.ts';
import { billOf, type Lies } from './bill-lab.ts';
import {
  accepted,
  blankReader,
  bundlesOf,
  makeRelease,
  makeRevocations,
  makeTimestamp,
  named,
  releaseOf,
  revocationsOf,
} from './publication.ts';
import { createTestPki, NOW_MS, type TestPki } from './tdx/pki.ts';
import { buildEvidence, testPolicy, type EvidenceFaults } from './worker-evidence.ts';

export const REQUEST_TEXT = utf8('{"model":"test/model","messages":[]}');
export const RESPONSE_TEXT = utf8('{"choices":[]}');

export interface ProofLies {
  /** Absent: one for all proofs of this file. */
  readonly pki?: TestPki;
  readonly bill?: Lies;
  readonly evidence?: EvidenceFaults;
  /** Members of the policy document that are others. */
  readonly policy?: Readonly<Record<string, Json>>;
  readonly revocations?: Parameters<typeof revocationsOf>[0];
  readonly timestampMs?: number;
  /** When the documents were accepted. */
  readonly acceptedAtMs?: number;
  /** Whatever stands in the file in place of what would. */
  readonly proof?: Partial<ResponseProof>;
}

/** A client answers no challenge of its own: it dates a statement by its clock. */
const LIMITS = {
  evidence_age: '1h',
  reattest_every: '1h',
  revocation_age: { gateway: '60s', client: '5m' },
  collateral_grace: '0s',
  challenge: 'gateway',
};

let pki: Promise<TestPki> | undefined;

export async function proofOf(lies: ProofLies = {}): Promise<ResponseProof> {
  pki ??= createTestPki();
  const authority = lies.pki ?? (await pki);
  const policy = testPolicy(sha256(authority.sound.root.der), { limits: LIMITS, ...lies.policy });
  const bill = billUnder(policy, lies.bill);
  const { evidence } = await buildEvidence(authority, {
    statementBytes: bill.worker.statement,
    cardBytes: bill.worker.card,
    ...lies.evidence,
  });
  const salt = randomBytes(32);
  return {
    appraisedAtMs: NOW_MS,
    evidence: utf8(JSON.stringify(encodeEvidence(evidence))),
    policy: { kind: 'signed', mode: 'online', state: stateOf(policy, lies), unreleased: undefined },
    bill: encodeBill(bill),
    texts: {
      salt,
      request: hashText(salt, 'request', REQUEST_TEXT),
      response: hashText(salt, 'response', RESPONSE_TEXT),
    },
    ...lies.proof,
  };
}

/** The bill of the lab, at the instant of the evidence; made by the clock that sealed. */
function billUnder({ digest }: CompiledPolicy, lies: Lies = {}): Bill {
  const sealedMs = lies.prelude?.issuedAtMs ?? NOW_MS;
  return billOf({
    ...lies,
    document: { issuedMs: sealedMs - 1000, expiresMs: sealedMs + 1000, ...lies.document },
    prelude: { issuedAtMs: NOW_MS, ...lies.prelude },
    receipt: { startMs: NOW_MS, endMs: NOW_MS + 1, policyDigest: digest, ...lies.receipt },
    line: { atMs: NOW_MS, ...lies.line },
    bill: { atMs: sealedMs, ...lies.bill },
  });
}

function stateOf(policy: CompiledPolicy, lies: ProofLies): Uint8Array {
  return encodeState(accepted(blankReader(), offeredOf(policy, lies), lies.acceptedAtMs));
}

function offeredOf(policy: CompiledPolicy, lies: ProofLies): Offered {
  const release = { current: named(policy) };
  return {
    release: makeRelease(release),
    bundles: bundlesOf([policy]),
    revocations: makeRevocations(lies.revocations),
    timestamp: makeTimestamp({
      timeMs: lies.timestampMs ?? NOW_MS,
      release: { number: 1, digest: sha256(encodeRelease(releaseOf(release))) },
      revocations: {
        number: 1,
        digest: sha256(encodeRevocations(revocationsOf(lies.revocations))),
      },
    }),
  };
}
