/**
 * How a worker comes in and goes: challenge, appraisal under the gateway's policy, the owner's signature, the endpoint's
 * rules, proof that the endpoint holds the key. Spec: overview "Identities", "Key life"; gateways-and-e2ee §8.2 A2, E1.
 * @module
 */

import { verifyEd25519 } from '#primitives';
import { z } from 'zod';
import {
  ascii,
  concat,
  equalPublic,
  fixed,
  fromBase64,
  fromHex,
  toHex,
  type Bytes,
} from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import type { ClientCertificate } from '../../core/node/http-client.ts';
import { ownerSignatureInput, parseCard, workerIdOf } from '../../attestation/card.ts';
import { decodeEvidence, encodeEvidence, type EvidenceBundle } from '../../attestation/evidence.ts';
import { revokedAmong } from '../../attestation/policy/revocations.ts';
import { parseStatement, statementHash, type Statement } from '../../attestation/statement.ts';
import type { AttestedKey, Verdict } from '../../attestation/verdict.ts';
import type { Audit } from '../audit.ts';
import type { Counters } from '../counters.ts';
import { registrationError } from '../errors.ts';
import type { GatewayLog } from '../events.ts';
import { PUBLISH_MARGIN_DIVISOR, PUBLISH_MARGIN_MAX_MS } from '../limits.ts';
import type { PolicyDesk } from '../policy/desk.ts';
import type { RefusedEvidence, RefusedRegistration } from '../policy/refused-evidence.ts';
import { AppraisalBudget } from './admission.ts';
import type { Challenges } from './challenges.ts';
import { resolveEndpoint, type EndpointRules, type ResolvedEndpoint } from './endpoint.ts';
import { createLink } from './link.ts';
import type { WorkerJudge } from './judge.ts';
import type { WorkerRegistry } from './registry.ts';

export interface RegistrationDeps {
  readonly clock: Clock;
  readonly aud: string;
  readonly desk: PolicyDesk;
  readonly judge: WorkerJudge;
  readonly registry: WorkerRegistry;
  readonly challenges: Challenges;
  readonly endpoints: EndpointRules;
  readonly identity: ClientCertificate;
  readonly log: GatewayLog;
  readonly counters: Counters;
  readonly audit: Audit;
  readonly refused: RefusedEvidence;
}

export type Registration =
  | {
      readonly outcome: 'admitted';
      readonly workerId: string;
      readonly verdict: Verdict;
      readonly publishUntilMs: number;
    }
  | { readonly outcome: 'denied'; readonly verdict: Verdict };

const SIGNATURE_CHARS = 88;
const ENDPOINT_MAX_CHARS = 512;
const REQUEST = z.strictObject({
  evidence: z.unknown(),
  endpoint: z.string().max(ENDPOINT_MAX_CHARS),
  ownerSignature: z.string().length(SIGNATURE_CHARS),
});
const LEAVE = z.strictObject({
  statementHash: z.string().length(64),
  signature: z.string().length(SIGNATURE_CHARS),
});

export class Registrar {
  readonly #deps: RegistrationDeps;
  /** Statements that came in once, with their expiry: a replay finds its challenge used, and its name here. */
  readonly #seen = new Map<string, number>();
  readonly #budget = new AppraisalBudget();

  constructor(deps: RegistrationDeps) {
    this.#deps = deps;
  }

  /** Throws `registration.*`, `evidence.*`, `statement.*`, `card.*`. A denial is an answer, with its verdict. */
  async register(json: unknown, signal: AbortSignal): Promise<Registration> {
    const { clock, challenges } = this.#deps;
    const request = decodeRequest(json);
    const { bundle } = request;
    // The sender's word until the appraisal: read only to find the challenge and the owner.
    const statement = parseStatement(bundle.statement);
    challenges.verify(statement.nonce, clock());
    this.#assertNew(bundle, clock());
    const workerId = this.#assertOwner(bundle, request.ownerSignature);
    // Nothing above leaves a trace: from here on it is the owner who spends.
    const id = toHex(workerId);
    const standing = this.#deps.registry.byWorkerId(id).length > 0 ? 'known' : 'newcomer';
    const done = this.#budget.enter(id, standing, clock());
    try {
      challenges.consume(statement.nonce, standing, clock());
      const { endpoint } = request;
      return await this.#decide({ bundle, statement, endpoint, workerId }, signal);
    } finally {
      done();
    }
  }

  /** The endpoint comes last: only a worker that the policy admits makes the gateway look up a name and wait. */
  async #decide(
    {
      bundle,
      statement,
      endpoint,
      workerId,
    }: {
      readonly bundle: EvidenceBundle;
      readonly statement: Statement;
      readonly endpoint: string;
      readonly workerId: Bytes<32>;
    },
    signal: AbortSignal,
  ): Promise<Registration> {
    const { clock, desk, judge, endpoints } = this.#deps;
    const policy = desk.policyFor(workerId);
    desk.assertFresh(clock());
    desk.assertFresh(clock(), policy);
    const { appraisal, vouched } = await judge.newcomer(bundle, statement.nonce, {
      policy,
      signal,
    });
    if (appraisal.outcome === 'denied') {
      this.#refuse(appraisal.verdict, { workerId, bundle, challenge: statement.nonce });
      return appraisal;
    }
    const { key, verdict } = appraisal;
    const publishUntilMs = publishUntilOf(statement, key);
    if (publishUntilMs <= clock()) throw registrationError('registration.expiring');
    const resolved = await resolveEndpoint(endpoint, endpoints);
    const admitted = { key, verdict, bundle: vouched, statement, resolved, publishUntilMs };
    await this.#admit(admitted, signal);
    return { outcome: 'admitted', workerId: toHex(key.workerId), verdict, publishUntilMs };
  }

  #refuse(verdict: Verdict, refused: RefusedRegistration): void {
    const { log, counters, audit, refused: kept } = this.#deps;
    const check = verdict.checks.find(({ outcome }) => outcome === 'fail')?.id ?? '';
    log.event('worker.refused', { code: 'registration.denied', check });
    counters.registration('refused', 'registration.denied');
    const workerId = toHex(refused.workerId);
    audit.workerDenied({ workerId, check, policy: verdict.policy.digest });
    kept.add(refused);
  }

  #assertNew({ statement }: EvidenceBundle, nowMs: number): void {
    for (const [known, expiresMs] of this.#seen) if (expiresMs <= nowMs) this.#seen.delete(known);
    const hash = statementHash(statement);
    if (this.#seen.has(toHex(hash)) || this.#deps.registry.hasStatement(hash)) {
      throw registrationError('registration.duplicate');
    }
  }

  /** Returns the worker's id. */
  #assertOwner(bundle: EvidenceBundle, signature: Bytes<64>): Bytes<32> {
    const { owner } = parseCard(bundle.card);
    const signed = ownerSignatureInput(statementHash(bundle.statement));
    if (!verifyEd25519(owner, signature, signed)) {
      throw registrationError('registration.owner_signature');
    }
    return workerIdOf(owner);
  }

  async #admit(
    admitted: {
      readonly key: AttestedKey;
      readonly verdict: Verdict;
      readonly bundle: EvidenceBundle;
      readonly statement: Statement;
      readonly resolved: ResolvedEndpoint;
      readonly publishUntilMs: number;
    },
    signal: AbortSignal,
  ): Promise<void> {
    const { registry, identity } = this.#deps;
    const { key, bundle, resolved, verdict, publishUntilMs } = admitted;
    const link = createLink({
      endpoint: resolved.origin,
      address: resolved.address,
      tlsSpkiSha256: key.tlsSpkiSha256,
      identity,
    });
    if ((await link.probe(signal)) === 'gone') {
      await link.destroy();
      throw registrationError('registration.unreachable');
    }
    const evidence = encodeEvidence(bundle);
    // From here to the end nothing waits: what was true when it was asked is true when the worker is in.
    const refusal = this.#isStillAdmitted(key, verdict)
      ? registry.add({
          key,
          bundle,
          evidence,
          verdict,
          challenge: admitted.statement.nonce,
          endpoint: resolved.origin,
          publishUntilMs,
          link,
        })
        ? undefined
        : 'registration.full'
      : 'registration.policy_changed';
    if (refusal === undefined) {
      this.#welcome(key, verdict, publishUntilMs);
      return;
    }
    await link.destroy();
    throw registrationError(refusal);
  }

  /**
   * Looking up the name and asking the endpoint took a while, in which a policy may have come or a revocation: whoever was
   * admitted under what no longer holds tries again.
   */
  #isStillAdmitted(key: AttestedKey, { policy, revocable }: Verdict): boolean {
    const { desk } = this.#deps;
    const isCurrent = equalPublic(desk.policyFor(key.workerId).digest, policy.digest);
    return isCurrent && revokedAmong(desk.revocations(), revocable) === undefined;
  }

  #welcome(key: AttestedKey, { rule, image, policy }: Verdict, publishUntilMs: number): void {
    const { registry, log, counters, clock, audit } = this.#deps;
    const [workerId, kid] = [toHex(key.workerId), toHex(key.kid)];
    const { simulated } = key;
    const model = key.model.id;
    this.#seen.set(toHex(key.statementHash), Math.max(key.expiresAtMs, clock()));
    counters.registration('admitted', 'none');
    counters.workers(registry.all().length);
    log.event('worker.admitted', { workerId, kid, model, simulated, publishUntilMs });
    audit.workerAdmitted({
      workerId,
      kid,
      model,
      simulated,
      policy: policy.digest,
      ...(rule === undefined ? {} : { rule }),
      ...(image === undefined ? {} : { image }),
    });
  }

  /** By `keys.sig` of the statement that goes. Throws `registration.*`. */
  leave(workerId: string, json: unknown): void {
    const decoded = LEAVE.safeParse(json);
    if (!decoded.success) throw registrationError('registration.format');
    const hash = hexBytes(decoded.data.statementHash);
    const { registry } = this.#deps;
    const worker = [...registry.byWorkerId(workerId), ...registry.benched()].find(
      (one) => one.workerId === workerId && equalPublic(one.key.statementHash, hash),
    );
    if (worker === undefined) throw registrationError('registration.challenge', 'not here');
    const signed = concat(ascii('veilgate.worker-leave/1'), Uint8Array.of(0), hash);
    const signature = signatureOf(decoded.data.signature);
    if (!verifyEd25519(worker.key.receiptKey, signature, signed)) {
      throw registrationError('registration.signature');
    }
    registry.remove(worker.kid, 'left');
  }
}

/** The statement leaves the shop window before it ends, so that nobody seals to a key about to be erased. */
export function publishUntilOf({ iat, exp }: Statement, { expiresAtMs }: AttestedKey): number {
  const lifetimeMs = (exp - iat) * 1000;
  const marginMs = Math.min(PUBLISH_MARGIN_MAX_MS, lifetimeMs / PUBLISH_MARGIN_DIVISOR);
  return Math.floor(expiresAtMs - marginMs);
}

function decodeRequest(json: unknown): {
  readonly bundle: EvidenceBundle;
  readonly endpoint: string;
  readonly ownerSignature: Bytes<64>;
} {
  const decoded = REQUEST.safeParse(json);
  if (!decoded.success) throw registrationError('registration.format');
  const { evidence, endpoint, ownerSignature } = decoded.data;
  return {
    bundle: decodeEvidence(evidence),
    endpoint,
    ownerSignature: signatureOf(ownerSignature),
  };
}

function signatureOf(text: string): Bytes<64> {
  try {
    return fixed(fromBase64(text), 64, 'signature');
  } catch (cause) {
    throw registrationError('registration.format', 'signature', { cause });
  }
}

function hexBytes(text: string): Uint8Array {
  try {
    return fromHex(text);
  } catch (cause) {
    throw registrationError('registration.format', 'hex', { cause });
  }
}
