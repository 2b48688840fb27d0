/**
 * Whether the upstream can be asked: looked at every two seconds, and no more asked for a while after answers have broken one
 * after the other. Then it has to answer once before an app's prompt is sent again. Weights that are no longer the measured
 * ones end it for good. Spec: openai-gateway-and-engine §6 rule 7.
 * @module
 */

import { VeilError } from '../../../core/errors.ts';
import { pause } from '../../../core/node/lifecycle.ts';
import {
  BREAK_AFTER,
  BREAK_FIRST_MS,
  BREAK_MAX_MS,
  HEALTH_EVERY_MS,
  HEALTH_MISSES_MAX,
  WEIGHTS_LOOK_EVERY_MS,
} from './limits.ts';

export type HealthState = 'crashed' | 'restarted' | 'given-up';

export interface HealthPorts {
  /** It is there and has the model. */
  readonly look: (signal: AbortSignal) => Promise<boolean>;
  /** It gives a whole answer. */
  readonly trial: (signal: AbortSignal) => Promise<boolean>;
  /** Throws `weights.*`. */
  readonly assertWeights: () => Promise<void>;
  readonly onState: (state: HealthState) => void;
  readonly pace?: HealthPace;
}

/** Absent: as in limits.ts. */
export interface HealthPace {
  readonly everyMs?: number;
  readonly weightsEveryMs?: number;
  /** The first pause after a break. */
  readonly breakMs?: number;
}

export class Health {
  readonly #ports: HealthPorts;
  #misses = 0;
  #broken = 0;
  #breakMs: number;
  #isOpen = false;
  #isGone = false;
  #wasHealthy = true;

  constructor(ports: HealthPorts) {
    this.#ports = ports;
    this.#breakMs = this.#firstBreakMs;
  }

  get #firstBreakMs(): number {
    return this.#ports.pace?.breakMs ?? BREAK_FIRST_MS;
  }

  readonly healthy = (): boolean =>
    !this.#isGone && !this.#isOpen && this.#misses < HEALTH_MISSES_MAX;

  /** Of an app's answer. What the app itself brought about is neither. */
  answered(outcome: 'whole' | 'broken'): void {
    if (outcome === 'whole') {
      this.#broken = 0;
      return;
    }
    this.#broken++;
    if (this.#broken < BREAK_AFTER) return;
    this.#isOpen = true;
    this.#tell();
  }

  /** Until `signal` aborts. Never rejects. */
  async keep(signal: AbortSignal): Promise<void> {
    const { everyMs = HEALTH_EVERY_MS, weightsEveryMs = WEIGHTS_LOOK_EVERY_MS } =
      this.#ports.pace ?? {};
    let sinceWeightsMs = 0;
    while (!this.#isGone && (await pause(everyMs, signal))) {
      const isThere = await quietly(() => this.#ports.look(signal));
      this.#misses = isThere ? 0 : this.#misses + 1;
      sinceWeightsMs += everyMs;
      if (sinceWeightsMs >= weightsEveryMs) {
        sinceWeightsMs = 0;
        await this.#lookAtWeights();
      }
      if (isThere && this.#isOpen) await this.#tryAgain(signal);
      if (!signal.aborted) this.#tell();
    }
  }

  async #lookAtWeights(): Promise<void> {
    try {
      await this.#ports.assertWeights();
    } catch (error) {
      if (!(error instanceof VeilError)) throw error;
      this.#isGone = true;
      this.#ports.onState('given-up');
    }
  }

  /** Ever more slowly, until one whole answer has come. */
  async #tryAgain(signal: AbortSignal): Promise<void> {
    if (!(await pause(this.#breakMs, signal))) return;
    if (await quietly(() => this.#ports.trial(signal))) {
      this.#isOpen = false;
      this.#broken = 0;
      this.#breakMs = this.#firstBreakMs;
      return;
    }
    this.#breakMs = Math.min(BREAK_MAX_MS, this.#breakMs * 2);
  }

  #tell(): void {
    const isHealthy = this.healthy();
    if (isHealthy === this.#wasHealthy || this.#isGone) return;
    this.#wasHealthy = isHealthy;
    this.#ports.onState(isHealthy ? 'restarted' : 'crashed');
  }
}

/** A look that fails is an answer: it is not well. */
async function quietly(look: () => Promise<boolean>): Promise<boolean> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof VeilError) return false;
    throw error;
  }
}
