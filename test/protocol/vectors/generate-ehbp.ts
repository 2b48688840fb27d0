/**
 * Makes the test vectors of docs/ehbp.md: whole exchanges with every secret, from the client's chunk to the chunks that it
 * gets. Deterministic, as generate.ts. @module
 */

import { concat, fixed, toHex, u32be, utf8, type Bytes } from '../../../core/bytes.ts';
import { assert } from '../../../core/errors.ts';
import { ehbpKidOf } from '../../../attestation/statement.ts';
import { ed25519PublicKey, sha256, x25519PublicKey } from '#primitives';
import { ehbpMessageId, encodeEhbpEnvelope } from '../../../protocol/ehbp/envelope.ts';
import { openEhbpRequestWith } from '../../../protocol/ehbp/open.ts';
import { EhbpRecipients } from '../../../protocol/ehbp/recipients.ts';
import { EhbpRelay } from '../../../protocol/ehbp/relay.ts';
import { setupSender } from '../../../protocol/hpke.ts';
import { hpkeKeyPairOf, SYSTEM_KEM_ENTROPY } from '../../../protocol/kem.ts';
import { ReceiptSigner } from '../../../protocol/receipt.ts';
import { payerRefOf, routeTag } from '../../../protocol/sx/prelude.ts';
import { testWorker } from '../../support/attested-key.ts';
import type { GeneratedFile } from './generate.ts';

const NOW_MS = 1_800_000_000_000;
const USAGE = { prompt: 11, cached: 0, completion: 3, reasoning: 0 } as const;
const PATH = '/v1/chat/completions';

const bytes32 = (name: string): Bytes<32> => sha256(utf8(`veilgate ehbp vectors ${name}`));

interface Said {
  readonly name: string;
  readonly asked: string;
  readonly type: string;
  readonly before: readonly string[];
  readonly last: string;
}

function workerOf(name: string) {
  const hpkeSecret = bytes32(`${name} hpke`);
  const signingSeed = bytes32(`${name} sig`);
  const pair = hpkeKeyPairOf('X25519', hpkeSecret);
  const publicKey = fixed(pair.publicKey, 32);
  const statementHash = bytes32(`${name} statement`);
  const { key } = testWorker('X25519', {
    pair,
    signing: { secretKey: signingSeed, publicKey: ed25519PublicKey(signingSeed) },
    statementHash,
    workerId: bytes32('worker'),
  });
  const kid = ehbpKidOf(statementHash, publicKey);
  const signer = new ReceiptSigner({
    ...key,
    secretKey: signingSeed,
    modelDigest: key.model.digest,
  });
  return { key, kid, pair, signer, statementHash, hpkeSecret, signingSeed, publicKey };
}

/** As the JavaScript client seals: one chunk. */
function sealed(name: string, publicKey: Bytes<32>, text: string) {
  const secretKey = bytes32(`${name} client x25519`);
  const entropy = {
    ...SYSTEM_KEM_ENTROPY,
    x25519: () => ({ secretKey, publicKey: x25519PublicKey(secretKey) }),
  };
  const to = { kem: 'X25519', publicKey } as const;
  const { enc, context } = setupSender(to, utf8('ehbp request'), entropy);
  const chunk = context.seal(new Uint8Array(), utf8(text));
  const exported = context.export(utf8('ehbp response'));
  return { enc: fixed(enc, 32), body: concat(u32be(chunk.length), chunk), exported };
}

function vector({ name, asked, type, before, last }: Said) {
  const worker = workerOf(name);
  const { kid, statementHash, pair, publicKey } = worker;
  const { enc, body, exported } = sealed(name, publicKey, asked);
  const msgId = ehbpMessageId(kid, enc);
  const link = encodeEhbpEnvelope({
    prelude: {
      recipientCount: 1,
      flags: { stream: false, constantRate: false, singleRecipient: true, receiptRequired: true },
      msgId,
      issuedAtMs: NOW_MS,
      ttlS: 60,
      deadlineMs: 600_000,
      kem: 'X25519',
      routeTag: routeTag(worker.key.model.id),
      maxAmount: 5_000_000n,
      maxPrompt: 64,
      maxOutput: 32,
      asset: 0,
      payerRef: payerRefOf(bytes32('payer'), msgId),
    },
    kid,
    enc,
    path: PATH,
    body,
  });
  const recipients = new EhbpRecipients(1);
  recipients.add({ kid, statementHash, pair, expiresAtMs: NOW_MS + 1 });
  const nonce = bytes32(`${name} response nonce`);
  const admit = (): void => undefined;
  const opened = openEhbpRequestWith(link, { recipients, nowMs: NOW_MS, admit }, nonce);
  const { responder } = opened;
  const head = responder.head(200, [['content-type', type]]);
  const chunks = [...before.map((text) => responder.data(utf8(text))), responder.last(utf8(last))];
  const receipt = responder.receipt({
    signer: worker.signer,
    policyDigest: fixed(new Uint8Array(32), 32),
    usage: USAGE,
    outcome: 'ok',
    startMs: NOW_MS + 5,
    endMs: NOW_MS + 45,
  });
  const answer = concat(head, ...chunks, receipt.bytes, responder.final());
  const relay = new EhbpRelay(kid);
  const { forward, final } = relay.push(answer);
  assert(final, 'the answer is whole');
  return {
    name,
    nowMs: NOW_MS,
    worker: {
      hpkeSecret: toHex(worker.hpkeSecret),
      publicKey: toHex(publicKey),
      statementHash: toHex(statementHash),
      kid: toHex(kid),
      signingSeed: toHex(worker.signingSeed),
    },
    request: {
      path: PATH,
      plaintext: asked,
      clientSecret: toHex(bytes32(`${name} client x25519`)),
      enc: toHex(enc),
      exported: toHex(exported),
      body: toHex(body),
      msgId: toHex(msgId),
      link: toHex(link),
      th: toHex(opened.th),
    },
    response: {
      contentType: type,
      nonce: toHex(nonce),
      plaintext: [...before, last].join(''),
      link: toHex(answer),
      beforeSettlement: toHex(concat(...forward)),
      afterSettlement: toHex(concat(...relay.release())),
      respHash: toHex(relay.respHash()),
      receiptHash: toHex(receipt.signed.hash),
    },
  };
}

const QUESTION = '{"model":"demo/model","messages":[{"role":"user","content":"Say hello."}]';

export function ehbpVectorFiles(): readonly GeneratedFile[] {
  const vectors = [
    vector({
      name: 'ehbp-json',
      asked: `${QUESTION}}`,
      type: 'application/json',
      before: [],
      last: '{"choices":[{"message":{"content":"Hello."}}]}',
    }),
    vector({
      name: 'ehbp-events',
      asked: `${QUESTION},"stream":true}`,
      type: 'text/event-stream; charset=utf-8',
      before: ['data: {"choices":[{"delta":{"content":"Hello."}}]}\n\n'],
      last: 'data: [DONE]\n\n',
    }),
  ];
  const text = `${JSON.stringify({ spec: 'docs/ehbp.md', vectors }, null, 2)}\n`;
  return [{ path: 'protocol/vectors/ehbp.json', text }];
}
