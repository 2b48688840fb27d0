/**
 * The whole way: OpenAI's SDK gives plaintext to a gateway in a (simulated) TEE that it verified, the gateway seals onward, and
 * what comes back can be proved offline from one file. Nothing of the content stays anywhere. @module
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PermissionDeniedError } from 'openai';
import { randomBytes } from '#primitives';
import { fromBase64, toHex, utf8 } from '../../core/bytes.ts';
import { parseAttestedProof } from '../../client/attested/attested-proof.ts';
import { checkAttestedProof } from '../../client/attested/check-attested.ts';
import type { AttestedProofResult } from '../../client/node/attested-gateway-fetch.ts';
import { createApiKey } from '../../gateway/accounts.ts';
import { systemClock } from '../../core/clock.ts';
import { startAttestedStack, type AttestedStack } from '../support/attested-stack.ts';
import { findsIn, formsOf } from '../support/canaries.ts';
import { getText } from '../support/attested-lab.ts';
import { STACK_MODEL } from '../support/stack.ts';

let stack: AttestedStack;
before(async () => {
  stack = await startAttestedStack();
});
after(() => stack.close());

const CANARY = `canary-${toHex(randomBytes(8))}`;
const ASKED = {
  model: STACK_MODEL,
  messages: [{ role: 'user' as const, content: `What is remote attestation? ${CANARY}` }],
  max_tokens: 24,
  temperature: 0,
};

test('a whole and a streamed answer come through, labelled by what this client verified', async () => {
  const { client, fetch } = stack.attested();
  try {
    const { data, response } = await client.chat.completions.create(ASKED).withResponse();
    const text = data.choices[0]?.message.content ?? '';
    assert.ok(text.length > 0);
    assert.equal(response.headers.get('sx-privacy'), 'gateway-tee');
    assert.equal(response.headers.get('sx-gateway'), stack.gateway.aud);
    assert.equal(response.headers.get('sx-simulated'), 'true');
    const [live] = stack.gateway.registry.all();
    assert.equal(
      response.headers.get('sx-evidence'),
      toHex(live?.key.statementHash ?? assert.fail()),
    );
    assert.equal(response.headers.get('sx-policy'), toHex(stack.gateway.desk.current().digest));
    assert.ok(response.headers.has('payment-response'));
    let streamed = '';
    for await (const part of await client.chat.completions.create({ ...ASKED, stream: true })) {
      streamed += part.choices[0]?.delta?.content ?? '';
    }
    assert.equal(streamed, text);
  } finally {
    await fetch.close();
  }
});

test('one file proves an answer offline: gateway, policy, worker, receipt, settlement, texts', async () => {
  const proofs: AttestedProofResult[] = [];
  const { fetch } = stack.attested({ onProof: (proof) => void proofs.push(proof) });
  try {
    for (const stream of [false, true]) {
      const body = JSON.stringify({ ...ASKED, stream });
      const response = await fetch(`${stack.attestedUrl}/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${stack.apiKey}`, 'content-type': 'application/json' },
        body,
      });
      const answer = new Uint8Array(await response.arrayBuffer());
      const kept = proofs.at(-1);
      assert.ok(kept?.outcome === 'kept');
      assert.equal(kept.requestId, response.headers.get('x-request-id'));
      const bytes = kept.encode();
      const pins = {
        root: readFileSync(stack.rootFile),
        gateway: stack.gateway.aud,
        request: utf8(body),
        response: answer,
      };
      const checked = checkAttestedProof(parseAttestedProof(bytes), pins);
      const all = [...checked.gateway, ...Object.values(checked.response.sections).flat()];
      const idsOf = (outcome: string): readonly string[] =>
        all.filter((check) => check.outcome === outcome).map(({ id }) => id);
      assert.deepEqual(idsOf('fail'), []);
      assert.deepEqual(idsOf('skipped'), OF_A_CHANNEL);
      assert.ok(checked.holds);
      assert.equal(
        checked.response.sections.receipt.find(({ id }) => id === 'receipt.policy')?.outcome,
        'pass',
      );
      const file = join(stack.dataDir, 'proof.json');
      writeFileSync(file, bytes);
      const ran = spawnSync(
        process.execPath,
        [
          'cli/veilgate.ts',
          'verify-response',
          file,
          '--root',
          stack.rootFile,
          '--gateway-id',
          stack.gateway.aud,
        ],
        { encoding: 'utf8', timeout: 120_000 },
      );
      assert.equal(ran.status, 0, ran.stdout + ran.stderr);
      assert.match(ran.stdout, /read by +a gateway in a TEE, and the worker/);
      assert.match(ran.stdout, /holds, of a simulated machine/);
    }
  } finally {
    await fetch.close();
  }
});

/** An API key pays. */
const OF_A_CHANNEL = [
  'gateway.payee',
  'voucher.signature',
  'voucher.payer',
  'voucher.ceiling',
  'recount',
];

test('a proof is for whoever asked: another account gets none', async () => {
  const proofs: AttestedProofResult[] = [];
  const { client, fetch } = stack.attested({ onProof: (proof) => void proofs.push(proof) });
  try {
    await client.chat.completions.create(ASKED);
    const { requestId } = proofs[0] ?? assert.fail();
    const { apiKey: other } = createApiKey(stack.gateway.store, 'other', systemClock());
    for (const [key, status] of [
      [stack.apiKey, 200],
      [other, 404],
      ['vg_unknown', 401],
    ] as const) {
      const headers = { authorization: `Bearer ${key}` };
      const shown = await fetch(`${stack.attestedUrl}/proofs/${requestId}`, { headers });
      assert.equal(shown.status, status, key === other ? 'the other account' : status.toString());
      assert.ok(!(await shown.text()).includes(CANARY));
    }
  } finally {
    await fetch.close();
  }
});

test('an app that names its requests itself gets their proofs, under the id of the exchange', async () => {
  const proofs: AttestedProofResult[] = [];
  const { client, fetch } = stack.attested({ onProof: (proof) => void proofs.push(proof) });
  try {
    const ownId = `sx_${'0'.repeat(32)}`;
    const { response } = await client.chat.completions
      .create(ASKED, { headers: { 'x-request-id': ownId } })
      .withResponse();
    assert.equal(response.headers.get('x-request-id'), ownId);
    const [proof] = proofs;
    assert.equal(proof?.outcome, 'kept');
    assert.equal(proof?.requestId, response.headers.get('sx-request-id'));
    assert.notEqual(proof?.requestId, ownId);
  } finally {
    await fetch.close();
  }
});

test('whoever shows a key as Anthropic’s API has it gets proofs too', async () => {
  const proofs: AttestedProofResult[] = [];
  const { fetch } = stack.attested({ onProof: (proof) => void proofs.push(proof) });
  try {
    const response = await fetch(`${stack.attestedUrl}/messages`, {
      method: 'POST',
      headers: { 'x-api-key': stack.apiKey, 'content-type': 'application/json' },
      body: JSON.stringify({ model: STACK_MODEL, max_tokens: 24, messages: ASKED.messages }),
    });
    assert.equal(response.status, 200);
    await response.text();
    assert.deepEqual(
      proofs.map(({ outcome }) => outcome),
      ['kept'],
    );
  } finally {
    await fetch.close();
  }
});

test('a worker’s error comes through as an error, and has no proof', async () => {
  const proofs: AttestedProofResult[] = [];
  const { client, fetch } = stack.attested({ onProof: (proof) => void proofs.push(proof) });
  try {
    await assert.rejects(client.chat.completions.create({ ...ASKED, model: 'nobody-serves-this' }));
    assert.deepEqual(proofs, []);
  } finally {
    await fetch.close();
  }
});

test('a policy of the app that lets no gateway hold plaintext keeps the prompt at home', async () => {
  const { client, fetch } = stack.attested({
    policy: readFileSync(stack.policyPath, 'utf8').replace(
      /\ngateways:[\s\S]*?(?=\nmodels:)/,
      '\n',
    ),
  });
  try {
    await assert.rejects(
      client.chat.completions.create(ASKED),
      (error) => !(error instanceof PermissionDeniedError),
    );
    assert.ok(
      fetch
        .verdicts()[0]
        ?.verdict.checks.some(({ id, outcome }) => id === 'policy.gateways' && outcome === 'fail'),
    );
  } finally {
    await fetch.close();
  }
});

test('the evidence is there for everybody, with what is published beside it', async () => {
  const origin = new URL(stack.attestedUrl).origin;
  const shown = Object(JSON.parse(await getText(`${origin}/.well-known/veilgate/evidence`)));
  assert.equal(shown.evidence.fmt, 'veilgate.gateway-evidence/1');
  assert.equal(typeof shown.publication.root, 'number');
  const statement = Object(
    JSON.parse(new TextDecoder().decode(fromBase64(shown.evidence.statement))),
  );
  assert.equal(statement.aud, stack.gateway.aud);
  assert.deepEqual(statement.hosts, ['localhost', '127.0.0.1']);
  assert.equal(statement.keys.ledger.length, 1);
});

test('no word of what was asked is in any file or log', () => {
  assert.deepEqual(findsIn(stack.traces(), [{ name: 'the prompt', forms: formsOf(CANARY) }]), []);
});
