/**
 * What a client does for a request, timed where it runs: bundled into a page and loaded by Node alike, so that both sides of
 * `#primitives` do the same work. @module
 */

import { fixed, fromBase64, utf8, type Bytes } from '../../core/bytes.ts';
import { appraise } from '../../attestation/appraise.ts';
import { decodeEvidence } from '../../attestation/evidence.ts';
import { compilePolicy } from '../../attestation/policy/compile.ts';
import { NO_REVOCATIONS } from '../../attestation/policy/revocations.ts';
import { newCaches } from '../../attestation/tees.ts';
import { openRequest } from '../../protocol/sx/open.ts';
import { ResponseReader } from '../../protocol/sx/read-response.ts';
import { RecipientKeys } from '../../protocol/sx/recipient-keys.ts';
import { ReplaySet } from '../../protocol/sx/replay.ts';
import { sealRequest, type SealedRequest } from '../../protocol/sx/seal.ts';
import { testWorker, type TestWorker } from '../support/attested-key.ts';
import { timingOf, type Timing } from './measure.ts';

export interface EvidenceWork {
  readonly evidence: unknown;
  /** A policy that admits it. */
  readonly policy: string;
  readonly nowMs: number;
  readonly aud: string;
  /** Base64. */
  readonly challenge: string;
}

const HOUR_MS = 3_600_000;
const WARM_UP_SHARE = 0.25;

/** `fresh`: of a worker whose vendor chain and lists were never seen. `known`: of one whose were, as at every renewal. */
export function timeEvidence(
  work: EvidenceWork,
  rounds: number,
): { readonly fresh: Timing; readonly known: Timing } {
  const policy = compilePolicy(utf8(work.policy));
  const { nowMs, aud } = work;
  const challenge = { equals: fixed(fromBase64(work.challenge), 32) };
  const revocations = { list: NO_REVOCATIONS, freshness: { untilMs: nowMs + HOUR_MS } };
  const common = { policy, nowMs, aud, challenge, revocations };
  const judge = (caches = newCaches()): void => {
    const evidence = decodeEvidence(work.evidence);
    const { outcome } = appraise({ ...common, evidence, caches });
    if (outcome !== 'admitted') throw new Error('the evidence of the benchmark is admitted');
  };
  const kept = newCaches();
  return { fresh: time(rounds, () => judge()), known: time(rounds, () => judge(kept)) };
}

export interface ExchangeTimes {
  readonly sealForOne: Timing;
  readonly sealForThree: Timing;
  /** A token's frame, at the client. */
  readonly openToken: Timing;
}

const NOW_MS = 1_800_000_000_000;

export function timeExchange(rounds: number): ExchangeTimes {
  const workers = [testWorker('X-Wing'), testWorker('X-Wing'), testWorker('X-Wing')];
  const [worker] = workers;
  if (worker === undefined) throw new Error('three are more than none');
  return {
    sealForOne: time(rounds, () => void seal([worker])),
    sealForThree: time(rounds, () => void seal(workers)),
    openToken: timeTokens(worker, rounds),
  };
}

function seal(workers: readonly TestWorker[]): SealedRequest {
  return sealRequest({
    keys: workers.map(({ key }) => key),
    request: {
      path: '/v1/chat/completions',
      headers: [['content-type', 'application/json']],
      body: new Uint8Array(1000),
    },
    bounds: { maxAmount: 1_000_000_000n, maxPrompt: 1000, maxOutput: 1000, asset: 0 },
    payer: zeros(),
    stream: true,
    ttlS: 60,
    deadlineMs: 60_000,
    nowMs: NOW_MS,
  });
}

function zeros(): Bytes<32> {
  return fixed(new Uint8Array(32), 32);
}

/** The frames are sealed before, because a page does not. */
function timeTokens(worker: TestWorker, rounds: number): Timing {
  const { pair, key } = worker;
  const keys = new RecipientKeys();
  keys.add({ statementHash: key.statementHash, pair, expiresAtMs: NOW_MS + 1 });
  const sealed = seal([worker]);
  const input = { keys, replay: new ReplaySet(), nowMs: NOW_MS, admit: () => {} };
  const { responder } = openRequest(sealed.bytes, input);
  const reader = new ResponseReader(sealed.exchange);
  reader.push(responder.head(200, [['content-type', 'text/event-stream']]));
  const token = utf8('data: {"choices":[{"delta":{"content":" word"}}]}\n\n');
  const frames = Array.from({ length: countOf(rounds) }, () => responder.data(token));
  let next = 0;
  return time(rounds, () => void reader.push(frames[next++] ?? new Uint8Array()));
}

function countOf(rounds: number): number {
  return rounds + Math.ceil(rounds * WARM_UP_SHARE);
}

function time(rounds: number, run: () => void): Timing {
  const samples: number[] = [];
  for (let i = rounds - countOf(rounds); i < rounds; i++) {
    const startedMs = performance.now();
    run();
    if (i >= 0) samples.push((performance.now() - startedMs) * 1000);
  }
  return timingOf(samples);
}
