/** The proofs that a client hands to its app: of every whole answer one, which holds, without a word of its content. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, fromUtf8, utf8 } from '../../../core/bytes.ts';
import { sealedFetch, type KeptProof } from '../../../client/index.ts';
import type { ClientOptions } from '../../../client/open-session.ts';
import { checkProof, type ProofPins } from '../../../client/proof/check-response.ts';
import { parseProof } from '../../../client/proof/response-proof.ts';
import { amount } from '../../../settlement/money.ts';
import { memoryGateway, MODEL, PROMPT, type MemoryGateway } from '../../support/memory-gateway.ts';
import { channelParts, paidGateway, payingApp, TestMemory } from '../../support/paying.ts';
import { makeBundle, makeRoot } from '../../support/publication.ts';

const ROOT = makeRoot();

interface Asked {
  readonly proofs: readonly KeptProof[];
  readonly request: Uint8Array;
  readonly response: Uint8Array;
  readonly requestId: string | null;
}

async function ask(
  { fetch, clock }: MemoryGateway,
  options: Partial<ClientOptions> & Pick<ClientOptions, 'policy'>,
  more: object = {},
): Promise<Asked> {
  const proofs: KeptProof[] = [];
  const send = sealedFetch({
    fetch,
    clock,
    onProof: (proof) => void proofs.push(proof),
    ...options,
  });
  const body = JSON.stringify({
    model: MODEL,
    messages: [{ role: 'user', content: PROMPT }],
    ...more,
  });
  const answer = await send('https://gateway.test/v1/chat/completions', {
    method: 'POST',
    headers: { authorization: 'Bearer sk-test' },
    body,
  });
  assert.equal(answer.status, 200);
  const response = new Uint8Array(await answer.arrayBuffer());
  await send.close();
  return { proofs, request: utf8(body), response, requestId: answer.headers.get('x-request-id') };
}

function checked({ proofs, request, response }: Asked, pins: ProofPins = {}) {
  const [proof] = proofs;
  assert.ok(proof !== undefined && proofs.length === 1);
  const found = checkProof(parseProof(proof.encode()), { request, response, ...pins });
  const failed = Object.values(found.sections)
    .flat()
    .filter(({ outcome }) => outcome === 'fail');
  assert.deepEqual(failed, []);
  assert.ok(found.holds);
  return found;
}

for (const stream of [false, true]) {
  const how = stream ? 'a stream' : 'a whole answer';

  test(`the proof of ${how} under a signed policy holds under its root, with both texts`, async () => {
    const gateway = await memoryGateway([{}]);
    gateway.publish();
    const asked = await ask(gateway, { policy: { root: ROOT } }, { stream });
    const { sections, gateway: aud } = checked(asked, { root: ROOT, gateway: gateway.aud });
    assert.equal(aud, gateway.aud);
    assert.equal(asked.proofs[0]?.requestId, asked.requestId);
    const texts = sections.texts.map(({ outcome }) => outcome);
    assert.deepEqual(texts, ['pass', 'pass']);
    // Nobody kept books, and nobody paid.
    const line = sections.bill.find(({ id }) => id === 'line.present');
    assert.equal(line?.outcome, 'waived');
  });
}

test('the proof under an unsigned policy holds for whoever names its digest', async () => {
  const gateway = await memoryGateway([{}]);
  const asked = await ask(gateway, { policy: gateway.policy });
  checked(asked, { policyDigest: gateway.policy.digest });
});

test('the proof under a bundle that was given for offline use says that its age was not asked', async () => {
  const gateway = await memoryGateway([{}]);
  const bundle = makeBundle(gateway.policy);
  const asked = await ask(gateway, { policy: { root: ROOT, bundle, offline: true } });
  const { verdict } = checked(asked, { root: ROOT, offline: 'accepted' });
  const fresh = verdict?.checks.find(({ id }) => id === 'revocation.fresh');
  assert.equal(fresh?.outcome, 'waived');
});

test('the proof of an answer that a channel paid has the voucher and the ledger line', async (t) => {
  const gateway = await paidGateway(t);
  const pay = channelParts(gateway, new TestMemory());
  const asked = await ask(gateway, { policy: gateway.policy, pay });
  const { sections } = checked(asked);
  for (const id of ['voucher.signature', 'line.signature', 'line.amount']) {
    const check = sections.bill.find((each) => each.id === id);
    assert.equal(check?.outcome, 'pass', id);
  }
});

test('a bill that does not hold is handed to whoever pays, and the proof of its answer claims no payment', async (t) => {
  const gateway = await paidGateway(t);
  gateway.books.mischief.line = (line) => ({ ...line, amount: amount(line.amount + 1n) });
  const proofs: KeptProof[] = [];
  const app = payingApp(gateway, { client: { onProof: (proof) => void proofs.push(proof) } });
  await app.ask();
  assert.equal(app.faults.length, 1);
  const [proof] = proofs;
  assert.ok(proof !== undefined);
  const { bill } = checkProof(parseProof(proof.encode()));
  assert.equal(bill?.payment, undefined);
});

test('no proof holds a word of the prompt or the answer, in clear or in base64', async () => {
  const gateway = await memoryGateway([{}]);
  gateway.publish();
  const { proofs } = await ask(gateway, { policy: { root: ROOT } });
  const text = fromUtf8(proofs[0]?.encode() ?? new Uint8Array());
  for (const secret of [PROMPT, 'whole answer']) {
    assert.ok(!text.includes(secret));
    for (const shift of [0, 1, 2]) {
      const padded = Buffer.from(concat(new Uint8Array(shift), utf8(secret))).toString('base64');
      assert.ok(!text.includes(padded.slice(4, -4)), `base64 shifted by ${shift}`);
    }
  }
});

test('a broken answer has no proof', async () => {
  const gateway = await memoryGateway([{}]);
  gateway.mischief.answer = (pieces) => pieces.slice(0, -1);
  const proofs: KeptProof[] = [];
  const send = sealedFetch({
    fetch: gateway.fetch,
    clock: gateway.clock,
    policy: gateway.policy,
    onProof: (proof) => void proofs.push(proof),
  });
  const answer = await send('https://gateway.test/v1/chat/completions', {
    method: 'POST',
    body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: PROMPT }] }),
  });
  assert.notEqual(answer.status, 200);
  assert.deepEqual(proofs, []);
});
