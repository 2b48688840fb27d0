/**
 * One worker with a key for EHBP, and the published client that seals to it and reads the answer. What lies between them
 * is bytes, for a test to change. @module
 */

import { Identity } from 'ehbp';
import {
  concat,
  fixed,
  fromHex,
  fromUtf8,
  toHex,
  u32be,
  utf8,
  type Bytes,
} from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { ehbpKidOf } from '../../attestation/statement.ts';
import { ehbpMessageId, encodeEhbpEnvelope } from '../../protocol/ehbp/envelope.ts';
import { openEhbpRequest } from '../../protocol/ehbp/open.ts';
import { EhbpRecipients } from '../../protocol/ehbp/recipients.ts';
import { hpkeKeyPairOf, type HpkeKeyPair } from '../../protocol/hpke.ts';
import { ReceiptSigner, type ReceiptOutcome, type SignedReceipt } from '../../protocol/receipt.ts';
import type { Opened } from '../../protocol/sx/open.ts';
import { payerRefOf, routeTag, type Prelude } from '../../protocol/sx/prelude.ts';
import { randomBytes } from '#primitives';
import { testWorker, type TestWorker } from './attested-key.ts';

export const NOW_MS = 1_800_000_000_000;
export const BODY = '{"model":"demo/model","messages":[{"role":"user","content":"canary"}]}';
const LIFE_MS = 3_600_000;

type Sealing = Awaited<ReturnType<Identity['encryptRequestWithContext']>>;
export type Context = NonNullable<Sealing['context']>;

export interface Sealed {
  readonly enc: Bytes<32>;
  /** Chunks with their lengths, as they are on the wire. */
  readonly body: Uint8Array;
  readonly context: Context;
}

/** By the client's own code. Each further text is a chunk of its own, as streaming clients send them. */
export async function ehbpSeal(identity: Identity, ...texts: readonly string[]): Promise<Sealed> {
  const [first = '', ...more] = texts;
  const plain = new Request('http://worker.invalid/', { method: 'POST', body: first });
  const { request, context } = await identity.encryptRequestWithContext(plain);
  assert(context !== null, 'a body is encrypted');
  const chunks: Uint8Array[] = [new Uint8Array(await request.arrayBuffer())];
  for (const text of more) {
    const chunk = await context.senderContext.Seal(utf8(text));
    chunks.push(u32be(chunk.length), chunk);
  }
  const enc = fixed(fromHex(request.headers.get('ehbp-encapsulated-key') ?? ''), 32);
  return { enc, body: concat(...chunks), context };
}

/** Reads chunks as the client does. Rejects with its errors. */
export async function ehbpRead(
  identity: Identity,
  { context }: Pick<Sealed, 'context'>,
  answer: { readonly nonce: Uint8Array; readonly chunks: Uint8Array },
): Promise<string> {
  const response = new Response(Uint8Array.from(answer.chunks), {
    headers: { 'ehbp-response-nonce': toHex(answer.nonce) },
  });
  const opened = await identity.decryptResponseWithContext(response, context);
  return fromUtf8(new Uint8Array(await opened.arrayBuffer()));
}

export class EhbpStage {
  readonly worker: TestWorker;
  readonly pair: HpkeKeyPair;
  readonly kid: Bytes<16>;
  readonly identity: Identity;
  readonly recipients: EhbpRecipients;
  readonly signer: ReceiptSigner;
  admissions = 0;

  private constructor(identity: Identity, pair: HpkeKeyPair, replayMax?: number) {
    const publicKey = fixed(pair.publicKey, 32);
    const statementHash = randomBytes(32);
    this.identity = identity;
    this.pair = pair;
    this.kid = ehbpKidOf(statementHash, publicKey);
    const { kid } = this;
    this.worker = testWorker('X-Wing', { statementHash, ehbp: { kid, publicKey } });
    this.recipients = new EhbpRecipients(replayMax);
    this.recipients.add({ kid, statementHash, pair, expiresAtMs: NOW_MS + LIFE_MS });
    const { key, signing } = this.worker;
    this.signer = new ReceiptSigner({
      ...key,
      secretKey: signing.secretKey,
      modelDigest: key.model.digest,
    });
  }

  static async open(replayMax?: number): Promise<EhbpStage> {
    const pair = hpkeKeyPairOf('X25519', randomBytes(32));
    const identity = await Identity.fromPublicKeyHex(toHex(pair.publicKey));
    return new EhbpStage(identity, pair, replayMax);
  }

  seal(...texts: readonly string[]): Promise<Sealed> {
    return ehbpSeal(this.identity, ...texts);
  }

  prelude({ enc }: Pick<Sealed, 'enc'>, more: Partial<Prelude> = {}): Prelude {
    const msgId = ehbpMessageId(this.kid, enc);
    return {
      recipientCount: 1,
      flags: { stream: false, constantRate: false, singleRecipient: true, receiptRequired: true },
      msgId,
      issuedAtMs: NOW_MS,
      ttlS: 60,
      deadlineMs: 60_000,
      kem: 'X25519',
      routeTag: routeTag(this.worker.key.model.id),
      maxAmount: 1_000_000_000n,
      maxPrompt: 100,
      maxOutput: 100,
      asset: 0,
      payerRef: payerRefOf(fixed(new Uint8Array(32).fill(9), 32), msgId),
      ...more,
    };
  }

  /** What the gateway sends over the link. */
  envelope(
    sealed: Pick<Sealed, 'enc' | 'body'>,
    more: {
      readonly path?: string;
      readonly prelude?: Partial<Prelude>;
      readonly kid?: Bytes<16>;
    } = {},
  ): Uint8Array {
    const { enc, body } = sealed;
    const { path = '/v1/chat/completions', kid = this.kid } = more;
    return encodeEhbpEnvelope({
      prelude: this.prelude(sealed, more.prelude),
      kid,
      enc,
      path,
      body,
    });
  }

  open(bytes: Uint8Array, nowMs: number = NOW_MS): Opened {
    const admit = (): void => {
      this.admissions++;
    };
    return openEhbpRequest(bytes, { recipients: this.recipients, nowMs, admit });
  }

  receipt(
    { responder }: Opened,
    outcome: ReceiptOutcome = 'ok',
  ): { readonly bytes: Uint8Array; readonly signed: SignedReceipt } {
    return responder.receipt({
      signer: this.signer,
      policyDigest: fixed(new Uint8Array(32), 32),
      usage: { prompt: 7, cached: 0, completion: 4, reasoning: 0 },
      outcome,
      startMs: NOW_MS,
      endMs: NOW_MS,
    });
  }
}
