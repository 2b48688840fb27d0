/** Everything the gateway counts; every label is from a closed set. Spec: openai-gateway-and-engine §7. @module */

import { createMetrics, type Metrics } from '../core/node/metrics.ts';

const OUTCOMES = ['answered', 'refused', 'broken', 'aborted'] as const;
const REMOVALS = ['expired', 'left', 'unreachable', 'denied', 'key_gone', 'replaced'] as const;
const SHADOW_CHANGES = ['newly_denied', 'newly_admitted'] as const;
const SECONDS = [
  0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
];
const CODES_MAX = 64;

export interface Counters {
  readonly metrics: Metrics;
  exchange(outcome: (typeof OUTCOMES)[number], code: string, durMs: number): void;
  moved(code: string): void;
  firstFrame(ms: number): void;
  registration(result: 'admitted' | 'refused', code: string): void;
  removal(reason: (typeof REMOVALS)[number]): void;
  active(count: number): void;
  workers(count: number): void;
  benched(count: number): void;
  /** What a candidate would change for the workers there are. */
  shadow(change: (typeof SHADOW_CHANGES)[number], count: number): void;
  publication(result: 'accepted' | 'refused' | 'unreachable', code: string): void;
  /** 1 while something about the policies needs a person. */
  policyAlarm(isRaised: boolean): void;
  policySerial(serial: number): void;
}

export function createCounters(): Counters {
  const metrics = createMetrics();
  const requests = metrics.counter({
    name: 'veilgate_requests_total',
    help: 'Sealed exchanges by how they ended.',
    // Codes are ours, from the error tables; the cap guards against a mistake.
    labels: { outcome: OUTCOMES, code: { namesMax: CODES_MAX } },
  });
  const duration = metrics.histogram({
    name: 'veilgate_request_duration_seconds',
    help: 'From the whole request to the end of its answer.',
    labels: { outcome: OUTCOMES },
    buckets: SECONDS,
  });
  const first = metrics.histogram({
    name: 'veilgate_ttft_seconds',
    help: 'From the whole request to the first sealed frame.',
    labels: {},
    buckets: SECONDS,
  });
  const moves = metrics.counter({
    name: 'veilgate_failovers_total',
    help: 'Attempts that ended before the first sealed frame and moved on.',
    labels: { code: { namesMax: CODES_MAX } },
  });
  const registrations = metrics.counter({
    name: 'veilgate_attestation_verifications_total',
    help: 'Registrations of workers by result.',
    labels: { result: ['admitted', 'refused'], code: { namesMax: CODES_MAX } },
  });
  const removals = metrics.counter({
    name: 'veilgate_worker_removals_total',
    help: 'Statements taken out of service.',
    labels: { reason: REMOVALS },
  });
  const streams = metrics.gauge({
    name: 'veilgate_streams_active',
    help: 'Exchanges that run now.',
    labels: {},
  });
  const live = metrics.gauge({
    name: 'veilgate_workers',
    help: 'Statements in service.',
    labels: {},
  });
  const benchedGauge = metrics.gauge({
    name: 'veilgate_workers_benched',
    help: 'Statements that the policy in force does not admit, kept until they expire.',
    labels: {},
  });
  const shadowGauge = metrics.gauge({
    name: 'veilgate_policy_shadow_workers',
    help: 'Workers for which the candidate policy would change something.',
    labels: { change: SHADOW_CHANGES },
  });
  const publications = metrics.counter({
    name: 'veilgate_policy_documents_total',
    help: 'Published policy documents by what came of them.',
    labels: { result: ['accepted', 'refused', 'unreachable'], code: { namesMax: CODES_MAX } },
  });
  const alarm = metrics.gauge({
    name: 'veilgate_policy_alarm',
    help: '1 while documents are refused, unreachable, or too old to serve.',
    labels: {},
  });
  const serialGauge = metrics.gauge({
    name: 'veilgate_policy_serial',
    help: 'Serial of the policy in force.',
    labels: {},
  });
  return {
    metrics,
    exchange: (outcome, code, durMs) => {
      requests.add({ outcome, code });
      duration.observe({ outcome }, durMs / 1000);
    },
    moved: (code) => moves.add({ code }),
    firstFrame: (ms) => first.observe({}, ms / 1000),
    registration: (result, code) => registrations.add({ result, code }),
    removal: (reason) => removals.add({ reason }),
    active: (count) => streams.set({}, count),
    workers: (count) => live.set({}, count),
    benched: (count) => benchedGauge.set({}, count),
    shadow: (change, count) => shadowGauge.set({ change }, count),
    publication: (result, code) => publications.add({ result, code }),
    policyAlarm: (isRaised) => alarm.set({}, isRaised ? 1 : 0),
    policySerial: (serial) => serialGauge.set({}, serial),
  };
}
