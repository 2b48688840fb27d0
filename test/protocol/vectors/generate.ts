/**
 * Makes the test vectors of docs/protocol.md (P§13): complete exchanges with every secret, for both suites. Deterministic:
 * everything that production draws from chance is a hash of its name here.
 * @module
 */

import { ml_kem768 } from '@noble/post-quantum/ml-kem.js';
import { concat, fixed, toHex, utf8, type Bytes } from '../../../core/bytes.ts';
import { assert } from '../../../core/errors.ts';
import type { KemName } from '../../../attestation/verdict.ts';
import { ed25519PublicKey, sha256, x25519PublicKey } from '#primitives';
import { hpkeKeyPairOf } from '../../../protocol/kem.ts';
import { ReceiptSigner } from '../../../protocol/receipt.ts';
import { openRequestWith } from '../../../protocol/sx/open.ts';
import { RecipientKeys } from '../../../protocol/sx/recipient-keys.ts';
import { ReplaySet } from '../../../protocol/sx/replay.ts';
import { sealRequestWith, type SealEntropy, type SealInput } from '../../../protocol/sx/seal.ts';
import { testWorker, type TestWorker } from '../../support/attested-key.ts';

const NOW_MS = 1_800_000_000_000;
const PROMPT =
  '{"model":"demo/model","messages":[{"role":"user","content":"Say hello."}],"stream":true}';
const EVENTS = ['data: {"choices":[{"delta":{"content":"Hello."}}]}\n\n', 'data: [DONE]\n\n'];
const USAGE = { prompt: 11, cached: 0, completion: 3, reasoning: 0 } as const;

const bytes32 = (name: string): Bytes<32> => sha256(utf8(`veilgate vectors ${name}`));

function entropyOf(name: string): SealEntropy {
  let draws = 0;
  const draw = (what: string): Bytes<32> => bytes32(`${name} ${what} ${draws++}`);
  return {
    msgId: () => fixed(draw('msg_id').slice(0, 16), 16),
    contentKey: () => draw('content key'),
    x25519: () => {
      const secretKey = draw('x25519');
      return { secretKey, publicKey: x25519PublicKey(secretKey) };
    },
    mlKem768: (publicKey) => {
      const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, draw('ml-kem'));
      return { ciphertext: fixed(cipherText, 1088), sharedSecret: fixed(sharedSecret, 32) };
    },
  };
}

interface VectorWorker {
  readonly worker: TestWorker;
  readonly hpkeSecret: Bytes<32>;
  readonly signingSeed: Bytes<32>;
}

function workerOf(kem: KemName, index: number): VectorWorker {
  const hpkeSecret = bytes32(`${kem} worker ${index} hpke`);
  const secretKey = bytes32(`${kem} worker ${index} sig`);
  const worker = testWorker(kem, {
    pair: hpkeKeyPairOf(kem, hpkeSecret),
    signing: { secretKey, publicKey: ed25519PublicKey(secretKey) },
    statementHash: bytes32(`${kem} worker ${index} statement`),
    workerId: bytes32(`worker ${index}`),
  });
  return { worker, hpkeSecret, signingSeed: secretKey };
}

function inputOf(workers: readonly VectorWorker[], kem: KemName): SealInput {
  return {
    keys: workers.map(({ worker }) => worker.key),
    request: {
      path: '/v1/chat/completions',
      headers: [
        ['content-type', 'application/json'],
        ['accept', 'text/event-stream'],
      ],
      body: utf8(PROMPT),
    },
    bounds: { maxAmount: 5_000_000n, maxPrompt: 64, maxOutput: 32, asset: 0 },
    payer: bytes32('payer'),
    stream: true,
    ttlS: 120,
    deadlineMs: 300_000,
    nowMs: NOW_MS,
    allowedKems: [kem],
  };
}

function describeWorker({ worker, hpkeSecret, signingSeed }: VectorWorker) {
  const { key } = worker;
  return {
    hpkeSecret: toHex(hpkeSecret),
    signingSeed: toHex(signingSeed),
    publicKey: toHex(key.publicKey),
    receiptKey: toHex(key.receiptKey),
    statementHash: toHex(key.statementHash),
    kid: toHex(key.kid),
    workerId: toHex(key.workerId),
    modelDigest: toHex(key.model.digest),
    priceDigest: toHex(key.priceDigest),
    policyDigest: toHex(key.policyDigest),
    prices: {
      asset: key.prices.asset,
      base: String(key.prices.base),
      prompt: String(key.prices.prompt),
      cached: String(key.prices.cached),
      completion: String(key.prices.completion),
      reasoning: String(key.prices.reasoning),
    },
  };
}

/** One exchange: sealed to `count` workers, answered by number `at`. */
function vector(kem: KemName, count: number, at: number) {
  const name = `${kem}-${count}`;
  const workers = Array.from({ length: count }, (_, index) => workerOf(kem, index));
  const sealed = sealRequestWith(inputOf(workers, kem), entropyOf(name));
  const answering = workers[at];
  assert(answering !== undefined, 'a worker answers');
  const { worker } = answering;
  const { key } = worker;
  const keys = new RecipientKeys();
  keys.add({ statementHash: key.statementHash, pair: worker.pair, expiresAtMs: NOW_MS + 1 });
  const nonce = bytes32(`${name} response nonce`);
  const opened = openRequestWith(
    sealed.bytes,
    { keys, replay: new ReplaySet(1), nowMs: NOW_MS, admit: () => {} },
    nonce,
  );
  const { inner, responder } = opened;
  assert(inner.kind === 'request', 'the inner request reads');
  const signer = new ReceiptSigner({
    secretKey: answering.signingSeed,
    workerId: key.workerId,
    statementHash: key.statementHash,
    modelDigest: key.model.digest,
    priceDigest: key.priceDigest,
    prices: key.prices,
    simulated: key.simulated,
  });
  const head = responder.head(200, [['content-type', 'text/event-stream']]);
  const data = EVENTS.map((event) => responder.data(utf8(event)));
  const trailer = responder.trailer(utf8('{"finish":"stop"}'));
  const receipt = responder.receipt({
    signer,
    policyDigest: inner.policyDigest,
    usage: USAGE,
    outcome: 'ok',
    startMs: NOW_MS + 5,
    endMs: NOW_MS + 45,
  });
  const secret = sealed.exchange.responseSecret(key.kid);
  assert(secret !== undefined, 'the recipient shares a secret');
  return {
    name,
    kem,
    workers: workers.map(describeWorker),
    nowMs: NOW_MS,
    model: key.model.id,
    payer: toHex(bytes32('payer')),
    request: {
      path: inner.request.path,
      headers: inner.request.headers,
      body: PROMPT,
      msgId: toHex(sealed.msgId),
      th: toHex(opened.th),
      sealed: toHex(sealed.bytes),
    },
    response: {
      answeredBy: at,
      secret: toHex(secret),
      nonce: toHex(nonce),
      status: 200,
      body: EVENTS.join(''),
      receiptHash: toHex(receipt.signed.hash),
      amount: String(receipt.signed.receipt.amount),
      sealed: toHex(concat(head, ...data, trailer, receipt.bytes, responder.final())),
    },
  };
}

export interface GeneratedFile {
  readonly path: string;
  readonly text: string;
}

/** The vector files as they must stand in the tree. */
export function protocolVectorFiles(): readonly GeneratedFile[] {
  const file = (name: string, vectors: readonly unknown[]) => ({
    path: `protocol/vectors/${name}.json`,
    text: `${JSON.stringify({ spec: 'docs/protocol.md', vectors }, null, 2)}\n`,
  });
  return [
    file('sx1-x25519', [vector('X25519', 1, 0), vector('X25519', 3, 1)]),
    file('sx1-xwing', [vector('X-Wing', 1, 0), vector('X-Wing', 2, 1)]),
  ];
}
