/**
 * A worker that is paid, and its gateway's end of a real link: mutual TLS, the real handler, real receipts and books, and
 * an engine that counts what a test wants. @module
 */

import assert from 'node:assert/strict';
import { ed25519PublicKey, generateEd25519, sha256 } from '#primitives';
import { fixed, toHex, utf8, type Bytes } from '../../core/bytes.ts';
import { encodeEvidence, type EvidenceBundle } from '../../attestation/evidence.ts';
import type { PriceList } from '../../attestation/verdict.ts';
import { systemClock } from '../../core/clock.ts';
import { handleExchange } from '../../enclave-worker/handle.ts';
import { makeLinkKey } from '../../enclave-worker/keys.ts';
import { openLink } from '../../enclave-worker/link.ts';
import { createLink, type WorkerLink } from '../../gateway/workers/link.ts';
import { MemoryRegistry, type LiveWorker } from '../../gateway/workers/registry.ts';
import { audOf } from '../../protocol/gateway-document.ts';
import { encodeSettled, type Settled, type SettledChannel } from '../../protocol/settled.ts';
import type { SealedRequest } from '../../protocol/sx/seal.ts';
import type { ChannelTerms } from '../../settlement/channel-terms.ts';
import { amount } from '../../settlement/money.ts';
import { channelOfTerms } from '../../settlement/ton/worker-channel.ts';
import { encodeVoucher, signVoucher } from '../../settlement/voucher.ts';
import {
  exchangeFixture,
  MODEL_ID,
  scriptedEngine,
  type Answer,
  type Fixture,
  type FixtureInput,
} from './exchange-fixture.ts';
import { linkCertificate } from './gateway-fixture.ts';

/** A token of output costs 1000 and nothing else does anything: sums are easy to read. */
export const PAID_PRICES: PriceList = {
  asset: 'TON',
  base: 0n,
  prompt: 0n,
  cached: 0n,
  completion: 1_000_000_000n,
  reasoning: 1_000_000_000n,
};
export const TOKEN = 1000n;
export const PAYOUT = `0:${'7'.repeat(64)}`;
export const PAYOUT_KEY: Bytes<32> = fixed(new Uint8Array(32).fill(42), 32);

export function wordsEngine(words: number) {
  return scriptedEngine(async function* play() {
    yield await Promise.resolve({ kind: 'started' } as const);
    for (let at = 0; at < words; at++) yield { kind: 'text', text: `w${at} ` } as const;
    yield { kind: 'end', reason: 'stop' } as const;
  });
}

export interface PaidWorker {
  readonly fixture: Fixture;
  /** The bytes of a request that may cost `tokens` at most. */
  readonly seal: (tokens: number) => SealedRequest;
  /** In process, so that many are quick. */
  readonly ask: (tokens: number) => Promise<Answer>;
  readonly notice: (said: Partial<Settled>) => Uint8Array;
  /** Straight into the books. Returns the status. */
  readonly tell: (said: Partial<Settled>) => number;
}

/** Answers every request with all the tokens it may have. */
export function paidWorker(input: Partial<FixtureInput> = {}): PaidWorker {
  const engine =
    input.engine ??
    scriptedEngine(async function* play({ maxOutputTokens }) {
      yield await Promise.resolve({ kind: 'started' } as const);
      for (let at = 0; at < maxOutputTokens; at++) yield { kind: 'text', text: 'w ' } as const;
      yield { kind: 'end', reason: 'length' } as const;
    });
  const { credit = {}, ...rest } = input;
  const fixture = exchangeFixture({
    engine,
    prices: PAID_PRICES,
    limits: { maxPromptTokens: 150, maxOutputTokens: 5000, maxConcurrent: 8 },
    credit: { payout: PAYOUT, ...credit },
    ...rest,
  });
  const seal = (tokens: number): SealedRequest =>
    fixture.seal(
      { model: MODEL_ID, messages: [{ role: 'user', content: 'Go.' }], stream: true },
      { bounds: { maxAmount: 10n ** 15n, maxPrompt: 150, maxOutput: tokens, asset: 0 } },
    );
  const notice = (said: Partial<Settled>): Uint8Array =>
    encodeSettled({
      statementHash: fixture.worker.key.statementHash,
      workerSeq: 0n,
      asset: 'TON',
      earned: 0n,
      paid: 0n,
      channel: null,
      atMs: fixture.deps.clock(),
      ...said,
    });
  return {
    fixture,
    seal,
    ask: async (tokens) => await fixture.exchange(seal(tokens)),
    notice,
    tell: (said) => fixture.deps.earnings.settled(notice(said)),
  };
}

export function termsOf(changes: Partial<ChannelTerms> = {}): ChannelTerms {
  return {
    network: 'tvm:-217',
    payer: `0:${'1'.repeat(64)}`,
    payee: PAYOUT,
    payerKey: ed25519PublicKey(PAYOUT_KEY),
    payeeKey: fixed(new Uint8Array(32), 32),
    withdrawDelayS: 86_400,
    salt: 1n,
    ...changes,
  };
}

/** Sound, with a voucher of this ceiling. */
export function channelWith(
  ceiling: bigint,
  { epoch = 0, terms = termsOf() }: { readonly epoch?: number; readonly terms?: ChannelTerms } = {},
): SettledChannel {
  const channel = channelOfTerms(terms);
  const voucher = signVoucher(PAYOUT_KEY, { channel, epoch, ceiling: amount(ceiling) });
  return { channel, terms, voucher: encodeVoucher(voucher) };
}

export interface Linked extends PaidWorker {
  readonly live: LiveWorker;
  readonly link: WorkerLink;
  /** The gateway's end of another statement's link to the same listener. */
  readonly close: () => Promise<void>;
}

/** `break`: asked before each notice is taken; a number is answered instead. */
export async function linkedWorker(
  input: Partial<FixtureInput> = {},
  { answerInstead }: { readonly answerInstead?: () => number | undefined } = {},
): Promise<Linked> {
  const gateway = generateEd25519();
  const identity = await linkCertificate(gateway);
  const paid = paidWorker(input);
  const { deps, worker } = paid.fixture;
  const key = await makeLinkKey(systemClock());
  const listener = await openLink({
    host: '127.0.0.1',
    port: 0,
    gatewayAud: audOf(gateway.publicKey),
    identity: key,
    onExchange: (bytes, sink, call) => handleExchange(deps, bytes, sink, call),
    receiptOf: (msgIdHex) => deps.receipts.get(msgIdHex, deps.clock()),
    receiptsAfter: (statementHex, after) => deps.receipts.after(statementHex, after),
    onSettled: (bytes) => answerInstead?.() ?? deps.earnings.settled(bytes),
    stop: (msgIdHex) => deps.running.stop(msgIdHex),
    healthy: () => deps.earnings.isTrusted,
  });
  const link = createLink({
    endpoint: `https://127.0.0.1:${listener.port}`,
    address: '127.0.0.1',
    tlsSpkiSha256: key.spkiSha256,
    identity,
  });
  const bytes = Uint8Array.of(1);
  const parts = { tee: 'snp', statement: bytes, card: bytes, quote: bytes } as const;
  const bundle: EvidenceBundle = { ...parts, endorsements: {} };
  const registry = new MemoryRegistry();
  registry.add({
    key: worker.key,
    bundle,
    evidence: encodeEvidence(bundle),
    verdict: {
      decision: 'admitted',
      checks: [],
      warnings: [],
      policy: { name: 'test', serial: 1, digest: worker.key.policyDigest },
      revocable: [],
      simulated: true,
      validUntilMs: 0,
    },
    challenge: sha256(utf8('challenge')),
    endpoint: `https://127.0.0.1:${listener.port}`,
    publishUntilMs: Number.MAX_SAFE_INTEGER,
    link,
  });
  const live = registry.byKid(worker.key.kid);
  assert.ok(live !== undefined);
  return {
    ...paid,
    live,
    link,
    close: async () => {
      await registry.close();
      await listener.close();
    },
  };
}

export function hexOf(bytes: Uint8Array): string {
  return toHex(bytes);
}
