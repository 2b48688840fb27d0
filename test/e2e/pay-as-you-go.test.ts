/**
 * An app that pays a real worker as its answer arrives. How fast a worker is and how far it is followed is this machine's
 * affair: a step that nobody followed in time ends the answer early. What was read is paid for either way, and no more.
 * @module
 */

import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { ed25519PublicKey, randomBytes } from '#primitives';
import { toHex } from '../../core/bytes.ts';
import { encodeCard } from '../../attestation/card.ts';
import { compilePolicy } from '../../attestation/policy/compile.ts';
import { startWorkerProcess, type WorkerProcess } from '../../cli/up/worker-process.ts';
import { sealedFetch, type CeilingPolicy, type Settlement } from '../../client/index.ts';
import { encodePayState, newPayState } from '../../client/pay/pay-state.ts';
import { DEMO_MODEL } from '../../enclave-worker/demo-model/demo-model.ts';
import { TEST_PRICES } from '../support/attested-key.ts';
import { TestMemory } from '../support/paying.ts';
import { openPaidLab, type PaidLab, type TestPayer } from '../support/ton/paid-gateway.ts';
import { until } from '../support/until.ts';

const CLOSE_GRACE_MS = 5000;
/** Steps of eight tokens. */
const CHUNK = 16;
const AHEAD = 3n * 8n * 8n;

let lab: PaidLab;
let worker: WorkerProcess;
let log = 0;

before(async () => {
  lab = await openPaidLab();
  log = openSync(join(lab.dataDir, 'worker.log'), 'a');
  worker = await startWorker();
});
after(async () => {
  await worker.close(CLOSE_GRACE_MS);
  closeSync(log);
  await lab.close();
});

function startWorker(): Promise<WorkerProcess> {
  const { dataDir, gateway, url } = lab;
  const [image] = compilePolicy(readFileSync(join(dataDir, 'policy.yaml'))).document.images;
  if (image === undefined) throw new Error('the development policy lists an image');
  const { id, contextLength, sha256: weights, path: modelPath } = DEMO_MODEL;
  const ownerKey = randomBytes(32);
  return startWorkerProcess({
    name: 'worker',
    ownerKey,
    log,
    card: encodeCard({
      owner: ed25519PublicKey(ownerKey),
      model: { id, contextLength, capabilities: ['chat'], weights },
      limits: { maxPromptTokens: 160, maxOutputTokens: 128, maxConcurrent: 2 },
      prices: TEST_PRICES,
      payout: null,
    }),
    config: {
      gateway: { url, aud: gateway.aud },
      workload: { image: toHex(image.workload.image), config: toHex(image.workload.config) },
      engine: { name: 'llama-cpp', modelPath, copyRoot: dataDir },
      evidence: { provider: 'simulator', pkiDir: join(dataDir, 'pki') },
      drainMs: 1000,
    },
    onEnded: () => undefined,
  });
}

interface Paid {
  readonly text: string;
  readonly settlement: Settlement;
  readonly ceiling: bigint;
}

async function ask({ channel, terms, secretKey }: TestPayer, policy: CeilingPolicy): Promise<Paid> {
  const settled: Settlement[] = [];
  const faults: string[] = [];
  const paying = sealedFetch({
    policy: join(lab.dataDir, 'policy.yaml'),
    onSettled: (settlement) => void settled.push(settlement),
    pay: {
      channel,
      terms,
      secretKey,
      gateway: lab.gateway.aud,
      memory: new TestMemory(encodePayState(newPayState(channel, 'known'))),
      policy,
      onFault: (fault) => void faults.push(...fault.faults),
    },
  });
  const baseURL = `${lab.url}/v1`;
  const sdk = new OpenAI({ baseURL, apiKey: 'none needed', maxRetries: 0, fetch: paying });
  const parts = await sdk.chat.completions.create({
    model: DEMO_MODEL.id,
    messages: [{ role: 'user', content: 'What is remote attestation?' }],
    stream: true,
    temperature: 0,
  });
  let text = '';
  for await (const part of parts) text += part.choices[0]?.delta.content ?? '';
  await until(() => settled.length + faults.length > 0);
  assert.deepEqual(faults, []);
  await paying.close();
  const account = await lab.gateway.ledger.findAccount(channel);
  const [settlement] = settled;
  assert.ok(settlement && account);
  return { text, settlement, ceiling: account.ceiling };
}

test('an answer of a real worker is paid for as it arrives, and settled by its receipt', async () => {
  const whole = await ask(await lab.payer(), 'per-request');
  const { text, settlement, ceiling } = await ask(await lab.payer(), { chunkTokens: CHUNK });
  assert.ok(text.length > 0 && whole.text.startsWith(text));
  const { prompt, completion } = settlement.receipt.receipt.usage;
  assert.equal(settlement.amount, 1000n + 2n * BigInt(prompt) + 8n * BigInt(completion));
  assert.equal(settlement.cum, settlement.amount);
  // Signed for was the bound on the prompt and three steps, or what was metered and three steps: not the whole request.
  const first = 1000n + 2n * 160n + AHEAD;
  const metered = settlement.amount + AHEAD;
  assert.ok(ceiling <= (metered > first ? metered : first), `${ceiling}`);
  assert.ok(ceiling < whole.ceiling);
});
