/**
 * How a worker comes in, stays and goes: challenge, appraisal under the gateway's policy, the owner's signature, the
 * endpoint's rules, proof that the endpoint holds the key; re-appraisal while it stays. Spec: overview "Identities",
 * "Key life"; gateways-and-e2ee §8.2 A2, E1.
 * @module
 */

import { verifyEd25519 } from '#primitives';
import { z } from 'zod';
import { ascii, concat, fixed, fromBase64, fromHex, toHex, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import type { ClientCertificate } from '../../core/node/http-client.ts';
import { codeOf } from '../../core/node/log.ts';
import { appraiseApart, type Appraisal } from '../../attestation/appraise.ts';
import { ownerSignatureInput, parseCard, workerIdOf } from '../../attestation/card.ts';
import { decodeEvidence, encodeEvidence, type EvidenceBundle } from '../../attestation/evidence.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { parseStatement, statementHash, type Statement } from '../../attestation/statement.ts';
import { newCaches } from '../../attestation/tees.ts';
import type { AttestedKey, Verdict } from '../../attestation/verdict.ts';
import type { Counters } from '../counters.ts';
import { registrationError } from '../errors.ts';
import type { GatewayLog } from '../events.ts';
import { PROBE_FAILURES_MAX, PUBLISH_MARGIN_DIVISOR, PUBLISH_MARGIN_MAX_MS } from '../limits.ts';
import { AppraisalBudget } from './admission.ts';
import type { Challenges } from './challenges.ts';
import { resolveEndpoint, type EndpointRules, type ResolvedEndpoint } from './endpoint.ts';
import { createLink } from './link.ts';
import type { LiveWorker, WorkerRegistry } from './registry.ts';
import type { Vouching } from './vouching.ts';

export interface RegistrationDeps {
  readonly clock: Clock;
  readonly aud: string;
  readonly policy: CompiledPolicy;
  readonly registry: WorkerRegistry;
  readonly challenges: Challenges;
  readonly endpoints: EndpointRules;
  readonly identity: ClientCertificate;
  readonly log: GatewayLog;
  readonly counters: Counters;
  /** Absent under a development policy. */
  readonly vouching?: Vouching;
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
  readonly #caches = newCaches();
  /** Statements that came in once, with their expiry: a replay finds its challenge used, and its name here. */
  readonly #seen = new Map<string, number>();
  readonly #probeFailures = new WeakMap<LiveWorker, number>();
  /** The newest collateral per worker, and the state of the store it is from. */
  readonly #vouched = new WeakMap<
    LiveWorker,
    { readonly revision: number; readonly bundle: EvidenceBundle }
  >();
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
    const standing = this.#deps.registry.byWorkerId(workerId).length > 0 ? 'known' : 'newcomer';
    const done = this.#budget.enter(workerId, standing, clock());
    try {
      challenges.consume(statement.nonce, standing, clock());
      return await this.#decide({ bundle, statement, endpoint: request.endpoint }, signal);
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
    }: {
      readonly bundle: EvidenceBundle;
      readonly statement: Statement;
      readonly endpoint: string;
    },
    signal: AbortSignal,
  ): Promise<Registration> {
    const { clock, log, counters, endpoints } = this.#deps;
    const { appraisal, vouched } = await this.#judge(bundle, statement.nonce, signal);
    if (appraisal.outcome === 'denied') {
      const check = appraisal.verdict.checks.find(({ outcome }) => outcome === 'fail')?.id ?? '';
      log.event('worker.refused', { code: 'registration.denied', check });
      counters.registration('refused', 'registration.denied');
      return appraisal;
    }
    const { key, verdict } = appraisal;
    const publishUntilMs = publishUntil(statement, key, clock());
    const resolved = await resolveEndpoint(endpoint, endpoints);
    const admitted = { key, verdict, bundle: vouched, statement, resolved, publishUntilMs };
    await this.#admit(admitted, signal);
    return { outcome: 'admitted', workerId: toHex(key.workerId), verdict, publishUntilMs };
  }

  #assertNew({ statement }: EvidenceBundle, nowMs: number): void {
    for (const [known, expiresMs] of this.#seen) if (expiresMs <= nowMs) this.#seen.delete(known);
    const hash = statementHash(statement);
    if (this.#seen.has(toHex(hash)) || this.#deps.registry.hasStatement(hash)) {
      throw registrationError('registration.duplicate');
    }
  }

  /** Returns the worker's id. */
  #assertOwner(bundle: EvidenceBundle, signature: Bytes<64>): string {
    const { owner } = parseCard(bundle.card);
    const signed = ownerSignatureInput(statementHash(bundle.statement));
    if (!verifyEd25519(owner, signature, signed)) {
      throw registrationError('registration.owner_signature');
    }
    return toHex(workerIdOf(owner));
  }

  /**
   * What the worker brought, then, if that is admitted, the same with the newest collateral that the gateway knows of.
   * Throws `registration.collateral`.
   */
  async #judge(
    bundle: EvidenceBundle,
    challenge: Bytes<32>,
    signal: AbortSignal,
  ): Promise<{ readonly appraisal: Appraisal; readonly vouched: EvidenceBundle }> {
    const first = await this.#appraise(bundle, challenge);
    const { vouching } = this.#deps;
    if (first.outcome === 'denied' || vouching === undefined) {
      return { appraisal: first, vouched: bundle };
    }
    const vouched = await vouching.vouch(bundle, signal);
    return { appraisal: await this.#appraise(vouched, challenge), vouched };
  }

  #appraise(evidence: EvidenceBundle, challenge: Bytes<32>): Promise<Appraisal> {
    const { policy, clock, aud } = this.#deps;
    return appraiseApart({
      evidence,
      policy,
      nowMs: clock(),
      aud,
      challenge: { equals: challenge },
      revocations: { waived: 'an unsigned development policy', by: 'gateway option policyFile' },
      caches: this.#caches,
    });
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
    const { registry, identity, log, counters, clock } = this.#deps;
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
    const added = registry.add({
      key,
      bundle,
      evidence: encodeEvidence(bundle),
      verdict,
      challenge: admitted.statement.nonce,
      endpoint: resolved.origin,
      publishUntilMs,
      link,
    });
    if (!added) {
      await link.destroy();
      throw registrationError('registration.full');
    }
    this.#seen.set(toHex(key.statementHash), Math.max(key.expiresAtMs, clock()));
    counters.registration('admitted', 'none');
    counters.workers(registry.all().length);
    log.event('worker.admitted', {
      workerId: toHex(key.workerId),
      kid: toHex(key.kid),
      model: key.model.id,
      simulated: key.simulated,
      publishUntilMs,
    });
  }

  /** By `keys.sig` of the statement that goes. Throws `registration.*`. */
  leave(workerId: string, json: unknown): void {
    const decoded = LEAVE.safeParse(json);
    if (!decoded.success) throw registrationError('registration.format');
    const hash = hexBytes(decoded.data.statementHash);
    const worker = this.#deps.registry
      .byWorkerId(workerId)
      .find(({ key }) => toHex(key.statementHash) === toHex(hash));
    if (worker === undefined) throw registrationError('registration.challenge', 'not here');
    const signed = concat(ascii('veilgate.worker-leave/1'), Uint8Array.of(0), hash);
    const signature = signatureOf(decoded.data.signature);
    if (!verifyEd25519(worker.key.receiptKey, signature, signed)) {
      throw registrationError('registration.signature');
    }
    this.#deps.registry.remove(worker.kid, 'left');
  }

  /** Judges everybody anew: what has expired, what the policy or the collateral no longer admits, who is not there. */
  async sweep(signal: AbortSignal): Promise<void> {
    const { registry, counters, log } = this.#deps;
    for (const worker of registry.all()) {
      if (signal.aborted) return;
      try {
        await this.#rejudge(worker, signal);
      } catch (error) {
        // Whom nobody can judge nobody may seal to; those behind still have their turn.
        log.event('control.failed', { code: codeOf(error), requestId: 'sweep' });
        registry.remove(worker.kid, 'denied');
      }
    }
    await Promise.all(registry.all().map((worker) => this.#probe(worker, signal)));
    counters.workers(registry.all().length);
  }

  async #rejudge(worker: LiveWorker, signal: AbortSignal): Promise<void> {
    const { registry, clock } = this.#deps;
    if (clock() >= worker.key.expiresAtMs) {
      registry.remove(worker.kid, 'expired');
      return;
    }
    const bundle = await this.#newest(worker, signal);
    const again = await this.#appraise(bundle, worker.challenge);
    if (again.outcome === 'denied') registry.remove(worker.kid, 'denied');
  }

  /** A worker's evidence with what has come in since; asked of the store only when something has. */
  async #newest(worker: LiveWorker, signal: AbortSignal): Promise<EvidenceBundle> {
    const { vouching, log } = this.#deps;
    const known = this.#vouched.get(worker);
    const bundle = known?.bundle ?? worker.bundle;
    const revision = vouching?.revision() ?? 0;
    if (vouching === undefined || known?.revision === revision) return bundle;
    try {
      const fresh = await vouching.vouch(bundle, signal);
      this.#vouched.set(worker, { revision, bundle: fresh });
      return fresh;
    } catch (error) {
      // What it was admitted on goes on being judged, up to its own expiry; the next round asks again.
      log.event('control.failed', { code: codeOf(error), requestId: 'sweep' });
      return bundle;
    }
  }

  /** Only whom traffic has found failing: a busy worker is its own sign of life. */
  async #probe(worker: LiveWorker, signal: AbortSignal): Promise<void> {
    if (worker.load.failures === 0) return;
    const state = await worker.link.probe(signal);
    if (signal.aborted) return;
    const failures = state === 'gone' ? (this.#probeFailures.get(worker) ?? 0) + 1 : 0;
    this.#probeFailures.set(worker, failures);
    if (failures >= PROBE_FAILURES_MAX) this.#deps.registry.remove(worker.kid, 'unreachable');
  }
}

/** The statement leaves the shop window before it ends, so that nobody seals to a key about to be erased. */
function publishUntil(statement: Statement, key: AttestedKey, nowMs: number): number {
  const lifetimeMs = (statement.exp - statement.iat) * 1000;
  const marginMs = Math.min(PUBLISH_MARGIN_MAX_MS, lifetimeMs / PUBLISH_MARGIN_DIVISOR);
  const untilMs = Math.floor(key.expiresAtMs - marginMs);
  if (untilMs <= nowMs) throw registrationError('registration.expiring');
  return untilMs;
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
