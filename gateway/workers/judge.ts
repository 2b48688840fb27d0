/**
 * A worker's evidence under the policy that is in force for it, with the newest collateral and what was revoked: at
 * registration, in each round, and when a policy changes. Spec: overview "Key life"; gpu-and-policy §5.4.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { codeOf } from '../../core/node/log.ts';
import { appraiseApart, type Appraisal } from '../../attestation/appraise.ts';
import type { EvidenceBundle } from '../../attestation/evidence.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { newCaches } from '../../attestation/tees.ts';
import type { GatewayLog } from '../events.ts';
import type { PolicyDesk } from '../policy/desk.ts';
import type { LiveWorker } from './registry.ts';
import type { Vouching } from './vouching.ts';

export interface JudgeDeps {
  readonly clock: Clock;
  readonly aud: string;
  readonly desk: PolicyDesk;
  readonly log: GatewayLog;
  /** Absent where only simulated machines can come in. */
  readonly vouching?: Vouching;
}

export class WorkerJudge {
  readonly #deps: JudgeDeps;
  readonly #caches = newCaches();
  /** The newest collateral per statement, and the state of the store it is from. Gone with the worker. */
  readonly #vouched = new WeakMap<
    LiveWorker['load'],
    { readonly revision: number; readonly bundle: EvidenceBundle }
  >();

  constructor(deps: JudgeDeps) {
    this.#deps = deps;
  }

  /**
   * What the worker brought, then, if that is admitted, the same with the newest collateral that the gateway knows of.
   * Throws `registration.collateral`.
   */
  async newcomer(
    bundle: EvidenceBundle,
    challenge: Bytes<32>,
    { policy, signal }: { readonly policy: CompiledPolicy; readonly signal: AbortSignal },
  ): Promise<{ readonly appraisal: Appraisal; readonly vouched: EvidenceBundle }> {
    const first = await this.appraise(bundle, challenge, policy);
    const { vouching } = this.#deps;
    if (first.outcome === 'denied' || vouching?.covers(first.key) !== true) {
      return { appraisal: first, vouched: bundle };
    }
    const vouched = await vouching.vouch(bundle, signal);
    return { appraisal: await this.appraise(vouched, challenge, policy), vouched };
  }

  /** Somebody who is in, or on the bench. */
  async again(
    worker: LiveWorker,
    { policy, signal }: { readonly policy: CompiledPolicy; readonly signal: AbortSignal },
  ): Promise<Appraisal> {
    const bundle = await this.#newest(worker, signal);
    return await this.appraise(bundle, worker.challenge, policy);
  }

  appraise(
    evidence: EvidenceBundle,
    challenge: Bytes<32>,
    policy: CompiledPolicy,
  ): Promise<Appraisal> {
    const { clock, aud, desk } = this.#deps;
    return appraiseApart({
      evidence,
      policy,
      nowMs: clock(),
      aud,
      challenge: { equals: challenge },
      revocations: desk.knowledge(),
      caches: this.#caches,
    });
  }

  /** A worker's evidence with what has come in since; asked of the store only when something has. */
  async #newest(worker: LiveWorker, signal: AbortSignal): Promise<EvidenceBundle> {
    const { vouching, log } = this.#deps;
    const known = this.#vouched.get(worker.load);
    const bundle = known?.bundle ?? worker.bundle;
    const revision = vouching?.revision() ?? 0;
    if (vouching?.covers(worker.key) !== true || known?.revision === revision) return bundle;
    try {
      const fresh = await vouching.vouch(bundle, signal);
      this.#vouched.set(worker.load, { revision, bundle: fresh });
      return fresh;
    } catch (error) {
      // What it was admitted on goes on being judged, up to its own expiry; the next round asks again.
      log.event('control.failed', { code: codeOf(error), requestId: 'sweep' });
      return bundle;
    }
  }
}
