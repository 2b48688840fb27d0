/** The section about gateways under diff and lint: what a reviewer would otherwise not be told. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#primitives';
import { hasCode } from '../../../core/errors.ts';
import { utf8 } from '../../../core/bytes.ts';
import type { Json } from '../../../core/json.ts';
import type { CompiledPolicy } from '../../../attestation/policy/compile.ts';
import { diffPolicies, widthOf } from '../../../attestation/policy/diff.ts';
import { gatewayRole } from '../../../attestation/policy/gateway-role.ts';
import { lintPolicy } from '../../../attestation/policy/lint.ts';
import {
  GATEWAY_IMAGE,
  GATEWAY_RULE,
  gatewayPolicy,
  gatewaysSection,
} from '../../support/gateway-evidence.ts';
import { NOW_MS } from '../../support/tdx/pki.ts';
import { TEST_CPU, testPolicy } from '../../support/worker-evidence.ts';

const ROOT = sha256(utf8('a root'));

function withSection(overrides: Readonly<Record<string, Json>>): CompiledPolicy {
  return gatewayPolicy(ROOT, { gateways: gatewaysSection(overrides) });
}

function changes(was: CompiledPolicy, now: CompiledPolicy): readonly string[] {
  return diffPolicies(was, now).map(
    (change) => `${widthOf(change)} ${change.what}: ${change.text}`,
  );
}

const without = testPolicy(ROOT);
const sound = withSection({});

test('a section that comes widens, one that goes narrows', () => {
  assert.deepEqual(changes(without, sound), [
    'widens gateway rule test-gateway-rule: new, for gateways that may hold plaintext on tdx, images test-gateway',
    'widens gateway image test-gateway: new, until 2026-08-01T00:00:00Z',
  ]);
  assert.deepEqual(changes(sound, without), [
    'narrows gateway rule test-gateway-rule: gone, with images test-gateway',
    'narrows gateway image test-gateway: gone',
  ]);
  assert.deepEqual(changes(sound, withSection({})), []);
});

test('what changes inside is said with the width that it has', () => {
  const looser = { ...TEST_CPU, fmspc: { any: true, note: 'every platform' } };
  const cases: readonly (readonly [overrides: Readonly<Record<string, Json>>, found: RegExp])[] = [
    [{ challenge: 'required' }, /^narrows policy: gateways\.challenge/],
    [{ rules: [{ ...GATEWAY_RULE, cpu: looser }] }, /^widens gateway rule .*fmspc/],
    [
      { images: [{ ...GATEWAY_IMAGE, expires: '2026-08-02T00:00:00Z' }] },
      /^widens gateway image test-gateway: expires/,
    ],
  ];
  for (const [overrides, found] of cases) {
    const all = changes(sound, withSection(overrides));
    assert.equal(all.length, 1, all.join('; '));
    assert.match(all[0] ?? '', found);
  }
  assert.match(changes(withSection({ challenge: 'required' }), sound)[0] ?? '', /^widens/);
});

test('lint asks gateways what it asks workers, and nothing twice', () => {
  const found = (policy: CompiledPolicy): readonly string[] => {
    const known = new Set(lintPolicy(sound, NOW_MS).map(({ id, message }) => `${id} ${message}`));
    return lintPolicy(policy, NOW_MS)
      .filter(({ id, message }) => !known.has(`${id} ${message}`))
      .map(({ id }) => id);
  };
  assert.deepEqual(found(withSection({ rules: [{ ...GATEWAY_RULE, images: [] }] })), [
    'rule.empty',
    'unused.image',
  ]);
  assert.deepEqual(
    found(withSection({ images: [{ ...GATEWAY_IMAGE, expires: '2026-06-01T00:00:00Z' }] })),
    ['rule.images-expired', 'time.expired'],
  );
  const all = lintPolicy(sound, NOW_MS).map(({ id, at, message }) => `${id} ${at} ${message}`);
  assert.equal(new Set(all).size, all.length);
  assert.ok(all.some((line) => line.includes('gateways.challenge is not checked')));
});

test('the role has the gateways’ lists and no worker’s, under the same digest', () => {
  const { document, digest, at } = gatewayRole(sound);
  assert.deepEqual(
    document.rules.map(({ id }) => id),
    ['test-gateway-rule'],
  );
  assert.deepEqual(
    document.images.map(({ name }) => name),
    ['test-gateway'],
  );
  assert.equal(digest, sound.digest);
  assert.equal(at('rules', 0, 'id'), sound.at('gateways', 'rules', 0, 'id'));
  assert.deepEqual(gatewayRole(without).document.rules, []);
});

test('an exception may name a rule of gateways; a name of nothing does not load', () => {
  const entry = {
    id: 'INTEL-SA-00001',
    admits: 'sw-hardening-needed',
    reason: 'a test',
    owner: 'test',
    expires: '2026-07-01T00:00:00Z',
  };
  const policyFor = (rule: string): CompiledPolicy =>
    gatewayPolicy(ROOT, { advisories: [{ ...entry, rules: [rule] }] });
  policyFor('test-gateway-rule');
  assert.throws(
    () => policyFor('nobody'),
    (error) => hasCode(error, 'policy.inconsistent'),
  );
  assert.throws(
    () => withSection({ rules: [{ ...GATEWAY_RULE, images: ['nobody'] }] }),
    (error) => hasCode(error, 'policy.inconsistent'),
  );
});
