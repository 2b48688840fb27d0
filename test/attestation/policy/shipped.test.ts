/** The shipped policies: production admits nobody yet, development fits the simulator. @module */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { sha256 } from '#primitives';
import { lintPolicy } from '../../../attestation/policy/lint.ts';
import { readPolicy } from '../../../cli/policy/read-policy.ts';
import { compilePolicy } from '../../../attestation/policy/compile.ts';
import { fillDevelopmentPolicy } from '../../../attestation/policy/development.ts';
import { policyJsonSchema } from '../../../attestation/policy/schema.ts';
import { fixed, utf8 } from '../../../core/bytes.ts';
import { parseInstant } from '../../../core/clock.ts';
import { hasCode } from '../../../core/errors.ts';
import { DEMO_MODEL, DEMO_WORKLOAD } from '../../../enclave-worker/demo-model/demo-model.ts';
import {
  DEMO_GATEWAY_MEASUREMENTS,
  DEMO_GATEWAY_SNP_MEASUREMENT,
  DEMO_GATEWAY_WORKLOAD,
  DEMO_MEASUREMENTS,
  DEMO_SNP_MEASUREMENTS,
} from '../../../enclave-worker/evidence/simulator/demo-image.ts';
import {
  MACHINE_PRODUCT,
  MACHINE_TCB,
} from '../../../enclave-worker/evidence/simulator/snp/machine.ts';
import { MACHINE_TCB_INFO } from '../../../enclave-worker/evidence/simulator/machine.ts';
import { NOW_MS, createTestPki } from '../../support/tdx/pki.ts';
import {
  appraiseTest,
  buildEvidence,
  idsOf,
  type TestEvidence,
} from '../../support/worker-evidence.ts';

const PRODUCTION = readFileSync('policies/production.yaml', 'utf8');
const TEMPLATE = readFileSync('policies/development.yaml', 'utf8');
const ROOT = sha256(utf8('root'));

let sound: TestEvidence;

before(async () => {
  sound = await buildEvidence(await createTestPki());
});

test('the production policy loads, grants nothing and names no development root', () => {
  const { document } = compilePolicy(utf8(PRODUCTION), { source: 'production.yaml' });
  assert.equal(document.development, undefined);
  assert.equal(document.roots, undefined);
  assert.deepEqual(document.images, []);
  assert.deepEqual(document.models, []);
  assert.ok(document.rules.length > 0);
});

test('the production policy refuses simulated evidence, by its root', () => {
  const policy = compilePolicy(utf8(PRODUCTION), { source: 'production.yaml' });
  const { outcome, verdict } = appraiseTest(sound, { policy });
  assert.equal(outcome, 'denied');
  assert.ok(idsOf(verdict.checks, 'fail').includes('pck.root'));
});

test('the example in the production policy loads once its digests are filled in', () => {
  const example = PRODUCTION.replace(/^images: \[\]$/m, '')
    .replace(/^models: \[\]$/m, '')
    .replace(/^advisories: \[\]$/m, '')
    .replace(/^hosts: \[\]$/m, '')
    .replace('# One entry per release', 'images:\n# One entry per release')
    .replace(
      '# What a worker must prove it serves',
      'models:\n# What a worker must prove it serves',
    )
    .replace('# The only way to admit a machine', 'advisories:\n# The only way to admit a machine')
    .replace('# Machines by what they are', 'hosts:\n# Machines by what they are')
    .replaceAll(/^# {3}/gm, '  ')
    .replaceAll('<32 hex digits>', 'ab'.repeat(16))
    .replaceAll('<64 hex digits>', 'ab'.repeat(32))
    .replace('config: "sha256:abab', 'config: "sha256:cdab')
    .replaceAll('<96 hex>', 'ab'.repeat(48));
  const { document } = compilePolicy(utf8(example), { source: 'example.yaml' });
  assert.equal(document.images.length, 1);
  assert.equal(document.models.length, 1);
  assert.equal(document.advisories.length, 1);
  assert.equal(document.hosts.length, 1);
});

test('the template admits nobody as it stands: it has expired and names a root that does not exist', () => {
  const policy = compilePolicy(utf8(TEMPLATE), { source: 'development.yaml' });
  const { outcome, verdict } = appraiseTest(sound, { policy });
  assert.equal(outcome, 'denied');
  const failed = idsOf(verdict.checks, 'fail');
  assert.ok(failed.includes('policy.expires'));
  assert.ok(failed.includes('pck.root'));
});

test('filling the template changes root and dates and nothing else', () => {
  const filled = fillDevelopmentPolicy(TEMPLATE, { rootsSha256: [ROOT], nowMs: NOW_MS + 123 });
  const { document } = compilePolicy(utf8(filled));
  assert.deepEqual(document.roots, [{ simulated: ROOT }]);
  assert.equal(document.issued, NOW_MS);
  assert.equal(document.expires, parseInstant('2026-07-15T12:00:00Z'));
  assert.equal(document.images[0]?.expires, document.expires);
  assert.equal(document.gateways?.images[0]?.expires, document.expires);
  const [before, after] = [TEMPLATE.split('\n'), filled.split('\n')];
  assert.equal(after.length, before.length);
  const changed = after.filter((line, index) => line !== before[index]);
  assert.equal(changed.length, 5, changed.join('\n'));
});

test('a text without the places to fill in is refused', () => {
  for (const text of [
    '',
    PRODUCTION,
    fillDevelopmentPolicy(TEMPLATE, { rootsSha256: [ROOT], nowMs: NOW_MS }),
  ]) {
    assert.throws(
      () => fillDevelopmentPolicy(text, { rootsSha256: [ROOT], nowMs: NOW_MS }),
      (error) => hasCode(error, 'policy.template'),
    );
  }
});

test('the development policy lists what the simulator measures', () => {
  const [image] = compilePolicy(utf8(TEMPLATE)).document.images;
  assert.ok(image !== undefined);
  const [tuple] = image.tdx ?? [];
  assert.ok(tuple !== undefined);
  const { image: name, ...registers } = DEMO_MEASUREMENTS;
  assert.equal(image.name, name);
  const { mrconfigid, mrowner, mrownerconfig } = image;
  assert.deepEqual({ ...tuple, mrconfigid, mrowner, mrownerconfig }, registers);
});

test('the development policy lists what the SNP simulator measures, and its machine’s TCB', () => {
  const { images, rules } = compilePolicy(utf8(TEMPLATE)).document;
  const { image, measurement, hostData, idKeyDigest, shape } = DEMO_SNP_MEASUREMENTS;
  assert.equal(images[0]?.name, image);
  assert.deepEqual(images[0]?.snp, [
    { shape, measurement, host_data: hostData, id_key_digest: idKeyDigest },
  ]);
  const cpu = rules.find((rule) => rule.id === 'simulated-snp')?.cpu;
  assert.ok(cpu?.tee === 'snp');
  const { source: _source, ...floor } = cpu.tcb.genoa ?? { source: '' };
  assert.deepEqual(cpu.products, [MACHINE_PRODUCT.toLowerCase()]);
  assert.deepEqual(floor, MACHINE_TCB);
});

test('the development policy lets what the simulator measures of a gateway hold plaintext', () => {
  const { gateways, rules } = compilePolicy(utf8(TEMPLATE)).document;
  const [image] = gateways?.images ?? [];
  const [tuple] = image?.tdx ?? [];
  assert.ok(image !== undefined && tuple !== undefined);
  const { image: name, ...registers } = DEMO_GATEWAY_MEASUREMENTS;
  const { mrconfigid, mrowner, mrownerconfig } = image;
  assert.equal(image.name, name);
  assert.deepEqual({ ...tuple, mrconfigid, mrowner, mrownerconfig }, registers);
  assert.deepEqual(image.snp?.[0]?.measurement, DEMO_GATEWAY_SNP_MEASUREMENT);
  assert.deepEqual(image.workload, DEMO_GATEWAY_WORKLOAD);
  // The machines are the same simulators: so is what is asked of them.
  assert.deepEqual(
    gateways?.rules.map(({ cpu }) => cpu),
    rules.map(({ cpu }) => cpu),
  );
});

test('the production policy lets no gateway hold plaintext', () => {
  const { gateways } = compilePolicy(utf8(PRODUCTION)).document;
  assert.deepEqual(gateways, { challenge: 'required', rules: [], images: [] });
});

test('two simulated roots stand in two lines', () => {
  const roots = [ROOT, sha256(utf8('other root'))];
  const filled = fillDevelopmentPolicy(TEMPLATE, { rootsSha256: roots, nowMs: NOW_MS });
  const { document } = compilePolicy(utf8(filled));
  assert.deepEqual(
    document.roots,
    roots.map((simulated) => ({ simulated })),
  );
});

test('the development policy’s floors are those of the simulator’s documents', () => {
  const cpu = compilePolicy(utf8(TEMPLATE)).document.rules[0]?.cpu;
  assert.ok(cpu?.tee === 'tdx');
  assert.deepEqual(cpu.tcb_eval_number, { min: MACHINE_TCB_INFO.evaluationNumber });
  assert.deepEqual(cpu.tcb_date, { min: MACHINE_TCB_INFO.levels[0]?.tcbDay });
  assert.deepEqual(cpu.fmspc, { allow: [fixed(MACHINE_TCB_INFO.fmspc, 6)] });
});

test('the development policy pins the demo model that ships, and the workload it runs in', () => {
  const { models, images } = compilePolicy(utf8(TEMPLATE)).document;
  assert.deepEqual(models, [{ id: DEMO_MODEL.id, weights: DEMO_MODEL.sha256 }]);
  assert.deepEqual(models[0]?.weights, sha256(readFileSync(DEMO_MODEL.path)));
  assert.deepEqual(images[0]?.workload, { ...DEMO_WORKLOAD, engine: 'llama-cpp' });
});

test('every value of the shipped policies stands under a comment or beside one that explains it', () => {
  for (const text of [PRODUCTION, TEMPLATE]) {
    const lines = text.split('\n');
    const comments = lines.filter((line) => line.trimStart().startsWith('#')).length;
    const values = lines.filter((line) => /^\s*[\w-]+:|^\s*- /.test(line)).length;
    assert.ok(comments >= values / 2, `${comments} comment lines for ${values} values`);
  }
});

test('the JSON Schema for editors demands the same members', () => {
  const schema = policyJsonSchema();
  assert.equal(schema['additionalProperties'], false);
  const required = schema['required'];
  assert.ok(Array.isArray(required));
  for (const name of [
    'format',
    'serial',
    'expires',
    'limits',
    'rules',
    'images',
    'models',
    'advisories',
  ]) {
    assert.ok(required.includes(name), name);
  }
  assert.ok(!required.includes('development'));
});

const EXAMPLES: readonly (readonly [name: string, serious: readonly string[]])[] = [
  // Until GPU evidence is verified; the day it is, this line goes.
  ['tdx-h100', ['policy.nobody', 'rule.gpu']],
  ['snp', []],
  ['mixed', []],
];

for (const [name, serious] of EXAMPLES) {
  test(`the example ${name} compiles, and lint finds in it what its comments say`, () => {
    const policy = readPolicy(`policies/examples/${name}`);
    const nowMs = parseInstant('2026-11-26T00:00:00Z') ?? 0;
    const findings = lintPolicy(policy, nowMs);
    const found = findings.filter(({ level }) => level !== 'note').map(({ id }) => id);
    assert.deepEqual(found.toSorted(), serious);
  });
}
