/** A client, some workers and the bytes between them, for tests of the sealed exchange. @module */

import assert from 'node:assert/strict';
import { concat, fixed, fromUtf8, toHex, utf8, type Bytes } from '../../../core/bytes.ts';
import { VeilError } from '../../../core/errors.ts';
import type { KemName } from '../../../attestation/verdict.ts';
import { ReceiptSigner, type Usage } from '../../../protocol/receipt.ts';
import { encBytesOf } from '../../../protocol/hpke.ts';
import { openRequest, type OpenedRequest } from '../../../protocol/sx/open.ts';
import { ResponseReader, type ResponseEvent } from '../../../protocol/sx/read-response.ts';
import { RecipientKeys } from '../../../protocol/sx/recipient-keys.ts';
import { ReplaySet } from '../../../protocol/sx/replay.ts';
import {
  sealRequest,
  type ClientExchange,
  type SealedRequest,
  type SealInput,
} from '../../../protocol/sx/seal.ts';
import { testWorker, type TestWorker, type TestWorkerInput } from '../../support/attested-key.ts';

export const NOW_MS = 1_800_000_000_000;
export const KEMS: readonly KemName[] = ['X25519', 'X-Wing'];
export const CANARY = '{"model":"demo/model","messages":[{"role":"user","content":"canary"}]}';
export const USAGE: Usage = { prompt: 7, cached: 0, completion: 4, reasoning: 1 };
export const PAYER: Bytes<32> = fixed(new Uint8Array(32).fill(9), 32);

/** One enclave: its key, its replay set and its receipt chain. */
export class StageWorker {
  readonly attested: TestWorker;
  readonly keys = new RecipientKeys();
  readonly replay: ReplaySet;
  readonly signer: ReceiptSigner;
  admissions = 0;

  constructor(kem: KemName, input: TestWorkerInput = {}, replay: ReplaySet = new ReplaySet()) {
    this.attested = testWorker(kem, input);
    this.replay = replay;
    const { key, pair, signing } = this.attested;
    this.keys.add({ statementHash: key.statementHash, pair, expiresAtMs: NOW_MS + 3_600_000 });
    this.signer = new ReceiptSigner({
      secretKey: signing.secretKey,
      workerId: key.workerId,
      statementHash: key.statementHash,
      modelDigest: key.model.digest,
      priceDigest: key.priceDigest,
      prices: key.prices,
      simulated: key.simulated,
    });
  }

  open(bytes: Uint8Array, nowMs: number = NOW_MS): OpenedRequest {
    const admit = (): void => {
      this.admissions++;
    };
    return openRequest(bytes, { keys: this.keys, replay: this.replay, nowMs, admit });
  }
}

export function stageWorkers(kem: KemName, count: number): readonly StageWorker[] {
  return Array.from({ length: count }, () => new StageWorker(kem));
}

export function seal(
  workers: readonly StageWorker[],
  changes: Partial<SealInput> = {},
): SealedRequest {
  return sealRequest({
    keys: workers.map((worker) => worker.attested.key),
    request: {
      path: '/v1/chat/completions',
      headers: [['content-type', 'application/json']],
      body: utf8(CANARY),
    },
    bounds: { maxAmount: 1_000_000n, maxPrompt: 100, maxOutput: 50, asset: 0 },
    payer: PAYER,
    stream: true,
    ttlS: 60,
    deadlineMs: 120_000,
    nowMs: NOW_MS,
    allowedKems: KEMS,
    ...changes,
  });
}

/** The answer as one byte string per write of the worker. */
export function answer(
  worker: StageWorker,
  opened: OpenedRequest,
  texts: readonly string[] = ['data: one\n\n', 'data: two\n\n', 'data: [DONE]\n\n'],
): readonly Uint8Array[] {
  const { responder, inner } = opened;
  assert.ok(inner.kind === 'request');
  return [
    responder.head(200, [['content-type', 'text/event-stream']]),
    ...texts.map((text) => responder.data(utf8(text))),
    responder.trailer(utf8('{"finish":"stop"}')),
    responder.receipt({
      signer: worker.signer,
      policyDigest: inner.policyDigest,
      usage: USAGE,
      outcome: 'ok',
      startMs: NOW_MS,
      endMs: NOW_MS + 40,
    }).bytes,
    responder.final(),
  ];
}

/** Seal, open at `workers[at]`, answer: the wire bytes of both directions. */
export function exchangeOf(
  workers: readonly StageWorker[],
  at = 0,
): { readonly sealed: SealedRequest; readonly response: Uint8Array } {
  const sealed = seal(workers);
  const worker = pick(workers, at);
  return { sealed, response: concat(...answer(worker, worker.open(sealed.bytes))) };
}

/** Reads in pieces of `pieceBytes`; throws what the reader throws. */
export function read(
  exchange: ClientExchange,
  response: Uint8Array,
  pieceBytes: number = response.length,
): readonly ResponseEvent[] {
  const reader = new ResponseReader(exchange);
  const events: ResponseEvent[] = [];
  for (let at = 0; at < response.length; at += pieceBytes) {
    events.push(...reader.push(response.subarray(at, at + pieceBytes)));
  }
  reader.end();
  return events;
}

export function textOf(events: readonly ResponseEvent[]): string {
  return events.map((event) => (event.kind === 'data' ? fromUtf8(event.bytes) : '')).join('');
}

export function pick<T>(items: readonly T[], at: number): T {
  const item = items[at];
  assert.ok(item !== undefined);
  return item;
}

/** A copy with one byte changed. */
export function flip(bytes: Uint8Array, at: number, bits = 1): Uint8Array {
  const changed = bytes.slice();
  changed[at] = (changed[at] ?? 0) ^ bits;
  return changed;
}

/** Where the parts of a sealed request with `n` recipients stand. */
export function layout(kem: KemName, n: number) {
  const kids = 112;
  const blocks = kids + 16 * n;
  const blockBytes = encBytesOf(kem) + 48;
  const commit = blocks + blockBytes * n;
  return { kids, blocks, blockBytes, commit, frames: commit + 32 } as const;
}

/** Cuts frames without judging them. */
export function framesOf(bytes: Uint8Array): readonly Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const size =
      4 + ((bytes[at + 1] ?? 0) << 16) + (bytes[at + 2] ?? 0) * 256 + (bytes[at + 3] ?? 0);
    frames.push(bytes.subarray(at, at + size));
    at += size;
  }
  return frames;
}

/** `run` throws an error of ours with exactly this code, and with these facts where given. */
export function refuses(
  run: () => unknown,
  code: string,
  facts: Readonly<Record<string, string>> = {},
): void {
  assert.throws(run, (error: unknown) => {
    assert.ok(error instanceof VeilError, String(error));
    assert.equal(error.code, code);
    for (const [name, value] of Object.entries(facts)) assert.equal(error.facts[name], value);
    return true;
  });
}

/** `run` throws an error of ours whose code is one of the exchange's. */
export function refusesCoded(run: () => unknown, what: string): string {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof VeilError, `${what}: ${String(error)}`);
    assert.match(error.code, /^sx\./, what);
    return error.code;
  }
  return assert.fail(`${what}: accepted`);
}

export function sameBytes(a: Uint8Array, b: Uint8Array): void {
  assert.equal(toHex(a), toHex(b));
}
