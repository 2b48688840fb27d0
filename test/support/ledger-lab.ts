/** What tests of ledgers need: fresh ledgers, payers that sign, receipts that workers might have signed. @module */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateEd25519, randomBytes } from '#primitives';
import { assert, hasCode } from '../../core/errors.ts';
import { concat, fixed, u64be, type Bytes } from '../../core/bytes.ts';
import {
  encodeReceipt,
  parseReceiptUnverified,
  type SignedReceipt,
} from '../../protocol/receipt.ts';
import { seedSigner } from '../../settlement/ledger/seed-signer.ts';
import type { AccountTerms, ChainState, Ledger, Reserve } from '../../settlement/ledger/ledger.ts';
import type { LEDGERS, AbandonedLedger } from '../../settlement/ledger/ledgers.ts';
import { RAMP_CAPS, type RampCaps } from '../../settlement/ledger/limits.ts';
import type { SignerSource } from '../../settlement/ledger/signer.ts';
import { amount } from '../../settlement/money.ts';
import { signVoucher, verifyVoucher, type VerifiedVoucher } from '../../settlement/voucher.ts';

export const LEDGER_KEY = generateEd25519();
export const NOW_MS = 1_800_000_000_000;

export type Driver = (typeof LEDGERS)[number];

export interface LedgerLab {
  readonly dir: string;
  /** The one opened last. */
  ledger(): AbandonedLedger;
  reopen(): Promise<AbandonedLedger>;
  end(): Promise<void>;
}

export async function openLab(
  driver: Driver,
  signer: SignerSource = seedSigner(LEDGER_KEY.secretKey),
  rampCaps: RampCaps = RAMP_CAPS,
): Promise<LedgerLab> {
  const dir = mkdtempSync(join(tmpdir(), 'veilgate-ledger-'));
  const open = () => driver.open({ dataDir: dir, durability: 'full', signer, rampCaps });
  let ledger = await open();
  return {
    dir,
    ledger: () => ledger,
    reopen: async () => {
      ledger = await open();
      return ledger;
    },
    end: async () => {
      await ledger.close();
      rmSync(dir, { recursive: true });
    },
  };
}

const PAYER = generateEd25519();
export const WORKER = fixed(new Uint8Array(32).fill(7), 32);

export interface TestChannel {
  readonly id: Bytes<32>;
  readonly terms: AccountTerms;
  voucher(ceiling: bigint, epoch?: number): VerifiedVoucher;
  state(change?: Partial<ChainState>): ChainState;
}

/** All with one payer key, so that tests need not wait for its arithmetic. */
export function testChannel(id: Bytes<32> = randomBytes(32)): TestChannel {
  const zero = amount(0n);
  return {
    id,
    terms: { kind: 'channel', id, asset: 'TON', payerKey: PAYER.publicKey },
    voucher: (ceiling, epoch = 0) => {
      const terms = { channel: id, epoch, ceiling: amount(ceiling) };
      const verified = verifyVoucher(signVoucher(PAYER.secretKey, terms), PAYER.publicKey);
      assert(verified !== undefined, 'own voucher');
      return verified;
    },
    state: (change) => ({
      channel: id,
      epoch: 0,
      deposited: amount(1000n),
      claimed: zero,
      refunded: zero,
      withdrawing: zero,
      blockSeqno: 1,
      ...change,
    }),
  };
}

/** Opened, funded with 1000, and with a voucher for as much. */
export async function fundedChannel(ledger: Ledger, ceiling = 1000n): Promise<TestChannel> {
  const channel = testChannel();
  await ledger.openAccount(channel.terms);
  await ledger.recordChainState(channel.state());
  await ledger.acceptVoucher(channel.voucher(ceiling));
  return channel;
}

export function reserveOf(
  account: Bytes<32>,
  need: bigint,
  change: Partial<Reserve> = {},
): Reserve {
  return {
    requestId: randomBytes(16),
    account,
    asset: 'TON',
    need: amount(need),
    workers: [WORKER],
    feeBps: 500,
    quoteValidUntilMs: NOW_MS,
    nowMs: NOW_MS,
    expiresMs: NOW_MS + 60_000,
    ...change,
  };
}

let workerSeq = 0n;

/** Not signed: a ledger takes receipts that its caller has verified. */
export function receiptOf(
  requestId: Bytes<16>,
  asked: bigint,
  change: { readonly workerId?: Bytes<32>; readonly workerSeq?: bigint } = {},
): SignedReceipt {
  const zero = fixed(new Uint8Array(32), 32);
  workerSeq += 1n;
  const body = encodeReceipt({
    requestId,
    statementHash: fixed(new Uint8Array(32).fill(9), 32),
    kid: fixed(new Uint8Array(16), 16),
    payerRef: zero,
    workerId: change.workerId ?? WORKER,
    modelDigest: zero,
    priceDigest: zero,
    policyDigest: zero,
    usage: { prompt: 1, cached: 0, completion: 1, reasoning: 0 },
    amount: asked,
    outcome: 'ok',
    simulated: true,
    startMs: NOW_MS,
    endMs: NOW_MS,
    reqHash: zero,
    respHash: zero,
    workerSeq: change.workerSeq ?? workerSeq,
    prevReceiptHash: zero,
  });
  return parseReceiptUnverified(concat(new Uint8Array(64), body));
}

export const POLICY = fixed(new Uint8Array(32).fill(5), 32);

export function settleOf(requestId: Bytes<16>, asked: bigint) {
  return { receipt: receiptOf(requestId, asked), policyDigest: POLICY, nowMs: NOW_MS + 1 };
}

export function idOf(number: number): Bytes<16> {
  return fixed(concat(u64be(BigInt(number)), u64be(0n)), 16);
}

/** What a call that a crash overtook may say. */
export function isLost(error: unknown): boolean {
  return ['ledger.closed', 'ledger.store', 'ledger.busy'].some((code) => hasCode(error, code));
}
