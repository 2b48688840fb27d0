/**
 * One worker as `handleExchange` sees it, and one client that seals to it and reads the answer: real protocol, real
 * signatures, an engine of the test's choice. @module
 */

import assert from 'node:assert/strict';
import { generateEd25519, randomBytes, sha256 } from '#primitives';
import { fixed, fromUtf8, toHex, utf8, type Bytes } from '../../core/bytes.ts';
import { systemClock, type Clock } from '../../core/clock.ts';
import { parseJson } from '../../core/json.ts';
import { createLog } from '../../core/node/log.ts';
import type { Card } from '../../attestation/card.ts';
import type { PriceList } from '../../attestation/verdict.ts';
import { ReceiptSigner } from '../../protocol/receipt.ts';
import { ReplaySet } from '../../protocol/sx/replay.ts';
import { ResponseReader, type ResponseEvent } from '../../protocol/sx/read-response.ts';
import { sealRequest, type SealInput, type SealedRequest } from '../../protocol/sx/seal.ts';
import { Earnings, type CreditTerms } from '../../enclave-worker/earnings/earnings.ts';
import { ON_WORD, type Holdings } from '../../enclave-worker/earnings/holdings.ts';
import { openEarnings } from '../../enclave-worker/earnings/sqlite.ts';
import type { EarningsStore } from '../../enclave-worker/earnings/store.ts';
import type { Engine, EngineEvent, GenerateJob } from '../../enclave-worker/engine.ts';
import { WORKER_EVENTS } from '../../enclave-worker/events.ts';
import {
  ExchangeLoad,
  handleExchange,
  type ExchangeDeps,
  type LinkCall,
} from '../../enclave-worker/handle.ts';
import { Epochs } from '../../enclave-worker/keys.ts';
import { ReceiptStore } from '../../enclave-worker/receipts.ts';
import { RunningExchanges } from '../../enclave-worker/running.ts';
import type { ExchangeSink } from '../../enclave-worker/sealed-answer.ts';
import { FREE_PRICES, testWorker, type TestWorker } from '../support/attested-key.ts';

export const MODEL_ID = 'veilgate-demo';
const WEIGHTS = sha256(utf8('weights'));
const PAYER = fixed(new Uint8Array(32).fill(9), 32);

/** Of tests that are not about credit. */
const GENEROUS: Omit<CreditTerms, 'asset'> = {
  creditMax: 10n ** 18n,
  paidCounts: 'on-word',
  payout: undefined,
  network: 'tvm:-217',
  withdrawDelayMinS: 86_400,
};

export interface FixtureInput {
  readonly engine: Engine;
  /** Absent: `MODEL_ID`. */
  readonly modelId?: string;
  readonly credit?: Partial<CreditTerms>;
  readonly store?: EarningsStore;
  readonly workerId?: Bytes<32>;
  readonly holdings?: Holdings;
  readonly prices?: PriceList;
  readonly limits?: Card['limits'];
  readonly clock?: Clock;
  /** What the client believes, where that differs from the card. */
  readonly attestedPrices?: PriceList;
  readonly keyExpiresAtMs?: number;
}

export interface Fixture {
  readonly deps: ExchangeDeps;
  readonly worker: TestWorker;
  readonly logLines: string[];
  readonly seal: (body: object, more?: Partial<SealInput>) => SealedRequest;
  readonly exchange: (sealed: SealedRequest, wire?: Wire) => Promise<Answer>;
  readonly ask: (body: object, more?: Partial<SealInput>) => Promise<Answer>;
}

export function exchangeFixture(input: FixtureInput): Fixture {
  const { engine, modelId = MODEL_ID, prices = FREE_PRICES, clock = systemClock } = input;
  const limits = input.limits ?? { maxPromptTokens: 150, maxOutputTokens: 100, maxConcurrent: 2 };
  const owner = generateEd25519();
  const signing = generateEd25519();
  const { contextTokens: contextLength, capabilities } = engine;
  const model = { id: modelId, contextLength, capabilities };
  const priceDigest = sha256(utf8('card'));
  const workerId = input.workerId ?? randomBytes(32);
  const worker = testWorker('X-Wing', {
    signing,
    workerId,
    model: { ...model, digest: WEIGHTS },
    limits,
    prices: input.attestedPrices ?? prices,
    priceDigest,
  });
  const { statementHash } = worker.key;
  const epochs = new Epochs();
  epochs.open({
    statementHash,
    recipient: worker.pair,
    expiresAtMs: input.keyExpiresAtMs ?? Number.MAX_SAFE_INTEGER,
    systemFingerprint: 'fp_0123456789ab',
    signer: new ReceiptSigner({
      secretKey: signing.secretKey,
      workerId,
      statementHash,
      modelDigest: WEIGHTS,
      priceDigest,
      prices,
      simulated: true,
    }),
  });
  const logLines: string[] = [];
  const receipts = new ReceiptStore();
  const log = createLog({
    events: WORKER_EVENTS,
    part: 'worker',
    destination: { write: (line) => void logLines.push(line) },
  });
  const deps: ExchangeDeps = {
    card: {
      fmt: 'veilgate.card/1',
      owner: owner.publicKey,
      model: { ...model, weights: WEIGHTS },
      limits,
      prices,
      payout: null,
    },
    engine,
    epochs,
    replay: new ReplaySet(),
    receipts,
    earnings: new Earnings({
      book: { gateway: `gw1.${'A'.repeat(43)}`, workerId, asset: prices.asset },
      model: modelId,
      terms: { ...GENEROUS, asset: prices.asset, ...input.credit },
      store: input.store ?? openEarnings(undefined, clock()),
      receipts,
      holdings: input.holdings ?? ON_WORD,
      hasStatement: (hash) => epochs.of(hash) !== undefined,
      clock,
      log,
    }),
    running: new RunningExchanges(),
    load: new ExchangeLoad(limits.maxConcurrent),
    clock,
    log,
  };
  const seal = (body: object, more: Partial<SealInput> = {}): SealedRequest =>
    sealRequest({
      keys: [worker.key],
      request: {
        path: '/v1/chat/completions',
        headers: [['content-type', 'application/json']],
        body: utf8(JSON.stringify(body)),
      },
      bounds: { maxAmount: 0n, maxPrompt: 150, maxOutput: 100, asset: 0 },
      payer: PAYER,
      stream: true,
      ttlS: 60,
      deadlineMs: 60_000,
      nowMs: clock(),
      ...more,
    });
  const exchange = (sealed: SealedRequest, wire: Wire = openWire()): Promise<Answer> =>
    runExchange(deps, sealed, wire);
  return {
    deps,
    worker,
    logLines,
    seal,
    exchange,
    ask: (body, more) => exchange(seal(body, more)),
  };
}

async function runExchange(deps: ExchangeDeps, sealed: SealedRequest, wire: Wire): Promise<Answer> {
  await handleExchange(deps, sealed.bytes, wire.sink, wire.call);
  return readAnswer(sealed, wire);
}

/** The link of a test: keeps what was written, says when it is full, and can go away. */
export interface Wire {
  readonly sink: ExchangeSink;
  readonly gone: AbortController;
  readonly call: LinkCall;
  readonly written: Uint8Array[];
  status: number;
  ended: boolean;
  /** What `cutAfter` was told. */
  cutAfterMs: number | undefined;
  /** What `write` answers. */
  room: boolean;
  /** Called by `drained`. */
  onDrain: () => Promise<void>;
}

export function openWire(asked: Pick<LinkCall, 'meterEvery'> = {}): Wire {
  const gone = new AbortController();
  const wire: Wire = {
    gone,
    call: { gone: gone.signal, ...asked },
    written: [],
    status: 0,
    ended: false,
    cutAfterMs: undefined,
    room: true,
    onDrain: () => Promise.resolve(),
    sink: {
      refuse: (status) => {
        wire.status = status;
        wire.ended = true;
      },
      accept: () => {
        wire.status = 200;
      },
      write: (bytes) => {
        assert.equal(wire.ended, false, 'nothing follows the end');
        wire.written.push(bytes);
        return wire.room;
      },
      drained: () => wire.onDrain(),
      end: () => {
        wire.ended = true;
      },
      cutAfter: (delayMs) => {
        wire.cutAfterMs = delayMs;
      },
    },
  };
  return wire;
}

export interface Answer {
  /** Of the link, in clear. */
  readonly outerStatus: number;
  readonly outerBytes: number;
  /** Sealed. */
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly text: string;
  readonly receipt: Extract<ResponseEvent, { kind: 'receipt' }>['receipt'] | undefined;
  readonly final: boolean;
}

/** Opens it as the client does: every signature and hash is checked on the way. */
function readAnswer({ exchange }: SealedRequest, wire: Wire): Answer {
  const bytes = Buffer.concat(wire.written);
  const events: ResponseEvent[] = [];
  if (bytes.length > 0) {
    const reader = new ResponseReader(exchange);
    events.push(...reader.push(bytes));
    reader.end();
  }
  const head = events.find((event) => event.kind === 'head');
  const receipt = events.find((event) => event.kind === 'receipt');
  const data = events.flatMap((event) => (event.kind === 'data' ? [event.bytes] : []));
  return {
    outerStatus: wire.status,
    outerBytes: bytes.length,
    status: head?.status ?? 0,
    headers: new Map(head?.headers),
    text: fromUtf8(Buffer.concat(data)),
    receipt: receipt?.receipt,
    final: events.some((event) => event.kind === 'final'),
  };
}

export function jsonOf(text: string): unknown {
  return parseJson(utf8(text), 1_000_000);
}

/** The `data:` payloads of a stream; comments are left out. */
export function sseData(text: string): readonly string[] {
  return text
    .split('\n\n')
    .filter((event) => event.startsWith('data: '))
    .map((event) => event.slice('data: '.length));
}

export function msgIdHex(sealed: SealedRequest): string {
  return toHex(sealed.msgId);
}

export type Script = (job: GenerateJob, signal: AbortSignal) => AsyncIterable<EngineEvent>;

/** An engine that plays what a test wrote: for failures that a real one cannot be made to have. */
export function scriptedEngine(
  script: Script,
  slots = 2,
): Engine & { readonly jobs: GenerateJob[] } {
  const jobs: GenerateJob[] = [];
  return {
    jobs,
    name: 'scripted',
    capabilities: ['chat'],
    contextTokens: 192,
    slots,
    healthy: () => true,
    close: () => Promise.resolve(),
    embed: () => assert.fail('no embeddings in a script'),
    generate: (job, signal) => {
      jobs.push(job);
      let completion = 0;
      let prompt = 0;
      return {
        usage: () => ({ prompt, cached: 0, completion, reasoning: 0 }),
        events: (async function* play(): AsyncGenerator<EngineEvent> {
          for await (const event of script(job, signal)) {
            if (event.kind === 'started') prompt = 7;
            if (event.kind === 'text') completion++;
            yield event;
          }
        })(),
      };
    },
  };
}

export function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
