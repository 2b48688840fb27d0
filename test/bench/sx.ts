/**
 * What a sealed exchange costs, beside the raw primitives in the same run. Targets (Node 24): seal for one recipient 0.5 ms,
 * for three 1.2 ms, open 0.5 ms, a token's frame sealed and opened 12 µs. @module
 */

import assert from 'node:assert/strict';
import { fixed, utf8 } from '../../core/bytes.ts';
import type { KemName } from '../../attestation/verdict.ts';
import {
  aes256GcmKey,
  generateX25519,
  mlKem768Decapsulate,
  mlKem768Encapsulate,
  mlKem768KeyPair,
  openAes256Gcm,
  randomBytes,
  sealAes256Gcm,
  x25519SharedSecret,
} from '#primitives';
import { openRequest } from '../../protocol/sx/open.ts';
import { RecipientKeys } from '../../protocol/sx/recipient-keys.ts';
import { ResponseReader } from '../../protocol/sx/read-response.ts';
import { ReplaySet } from '../../protocol/sx/replay.ts';
import { sealRequest, type SealedRequest } from '../../protocol/sx/seal.ts';
import type { Bench, BenchResult } from './bench.ts';
import { testWorker, type TestWorker } from '../support/attested-key.ts';

const NOW_MS = 1_800_000_000_000;
const ROUNDS = 1000;
const TOKEN_FRAMES = 20_000;

interface Timing {
  readonly medianUs: number;
  readonly p99Us: number;
}

function time(rounds: number, run: () => void): Timing {
  for (let i = 0; i < rounds / 4; i++) run();
  const samples: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const start = process.hrtime.bigint();
    run();
    samples.push(Number(process.hrtime.bigint() - start) / 1000);
  }
  samples.sort((a, b) => a - b);
  return {
    medianUs: samples[Math.floor(rounds / 2)] ?? 0,
    p99Us: samples[Math.floor(rounds * 0.99)] ?? 0,
  };
}

/** Gathers rows for people and figures for programs. */
class Report {
  readonly lines: string[] = [];
  readonly figures: Record<string, unknown> = {};

  add(name: string, timing: Timing, targetUs?: number): void {
    const median = `${timing.medianUs.toFixed(1).padStart(9)} µs`;
    const p99 = `${timing.p99Us.toFixed(1).padStart(9)} µs`;
    const isMet = targetUs === undefined || timing.medianUs <= targetUs;
    const target =
      targetUs === undefined ? '' : `   target ${targetUs} µs ${isMet ? 'met' : 'MISSED'}`;
    this.lines.push(`${name.padEnd(34)}${median}   p99 ${p99}${target}`);
    this.figures[name] = targetUs === undefined ? timing : { ...timing, targetUs };
  }
}

function addRaw(report: Report): void {
  const mine = generateX25519();
  const peer = generateX25519();
  report.add(
    'X25519 key generation',
    time(ROUNDS, () => void generateX25519()),
  );
  const agree = () => void x25519SharedSecret(mine.secretKey, peer.publicKey);
  report.add('X25519 agreement', time(ROUNDS, agree));
  const pair = mlKem768KeyPair(randomBytes(64));
  const { ciphertext } = mlKem768Encapsulate(pair.publicKey);
  const encapsulate = () => void mlKem768Encapsulate(pair.publicKey);
  report.add('ML-KEM-768 encapsulation', time(ROUNDS, encapsulate));
  const decapsulate = () => void mlKem768Decapsulate(pair, ciphertext);
  report.add('ML-KEM-768 decapsulation', time(ROUNDS, decapsulate));
  const key = aes256GcmKey(randomBytes(32));
  const nonce = randomBytes(12);
  for (const size of [128, 1024, 65_536]) {
    const text = new Uint8Array(size);
    const sealed = sealAes256Gcm(key, nonce, text.subarray(0, 4), text);
    const both = () => {
      sealAes256Gcm(key, nonce, text.subarray(0, 4), text);
      openAes256Gcm(key, nonce, text.subarray(0, 4), sealed);
    };
    report.add(`AES-256-GCM seal + open, ${size} B`, time(ROUNDS * 4, both));
  }
}

function seal(workers: readonly TestWorker[], kem: KemName): SealedRequest {
  return sealRequest({
    keys: workers.map((worker) => worker.key),
    request: {
      path: '/v1/chat/completions',
      headers: [['content-type', 'application/json']],
      body: new Uint8Array(1000),
    },
    bounds: { maxAmount: 1_000_000_000n, maxPrompt: 1000, maxOutput: 1000, asset: 0 },
    payer: fixed(new Uint8Array(32), 32),
    stream: true,
    ttlS: 60,
    deadlineMs: 60_000,
    nowMs: NOW_MS,
    allowedKems: [kem],
  });
}

/** Opens requests that were sealed before, because none opens twice. */
function timeOpen(worker: TestWorker, kem: KemName): Timing {
  const rounds = ROUNDS + ROUNDS / 4;
  const sealed = Array.from({ length: rounds }, () => seal([worker], kem).bytes);
  const keys = new RecipientKeys();
  const { pair, key } = worker;
  keys.add({ statementHash: key.statementHash, pair, expiresAtMs: NOW_MS + 1 });
  const input = { keys, replay: new ReplaySet(), nowMs: NOW_MS, admit: () => {} };
  let next = 0;
  return time(ROUNDS, () => void openRequest(sealed[next++] ?? new Uint8Array(), input));
}

function timeTokens(worker: TestWorker, kem: KemName): Timing {
  const keys = new RecipientKeys();
  const { pair, key } = worker;
  keys.add({ statementHash: key.statementHash, pair, expiresAtMs: NOW_MS + 1 });
  const input = { keys, replay: new ReplaySet(), nowMs: NOW_MS, admit: () => {} };
  const sealed = seal([worker], kem);
  const { responder } = openRequest(sealed.bytes, input);
  const reader = new ResponseReader(sealed.exchange);
  reader.push(responder.head(200, [['content-type', 'text/event-stream']]));
  const token = utf8('data: {"choices":[{"delta":{"content":" word"}}]}\n\n');
  return time(TOKEN_FRAMES, () => {
    const events = reader.push(responder.data(token));
    assert.equal(events.length, 1);
  });
}

function run(): BenchResult {
  const report = new Report();
  addRaw(report);
  for (const kem of ['X25519', 'X-Wing'] as const) {
    const workers = Array.from({ length: 8 }, () => testWorker(kem));
    const [worker] = workers;
    assert.ok(worker !== undefined);
    for (const [n, targetUs] of [
      [1, 500],
      [3, 1200],
      [8, undefined],
    ] as const) {
      const some = workers.slice(0, n);
      report.add(
        `${kem}: seal for ${n}`,
        time(ROUNDS, () => void seal(some, kem)),
        targetUs,
      );
    }
    report.add(`${kem}: open`, timeOpen(worker, kem), 500);
    report.add(`${kem}: token frame, both ends`, timeTokens(worker, kem), 12);
  }
  return report;
}

export const bench: Bench = {
  name: 'sx',
  summary: 'sealed exchange: seal, open, token frames',
  run,
};
