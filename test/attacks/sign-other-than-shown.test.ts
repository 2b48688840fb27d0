/**
 * Files that were put where a signer's command finds them: other content under a familiar number, other line numbers under a
 * familiar digest. Spec: docs/publication.md §2 "Bundle".
 * @module
 */

import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseAnyEnvelope, signEnvelope } from '../../attestation/publication/envelope.ts';
import { fromUtf8, utf8 } from '../../core/bytes.ts';
import { done, run } from '../support/commands.ts';
import { publishedTeam } from '../support/policy-team.ts';

test('rollback brings back the serial that was asked for, whatever lies under its name', async () => {
  using team = await publishedTeam();
  const publish = ['policy', 'publish', '--repo', team.repo, '--as', team.key('carol'), '--bundle'];
  await done(...publish, await team.bundle(2));
  await done(...publish, await team.bundle(3));
  copyFileSync(join(team.repo, 'bundles/1.json'), join(team.repo, 'bundles/2.json'));
  const out = team.path('4.json');
  const ran = await run('policy', 'rollback', '--repo', team.repo, '--to', '2', '--out', out);
  assert.equal(ran.status, 1, ran.stdout);
  assert.match(ran.stderr, /bundles\/2\.json.*production#1/);
});

test('revoking a policy by its serial names the one that has it', async () => {
  using team = await publishedTeam();
  const publish = ['policy', 'publish', '--repo', team.repo, '--as', team.key('carol'), '--bundle'];
  await done(...publish, await team.bundle(2));
  await done(...publish, await team.bundle(3));
  const revoke = ['revoke', 'add', 'policy', '2', '--reason', 'r', '--repo', team.repo];
  copyFileSync(join(team.repo, 'bundles/1.json'), join(team.repo, 'bundles/2.json'));
  const other = await run(...revoke, '--as', team.key('carol'));
  assert.equal(other.status, 2, other.stdout);
  const payload = parseAnyEnvelope(readFileSync(team.path('2.json'))).payload;
  writeFileSync(join(team.repo, 'bundles/2.json'), signEnvelope('bundle', payload, []));
  const unsigned = await run(...revoke, '--as', team.key('carol'));
  assert.equal(unsigned.status, 2, unsigned.stdout);
  assert.match(unsigned.stderr, /bundle 2 .*publication\.threshold.*by its digest/);
});

/** The same policy, and nobody's signature; its lines lead somewhere else. */
function withOtherLines(path: string): Uint8Array {
  const text = fromUtf8(parseAnyEnvelope(readFileSync(path)).payload);
  const lying = text.replace('"files":["policy.yaml"]', '"files":["reviewed.yaml"]');
  assert.notEqual(lying, text);
  return signEnvelope('bundle', utf8(lying), []);
}

test('a file that waits where the first signer writes is not signed in place of what was shown', async () => {
  using team = await publishedTeam();
  const sources = team.policy(2);
  const planted = withOtherLines(await team.bundle(2));
  const out = team.path('planted.json');
  writeFileSync(out, planted);
  const sign = ['policy', 'sign', sources, '--as', team.key('alice'), '--repo', team.repo];
  const ran = await run(...sign, '--out', out);
  assert.equal(ran.status, 1, ran.stdout);
  assert.match(ran.stderr, /other line numbers/);
  assert.deepEqual(new Uint8Array(readFileSync(out)), planted);
});

test('line numbers that are not those of the checkout are said to be so', async () => {
  using team = await publishedTeam();
  const sources = team.policy(2);
  const path = await team.bundle(2);
  writeFileSync(path, withOtherLines(path));
  const sign = ['policy', 'sign', path, '--as', team.key('bob'), '--repo', team.repo];
  const { stdout } = await done(...sign, '--source', sources);
  assert.match(stdout, /warning +its line numbers are not those of your checkout/);
});
