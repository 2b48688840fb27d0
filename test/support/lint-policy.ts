/** A production policy that lint has nothing to say about, for tests that spoil one thing. @module */

import { sha256 } from '#primitives';
import { lintPolicy } from '../../attestation/policy/lint.ts';
import type { LintFinding } from '../../attestation/policy/lint/finding.ts';
import { toHex, utf8 } from '../../core/bytes.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import { NOW_MS } from './tdx/pki.ts';
import { compileDocument, TEST_IMAGE, TEST_RULE, testPolicyDocument } from './worker-evidence.ts';
import { TEST_SNP_CPU, snpImage } from './snp/worker-evidence.ts';

function digest(text: string): string {
  return `sha256:${toHex(sha256(utf8(text)))}`;
}

export function register(text: string): string {
  return toHex(sha256(utf8(text))) + toHex(sha256(utf8(`${text} `))).slice(32);
}

export function quietTuple(seed: string): JsonObject {
  const names = ['mrtd', 'rtmr0', 'rtmr1', 'rtmr2'];
  const registers = names.map((name) => [name, register(`${seed}/${name}`)] as const);
  return { shape: 'small', ...Object.fromEntries(registers), rtmr3: 'zero' };
}

export function quietImage(name: string, overrides: JsonObject = {}): JsonObject {
  return {
    ...TEST_IMAGE,
    name,
    source: { repo: 'example/worker', commit: '0123456789abcdef0123456789abcdef01234567' },
    workload: { image: digest(`${name} image`), config: digest(`${name} config`), engine: 'test' },
    tdx: [quietTuple(name)],
    ...overrides,
  };
}

export function quietSnpImage(name: string): JsonObject {
  const { tdx: _tdx, mrconfigid: _1, mrowner: _2, mrownerconfig: _3, ...image } = quietImage(name);
  const { snp } = snpImage();
  const [tuple] = Array.isArray(snp) ? snp : [];
  return { ...image, snp: [{ ...tuple, measurement: register(name) }] };
}

export const QUIET_SNP_RULE: JsonObject = {
  ...TEST_RULE,
  id: 'snp-rule',
  images: ['snp-image'],
  cpu: TEST_SNP_CPU,
};

/** No development roots; everything expires within ninety days. */
export function quietDocument(overrides: Readonly<Record<string, Json>> = {}): JsonObject {
  const { development: _1, roots: _2, ...document } = testPolicyDocument(sha256(utf8('root')));
  return {
    ...document,
    expires: '2026-08-20T00:00:00Z',
    images: [quietImage('test-image')],
    models: [{ id: 'test/model', weights: digest('weights') }],
    ...overrides,
  };
}

export function lintDocument(document: Json, nowMs: number = NOW_MS): readonly LintFinding[] {
  return lintPolicy(compileDocument(document), nowMs);
}
