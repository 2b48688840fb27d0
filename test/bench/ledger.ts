/**
 * What a durable settlement costs: reserve and settle per second by how many callers there are at once, and the whole way
 * of a paid request (verify voucher, durable reserve, verify receipt, durable settle, signed statement) in CPU and in
 * latency. Targets: 20 000/s at 16 callers without signatures, 450 µs of CPU, 3 ms at one caller.
 * Spec: ton-settlement §3.6.
 * @module
 */

import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateEd25519, randomBytes, signEd25519, verifyEd25519 } from '#primitives';
import { concat, fixed, type Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import {
  encodeReceipt,
  isReceiptSignedBy,
  parseReceiptUnverified,
} from '../../protocol/receipt.ts';
import type { Ledger } from '../../settlement/ledger/ledger.ts';
import { LEDGERS } from '../../settlement/ledger/ledgers.ts';
import { seedSigner } from '../../settlement/ledger/seed-signer.ts';
import type { SignerSource } from '../../settlement/ledger/signer.ts';
import { amount, AMOUNT_MAX } from '../../settlement/money.ts';
import { parseStatementUnverified } from '../../settlement/statement.ts';
import {
  encodeVoucher,
  parseVoucherUnverified,
  signVoucher,
  verifyVoucher,
} from '../../settlement/voucher.ts';
import { NOW_MS, POLICY, receiptOf, reserveOf } from '../support/ledger-lab.ts';
import type { Bench, BenchResult } from './bench.ts';
import { timingOf } from './measure.ts';

const GROUPS = [1, 16, 256] as const;
const CHANNELS = 64;
const RUN_MS = 2000;
const WARM_UP_MS = 500;
const TARGET_PER_SECOND_AT_16 = 20_000;
const TARGET_CPU_US = 450;
const TARGET_LATENCY_US = 3000;

interface Opened {
  readonly ledger: Ledger;
  readonly channels: readonly Bytes<32>[];
  readonly end: () => Promise<void>;
}

const PAYER = generateEd25519();
const WORKER_KEY = generateEd25519();

async function open(signer: SignerSource): Promise<Opened> {
  const dataDir = mkdtempSync(join(tmpdir(), 'veilgate-bench-ledger-'));
  const ledger = await LEDGERS[0].open({ dataDir, durability: 'full', signer });
  const channels = Array.from({ length: CHANNELS }, () => randomBytes(32));
  const most = amount(AMOUNT_MAX);
  const none = amount(0n);
  for (const channel of channels) {
    const terms = {
      kind: 'channel',
      id: channel,
      asset: 'TON',
      payerKey: PAYER.publicKey,
    } as const;
    await ledger.openAccount(terms);
    const chain = { channel, epoch: 0, deposited: most, claimed: none, refunded: none };
    await ledger.recordChainState({ ...chain, withdrawing: none, blockSeqno: 1 });
    await ledger.acceptVoucher(voucherFor(channel, AMOUNT_MAX / 2n));
  }
  const end = async () => {
    await ledger.close();
    rmSync(dataDir, { recursive: true });
  };
  return { ledger, channels, end };
}

function voucherFor(channel: Bytes<32>, ceiling: bigint) {
  const terms = { channel, epoch: 0, ceiling: amount(ceiling) };
  const verified = verifyVoucher(signVoucher(PAYER.secretKey, terms), PAYER.publicKey);
  assert(verified !== undefined, 'own voucher');
  return verified;
}

interface Load {
  readonly perSecond: number;
  readonly cpuUs: number;
  readonly latencyUs: { readonly medianUs: number; readonly p99Us: number };
}

/** `callers` at once, each one request after the other. CPU is that of the whole process, threads included. */
async function load(callers: number, request: (caller: number) => Promise<void>): Promise<Load> {
  const samplesUs: number[] = [];
  const runFor = async (durationMs: number, keep: boolean) => {
    const untilMs = performance.now() + durationMs;
    const caller = async (index: number) => {
      while (performance.now() < untilMs) {
        const startedMs = performance.now();
        await request(index);
        if (keep) samplesUs.push((performance.now() - startedMs) * 1000);
      }
    };
    await Promise.all(Array.from({ length: callers }, (_, index) => caller(index)));
  };
  await runFor(WARM_UP_MS, false);
  const startedMs = performance.now();
  const cpu = process.cpuUsage();
  await runFor(RUN_MS, true);
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - startedMs) / 1000;
  return {
    perSecond: samplesUs.length / seconds,
    cpuUs: (user + system) / samplesUs.length,
    latencyUs: timingOf(samplesUs),
  };
}

async function reserveAndSettle({ ledger, channels }: Opened, caller: number): Promise<void> {
  const channel = channels[caller % CHANNELS];
  assert(channel !== undefined, 'a channel');
  const request = reserveOf(channel, 100n);
  const reserved = await ledger.reserve(request);
  assert(reserved.outcome === 'reserved', 'reserved');
  const receipt = receiptOf(request.requestId, 60n);
  const settled = await ledger.settle({ receipt, policyDigest: POLICY, nowMs: NOW_MS });
  assert(settled.outcome === 'settled', 'settled');
}

/** What the payer and the worker do themselves is prepared before, so that only the gateway's part is counted. */
interface Prepared {
  readonly voucher: Uint8Array;
  readonly requestId: Bytes<16>;
  readonly receipt: Uint8Array;
}

function prepare(channel: Bytes<32>, ceiling: bigint): Prepared {
  const requestId = randomBytes(16);
  const { receipt } = receiptOf(requestId, 60n);
  const body = encodeReceipt(receipt);
  const terms = { channel, epoch: 0, ceiling: amount(ceiling) };
  return {
    voucher: encodeVoucher(signVoucher(PAYER.secretKey, terms)),
    requestId,
    receipt: concat(signEd25519(WORKER_KEY.secretKey, body), body),
  };
}

async function pipeline(ledger: Ledger, prepared: Prepared): Promise<void> {
  const voucher = verifyVoucher(parseVoucherUnverified(prepared.voucher), PAYER.publicKey);
  assert(voucher !== undefined, 'verified');
  const { requestId } = prepared;
  const reserve = reserveOf(voucher.channel, 100n, { requestId, voucher });
  assert((await ledger.reserve(reserve)).outcome === 'reserved', 'reserved');
  const receipt = parseReceiptUnverified(prepared.receipt);
  assert(isReceiptSignedBy(receipt, WORKER_KEY.publicKey), 'signed');
  const settled = await ledger.settle({ receipt, policyDigest: POLICY, nowMs: NOW_MS });
  assert(settled.outcome === 'settled', 'settled');
  parseStatementUnverified(settled.statement);
}

async function measurePipeline(callers: number): Promise<Load> {
  const opened = await open(seedSigner(generateEd25519().secretKey));
  const [channel] = opened.channels;
  assert(channel !== undefined, 'a channel');
  let ceiling = AMOUNT_MAX / 2n;
  const stock: Prepared[] = [];
  for (let i = 0; i < PREPARED; i++) {
    ceiling += 100n;
    stock.push(prepare(channel, ceiling));
  }
  stock.reverse();
  const measured = await load(callers, async () => {
    const next = stock.pop();
    assert(next !== undefined, 'more prepared requests');
    await pipeline(opened.ledger, next);
  });
  await opened.end();
  return measured;
}

const PREPARED = 20_000;
const RAW_ROUNDS = 300;

function rawUs(operation: () => void): number {
  const samples: number[] = [];
  for (let i = 0; i < RAW_ROUNDS; i++) {
    const startedMs = performance.now();
    operation();
    samples.push((performance.now() - startedMs) * 1000);
  }
  return timingOf(samples).medianUs;
}

function rawFigures() {
  const data = randomBytes(55);
  const signature = signEd25519(PAYER.secretKey, data);
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-bench-ledger-'));
  const file = openSync(join(folder, 'raw'), 'w');
  const block = fixed(new Uint8Array(4096), 4096);
  const fdatasyncUs = rawUs(() => {
    writeSync(file, block);
    fdatasyncSync(file);
  });
  closeSync(file);
  rmSync(folder, { recursive: true });
  return {
    fdatasyncUs,
    signUs: rawUs(() => void signEd25519(PAYER.secretKey, data)),
    verifyUs: rawUs(() => void verifyEd25519(PAYER.publicKey, signature, data)),
  };
}

function verdict(isMet: boolean): string {
  return isMet ? 'met' : 'MISSED';
}

function lineOf(name: string, { perSecond, cpuUs, latencyUs }: Load, target: string): string {
  return [
    name.padEnd(26),
    `${perSecond.toFixed(0).padStart(7)}/s`,
    `CPU ${cpuUs.toFixed(0).padStart(4)} µs`,
    `p50 ${(latencyUs.medianUs / 1000).toFixed(2).padStart(6)} ms`,
    `p99 ${(latencyUs.p99Us / 1000).toFixed(2).padStart(6)} ms`,
    target,
  ].join('  ');
}

const NULL_SIGNER: SignerSource = {
  url: new URL('../support/null-signer.ts', import.meta.url).href,
  data: undefined,
};

async function run(): Promise<BenchResult> {
  const raw = rawFigures();
  const lines = [
    `raw: fdatasync ${raw.fdatasyncUs.toFixed(0)} µs, Ed25519 sign ${raw.signUs.toFixed(0)} µs, verify ${raw.verifyUs.toFixed(0)} µs`,
  ];
  const figures: Record<string, unknown> = { raw };
  for (const callers of GROUPS) {
    const opened = await open(NULL_SIGNER);
    const measured = await load(callers, (caller) => reserveAndSettle(opened, caller));
    await opened.end();
    const isMet = measured.perSecond >= TARGET_PER_SECOND_AT_16;
    const target = callers === 16 ? `target ${TARGET_PER_SECOND_AT_16}/s ${verdict(isMet)}` : '';
    lines.push(lineOf(`reserve + settle, ${callers}`, measured, target));
    figures[`store${callers}`] = measured;
  }
  for (const callers of [1, 16] as const) {
    const measured = await measurePipeline(callers);
    const cpu = verdict(measured.cpuUs <= TARGET_CPU_US);
    const latency = verdict(measured.latencyUs.medianUs <= TARGET_LATENCY_US);
    const target =
      callers === 1
        ? `target ${TARGET_LATENCY_US / 1000} ms ${latency}`
        : `target ${TARGET_CPU_US} µs ${cpu}`;
    lines.push(lineOf(`whole pipeline, ${callers}`, measured, target));
    figures[`pipeline${callers}`] = measured;
  }
  return { figures, lines };
}

export const bench: Bench = {
  name: 'ledger',
  summary: 'durable reserve and settle per second, and the whole way of a paid request',
  run,
};
