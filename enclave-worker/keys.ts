/**
 * The keys of a worker, in memory only. Each epoch has its own HPKE key to read requests, its own Ed25519 key to sign
 * receipts, its own statement and its own quote. Spec: overview "Key life", "One binding".
 * @module
 */

import { generateEd25519, signEd25519 } from '#primitives';
import { ascii, concat, fixed, toHex, type Bytes } from '../core/bytes.ts';
import { assert } from '../core/errors.ts';
import { cardDigestOf, workerIdOf, type Card } from '../attestation/card.ts';
import type { Endorser } from '../attestation/collateral/endorser.ts';
import { withEndorsements, type EvidenceBundle } from '../attestation/evidence.ts';
import {
  ehbpKidOf,
  encodeStatement,
  reportDataOf,
  statementHash,
} from '../attestation/statement.ts';
import type { KemName } from '../attestation/verdict.ts';
import { selfSign, type SelfSigned } from '../attestation/x509.ts';
import { generateP256 } from '../attestation/x509-keys.ts';
import { EhbpRecipients } from '../protocol/ehbp/recipients.ts';
import { generateHpkeKeyPair, type HpkeKeyPair } from '../protocol/hpke.ts';
import { systemFingerprint } from '../protocol/openai/answer-shape.ts';
import { ReceiptSigner } from '../protocol/receipt.ts';
import { RecipientKeys } from '../protocol/sx/recipient-keys.ts';
import { providerError } from './errors.ts';
import type { CollectedEvidence, EvidenceProvider } from './evidence/provider.ts';
import {
  STATEMENT_LIFETIME_MAX_S,
  TLS_CERTIFICATE_LIFE_MS,
  TLS_CERTIFICATE_SKEW_MS,
} from './limits.ts';

const MS_PER_S = 1000;
const X25519_KEY_BYTES = 32;
const LEAVE_TAG = concat(ascii('veilgate.worker-leave/1'), Uint8Array.of(0));

export interface EpochInput {
  readonly kem: KemName;
  readonly lifetimeS: number;
  readonly nowMs: number;
  readonly aud: string;
  readonly challenge: Bytes<32>;
  readonly workload: { readonly image: Bytes<32>; readonly config: Bytes<32> };
  readonly card: Card;
  readonly cardBytes: Uint8Array;
  readonly provider: EvidenceProvider;
  /** Needed where the provider brings no endorsements, that is on every real machine. */
  readonly endorser?: Endorser;
  readonly linkKey: SelfSigned;
  /** A key of its own for EHBP clients, in the statement beside the others. */
  readonly ehbp?: 'off' | 'offer';
}

/**
 * The key of the link lives as long as the process, not as long as a statement: two statements are valid at a time, one
 * listener shows one key, and the link carries sealed bytes only.
 */
export async function makeLinkKey(nowMs: number): Promise<SelfSigned> {
  return selfSign({
    keys: await generateP256(),
    commonName: 'veilgate worker',
    notBeforeMs: nowMs - TLS_CERTIFICATE_SKEW_MS,
    notAfterMs: nowMs + TLS_CERTIFICATE_LIFE_MS,
  });
}

export interface Epoch {
  readonly evidence: EvidenceBundle;
  readonly statementHash: Bytes<32>;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  readonly recipient: HpkeKeyPair;
  /** Never the X25519 half of the other. */
  readonly ehbp?: { readonly pair: HpkeKeyPair; readonly kid: Bytes<16> };
  readonly signer: ReceiptSigner;
  /** What the standard field `system_fingerprint` says while this epoch serves. */
  readonly systemFingerprint: string;
  /** Tells the gateway, under `keys.sig`, that this statement serves no more. */
  readonly signLeave: () => Bytes<64>;
}

/**
 * Keys first, then the statement about them, then the quote over the statement. Throws `evidence.*`, and what the
 * endorser throws.
 */
export async function makeEpoch(input: EpochInput, signal: AbortSignal): Promise<Epoch> {
  assert(input.lifetimeS <= STATEMENT_LIFETIME_MAX_S, 'a statement lives at most an hour');
  const { card, cardBytes, provider, nowMs } = input;
  const recipient = generateHpkeKeyPair(input.kem);
  const signing = generateEd25519();
  const ehbp = input.ehbp === 'offer' ? generateHpkeKeyPair('X25519') : undefined;
  const ehbpKey = ehbp === undefined ? undefined : fixed(ehbp.publicKey, X25519_KEY_BYTES);
  const iat = Math.floor(nowMs / MS_PER_S);
  const statement = encodeStatement({
    aud: input.aud,
    iat,
    exp: iat + input.lifetimeS,
    nonce: input.challenge,
    tee: provider.tee,
    keys: {
      hpke: { kem: input.kem, pk: recipient.publicKey },
      sig: { alg: 'Ed25519', pk: signing.publicKey },
      tls: { spkiSha256: input.linkKey.spkiSha256 },
      ...(ehbpKey === undefined ? {} : { ehbp: { pk: ehbpKey } }),
    },
    workload: { ...input.workload, model: card.model.weights },
    devices: null,
    card: cardDigestOf(cardBytes),
  });
  const collected = await provider.collect(reportDataOf(statement), signal);
  assert(collected.tee === provider.tee, 'the statement and the quote are of one kind');
  const { tee, quote } = collected;
  const endorsements = await endorsementsOf(collected, input, signal);
  const evidence = withEndorsements({ tee, statement, quote, card: cardBytes }, endorsements);
  if (evidence === undefined) {
    throw providerError('evidence.endorsements', 'endorsements of another kind of machine');
  }
  const hash = statementHash(statement);
  return {
    evidence,
    statementHash: hash,
    issuedAtMs: iat * MS_PER_S,
    expiresAtMs: (iat + input.lifetimeS) * MS_PER_S,
    recipient,
    ...(ehbp && ehbpKey && { ehbp: { pair: ehbp, kid: ehbpKidOf(hash, ehbpKey) } }),
    signer: new ReceiptSigner({
      secretKey: signing.secretKey,
      workerId: workerIdOf(card.owner),
      statementHash: hash,
      modelDigest: card.model.weights,
      priceDigest: cardDigestOf(cardBytes),
      prices: card.prices,
      simulated: provider.simulated,
    }),
    systemFingerprint: systemFingerprint(input.workload.image, card.model.weights),
    signLeave: () => signEd25519(signing.secretKey, concat(LEAVE_TAG, hash)),
  };
}

type Endorsements = NonNullable<CollectedEvidence['endorsements']>;

async function endorsementsOf(
  { tee, quote, certificates, endorsements }: CollectedEvidence,
  { endorser }: Pick<EpochInput, 'endorser'>,
  signal: AbortSignal,
): Promise<Endorsements> {
  if (endorsements !== undefined) return endorsements;
  if (endorser === undefined) {
    throw providerError('evidence.endorsements', 'a real machine needs a source of endorsements');
  }
  return endorser.endorse(
    { tee, quote, ...(certificates === undefined ? {} : { certificates }) },
    signal,
  );
}

/** What is needed to serve an exchange once its request was opened. */
export type ServingEpoch = Pick<Epoch, 'signer' | 'systemFingerprint'>;
/** What is needed to open one. */
export type OpenableEpoch = ServingEpoch &
  Pick<Epoch, 'statementHash' | 'recipient' | 'ehbp' | 'expiresAtMs'>;

/**
 * The epochs that can be sealed to. An epoch opens before the gateway is told of it, because the first request may
 * arrive before the answer to the registration does; it closes at its `exp`. What a running exchange still needs, the
 * receipt signer, it holds itself.
 */
export class Epochs {
  readonly recipients = new RecipientKeys();
  readonly ehbp = new EhbpRecipients();
  readonly #open = new Map<string, { readonly epoch: OpenableEpoch; readonly kid: Bytes<16> }>();

  open(epoch: OpenableEpoch): void {
    const { statementHash: hash, expiresAtMs } = epoch;
    const of = { statementHash: hash, expiresAtMs };
    const { kid } = this.recipients.add({ ...of, pair: epoch.recipient });
    if (epoch.ehbp !== undefined) this.ehbp.add({ ...of, ...epoch.ehbp });
    this.#open.set(toHex(hash), { epoch, kid });
  }

  /** The gateway refused it: nobody can have sealed to it. */
  withdraw(epoch: OpenableEpoch): void {
    const name = toHex(epoch.statementHash);
    const entry = this.#open.get(name);
    if (entry === undefined) return;
    this.recipients.retire(entry.kid);
    if (epoch.ehbp !== undefined) this.ehbp.retire(epoch.ehbp.kid);
    this.#open.delete(name);
  }

  of(hash: Uint8Array): ServingEpoch | undefined {
    return this.#open.get(toHex(hash))?.epoch;
  }

  /** Erases what has expired. */
  purge(nowMs: number): void {
    this.recipients.purge(nowMs);
    this.ehbp.purge(nowMs);
    for (const [name, entry] of this.#open) {
      if (entry.epoch.expiresAtMs <= nowMs) this.#open.delete(name);
    }
  }

  get size(): number {
    return this.#open.size;
  }
}
