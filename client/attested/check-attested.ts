/**
 * Judges a kept proof of an answer through a gateway in a TEE again, offline: the gateway by the policy in the file, the
 * worker by the same, the bill, and that all of them are about the same gateway. Spec: docs/attested-gateway.md.
 * @module
 */

import { equalPublic, toHex, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { parseJson } from '../../core/json.ts';
import {
  appraiseGateway,
  type GatewayAppraisal,
} from '../../attestation/gateway/appraise-gateway.ts';
import { EVIDENCE_MAX_BYTES } from '../../attestation/evidence.ts';
import {
  decodeGatewayEvidence,
  type GatewayEvidence,
} from '../../attestation/gateway/gateway-evidence.ts';
import { parseGatewayStatement } from '../../attestation/gateway/gateway-statement.ts';
import type { Check, Verdict } from '../../attestation/verdict.ts';
import {
  verifyGatewayDocument,
  type VerifiedGatewayDocument,
} from '../../protocol/gateway-document.ts';
import { CLOCK_SKEW_MAX_MS } from '../../protocol/sx/limits.ts';
import { parsePrelude } from '../../protocol/sx/prelude.ts';
import type { Bill } from '../pay/bill.ts';
import { checkProof, type CheckedProof, type ProofPins } from '../proof/check-response.ts';
import { judgePolicy } from '../proof/judge-policy.ts';
import { failed, named, skippedFor, waivedBy } from '../proof/proof-check.ts';
import type { AttestedProof } from './attested-proof.ts';

export interface CheckedAttestedProof {
  /** No check failed, and gateway and worker are admitted. */
  readonly holds: boolean;
  readonly gateway: readonly Check[];
  /** Of the gateway; undefined where there was nothing to judge it by. */
  readonly verdict: Verdict | undefined;
  readonly response: CheckedProof;
}

/** Never throws at what a proof says. */
export function checkAttestedProof(
  proof: AttestedProof,
  pins: ProofPins = {},
): CheckedAttestedProof {
  const response = checkProof(proof.response, pins, 'gateway');
  const { evidence, appraisal } = judged(proof, pins);
  const gateway = [
    named('gateway.form', evidence !== undefined, 'evidence of a gateway that can be read'),
    ...(appraisal?.verdict.checks ?? [skippedFor('gateway.judged', 'no evidence, or no policy')]),
    ...bindingChecks(proof, evidence, response.bill),
    timeCheck(proof, appraisal, response.bill),
  ];
  const isAdmitted = appraisal?.outcome === 'admitted';
  const fails = gateway.some(({ outcome }) => outcome === 'fail');
  return {
    holds: response.holds && isAdmitted && !fails,
    gateway,
    verdict: appraisal?.verdict,
    response,
  };
}

interface Judged {
  readonly evidence: GatewayEvidence | undefined;
  readonly appraisal: GatewayAppraisal | undefined;
}

function judged({ gateway, response }: AttestedProof, pins: ProofPins): Judged {
  const evidence = orUndefined(() =>
    decodeGatewayEvidence(parseJson(gateway.evidence, 2 * EVIDENCE_MAX_BYTES)),
  );
  const { trust } = judgePolicy(response, pins);
  if (evidence === undefined || trust === undefined) return { evidence, appraisal: undefined };
  const appraisal = appraiseGateway({
    evidence,
    policy: trust.policy,
    nowMs: response.appraisedAtMs,
    aud:
      pins.gateway === undefined
        ? { waived: 'the gateway is the one that the file names', by: 'the verifier' }
        : { equals: pins.gateway },
    host: { equals: gateway.host },
    ...(gateway.challenge === null ? {} : { challenge: gateway.challenge }),
    revocations: trust.revocations,
  });
  return { evidence, appraisal };
}

/** That statement, connection and bill are of one gateway. */
function bindingChecks(
  { gateway }: AttestedProof,
  evidence: GatewayEvidence | undefined,
  bill: Bill | undefined,
): readonly Check[] {
  const statement = evidence && orUndefined(() => parseGatewayStatement(evidence.statement));
  const document = bill && orUndefined(() => verifyGatewayDocument(bill.gateway, bill.atMs));
  if (statement === undefined) {
    return BINDING_IDS.map((id) => skippedFor(id, 'no statement of a gateway'));
  }
  const { keys, aud } = statement;
  const [key, ...ofDocument] = BINDING_IDS;
  const ofConnection = equalPublic(keys.tls.spkiSha256, gateway.spkiSha256)
    ? waivedBy(key, CLIENTS_WORD, 'whoever made the file')
    : failed(key, `a connection to ${toHex(keys.tls.spkiSha256)}`, toHex(gateway.spkiSha256));
  if (document === undefined) {
    return [ofConnection, ...ofDocument.map((id) => skippedFor(id, 'no document in the bill'))];
  }
  return [ofConnection, ...documentChecks({ aud, ...keys, tls: keys.tls.spkiSha256 }, document)];
}

/** Nobody signs any of it, so that it must not look like something proven. */
const CLIENTS_WORD = 'name, challenge and key of the connection are the word of the client';
const BINDING_IDS = ['gateway.key', 'gateway.same', 'gateway.tls', 'gateway.ledger'] as const;

interface Stated {
  readonly aud: string;
  readonly tls: Bytes<32>;
  readonly ledger: readonly Bytes<32>[];
}

/** Its own document, by which the bill was judged, has to say what its statement says. */
function documentChecks(stated: Stated, document: VerifiedGatewayDocument): readonly Check[] {
  const { aud, tlsSpkiSha256, settlement } = document;
  const has = (list: readonly Uint8Array[], one: Uint8Array): boolean =>
    list.some((other) => equalPublic(other, one));
  return [
    named('gateway.same', stated.aud === aud, `the gateway of the bill, ${aud}`, stated.aud),
    named(
      'gateway.tls',
      has(tlsSpkiSha256, stated.tls),
      'a TLS key that the gateway’s document names',
    ),
    named(
      'gateway.ledger',
      settlement.ledgerKeys.every((key) => has(stated.ledger, key)),
      'the ledger keys of the statement, and no others',
    ),
  ];
}

/** The request was sealed onward while all that the gateway's verdict rests on was valid, as far as clocks agree. */
function timeCheck(
  { response }: AttestedProof,
  appraisal: GatewayAppraisal | undefined,
  bill: Bill | undefined,
): Check {
  const id = 'gateway.time';
  const prelude = bill && orUndefined(() => parsePrelude(bill.request.prelude));
  if (prelude === undefined || appraisal?.outcome !== 'admitted') {
    return skippedFor(id, 'no request, or no gateway');
  }
  const { issuedAtMs } = prelude;
  return named(
    id,
    response.appraisedAtMs - CLOCK_SKEW_MAX_MS <= issuedAtMs &&
      issuedAtMs < appraisal.gateway.expiresAtMs + CLOCK_SKEW_MAX_MS,
    'a request sealed onward while the evidence of the gateway was valid',
  );
}

function orUndefined<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof VeilError) || error.spec.status === 500) throw error;
    return undefined; // an answer: the check named after it fails
  }
}
