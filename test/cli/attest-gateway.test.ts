/** `veilgate attest` on a running gateway: its identity, and each of its workers. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { decodeEvidence, encodeEvidence } from '../../attestation/evidence.ts';
import { attest, evidenceFolder, noFetch, type EvidenceFolder } from '../support/attest.ts';
import { memoryGateway, MODEL, type MemoryGateway } from '../support/memory-gateway.ts';

const URL = 'https://gateway.example';

let folder: EvidenceFolder;
before(() => {
  folder = evidenceFolder();
});
after(() => folder[Symbol.dispose]());

function policyOf({ policy }: MemoryGateway): string {
  return folder.write('policy.json', policy.canonical);
}

test('every worker is judged, for the identity that the gateway proved', async () => {
  const gateway = await memoryGateway([{}, {}]);
  const options = { policy: policyOf(gateway) };
  const { status, text } = await attest('verify', URL, options, { fetch: gateway.fetch });
  assert.equal(status, 0, text);
  assert.equal([...text.matchAll(/^ACCEPTED {2}worker [0-9a-f]{16} of test\/model$/gm)].length, 2);
  assert.match(text, /waived gateway\.identity .*taken on first use: gw1\./);
  assert.deepEqual([...new Set(gateway.asked)], ['/v1/gateway', '/v1/models', '/v1/evidence']);
});

test('a pinned identity that is right shows as passed', async () => {
  const gateway = await memoryGateway();
  const options = { policy: policyOf(gateway), aud: gateway.aud, model: MODEL };
  const { status, text } = await attest('verify', URL, options, { fetch: gateway.fetch });
  assert.equal(status, 0);
  assert.doesNotMatch(text, /waived gateway\.identity/);
  assert.ok(!gateway.asked.includes('/v1/models'));
});

test('another identity than the pinned one is a rejection, even of a worker that the policy admits', async () => {
  const gateway = await memoryGateway();
  const options = { policy: policyOf(gateway), aud: 'gw1.another' };
  const { status, text } = await attest('verify', URL, options, { fetch: gateway.fetch });
  assert.equal(status, 1);
  assert.match(text, /^REJECTED/m);
  assert.match(text, /^DENY/m);
  assert.doesNotMatch(text, /^ADMIT/m);
  assert.match(text, /fail {3}gateway\.identity +want gw1\.another/);
});

test('one bad worker among good ones makes the whole a rejection', async () => {
  const gateway = await memoryGateway([{}, { unlisted: true }]);
  const options = { policy: policyOf(gateway) };
  const { status, text } = await attest('verify', URL, options, { fetch: gateway.fetch });
  assert.equal(status, 1);
  assert.match(text, /^ACCEPTED/m);
  assert.match(text, /^REJECTED/m);
});

test('a worker whose evidence cannot be read is said to be so, and the others are judged', async () => {
  const gateway = await memoryGateway([{}]);
  gateway.mischief.evidence = ({ candidates }) => ({
    candidates: [...candidates, { workerId: '\u001b]0;owned\u0007', evidence: { tee: 'tdx' } }],
  });
  const options = { policy: policyOf(gateway) };
  const { status, text } = await attest('verify', URL, options, { fetch: gateway.fetch });
  assert.equal(status, 3);
  assert.match(
    text,
    /^UNREADABLE {2}worker \\u\{1b\}\]0;owned\\u\{7\} of test\/model: attest\.malformed/m,
  );
  assert.match(text, /^ACCEPTED/m);
});

test('a gateway that proves no identity, shows nothing or cannot be reached ends with status 3', async () => {
  const forged = await memoryGateway();
  forged.mischief.gateway = () => ({ document: 'AA==', signature: 'A'.repeat(86) + '==' });
  const empty = await memoryGateway([]);
  const dead = { fetch: () => Promise.reject(new Error('ECONNREFUSED')) };
  const codes = [];
  for (const { fetch } of [forged, empty, dead]) {
    const { status, errors, output } = await attest('verify', URL, {}, { fetch });
    assert.deepEqual([status, output], [3, []]);
    codes.push(/^veilgate: ([\w.]+)/.exec(errors[0] ?? '')?.[1]);
  }
  assert.deepEqual(codes, ['gatewayDocument.format', 'attest.gateway', 'client.unreachable']);
});

test('clear text goes to this machine only', async () => {
  const urls = [
    ['http://gateway.example', /client\.insecure_url/],
    ['https://user@gateway.example', /client\.option/],
  ] as const;
  for (const [url, reason] of urls) {
    const { status, errors } = await attest('verify', url, {}, { fetch: noFetch });
    assert.equal(status, 2);
    assert.match(errors[0] ?? '', reason);
  }
});

test('evidence that a gateway was asked for is the same as from a file', async () => {
  const gateway = await memoryGateway();
  const [worker] = gateway.workers;
  const bundle = decodeEvidence(worker?.evidence);
  assert.deepEqual(encodeEvidence(bundle), worker?.evidence);
  const options = { policy: policyOf(gateway), aud: gateway.aud };
  assert.equal((await attest('verify', folder.bundle('b.json', bundle), options)).status, 0);
});
