/**
 * Makes the development policy of one data directory from the shipped template: the root that the simulator made there,
 * and today's dates. Nothing else changes, so a reader can compare the two.
 * Spec: overview "Simulated machines".
 * @module
 */

import { toHex, type Bytes } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { policyError } from '../errors.ts';

const TEMPLATE_ROOT = `sha256:${'0'.repeat(64)}`;
const TEMPLATE_ISSUED = '1970-01-01T00:00:00Z';
const TEMPLATE_EXPIRES = '1970-01-02T00:00:00Z';
const LIFETIME_MS = 30 * 86_400_000;

export interface DevelopmentPolicyInput {
  /** SHA-256 of the development root certificate. */
  readonly rootSha256: Bytes<32>;
  readonly nowMs: number;
}

/** Throws `policy.template` when the text has not the places to fill in. */
export function fillDevelopmentPolicy(
  template: string,
  { rootSha256, nowMs }: DevelopmentPolicyInput,
): string {
  const secondMs = Math.floor(nowMs / 1000) * 1000;
  const places: readonly (readonly [place: string, value: string])[] = [
    [TEMPLATE_ROOT, `sha256:${toHex(rootSha256)}`],
    [TEMPLATE_ISSUED, formatInstant(secondMs)],
    [TEMPLATE_EXPIRES, formatInstant(secondMs + LIFETIME_MS)],
  ];
  return places.reduce((text, [place, value]) => {
    if (!text.includes(place)) throw policyError('policy.template', `no ${place}`);
    return text.replaceAll(place, value);
  }, template);
}
