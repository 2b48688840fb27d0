/**
 * The evidence that a running gateway shows, as a client gets it: the gateway's signed document, its models, and the
 * evidence of each model's workers. Workers themselves answer their gateway only.
 * Spec: docs/protocol.md "Discovery".
 * @module
 */

import { fetchDirectory } from '../../client/directory.ts';
import type { Fetch } from '../../client/fetch-bounded.ts';
import { DOCUMENT_TIMEOUT_MS, MODELS_MAX } from '../../client/limits.ts';
import { gatewayUrlOf } from '../../client/open-session.ts';
import { VeilError } from '../../core/errors.ts';
import type { Check } from '../../attestation/verdict.ts';
import { attestError } from './errors.ts';
import { candidateFinds } from './recognise.ts';
import type { Finds } from './subject.ts';

export interface GatewayQuestion {
  readonly fetch: Fetch;
  readonly nowMs: number;
  /** The identity that is expected. */
  readonly aud?: string;
  readonly model?: string;
}

/** Throws `client.*`, `gatewayDocument.*`, `attest.gateway` when there is no evidence to judge. */
export async function gatewaySubjects(
  url: string,
  { fetch, nowMs, aud: expected, model }: GatewayQuestion,
): Promise<Finds> {
  const directory = fetchDirectory({
    fetch,
    gatewayUrl: gatewayUrlOf(url),
    authorization: undefined,
    clock: () => nowMs,
  });
  const timed = async <Value>(ask: (signal: AbortSignal) => Promise<Value>): Promise<Value> => {
    const signal = AbortSignal.timeout(DOCUMENT_TIMEOUT_MS);
    try {
      return await ask(signal);
    } catch (cause) {
      if (cause instanceof VeilError || !signal.aborted) throw cause;
      throw attestError('attest.gateway', 'it did not answer in time', { cause });
    }
  };
  const { aud } = await timed((signal) => directory.gateway(signal));
  const gateway = { aud: expected ?? aud, check: identityCheck(aud, expected) };
  const names =
    model === undefined ? await timed((signal) => directory.modelNames(signal)) : [model];
  const finds: Finds[] = [];
  for (const name of names.slice(0, MODELS_MAX)) {
    const { candidates } = await timed((signal) => directory.evidence(name, signal));
    finds.push(candidateFinds(candidates, (workerId) => `worker ${workerId} of ${name}`));
  }
  const subjects = finds.flatMap((find) => find.subjects);
  const unreadable = finds.flatMap((find) => find.unreadable);
  if (subjects.length + unreadable.length === 0) {
    const what = model === undefined ? `${names.length} models` : 'this model';
    throw attestError('attest.gateway', `no worker for ${what} at the moment`);
  }
  return { subjects: subjects.map((subject) => ({ ...subject, gateway })), unreadable };
}

function identityCheck(got: string, expected: string | undefined): Check {
  const id = 'gateway.identity';
  if (expected === undefined) {
    const note = `taken on first use: ${got}; pin it with --aud`;
    return { id, outcome: 'waived', by: '--aud (not given)', note };
  }
  return expected === got ? { id, outcome: 'pass' } : { id, outcome: 'fail', want: expected, got };
}
