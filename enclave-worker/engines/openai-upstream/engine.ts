/**
 * An engine that runs beside the worker and speaks OpenAI's API, as an engine like others: measured, probed, watched. Spec:
 * openai-gateway-and-engine §6; docs/engines.md.
 * @module
 */

import { assert, type VeilError } from '../../../core/errors.ts';
import type { Capability } from '../../../protocol/openai/endpoints.ts';
import type { EmbedJob, Embedding, Engine, GenerateJob, Generation } from '../../engine.ts';
import type { EngineOffers } from '../../engine-members.ts';
import { engineError } from '../../errors.ts';
import type { UpstreamConfig } from './config.ts';
import { startEmbedding } from './embed.ts';
import type { UsageProblem } from './errors.ts';
import { startExchange, type ExchangeOver } from './exchange.ts';
import { Health, type HealthPace, type HealthState } from './health.ts';
import { HEALTH_TIMEOUT_MS, PROBE_TIMEOUT_MS } from './limits.ts';
import { probe, type Probed } from './probe.ts';
import { chatJob, textJob } from './probe-jobs.ts';
import { listedModel, openUpstream, type Upstream } from './upstream.ts';

export interface OpenAiUpstreamOptions {
  readonly config: UpstreamConfig;
  readonly contextTokens: number;
  readonly slots: number;
  readonly serves: readonly Capability[];
  /** That the weights are those that were measured. Throws `weights.*`. */
  readonly assertWeights: () => Promise<void>;
  readonly onState: (state: HealthState) => void;
  /** What it did wrong in an answer, for the owner's log. */
  readonly onProblem: (problem: string) => void;
  readonly signal?: AbortSignal;
  readonly pace?: HealthPace;
}

/** Resolves when the upstream has shown that it is what the configuration says. Throws `engine.probe`. */
export async function startOpenAiUpstream(options: OpenAiUpstreamOptions): Promise<Engine> {
  const { config, contextTokens, slots, serves } = options;
  const upstream = openUpstream(config, slots);
  const signal = options.signal ?? new AbortController().signal;
  try {
    const probed = await probe({ upstream, serves, contextTokens, signal });
    // What was measured is still what it was when the upstream had long loaded it.
    await options.assertWeights();
    return new OpenAiUpstreamEngine(upstream, probed, options);
  } catch (error) {
    await upstream.pool.destroy();
    throw error;
  }
}

class OpenAiUpstreamEngine implements Engine {
  readonly name = 'openai-upstream';
  readonly capabilities: readonly Capability[];
  readonly offers: EngineOffers;
  readonly contextTokens: number;
  readonly slots: number;
  readonly healthy: () => boolean;
  readonly #upstream: Upstream;
  readonly #probed: Probed;
  readonly #options: OpenAiUpstreamOptions;
  readonly #closing = new AbortController();
  readonly #health: Health;
  readonly #kept: Promise<void>;
  #running = 0;

  constructor(upstream: Upstream, probed: Probed, options: OpenAiUpstreamOptions) {
    this.#upstream = upstream;
    this.#probed = probed;
    this.#options = options;
    this.capabilities = options.serves;
    this.offers = probed.offers;
    this.contextTokens = options.contextTokens;
    this.slots = options.slots;
    const { assertWeights, onState, pace } = options;
    this.#health = new Health({
      look: (signal) => this.#look(signal),
      trial: (signal) => this.#trial(signal),
      assertWeights,
      onState,
      ...(pace !== undefined && { pace }),
    });
    this.healthy = this.#health.healthy;
    this.#kept = this.#health.keep(this.#closing.signal);
  }

  generate(job: GenerateJob, signal: AbortSignal): Generation {
    assert(job.maxOutputTokens >= 1, 'a generation of no tokens');
    assert(job.prompts.length >= 1 && job.choices >= 1, 'a generation of nothing');
    this.#enter();
    try {
      this.#assertBias(job);
    } catch (error) {
      this.#running--;
      throw error;
    }
    return this.#exchange(job, AbortSignal.any([signal, this.#closing.signal]), (over) => {
      this.#running--;
      if (over.outcome === 'whole') this.#health.answered('whole');
      if (over.outcome === 'failed') this.#failed(over.error);
    });
  }

  embed(job: EmbedJob, signal: AbortSignal): Embedding {
    this.#enter();
    const onOver = (error: VeilError | undefined): void => {
      this.#running--;
      if (error === undefined) this.#health.answered('whole');
      else this.#failed(error);
    };
    const stop = AbortSignal.any([signal, this.#closing.signal]);
    return startEmbedding({ upstream: this.#upstream, onOver }, job, stop);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#kept;
    await this.#upstream.pool.destroy();
  }

  #enter(): void {
    if (this.#closing.signal.aborted || !this.healthy()) throw engineError('engine.down');
    if (this.#running >= this.slots) throw engineError('engine.busy');
    this.#running++;
  }

  #exchange(
    job: GenerateJob,
    signal: AbortSignal,
    onOver: (over: ExchangeOver) => void,
  ): Generation {
    const context = {
      upstream: this.#upstream,
      contextTokens: this.contextTokens,
      echo: this.#probed.echo,
      onUsageProblem: (problem: UsageProblem) => this.#options.onProblem(problem),
      onOver,
    };
    return startExchange(context, job, signal);
  }

  /** Some servers leave out a bias for a token that they do not have. */
  #assertBias({ sampling }: GenerateJob): void {
    const { vocabulary } = this.#probed.model;
    if (vocabulary === undefined) return;
    if (sampling.logitBias.some(([token]) => token >= vocabulary)) {
      throw engineError('engine.logit_bias');
    }
  }

  /** Refusals are the app's own doing; the rest is the upstream's. */
  #failed(error: VeilError): void {
    const { problem } = error.facts;
    if (error.code === 'engine.upstream') {
      this.#options.onProblem(typeof problem === 'string' ? problem : 'unknown');
      this.#health.answered('broken');
    }
  }

  async #look(signal: AbortSignal): Promise<boolean> {
    return (
      (await listedModel(this.#upstream, { signal, timeoutMs: HEALTH_TIMEOUT_MS })) !== undefined
    );
  }

  async #trial(signal: AbortSignal): Promise<boolean> {
    const { serves } = this.#options;
    const stop = AbortSignal.any([signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]);
    if (!serves.includes('chat') && !serves.includes('completions')) {
      const job = { inputs: ['hello'], maxPromptTokens: Number.MAX_SAFE_INTEGER };
      const upstream = this.#upstream;
      const { vectors } = startEmbedding({ upstream, onOver: () => undefined }, job, stop);
      return (await vectors).length === 1;
    }
    const job = serves.includes('chat') ? chatJob(this.#upstream) : textJob();
    let isWhole = false;
    const generation = this.#exchange(job, stop, (over) => {
      isWhole = over.outcome === 'whole';
    });
    for await (const { kind } of generation.events) if (kind === 'end') break;
    return isWhole;
  }
}
