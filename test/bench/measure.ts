/** Timing synchronous operations many times, and what the numbers say. @module */

export interface Timing {
  readonly medianUs: number;
  readonly p99Us: number;
  readonly minUs: number;
}

export interface Comparison {
  readonly subject: Timing;
  readonly reference: Timing;
  /** Of the medians. */
  readonly ratio: number;
}

export interface CompareOptions {
  readonly iterations: number;
  /** Runs before each timed call of the subject and is not counted. */
  readonly prepare?: () => void;
}

const WARM_UP_SHARE = 0.2;

/**
 * Times the subject and a reference in turns, so that a machine that is busy for a while slows both and the ratio
 * stays what it is.
 */
export function compare(
  subject: () => void,
  reference: () => void,
  { iterations, prepare }: CompareOptions,
): Comparison {
  const subjectUs: number[] = [];
  const referenceUs: number[] = [];
  for (let i = -Math.ceil(iterations * WARM_UP_SHARE); i < iterations; i++) {
    prepare?.();
    const subjectSpent = spentUs(subject);
    const referenceSpent = spentUs(reference);
    if (i < 0) continue;
    subjectUs.push(subjectSpent);
    referenceUs.push(referenceSpent);
  }
  const [a, b] = [timingOf(subjectUs), timingOf(referenceUs)];
  return { subject: a, reference: b, ratio: a.medianUs / b.medianUs };
}

function spentUs(operation: () => void): number {
  const startedMs = performance.now();
  operation();
  return (performance.now() - startedMs) * 1000;
}

export function timingOf(samplesUs: readonly number[]): Timing {
  const sorted = samplesUs.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { medianUs: at(0.5), p99Us: at(0.99), minUs: at(0) };
}

/** One level of a benchmark whose target is a ratio to one signature verification of the same run. */
export interface RatioRow extends Timing {
  readonly level: string;
  readonly referenceMedianUs: number;
  readonly ratio: number;
  readonly target: number;
}

/** `reference`: what the level is compared with, for example P-384. */
export function ratioText(row: RatioRow, reference: string): string {
  const verdict = row.ratio <= row.target ? '' : ', missed';
  return [
    row.level.padEnd(22),
    `median ${microseconds(row.medianUs).padStart(8)}`,
    `p99 ${microseconds(row.p99Us).padStart(8)}`,
    `${reference} ${microseconds(row.referenceMedianUs).padStart(8)}`,
    `${row.ratio.toFixed(2).padStart(6)}× (target ${row.target}×${verdict})`,
  ].join('  ');
}

export function microseconds(value: number): string {
  return `${value.toFixed(value < 100 ? 1 : 0)} µs`;
}
