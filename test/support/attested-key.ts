/**
 * Attested keys for protocol tests, minted without evidence. A test that is about attestation goes through appraise().
 * @module
 */

import { fixed, utf8, type Bytes } from '../../core/bytes.ts';
import { generateEd25519, randomBytes, sha256, type KeyPair } from '#primitives';
import {
  mintAttestedKey,
  type AttestedKey,
  type KemName,
  type PriceList,
} from '../../attestation/verdict.ts';
import { generateHpkeKeyPair, type HpkeKeyPair } from '../../protocol/hpke.ts';
import { kidOf } from '../../protocol/sx/key-schedule.ts';

export interface TestWorker {
  readonly key: AttestedKey;
  readonly pair: HpkeKeyPair;
  /** `keys.sig`. */
  readonly signing: KeyPair;
}

export const TEST_PRICES: PriceList = {
  asset: 'TON',
  base: 1000n,
  prompt: 2_000_000n,
  cached: 500_000n,
  completion: 8_000_000n,
  reasoning: 8_000_000n,
};

export const FREE_PRICES: PriceList = {
  asset: 'TON',
  base: 0n,
  prompt: 0n,
  cached: 0n,
  completion: 0n,
  reasoning: 0n,
};

export const TEST_POLICY_DIGEST: Bytes<32> = sha256(utf8('test policy'));

export interface TestWorkerInput extends Partial<Omit<AttestedKey, 'kid' | 'publicKey'>> {
  readonly pair?: HpkeKeyPair;
  readonly signing?: KeyPair;
}

export function testWorker(kem: KemName, input: TestWorkerInput = {}): TestWorker {
  const { pair = generateHpkeKeyPair(kem), signing = generateEd25519(), ...overrides } = input;
  const statementHash = input.statementHash ?? randomBytes(32);
  const key = mintAttestedKey({
    workerId: randomBytes(32),
    tee: 'tdx',
    receiptKey: signing.publicKey,
    tlsSpkiSha256: fixed(new Uint8Array(32).fill(5), 32),
    model: {
      id: 'demo/model',
      digest: sha256(utf8('weights')),
      contextLength: 4096,
      capabilities: ['chat'],
    },
    limits: { maxPromptTokens: 4096, maxOutputTokens: 1024, maxConcurrent: 4 },
    prices: TEST_PRICES,
    priceDigest: sha256(utf8('card')),
    policyDigest: TEST_POLICY_DIGEST,
    simulated: true,
    expiresAtMs: Number.MAX_SAFE_INTEGER,
    ...overrides,
    statementHash,
    kem,
    publicKey: pair.publicKey,
    kid: kidOf(statementHash, kem, pair.publicKey),
  });
  return { key, pair, signing };
}
