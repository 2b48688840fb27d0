/** `veilgate policy simulate`: who would newly be denied or admitted, from a gateway that is only asked. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { EXIT, answered, type PolicyAnswer } from '../../../cli/policy/answer.ts';
import { simulateAnswer, type SimulateOptions } from '../../../cli/policy/simulate.ts';
import { decodeEvidence } from '../../../attestation/evidence.ts';
import { parseJson } from '../../../core/json.ts';
import { utf8 } from '../../../core/bytes.ts';
import { memoryGateway, type MemoryGateway } from '../../support/memory-gateway.ts';
import { evidenceFolder } from '../../support/attest.ts';
import { policyFolder, type PolicyFolder } from '../../support/policy-files.ts';
import { PIPE, reportOf, testIo, textOf } from '../../support/policy-io.ts';

const URL = 'https://gateway.example';

let folder: PolicyFolder;
before(() => {
  folder = policyFolder();
});
after(() => folder[Symbol.dispose]());

async function simulate(
  path: string,
  options: SimulateOptions,
  gateway?: MemoryGateway,
): Promise<PolicyAnswer> {
  const question = { command: 'simulate', json: options.json === true };
  const io = testIo(gateway === undefined ? {} : { fetch: gateway.fetch });
  return await answered(question, () =>
    simulateAnswer(question, { path, options, io, page: PIPE }),
  );
}

function policyOf({ policy }: MemoryGateway, change = (text: string) => text): string {
  return folder.write('policy.json', change(policy.canonical));
}

function withVerdicts(gateway: MemoryGateway, decision = 'admitted'): MemoryGateway {
  gateway.mischief.evidence = ({ candidates }) => ({
    candidates: candidates.map((each) => ({
      ...each,
      verdict: { decision, policy: { name: 'prod', serial: 42, digest: '00'.repeat(32) } },
    })),
  });
  return gateway;
}

test('nobody changes: 0, and the gateway is asked only what it shows everybody', async () => {
  const gateway = withVerdicts(await memoryGateway([{}, {}]));
  const answer = await simulate(policyOf(gateway), { live: URL }, gateway);
  assert.equal(answer.status, EXIT.ok, `${textOf(answer)}${answer.errors.join()}`);
  assert.match(
    textOf(answer),
    /^under test#1: 2 workers: 0 newly denied, 0 newly admitted, 2 still admitted/,
  );
  assert.deepEqual([...new Set(gateway.asked)], ['/v1/gateway', '/v1/models', '/v1/evidence']);
});

test('who would be denied is named, with the verdict’s policy and what fails', async () => {
  const gateway = withVerdicts(await memoryGateway([{}, { unlisted: true }]));
  const answer = await simulate(policyOf(gateway), { live: URL }, gateway);
  assert.equal(answer.status, EXIT.findings);
  assert.match(textOf(answer), /^NEWLY DENIED {2}worker [0-9a-f]{16} of test\/model$/m);
  assert.match(textOf(answer), /admitted by prod#42, denied by test#1, nearest rule test-rule/);
  assert.match(textOf(answer), /^ fail +workload\.image/m);
});

test('who was denied and would be admitted counts as much', async () => {
  const gateway = withVerdicts(await memoryGateway(), 'denied');
  const answer = await simulate(policyOf(gateway), { live: URL }, gateway);
  assert.equal(answer.status, EXIT.findings);
  assert.match(textOf(answer), /^NEWLY ADMITTED/m);
});

test('a gateway without verdicts shows whom it admits', async () => {
  const gateway = await memoryGateway([{ unlisted: true }]);
  const answer = await simulate(policyOf(gateway), { live: URL }, gateway);
  assert.match(textOf(answer), /admitted by its gateway, denied by test#1/);
});

test('a policy that has not begun, or wants a challenge of each verifier, denies nobody for that', async () => {
  const gateway = withVerdicts(await memoryGateway());
  const path = policyOf(gateway, (text) =>
    text
      .replace('"challenge":"gateway"', '"challenge":"required"')
      .replace('"issued":"2026-06-01T00:00:00Z"', '"issued":"2026-07-01T00:00:00Z"'),
  );
  assert.equal((await simulate(path, { live: URL }, gateway)).status, EXIT.ok);
});

test('captured evidence under a policy and a candidate, judged when it was made', async () => {
  const gateway = await memoryGateway([{ issuedAgoS: 20 }]);
  using captured = evidenceFolder();
  const path = captured.bundle('worker.json', decodeEvidence(gateway.workers[0]?.evidence));
  const policy = policyOf(gateway);
  const stricter = folder.write(
    'candidate.json',
    gateway.policy.canonical.replace('"models":["test/model"]', '"models":[]'),
  );
  const alone = await simulate(policy, { evidence: path });
  assert.equal(alone.status, EXIT.usage);
  assert.match(alone.errors.join(), /comes without a verdict/);
  const answer = await simulate(policy, { evidence: path, candidate: stricter, json: true });
  assert.equal(answer.status, EXIT.findings);
  const { workers } = z
    .looseObject({ workers: z.array(z.looseObject({ change: z.string(), at: z.string() })) })
    .parse(reportOf(answer));
  assert.deepEqual(
    workers.map(({ change, at }) => [change, at]),
    [['newly denied', '2026-06-15T11:59:40Z']],
  );
});

test('two contents under one number are told apart by their digests', async () => {
  const gateway = await memoryGateway();
  using captured = evidenceFolder();
  const evidence = captured.bundle('worker.json', decodeEvidence(gateway.workers[0]?.evidence));
  const { canonical } = gateway.policy;
  const stricter = canonical.replace('"models":["test/model"]', '"models":[]');
  const candidate = folder.write('same-number.json', stricter);
  const answer = await simulate(policyOf(gateway), { evidence, candidate });
  assert.match(
    textOf(answer),
    /admitted by test#1 \(sha256:[0-9a-f]{16}…\), denied by test#1 \(sha256:[0-9a-f]{16}…\)/,
  );
});

test('a saved list keeps its verdicts', async () => {
  const gateway = withVerdicts(await memoryGateway([{ unlisted: true }]));
  const response = await gateway.fetch(`${URL}/v1/evidence?model=test/model`, {
    headers: {},
    redirect: 'error',
    credentials: 'omit',
    cache: 'no-store',
    signal: AbortSignal.timeout(5000),
  });
  const text = await response.text();
  assert.ok(parseJson(utf8(text), 1 << 24) !== undefined);
  using captured = evidenceFolder();
  const evidence = captured.write('list.json', text);
  const answer = await simulate(policyOf(gateway), { evidence });
  assert.match(textOf(answer), /admitted by prod#42, denied by test#1/);
});

test('wrong usage: no source, two sources, no URL', async () => {
  const gateway = await memoryGateway();
  const path = policyOf(gateway);
  for (const options of [{}, { live: URL, evidence: '.' }, { live: 'gateway.example' }]) {
    assert.equal((await simulate(path, options)).status, EXIT.usage);
  }
});
