/**
 * What an upstream can do wrong, each by a word of its own. They are for the owner's log; an app hears that the worker failed.
 * Spec: openai-gateway-and-engine §2.4, §6; STYLE §6.
 * @module
 */

import type { VeilError } from '../../../core/errors.ts';
import { engineError } from '../../errors.ts';

/** Of one answer. */
export type UpstreamProblem =
  | 'connect'
  | 'reset'
  | 'timeout'
  | 'status'
  | 'redirect'
  | 'not-a-stream'
  | 'event-size'
  | 'utf8'
  | 'json'
  | 'in-band'
  | 'model'
  | 'choice'
  | 'finish'
  | 'after-finish'
  | 'call-form'
  | 'call-identity'
  | 'runaway'
  | 'unfinished'
  | 'vectors'
  | 'count';

const BY_HTTP: ReadonlyMap<string, UpstreamProblem> = new Map([
  // Not a byte left this process.
  ['http.connect', 'connect'],
  ['http.origin', 'connect'],
  ['http.timeout', 'timeout'],
  ['http.content', 'json'],
]);

export function brokenBy(error: VeilError): VeilError {
  return upstreamError(BY_HTTP.get(error.code) ?? 'reset', error);
}

/** Of what it counts. Nobody pays for more than can be. */
export type UsageProblem = 'usage-missing' | 'usage-absurd' | 'usage-decreasing';

export function upstreamError(problem: UpstreamProblem, cause?: unknown): VeilError {
  return engineError('engine.upstream', problem, { facts: { problem }, cause });
}

/** What is tried at a start. */
export type Probe =
  | 'address'
  | 'ready'
  | 'model'
  | 'context'
  | 'chat'
  | 'completions'
  | 'embeddings'
  | 'usage'
  | 'finish'
  | 'abort'
  | 'isolation';

export function probeError(probe: Probe, cause?: unknown): VeilError {
  return engineError('engine.probe', probe, { facts: { probe }, cause });
}
