/**
 * A client, a gateway and workers that are paid as answers arrive, from a channel on a devnet: the ceiling rises step by
 * step, what is settled is what was generated, and the channel pays out that and no more.
 * @module
 */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { toHex, utf8 } from '../../../core/bytes.ts';
import {
  sealedFetch,
  type HeldBack,
  type PayFault,
  type Settlement,
} from '../../../client/index.ts';
import { encodePayState, newPayState } from '../../../client/pay/pay-state.ts';
import { loadSeed } from '../../../settlement/ton/wallet/seed-file.ts';
import { signCharge } from '../../../settlement/charge.ts';
import { amount, NOTHING } from '../../../settlement/money.ts';
import { claimMessage } from '../../../settlement/ton/channels/claim.ts';
import { readChannel } from '../../../settlement/ton/channels/read.ts';
import type { VoucherOutcome } from '../../../settlement/ledger/ledger.ts';
import type { PriceList } from '../../../attestation/verdict.ts';
import { TEST_PRICES } from '../../support/attested-key.ts';
import { TestMemory } from '../../support/paying.ts';
import { DEMO_MODEL, receiptOf, type SxWorker, type Turn } from '../../support/sx-worker.ts';
import { openPaidLab, type PaidLab, type TestPayer } from '../../support/ton/paid-gateway.ts';
import { until } from '../../support/until.ts';

const CHUNK = 16;
const STEP = 8;
const TOKENS = 96;
/** So that one answer is worth a claim, and three fit below what a new channel may owe. */
const SCALE = 33_000n;
const RAMP = 200_000_000n;
const PER_TOKEN = 8n * SCALE;
const PRICES: PriceList = {
  asset: 'TON',
  base: TEST_PRICES.base * SCALE,
  prompt: TEST_PRICES.prompt * SCALE,
  cached: TEST_PRICES.cached * SCALE,
  completion: TEST_PRICES.completion * SCALE,
  reasoning: TEST_PRICES.reasoning * SCALE,
};
const AHEAD = 3n * BigInt(STEP) * PER_TOKEN;
/** base, and the one token of prompt that the lab's receipts count. */
const used = (tokens: number): bigint => 1002n * SCALE + BigInt(tokens) * PER_TOKEN;
/** base, the bound of 128 on the prompt, and three steps. */
const FIRST = (1000n + 2n * 128n) * SCALE + AHEAD;

let lab: PaidLab;
let worker: SxWorker;
/** What was reserved when each step was generated, and which ceilings were signed, by channel. */
const reserved = new Map<string, bigint[]>();
const raised: bigint[] = [];

before(async () => {
  lab = await openPaidLab();
  worker = await lab.worker({ kind: 'answer', act: generate }, { prices: PRICES });
  const { ledger } = lab.gateway;
  const accept = ledger.acceptVoucher.bind(ledger);
  ledger.acceptVoucher = async (voucher): Promise<VoucherOutcome> => {
    raised.push(voucher.ceiling);
    return accept(voucher);
  };
});
after(() => lab.close());

/** All that can be reserved for one answer. */
let limit = RAMP;

/** A word a token. A step is generated when three are reserved ahead, or the last that the limit has room for. */

async function generate({ opened, epoch, response, meterEvery }: Turn): Promise<void> {
  const { responder, prelude } = opened;
  const msgId = toHex(prelude.msgId);
  response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
  response.write(responder.head(200, [['content-type', 'text/event-stream']]));
  let tokens = 0;
  for (let seq = 1; tokens < TOKENS && !worker.stops.includes(msgId); seq++) {
    tokens += STEP;
    response.write(responder.data(textOf(STEP)));
    if (meterEvery === 0) continue;
    assert.equal(meterEvery, STEP);
    const usage = { prompt: 1, cached: 0, completion: tokens, reasoning: 0 };
    response.write(responder.meter({ signer: epoch.signer, usage, seq }));
    await until(
      async () => worker.stops.includes(msgId) || (await heldFor(opened)) >= leastFor(tokens),
    );
    note(msgId, await heldFor(opened));
  }
  response.write(responder.data(utf8('data: [DONE]\n\n')));
  response.write(receiptOf(opened, epoch, tokens).bytes);
  response.end(responder.final());
}

function textOf(words: number): Uint8Array {
  const choices = [{ index: 0, delta: { content: 'word '.repeat(words) }, finish_reason: null }];
  return utf8(`data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', choices })}\n\n`);
}

function leastFor(tokens: number): bigint {
  // With less than two left it is stopped, and waits for the word.
  if (used(tokens) + (AHEAD * 2n) / 3n > limit) return RAMP;
  return used(tokens) + AHEAD < limit ? used(tokens) + AHEAD : limit;
}

async function heldFor({ prelude }: Turn['opened']): Promise<bigint> {
  const found = await lab.gateway.ledger.findRequest(prelude.msgId);
  return found?.state === 'reserved' ? found.reservation.need : 0n;
}

function note(msgId: string, held: bigint): void {
  const before = reserved.get(msgId) ?? [];
  reserved.set(msgId, [...before, held]);
}

function appOf({ channel, terms, secretKey }: TestPayer, charged = NOTHING) {
  const state = { ...newPayState(channel, 'known'), charged, confirmed: charged };
  const memory = new TestMemory(encodePayState(state));
  const settled: Settlement[] = [];
  const faults: PayFault[] = [];
  const heldBack: HeldBack[] = [];
  const paying = sealedFetch({
    policy: join(lab.dataDir, 'policy.yaml'),
    gateway: lab.gateway.aud,
    onSettled: (settlement) => void settled.push(settlement),
    pay: {
      channel,
      terms,
      secretKey,
      memory,
      gateway: lab.gateway.aud,
      policy: { chunkTokens: CHUNK },
      onFault: (fault) => void faults.push(fault),
      onHeldBack: (held) => void heldBack.push(held),
    },
  });
  const sdk = new OpenAI({
    baseURL: `${lab.url}/v1`,
    apiKey: 'none needed',
    maxRetries: 0,
    fetch: paying,
  });
  const stream = async (): Promise<string> => {
    const messages = [{ role: 'user' as const, content: 'a question' }];
    const parts = await sdk.chat.completions.create({ model: DEMO_MODEL, messages, stream: true });
    let text = '';
    for await (const part of parts) text += part.choices[0]?.delta.content ?? '';
    return text;
  };
  return { memory, settled, faults, heldBack, stream, close: () => paying.close() };
}

test('the ceiling rises step by step with the answer, and the channel pays out what was generated', async () => {
  const payer = await lab.payer();
  const app = appOf(payer);
  raised.splice(0);
  assert.equal(await app.stream(), 'word '.repeat(TOKENS));
  await until(() => app.settled.length === 1);
  assert.deepEqual([app.faults, app.heldBack], [[], []]);
  // Each METER beyond what the first voucher covers has one voucher of exactly three steps more.
  const steps = Array.from({ length: TOKENS / STEP }, (_, at) => used((at + 1) * STEP) + AHEAD);
  assert.deepEqual(
    raised,
    steps.filter((ceiling) => ceiling > FIRST),
  );
  assert.ok(raised.length >= 8);
  const [held = []] = [...reserved.values()].slice(-1);
  assert.deepEqual(
    held,
    steps.map((ceiling) => (ceiling > FIRST ? ceiling : FIRST)),
  );
  const cost = used(TOKENS);
  assert.equal(app.settled[0]?.amount, cost);
  const account = await lab.gateway.ledger.findAccount(payer.channel);
  assert.deepEqual(
    [account?.charged, account?.reserved, account?.ceiling],
    [cost, 0n, cost + AHEAD],
  );
  assert.deepEqual(await claimed(payer, cost), cost);
  await app.close();
});

/** With what the gateway holds: the chain takes the voucher that was raised last, for what was charged. */
async function claimed(payer: TestPayer, charged: bigint): Promise<bigint | undefined> {
  const { channel } = payer;
  const account = await lab.gateway.ledger.findAccount(channel);
  assert.ok(account?.voucherSignature);
  const { epoch, ceiling, voucherSignature } = account;
  const key = loadSeed(join(lab.dataDir, 'settlement.key'));
  const charge = { channel, epoch, charged: amount(charged), isFinal: false };
  const chargeSignature = signCharge(key, charge);
  const claim = {
    epoch,
    ends: 'open',
    ceiling,
    charged,
    voucherSignature,
    chargeSignature,
  } as const;
  await lab.chain.send(claimMessage(channel, claim), { deadlineMs: 3000 });
  const read = async (): Promise<bigint | undefined> => {
    const reading = await readChannel(lab.chain, channel);
    return reading.outcome === 'read' ? reading.claimed : undefined;
  };
  await until(async () => ((await read()) ?? 0n) > 0n);
  return read();
}

test('answers side by side on one channel rise side by side, and none is stopped', async () => {
  const payer = await lab.payer();
  const app = appOf(payer);
  const stopped = worker.stops.length;
  const texts = await Promise.all([app.stream(), app.stream(), app.stream()]);
  assert.deepEqual(new Set(texts), new Set(['word '.repeat(TOKENS)]));
  await until(() => app.settled.length === 3);
  assert.deepEqual([app.faults, app.heldBack, worker.stops.length], [[], [], stopped]);
  const account = await lab.gateway.ledger.findAccount(payer.channel);
  assert.deepEqual([account?.charged, account?.reserved], [3n * used(TOKENS), 0n]);
  assert.ok(account && account.ceiling <= 3n * (used(TOKENS) + FIRST));
  await app.close();
});

test('an account that ends in the middle ends the answer there, settled, and nobody is blamed', async () => {
  const payer = await lab.payer();
  const left = used(6 * STEP) + AHEAD;
  const before = amount(RAMP - left);
  await lab.gateway.ledger.adoptCharge({
    account: payer.channel,
    cum: before,
    reference: payer.channel,
    nowMs: lab.gateway.clock(),
  });
  const app = appOf(payer, before);
  limit = left;
  const text = await app.stream();
  await until(() => app.settled.length === 1);
  // Reserved for three steps behind the sixth; from the seventh on there is no more, and with one step left it is stopped.
  const tokens = text.length / 'word '.length;
  assert.equal(tokens, 8 * STEP);
  assert.deepEqual(app.faults, []);
  assert.equal(app.settled[0]?.amount, used(tokens));
  await app.close();
});
