/**
 * One gateway that this client verified under its own policy: until the earliest end of all it rests on, renewed before
 * that, and asked again at every use whether the policy in force and the list of revocations still support it.
 * Spec: docs/attested-gateway.md "Client".
 * @module
 */

import { randomBytes } from '#primitives';
import { equalPublic, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { deferred } from '../../core/deferred.ts';
import { VeilError } from '../../core/errors.ts';
import {
  appraiseGateway,
  assertAttestedGateway,
  type AttestedGateway,
} from '../../attestation/gateway/appraise-gateway.ts';
import type { GatewayEvidence } from '../../attestation/gateway/gateway-evidence.ts';
import { listOf } from '../../attestation/policy/revocation-checks.ts';
import { revokedAmong } from '../../attestation/policy/revocations.ts';
import { newCaches } from '../../attestation/tees.ts';
import type { Verdict } from '../../attestation/verdict.ts';
import { clientError } from '../errors.ts';
import type { Fetch } from '../fetch-bounded.ts';
import { DOCUMENT_TIMEOUT_MS, RENEWAL_PAUSE_MS } from '../limits.ts';
import type { Trust, TrustSource } from '../trust.ts';
import { fetchGatewayEvidence } from './attested-directory.ts';

/** What the client found about one gateway, admitted or not. */
export interface GatewayVerdict {
  readonly origin: string;
  readonly verdict: Verdict;
}

export interface AttestedSessionOptions {
  readonly origin: string;
  /** `gw1.…`, from a channel other than the gateway. */
  readonly gateway: string;
  readonly trust: TrustSource;
  readonly clock: Clock;
  /** Sees nothing secret. */
  readonly fetch: Fetch;
  readonly onVerdict?: ((verdict: GatewayVerdict) => void) | undefined;
}

/** By what one gateway was admitted. */
export interface GatewayAdmission {
  readonly gateway: AttestedGateway;
  readonly evidence: GatewayEvidence;
  readonly verdict: Verdict;
  /** That this client set, where the policy asks for one. */
  readonly challenge: Bytes<32> | undefined;
  readonly renewAtMs: number;
}

/** To send one request on: what holds at that instant. */
export interface GatewayUse {
  readonly admission: GatewayAdmission;
  readonly trust: Trust;
  readonly atMs: number;
}

export class AttestedSession {
  readonly #options: AttestedSessionOptions;
  readonly #caches = newCaches();
  #held: GatewayAdmission | undefined;
  #verdict: GatewayVerdict | undefined;
  #lookup: Promise<GatewayAdmission> | undefined;
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(options: AttestedSessionOptions) {
    this.#options = options;
  }

  /** Throws `client.gateway_evidence`, `client.gateway_denied`, `client.unreachable`, `client.policy_*`. */
  async use(signal: AbortSignal): Promise<GatewayUse> {
    const live = this.#live();
    if (live === undefined) return this.renewed(signal);
    const { admission, atMs } = live;
    if (atMs >= admission.renewAtMs && atMs >= this.#lookedMs + RENEWAL_PAUSE_MS) {
      // What is held still serves; a failed renewal shows when it no longer does.
      this.#look().catch(() => undefined);
    }
    return live;
  }

  /** Looks at the gateway anew. Throws as `use`. */
  async renewed(signal: AbortSignal): Promise<GatewayUse> {
    signal.throwIfAborted();
    await unlessAborted(this.#look(), signal);
    const live = this.#live();
    if (live === undefined) throw clientError('client.gateway_denied', 'revoked, or over already');
    return live;
  }

  verdict(): GatewayVerdict | undefined {
    return this.#verdict;
  }

  #live(): GatewayUse | undefined {
    const { clock, trust: source } = this.#options;
    const admission = this.#held;
    const atMs = clock();
    if (admission === undefined || atMs >= admission.gateway.expiresAtMs) return undefined;
    assertAttestedGateway(admission.gateway, atMs);
    const trust = trustAt(source, atMs);
    if (trust === undefined) return undefined;
    const { gateway, verdict } = admission;
    if (!equalPublic(trust.policy.digest, gateway.policyDigest)) return undefined;
    if (revokedAmong(listOf(trust.revocations), verdict.revocable) !== undefined) return undefined;
    return { admission, trust, atMs };
  }

  #look(): Promise<GatewayAdmission> {
    this.#lookup ??= this.#fetched().finally(() => {
      this.#lookup = undefined;
    });
    return this.#lookup;
  }

  async #fetched(): Promise<GatewayAdmission> {
    const { clock, origin, fetch, trust: source } = this.#options;
    this.#lookedMs = clock();
    // Its own time limit: the caller that came first must not take the others down when it leaves.
    const signal = AbortSignal.timeout(DOCUMENT_TIMEOUT_MS);
    try {
      const shown = await fetchGatewayEvidence({ fetch, origin, signal });
      await source.update(shown.published, signal);
      const trust = source.current(clock());
      if (trust.policy.document.gateways?.challenge !== 'required') {
        return this.#judged(shown.evidence, trust, undefined);
      }
      const challenge = randomBytes(32);
      const { evidence } = await fetchGatewayEvidence({ fetch, origin, signal, challenge });
      return this.#judged(evidence, trust, challenge);
    } catch (cause) {
      if (!signal.aborted || cause instanceof VeilError) throw cause;
      throw clientError('client.unreachable', 'time limit', { cause });
    }
  }

  #judged(
    evidence: GatewayEvidence,
    trust: Trust,
    challenge: Bytes<32> | undefined,
  ): GatewayAdmission {
    const { clock, origin, gateway: aud } = this.#options;
    const nowMs = clock();
    const appraisal = appraiseGateway({
      evidence,
      policy: trust.policy,
      nowMs,
      aud: { equals: aud },
      host: { equals: new URL(origin).hostname },
      ...(challenge === undefined ? {} : { challenge }),
      revocations: trust.revocations,
      caches: this.#caches,
    });
    const { verdict } = appraisal;
    this.#verdict = { origin, verdict };
    this.#options.onVerdict?.(this.#verdict);
    if (appraisal.outcome === 'denied') {
      // What was admitted before is not believed longer than what the gateway shows now.
      this.#held = undefined;
      const failed = verdict.checks.find(({ outcome }) => outcome === 'fail')?.id ?? '';
      throw clientError('client.gateway_denied', `first failed check: ${failed}`);
    }
    const { gateway } = appraisal;
    const renewAtMs = nowMs + Math.max(RENEWAL_PAUSE_MS, (gateway.expiresAtMs - nowMs) / 2);
    this.#held = { gateway, evidence, verdict, challenge, renewAtMs };
    return this.#held;
  }
}

function trustAt(source: TrustSource, nowMs: number): Trust | undefined {
  try {
    return source.current(nowMs);
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    return undefined; // nothing is live then; the look that follows says why, or finds what was missing
  }
}

async function unlessAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const stopped = deferred<never>();
  const stop = (): void => stopped.reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work, stopped.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
