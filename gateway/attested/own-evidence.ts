/**
 * The gateway's own evidence: a statement about its keys, quoted by its machine, made anew at half its life and no longer
 * shown shortly before its end. The TLS key behind it is this process's alone. Spec: docs/attested-gateway.md "Statement".
 * @module
 */

import { sha256 } from '#primitives';
import type { Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { VeilError } from '../../core/errors.ts';
import { pause } from '../../core/node/lifecycle.ts';
import { codeOf } from '../../core/node/log.ts';
import {
  gatewayEvidence,
  type GatewayEvidence,
} from '../../attestation/gateway/gateway-evidence.ts';
import {
  encodeGatewayStatement,
  gatewayReportDataOf,
} from '../../attestation/gateway/gateway-statement.ts';
import { gatewayError } from '../errors.ts';
import type { GatewayLog } from '../events.ts';
import {
  OWN_CHALLENGES_PER_MINUTE_MAX,
  OWN_EVIDENCE_ROUND_MS,
  OWN_QUOTE_TIMEOUT_MS,
  PUBLISH_MARGIN_DIVISOR,
  PUBLISH_MARGIN_MAX_MS,
} from '../limits.ts';
import type { QuoteSource } from './quote-source.ts';

export interface OwnEvidenceOptions {
  readonly source: QuoteSource;
  readonly hosts: readonly string[];
  readonly keys: {
    readonly identity: Bytes<32>;
    readonly tls: { readonly spkiSha256: Bytes<32> };
    readonly ledger: readonly Bytes<32>[];
  };
  readonly workload: { readonly image: Bytes<32>; readonly config: Bytes<32> };
  readonly lifetimeS: number;
  readonly clock: Clock;
  readonly log: GatewayLog;
}

interface Shown {
  readonly evidence: GatewayEvidence;
  readonly renewAtMs: number;
  readonly untilMs: number;
}

const MS_PER_S = 1000;
const MINUTE_MS = 60_000;

export class OwnEvidence {
  readonly #options: OwnEvidenceOptions;
  #shown: Shown | undefined;
  #challenges: { readonly startMs: number; count: number } = { startMs: 0, count: 0 };
  #isQuoting = false;

  constructor(options: OwnEvidenceOptions) {
    this.#options = options;
  }

  /** Throws `gateway.quote` when there is nothing current to show. */
  current(): GatewayEvidence {
    const shown = this.#shown;
    if (shown === undefined || this.#options.clock() >= shown.untilMs) {
      throw gatewayError('gateway.quote', 'no current statement');
    }
    return shown.evidence;
  }

  /** The same keys in a statement that answers a verifier's challenge. One at a time. Throws `gateway.quote`. */
  async answering(challenge: Bytes<32>, signal: AbortSignal): Promise<GatewayEvidence> {
    // Before it is counted: what costs no quote must not use up those of the minute.
    if (this.#isQuoting) throw gatewayError('gateway.quote', 'another challenge is being answered');
    this.#countChallenge();
    this.#isQuoting = true;
    try {
      return (await this.#make(challenge, signal)).evidence;
    } catch (cause) {
      // What the machine or a vendor said is for the log; a stranger learns that there is no answer.
      if (!(cause instanceof VeilError)) throw cause;
      this.#options.log.event('gateway.evidence_failed', { code: cause.code });
      throw gatewayError('gateway.quote', '', { cause });
    } finally {
      this.#isQuoting = false;
    }
  }

  #countChallenge(): void {
    const nowMs = this.#options.clock();
    if (Math.abs(nowMs - this.#challenges.startMs) >= MINUTE_MS) {
      this.#challenges = { startMs: nowMs, count: 0 };
    }
    if (this.#challenges.count >= OWN_CHALLENGES_PER_MINUTE_MAX) {
      throw gatewayError('gateway.quote', 'too many challenges');
    }
    this.#challenges.count += 1;
  }

  /** A new statement to show. Throws `evidence.*`, `collateral.*`: then what was shown stays. */
  async renew(signal: AbortSignal): Promise<void> {
    const made = await this.#make(null, signal);
    this.#shown = made;
    const { source, log } = this.#options;
    log.event('gateway.evidence', {
      statement: sha256(made.evidence.statement),
      tee: source.tee,
      simulated: source.simulated,
      expiresMs: made.untilMs,
    });
  }

  /** Until `closing`: renews in time, and tries again after a failure. */
  async keep(closing: AbortSignal): Promise<void> {
    while (await pause(OWN_EVIDENCE_ROUND_MS, closing)) {
      if (this.#shown !== undefined && this.#options.clock() < this.#shown.renewAtMs) continue;
      try {
        await this.renew(closing);
      } catch (error) {
        // The one that is shown may live for a while; after it nobody is told anything.
        if (closing.aborted) return;
        this.#options.log.event('gateway.evidence_failed', { code: codeOf(error) });
      }
    }
  }

  async #make(nonce: Bytes<32> | null, signal: AbortSignal): Promise<Shown> {
    const { source, hosts, keys, workload, lifetimeS, clock } = this.#options;
    const iat = Math.floor(clock() / MS_PER_S);
    const { tee } = source;
    const statement = encodeGatewayStatement({
      hosts,
      iat,
      exp: iat + lifetimeS,
      nonce,
      tee,
      keys,
      workload,
    });
    const limit = AbortSignal.any([signal, AbortSignal.timeout(OWN_QUOTE_TIMEOUT_MS)]);
    const reportData = gatewayReportDataOf(statement);
    const { quote, endorsements } = await source
      .quote(reportData, limit)
      .catch((cause: unknown) => {
        if (cause instanceof VeilError || !limit.aborted) throw cause;
        throw gatewayError('gateway.quote', 'stopped, or too late', { cause });
      });
    const evidence = gatewayEvidence({ tee, statement, quote }, endorsements);
    if (evidence === undefined) {
      throw gatewayError('gateway.quote', 'endorsements of another kind of machine');
    }
    const lifeMs = lifetimeS * MS_PER_S;
    const marginMs = Math.min(PUBLISH_MARGIN_MAX_MS, lifeMs / PUBLISH_MARGIN_DIVISOR);
    return {
      evidence,
      renewAtMs: iat * MS_PER_S + lifeMs / 2,
      untilMs: iat * MS_PER_S + lifeMs - marginMs,
    };
  }
}
