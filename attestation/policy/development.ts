/**
 * Makes the development policy of one data directory from the shipped template: the roots that the simulators made there,
 * its serial and today's dates. Nothing else changes, so a reader can compare the two.
 * Spec: overview "Simulated machines".
 * @module
 */

import { toHex, type Bytes } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { policyError } from '../errors.ts';

const TEMPLATE_ROOT = `  - simulated: 'sha256:${'0'.repeat(64)}'`;
const TEMPLATE_ISSUED = '1970-01-01T00:00:00Z';
const TEMPLATE_EXPIRES = '1970-01-02T00:00:00Z';
const TEMPLATE_SERIAL = 'serial: 1\n';
const LIFETIME_MS = 30 * 86_400_000;

export interface DevelopmentPolicyInput {
  /** SHA-256 of the development root certificates, one per kind of simulated machine. */
  readonly rootsSha256: readonly Bytes<32>[];
  readonly nowMs: number;
  /** 1 when absent. */
  readonly serial?: number;
}

/** Throws `policy.template` when the text has not the places to fill in. */
export function fillDevelopmentPolicy(
  template: string,
  { rootsSha256, nowMs, serial = 1 }: DevelopmentPolicyInput,
): string {
  const secondMs = Math.floor(nowMs / 1000) * 1000;
  const places: readonly (readonly [place: string, value: string])[] = [
    [
      TEMPLATE_ROOT,
      rootsSha256.map((digest) => `  - simulated: 'sha256:${toHex(digest)}'`).join('\n'),
    ],
    [TEMPLATE_SERIAL, `serial: ${serial}\n`],
    [TEMPLATE_ISSUED, formatInstant(secondMs)],
    [TEMPLATE_EXPIRES, formatInstant(secondMs + LIFETIME_MS)],
  ];
  return places.reduce((text, [place, value]) => {
    if (!text.includes(place)) throw policyError('policy.template', `no ${place}`);
    return text.replaceAll(place, value);
  }, template);
}
