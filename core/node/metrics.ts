/**
 * Prometheus metrics with closed label sets: a label takes one of the words its spec lists, or a name of a small
 * registered set, never what a stranger sent. Spec: openai-gateway-and-engine §7.
 * @module
 */

import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { assert } from '../errors.ts';

/** The words themselves, or at most so many names that the operator published (models, workers). */
export type LabelSet = readonly string[] | { readonly namesMax: number };
export type LabelSpec = Readonly<Record<string, LabelSet>>;

export type LabelValues<Labels extends LabelSpec> = {
  readonly [Name in keyof Labels]: Labels[Name] extends readonly (infer Word)[] ? Word : string;
};

export interface MetricSpec<Labels extends LabelSpec> {
  readonly name: string;
  readonly help: string;
  readonly labels: Labels;
}

export interface CounterMetric<Labels extends LabelSpec> {
  add(labels: LabelValues<Labels>, by?: number): void;
}
export interface GaugeMetric<Labels extends LabelSpec> {
  set(labels: LabelValues<Labels>, value: number): void;
}
export interface HistogramMetric<Labels extends LabelSpec> {
  observe(labels: LabelValues<Labels>, value: number): void;
}

export interface Metrics {
  counter<const Labels extends LabelSpec>(spec: MetricSpec<Labels>): CounterMetric<Labels>;
  gauge<const Labels extends LabelSpec>(spec: MetricSpec<Labels>): GaugeMetric<Labels>;
  histogram<const Labels extends LabelSpec>(
    spec: MetricSpec<Labels> & { readonly buckets: readonly number[] },
  ): HistogramMetric<Labels>;
  /** The text exposition format. */
  text(): Promise<string>;
  readonly contentType: string;
}

const OTHER = 'other';
const NAME_PATTERN = /^[A-Za-z0-9._:/@-]{1,128}$/;

/** Maps what was given to what may be written; anything outside the set becomes `other`. */
function labelGuard(spec: LabelSpec): (given: object) => Record<string, string> {
  const seen = new Map<string, Set<string>>();
  return (given) => {
    const values: Readonly<Record<string, unknown>> = { ...given };
    const out: Record<string, string> = {};
    for (const [label, set] of Object.entries(spec)) {
      const value = values[label];
      out[label] = typeof value === 'string' ? admit(label, set, value, seen) : OTHER;
    }
    return out;
  };
}

function admit(
  label: string,
  set: LabelSet,
  value: string,
  seen: Map<string, Set<string>>,
): string {
  if (!('namesMax' in set)) return set.includes(value) ? value : OTHER;
  if (!NAME_PATTERN.test(value)) return OTHER;
  const names = seen.get(label) ?? new Set<string>();
  seen.set(label, names);
  if (names.has(value)) return value;
  if (names.size >= set.namesMax) return OTHER;
  names.add(value);
  return value;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  const common = <Labels extends LabelSpec>(spec: MetricSpec<Labels>) => {
    assert(spec.name.startsWith('veilgate_'), 'metric names start with veilgate_');
    return {
      name: spec.name,
      help: spec.help,
      labelNames: Object.keys(spec.labels),
      registers: [registry],
    };
  };
  return {
    counter(spec) {
      const metric = new Counter(common(spec));
      const guard = labelGuard(spec.labels);
      return { add: (labels, by = 1) => metric.inc(guard(labels), by) };
    },
    gauge(spec) {
      const metric = new Gauge(common(spec));
      const guard = labelGuard(spec.labels);
      return { set: (labels, value) => metric.set(guard(labels), value) };
    },
    histogram(spec) {
      const metric = new Histogram({ ...common(spec), buckets: [...spec.buckets] });
      const guard = labelGuard(spec.labels);
      return { observe: (labels, value) => metric.observe(guard(labels), value) };
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
