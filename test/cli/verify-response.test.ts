/** `veilgate verify-response`: proofs of a running gateway and its worker, years later; how it ends, and what it says. @module */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { sealedFetch, type KeptProof } from '../../client/index.ts';
import { encodeProof } from '../../client/proof/response-proof.ts';
import { BILL_AUD } from '../support/bill-lab.ts';
import { proofOf, REQUEST_TEXT, RESPONSE_TEXT, type ProofLies } from '../support/proof-lab.ts';
import { makeRoot } from '../support/publication.ts';
import { startStack, STACK_MODEL } from '../support/stack.ts';

let folder = '';
let root = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'veilgate-proofs-'));
  root = written('root.json', makeRoot());
});
after(() => rmSync(folder, { recursive: true }));

function written(name: string, bytes: Uint8Array | string): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

async function saved(name: string, lies?: ProofLies): Promise<string> {
  return written(name, encodeProof(await proofOf(lies)));
}

function verify(...words: readonly string[]) {
  const ran = spawnSync(process.execPath, ['cli/veilgate.ts', 'verify-response', ...words], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status: ran.status, stdout: ran.stdout, stderr: ran.stderr };
}

const CHECK = z.looseObject({ id: z.string(), outcome: z.string() });
const REPORT = z.strictObject({
  format: z.literal('veilgate.response-report/1'),
  holds: z.boolean(),
  unpinned: z.array(z.enum(['policy.root', 'policy.digest', 'gateway.id'])),
  appraisedAt: z.string(),
  root: z.string().nullable(),
  gateway: z.string().nullable(),
  worker: z.looseObject({ simulated: z.boolean(), decision: z.string() }).nullable(),
  receipt: z.looseObject({ requestId: z.string(), amount: z.string() }).nullable(),
  sections: z.record(z.string(), z.array(CHECK)),
});

function failedIn(stdout: string): readonly string[] {
  const { sections } = REPORT.parse(JSON.parse(stdout));
  return Object.values(sections)
    .flat()
    .filter(({ outcome }) => outcome === 'fail')
    .map(({ id }) => id);
}

test('a proof that holds ends with 0, and says who, by whose word, and that the machine is simulated', async () => {
  const request = written('request.json', REQUEST_TEXT);
  const response = written('response.json', RESPONSE_TEXT);
  const pins = ['--root', root, '--gateway-id', BILL_AUD];
  const texts = ['--request', request, '--response', response];
  const path = await saved('good.json');
  const { status, stdout, stderr } = verify(path, ...pins, ...texts);
  assert.equal(status, 0, stdout);
  assert.equal(stderr, '');
  assert.match(stdout, /machine +SIMULATED/);
  assert.match(stdout, /texts: 2 of 2 pass/);
  assert.match(stdout, /^holds, of a simulated machine$/m);
  assert.doesNotMatch(stdout, /fail /);
  assert.match(verify(path, ...pins, '--all').stdout, /pass {5}quote\.signature/);
});

test('what holds by its own word only does not end with 0, and says which option is missing', async () => {
  const path = await saved('unpinned.json');
  const { status, stdout } = verify(path);
  assert.equal(status, 3);
  assert.match(stdout, /waived {3}policy\.root/);
  assert.match(
    stdout,
    /^holds.* by the word of the root and gateway in it,.*: say --root and --gateway-id$/m,
  );
  const rooted = verify(path, '--root', root);
  assert.equal(rooted.status, 3);
  assert.match(rooted.stdout, /by the word of the gateway in it,.*: say --gateway-id$/m);
  const known = verify(path, '--gateway-id', BILL_AUD, '--json');
  assert.equal(known.status, 3);
  assert.match(known.stdout, /"unpinned":\s*\[\s*"policy\.root"\s*\]/);
});

test('a client that asked nobody for the age of its policy holds only where that is accepted', async () => {
  const proof = await proofOf();
  assert.ok(proof.policy.kind === 'signed');
  const offline = encodeProof({ ...proof, policy: { ...proof.policy, mode: 'offline' } });
  const path = written('offline.json', offline);
  const pins = ['--root', root, '--gateway-id', BILL_AUD];
  assert.deepEqual(failedIn(verify(path, ...pins, '--json').stdout), ['policy.in_force']);
  const { status, stdout } = verify(path, ...pins, '--accept-offline');
  assert.equal(status, 0);
  assert.match(stdout, /^holds.*under a policy whose age the client did not ask$/m);
});

test('a proof that does not hold ends with 1 and names the check', async () => {
  const path = await saved('bad.json', { bill: { receipt: { simulated: false } } });
  const { status, stdout } = verify(path, '--json', '--root', root);
  assert.equal(status, 1);
  assert.deepEqual(failedIn(stdout), ['receipt.simulated']);
  assert.match(verify(path).stdout, /does not hold/);
});

test('instants without a date are reported, not stumbled over', async () => {
  const receipt = { startMs: Number.MAX_SAFE_INTEGER, endMs: Number.MAX_SAFE_INTEGER };
  const path = await saved('late.json', { bill: { receipt } });
  assert.deepEqual(failedIn(verify(path, '--json').stdout), ['time.opened', 'time.answered']);
  assert.equal(verify(path).status, 1);
});

test('a voucher on a channel that is not that of its terms is found', async () => {
  const path = await saved('elsewhere.json', { bill: { terms: { salt: 8n } } });
  assert.deepEqual(failedIn(verify(path, '--json').stdout), ['voucher.channel']);
});

test('a root that is another, and a text that is another, end with 1', async () => {
  const path = await saved('whose.json');
  const other = written('other-root.json', makeRoot({ version: 2 }));
  assert.deepEqual(failedIn(verify(path, '--json', '--root', other).stdout), ['policy.root']);
  const text = written('other-text.json', '{}');
  assert.deepEqual(failedIn(verify(path, '--json', '--request', text).stdout), ['text.request']);
});

test('what cannot be read ends with 2', async () => {
  const good = await saved('fine.json');
  const spoilt = written('spoilt.json', '{"fmt":"veilgate.response/1\u001b[31m"}');
  for (const words of [
    [spoilt],
    [folder],
    [join(folder, 'none.json')],
    [good, '--root', join(folder, 'none.json')],
    [good, '--policy', 'sha256:12'],
    [],
  ]) {
    const { status, stdout, stderr } = verify(...words);
    assert.equal(status, 2);
    assert.equal(stdout, '');
    assert.ok(stderr.length > 0 && !stderr.includes('\u001b'));
  }
});

for (const tee of ['tdx', 'snp'] as const) {
  test(`the proof of a running gateway and a ${tee} worker holds offline, with the texts`, async (t) => {
    const stack = await startStack({ tee });
    t.after(() => stack.close());
    const proofs: KeptProof[] = [];
    const send = sealedFetch({
      policy: { root: stack.rootFile },
      onProof: (proof) => void proofs.push(proof),
    });
    const messages = [{ role: 'user', content: 'Say hello' }];
    const body = JSON.stringify({ model: STACK_MODEL, messages, max_tokens: 8 });
    const answer = await send(`${stack.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stack.apiKey}` },
      body,
    });
    const request = written(`${tee}-request.json`, body);
    const response = written(`${tee}-response.json`, await answer.text());
    const [proof] = proofs;
    assert.ok(proof !== undefined);
    const path = written(`${tee}.json`, proof.encode());
    await stack.stop();
    const pins = ['--root', stack.rootFile, '--gateway-id', stack.gateway.aud];
    const texts = ['--request', request, '--response', response];
    const ran = verify(path, '--json', ...pins, ...texts);
    assert.deepEqual(failedIn(ran.stdout), []);
    assert.equal(ran.status, 0);
    const { worker, sections } = REPORT.parse(JSON.parse(ran.stdout));
    assert.equal(worker?.simulated, true);
    const line = sections['bill']?.find(({ id }) => id === 'line.signature');
    assert.equal(line?.outcome, 'pass');
    t.diagnostic(`${proof.encode().length} bytes`);
  });
}
