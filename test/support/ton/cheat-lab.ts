/**
 * A paid gateway on a devnet whose prices are worth claiming, an app that pays it, and the hands of whoever has broken in:
 * the key that charges, and claims that were never owed. @module
 */

import { join } from 'node:path';
import OpenAI from 'openai';
import { hasCode } from '../../../core/errors.ts';
import type { Bytes } from '../../../core/bytes.ts';
import { sealedFetch, type PayFault, type Settlement } from '../../../client/index.ts';
import type { PayTerms } from '../../../client/pay/open-payer.ts';
import { encodePayState, newPayState } from '../../../client/pay/pay-state.ts';
import { signCharge } from '../../../settlement/charge.ts';
import { amount } from '../../../settlement/money.ts';
import { claimMessage } from '../../../settlement/ton/channels/claim.ts';
import { readChannel, type ReadChannel } from '../../../settlement/ton/channels/read.ts';
import { loadSeed } from '../../../settlement/ton/wallet/seed-file.ts';
import type { Voucher } from '../../../settlement/voucher.ts';
import { JSON_ANSWER } from '../memory-gateway.ts';
import { TestMemory } from '../paying.ts';
import { answering, DEMO_MODEL, type Script, type SxWorker } from '../sx-worker.ts';
import { until } from '../until.ts';
import { openPaidLab, type PaidLab, type TestPayer } from './paid-gateway.ts';

/** 0.03 TON a request and 0.1 mTON a token: a claim from outside is worth its gas from 0.02 TON on. */
export const DEAR_PRICES = {
  asset: 'TON',
  base: 30_000_000n,
  prompt: 100_000_000_000n,
  cached: 100_000_000_000n,
  completion: 100_000_000_000n,
  reasoning: 100_000_000_000n,
} as const;
export const PER_TOKEN = 100_000n;
/** What a worker of this lab counts: one token in and one out. */
export const DEAR_COST = DEAR_PRICES.base + 2n * PER_TOKEN;

export const WHOLE_ANSWER: Script = answering(...JSON_ANSWER.pieces.map(String));

export interface DearLab {
  readonly lab: PaidLab;
  readonly worker: SxWorker;
}

export async function withDearLab(work: (dear: DearLab) => Promise<void>): Promise<void> {
  const lab = await openPaidLab();
  try {
    await work({ lab, worker: await lab.worker(WHOLE_ANSWER, { prices: DEAR_PRICES }) });
  } finally {
    await lab.close();
  }
}

export interface DevnetApp {
  readonly memory: TestMemory;
  readonly settled: Settlement[];
  readonly faults: PayFault[];
  ask(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** OpenAI's SDK over `sealedFetch`, paying from a channel that was just opened. */
export function devnetApp(
  lab: PaidLab,
  { channel, terms, secretKey }: TestPayer,
  pay: Partial<PayTerms> = {},
): DevnetApp {
  const memory = new TestMemory(encodePayState(newPayState(channel, 'known')));
  const settled: Settlement[] = [];
  const faults: PayFault[] = [];
  const paying = sealedFetch({
    policy: join(lab.dataDir, 'policy.yaml'),
    onSettled: (settlement) => void settled.push(settlement),
    pay: {
      channel,
      terms,
      secretKey,
      memory,
      gateway: lab.gateway.aud,
      onFault: (fault) => void faults.push(fault),
      ...pay,
    },
  });
  const sdk = new OpenAI({
    baseURL: `${lab.url}/v1`,
    apiKey: 'none needed',
    maxRetries: 0,
    fetch: paying,
  });
  return {
    memory,
    settled,
    faults,
    ask: async (signal) => {
      const messages = [{ role: 'user' as const, content: 'a question' }];
      const body = { model: DEMO_MODEL, messages, max_tokens: 64 };
      await sdk.chat.completions.create(body, signal === undefined ? {} : { signal });
    },
    close: () => paying.close(),
  };
}

/** What a broken enclave gives away. */
export function chargingKeyOf({ dataDir }: PaidLab): Bytes<32> {
  return loadSeed(join(dataDir, 'settlement.key'));
}

/** The voucher that the gateway holds: all that its payer has signed for so far. */
export async function heldVoucher(lab: PaidLab, { channel }: TestPayer): Promise<Voucher> {
  const account = await lab.gateway.ledger.findAccount(channel);
  if (account?.voucherSignature === undefined) throw new Error('no voucher is held');
  const { epoch, ceiling, voucherSignature: signature } = account;
  return { channel, epoch, ceiling, signature };
}

export async function onChain({ chain }: PaidLab, { channel }: TestPayer): Promise<ReadChannel> {
  const reading = await readChannel(chain, channel);
  if (reading.outcome !== 'read') throw new Error(reading.outcome);
  return reading;
}

export interface Grab {
  readonly voucher: Voucher;
  readonly charged: bigint;
  readonly key: Bytes<32>;
  readonly ends?: 'open' | 'final';
}

/** Brings a claim to the chain. Undefined: it was paid; else the exit code of the contract. */
export async function grab(
  lab: PaidLab,
  payer: TestPayer,
  { voucher, charged, key, ends = 'open' }: Grab,
): Promise<number | undefined> {
  const { channel } = payer;
  const { epoch, ceiling, signature: voucherSignature } = voucher;
  const charge = { channel, epoch, charged: amount(charged), isFinal: ends === 'final' };
  const chargeSignature = signCharge(key, charge);
  const claim = { epoch, ends, ceiling, charged, voucherSignature, chargeSignature };
  try {
    await lab.chain.send(claimMessage(channel, claim), { deadlineMs: 3000 });
  } catch (error) {
    if (!hasCode(error, 'ton.not_accepted')) throw error;
    return Number(error.facts['exitCode']);
  }
  await until(async () => (await onChain(lab, payer)).claimed >= charged);
  return undefined;
}
