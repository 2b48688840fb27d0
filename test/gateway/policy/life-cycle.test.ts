/** A gateway under signed policies: what is published comes into force, what was revoked is out, what fails changes nothing. @module */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { toHex } from '../../../core/bytes.ts';
import { systemClock } from '../../../core/clock.ts';
import type { Json } from '../../../core/json.ts';
import { exchange, openLab, openSignedLab, type LabOptions } from '../../support/gateway-lab.ts';
import { answering } from '../../support/sx-worker.ts';
import { until } from '../../support/until.ts';

const OTHER = 'ab'.repeat(48);

async function opened(context: TestContext, options: LabOptions = {}) {
  const lab = await openSignedLab(options);
  context.after(() => lab.close());
  return lab;
}

/** No image has what the simulator measures. */
function measuresOther(policy: Record<string, Json>): void {
  const { images } = policy;
  assert.ok(Array.isArray(images));
  const [image] = structuredClone(images);
  assert.ok(typeof image === 'object' && image !== null && 'tdx' in image);
  const { tdx } = image;
  assert.ok(Array.isArray(tdx));
  policy['images'] = [{ ...image, tdx: [{ ...tdx[0], mrtd: OTHER }] }];
}

test('a worker is admitted under the published policy, and its answer passes', async (context) => {
  const lab = await opened(context);
  const worker = await lab.worker(answering('{}'));
  const answer = await exchange(lab, lab.seal(lab.keysOf(worker)).bytes);
  assert.equal(answer.status, 200);
  const [live] = lab.gateway.registry.all();
  assert.equal(live?.verdict.policy.serial, 1);
});

test('a new policy comes into force without a restart, and a worker that it does not admit is benched', async (context) => {
  const lab = await opened(context);
  const worker = await lab.worker(answering('{}'));
  const sealed = lab.seal(lab.keysOf(worker)).bytes;
  lab.publisher.publish(lab.publisher.policy(measuresOther));
  await until(() => lab.gateway.desk.current().document.serial === 2);
  assert.equal(lab.gateway.registry.all().length, 0);
  assert.equal(lab.gateway.registry.benched().length, 1);
  assert.notEqual((await exchange(lab, sealed)).status, 200);
  assert.ok(lab.logLines.some((line) => line.includes('"policy.nobody_left"')));
});

test('when the next policy admits it again, a benched worker is back with its key', async (context) => {
  const lab = await opened(context);
  const worker = await lab.worker(answering('{}'));
  const keys = lab.keysOf(worker);
  lab.publisher.publish(lab.publisher.policy(measuresOther));
  await until(() => lab.gateway.registry.benched().length === 1);
  lab.publisher.publish(lab.publisher.policy());
  await until(() => lab.gateway.registry.all().length === 1);
  assert.equal((await exchange(lab, lab.seal(keys).bytes)).status, 200);
  assert.equal(lab.gateway.registry.all()[0]?.verdict.policy.serial, 3);
});

test('a candidate in the shadow changes nothing and says whom it would deny', async (context) => {
  const lab = await opened(context);
  const worker = await lab.worker(answering('{}'));
  lab.publisher.candidate(lab.publisher.policy(measuresOther));
  await until(() => lab.logLines.some((line) => line.includes('"policy.shadow_change"')));
  const line = lab.logLines.find((one) => one.includes('"policy.shadow_change"')) ?? '';
  assert.match(line, /"change":"newly_denied"/);
  assert.match(line, /"check":"cpu.measurements"/);
  assert.ok(line.includes(worker.workerId));
  assert.equal((await exchange(lab, lab.seal(lab.keysOf(worker)).bytes)).status, 200);
});

test('a candidate in the shadow says whom it would let in that was refused', async (context) => {
  const lab = await opened(context);
  lab.publisher.publish(lab.publisher.policy(measuresOther));
  await until(() => lab.gateway.desk.current().document.serial === 2);
  await assert.rejects(lab.worker(answering('{}')), /not admitted/);
  lab.publisher.candidate(lab.publisher.policy());
  await until(() => lab.logLines.some((line) => line.includes('"newly_admitted"')));
});

test('a canary is in force for its share of the workers alone', async (context) => {
  const lab = await opened(context);
  const workers = await Promise.all([1, 2, 3, 4, 5, 6].map(() => lab.worker(answering('{}'))));
  lab.publisher.candidate(lab.publisher.policy(measuresOther), 50);
  await until(() => lab.gateway.desk.candidate()?.share === 50);
  const out = lab.gateway.registry.benched().map(({ workerId }) => workerId);
  for (const { workerId } of workers) {
    const [worker] = [...lab.gateway.registry.all(), ...lab.gateway.registry.benched()].filter(
      (one) => one.workerId === workerId,
    );
    assert.ok(worker !== undefined);
    const serial = lab.gateway.desk.policyFor(worker.key.workerId).document.serial;
    assert.equal(out.includes(workerId), serial === 2, workerId);
  }
});

test('a revoked machine is out at once, and comes back only when it is given back by enough people', async (context) => {
  const lab = await opened(context);
  const worker = await lab.worker(answering('{}'));
  const keys = lab.keysOf(worker);
  const ppid = lab.gateway.registry.all()[0]?.verdict.platform?.ids['ppid'] ?? '';
  lab.publisher.revoke({ kind: 'cpu', value: ppid });
  await until(() => lab.gateway.registry.all().length === 0);
  assert.notEqual((await exchange(lab, lab.seal(keys).bytes)).status, 200);
  lab.publisher.revocations([]);
  await until(() => lab.logLines.some((line) => line.includes('publication.revocation_withdrawn')));
  assert.equal(lab.gateway.registry.all().length, 0);
  lab.publisher.revocations([], ['revocation', 'policy']);
  await until(() => lab.gateway.registry.all().length === 1);
});

for (const kind of ['image', 'rule', 'measurement', 'key', 'kid', 'policy'] as const) {
  test(`a revocation of its ${kind} puts a worker out, and a new registration is refused`, async (context) => {
    const lab = await opened(context);
    await lab.worker(answering('{}'));
    const fact = lab.gateway.registry.all()[0]?.verdict.revocable.find((one) => one.kind === kind);
    assert.ok(fact !== undefined, `a verdict names its ${kind}`);
    lab.publisher.revoke(fact);
    await until(() => lab.gateway.registry.all().length === 0);
    assert.equal(lab.gateway.registry.benched().length, 1);
    // Of an owner of their own.
    if (kind === 'kid' || kind === 'key') return;
    const check = new RegExp(`not admitted: .*"id":"revocation\\.${kind}","outcome":"fail"`);
    await assert.rejects(lab.worker(answering('{}')), check);
  });
}

test('without fresh word on revocations nobody is served and nobody comes in, until there is', async (context) => {
  const lab = await opened(context);
  const worker = await lab.worker(answering('{}'));
  const keys = lab.keysOf(worker);
  const desk = lab.gateway.desk;
  const late = systemClock() + 70_000;
  assert.equal(desk.staleBecause(late), 'stale');
  assert.throws(() => desk.assertFresh(late), /gateway.policy_stale/);
  assert.equal((await exchange(lab, lab.seal(keys).bytes)).status, 200);
});

test('a document that does not verify changes nothing, is written down once, and raises the alarm', async (context) => {
  const lab = await opened(context);
  await lab.worker(answering('{}'));
  writeFileSync(join(lab.publisher.directory, 'release.json'), '{"payloadType":"x"}');
  await until(() => lab.logLines.some((line) => line.includes('"policy.document_refused"')));
  assert.equal(lab.gateway.desk.current().document.serial, 1);
  assert.equal(lab.gateway.registry.all().length, 1);
  const metrics = await (await fetch(`http://127.0.0.1:${lab.adminPort}/metrics`)).text();
  assert.match(metrics, /veilgate_policy_alarm 1/);
  const status = await (await fetch(`http://127.0.0.1:${lab.adminPort}/policy`)).json();
  assert.match(JSON.stringify(status), /publication\.malformed/);
});

test('after a restart without the publisher the last good policy is in force, and nobody is served before word is fresh', async (context) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'veilgate-policy-'));
  context.after(() => rmSync(dataDir, { recursive: true }));
  const first = await openSignedLab({ dataDir });
  first.publisher.publish(first.publisher.policy());
  await until(() => first.gateway.desk.current().document.serial === 2);
  const { rootFile } = first.publisher;
  await first.close();
  const publication = {
    rootFile,
    directory: join(dataDir, 'nothing-here'),
    allowDevelopment: true,
  };
  const second = await openSignedLab({ dataDir, config: { publication } });
  context.after(() => second.close());
  assert.equal(second.gateway.desk.current().document.serial, 2);
});

test('an unsigned policy is for development alone', async (context) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'veilgate-policy-'));
  context.after(() => rmSync(dataDir, { recursive: true }));
  const policyFile = join(dataDir, 'real.yaml');
  writeFileSync(policyFile, readFileSync('policies/production.yaml'));
  await assert.rejects(
    openSignedLab({ dataDir, config: { policyFile, publication: null } }),
    /policyFile takes development policies only/,
  );
});

test('a policy for simulated machines does not come into force where that is not allowed', async (context) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'veilgate-policy-'));
  context.after(() => rmSync(dataDir, { recursive: true }));
  const publication = {
    rootFile: join(dataDir, 'published', 'root', '1.json'),
    directory: join(dataDir, 'published'),
  };
  await assert.rejects(openSignedLab({ dataDir, config: { publication } }), /gateway\.policy/);
});

test('what the gateway accepted it serves, under the same names', async (context) => {
  const lab = await opened(context);
  await lab.worker(answering('{}'));
  for (const name of ['root/1.json', 'release.json', 'bundles/1.json', 'revocations.json']) {
    const url = `${lab.url}/v1/publication/${name}`;
    const answer = await fetch(url);
    assert.equal(answer.status, 200, name);
    const text = await answer.text();
    assert.equal(text, readFileSync(join(lab.publisher.directory, name), 'utf8'));
    const etag = answer.headers.get('etag') ?? '';
    assert.equal((await fetch(url, { headers: { 'if-none-match': etag } })).status, 304);
  }
  assert.equal((await fetch(`${lab.url}/v1/publication/bundles/2.json`)).status, 404);
  assert.equal((await fetch(`${lab.url}/v1/publication/../api-key`)).status, 404);
  const evidence: unknown = await (
    await fetch(`${lab.url}/v1/evidence?model=veilgate-demo`)
  ).json();
  assert.match(JSON.stringify(evidence), /"publication":\{"root":1,"release":\{"payloadType"/);
});

test('another gateway can follow one by its URL', async (context) => {
  const first = await opened(context);
  const { rootFile } = first.publisher;
  const url = `${first.url}/v1/publication`;
  const second = await opened(context, {
    config: { publication: { rootFile, url, allowDevelopment: true } },
  });
  const digest = toHex(first.gateway.desk.current().digest);
  assert.equal(toHex(second.gateway.desk.current().digest), digest);
  assert.equal(second.gateway.desk.staleBecause(systemClock()), undefined);
});

test('a candidate for simulated machines does not stay in force where that is not allowed any more', async (context) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'veilgate-policy-'));
  context.after(() => rmSync(dataDir, { recursive: true }));
  const first = await openSignedLab({ dataDir });
  const { publisher } = first;
  const { rootFile, directory } = publisher;
  publisher.publish(
    publisher.policy((policy) => {
      delete policy['development'];
      delete policy['roots'];
    }),
  );
  publisher.candidate(publisher.policy(), 99);
  await until(() => first.gateway.desk.candidate()?.share === 99);
  assert.equal(first.gateway.desk.current().document.development, undefined);
  await first.close();
  const publication = { rootFile, directory };
  await assert.rejects(
    openLab({ dataDir, config: { policyFile: null, publication } }),
    /gateway\.policy: a policy for simulated machines/,
  );
});

test('two lists under one number are an entry of their own in the audit log, with both digests', async (context) => {
  const lab = await opened(context);
  const entry = { kind: 'image', reason: 'for a test', by: 'carol', atMs: 0 } as const;
  lab.publisher.sameNumber([{ ...entry, value: 'some-image' }]);
  const found = (): boolean =>
    readFileSync(join(lab.dataDir, 'audit', 'audit-000001.log'), 'utf8').includes(
      '"kind":"publication.equivocation"',
    );
  await until(found);
});
