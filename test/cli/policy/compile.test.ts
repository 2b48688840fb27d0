/** `veilgate policy compile` as a person and a program use it. @module */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { sha256 } from '#primitives';
import { toHex } from '../../../core/bytes.ts';
import { policyFolder, runPolicy } from '../../support/policy-files.ts';

const REPORT = z.looseObject({
  format: z.literal('veilgate.policy-report/1'),
  command: z.literal('compile'),
  exit: z.int(),
});

test('says name, digest and counts; the written file has the digest that is shown', () => {
  using folder = policyFolder();
  const out = join(folder.path, 'compiled.json');
  const { status, stdout } = runPolicy('compile', 'policies/production.yaml', '--out', out);
  const digest = toHex(sha256(readFileSync(out)));
  assert.equal(status, 0);
  assert.match(
    stdout,
    new RegExp(`^production#1\nsha256:${digest}\n2 rules, 0 images, 0 tuples, `),
  );
});

test('for programs: one line of ASCII', () => {
  const { status, stdout } = runPolicy('compile', 'policies/production.yaml', '--json');
  assert.equal(status, 0);
  assert.match(stdout, /^[ -~]+\n$/);
  const report = REPORT.parse(JSON.parse(stdout));
  assert.equal(report['name'], 'production');
});

test('1 for what is no policy, with its line; 2 for wrong usage; 3 for what cannot be read', () => {
  using folder = policyFolder();
  const text = readFileSync('policies/production.yaml', 'utf8');
  const broken = folder.write('policy.yaml', text.replace('debug: forbid', 'debug: any'));
  const refused = runPolicy('compile', broken, '--json');
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /^policy\.yaml:\d+: rules\.0\.cpu\.attributes\.debug: /m);
  assert.equal(REPORT.parse(JSON.parse(refused.stdout)).exit, 1);
  assert.equal(runPolicy('compile').status, 2);
  const absent = runPolicy('compile', join(folder.path, 'absent.yaml'));
  assert.equal(absent.status, 3);
  assert.match(absent.stderr, /there is no such file/);
});
