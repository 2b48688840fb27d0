/**
 * Client: seals one request to one to eight attested workers. Spec: P§4–P§7.
 * @module
 */

import { concat, toHex, type Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { assertAttested, type AttestedKey, type KemName } from '../../attestation/verdict.ts';
import { randomBytes } from '#primitives';
import { setupSender, type SenderSetup } from '../hpke.ts';
import { SYSTEM_KEM_ENTROPY, type KemEntropy } from '../kem.ts';
import { isFree } from '../price.ts';
import { CONTENT_KEY_BYTES, KID_BYTES } from './envelope.ts';
import { sxError } from './errors.ts';
import { FRAME, FRAME_DATA_MAX_BYTES, FrameSealer, DATA_LENGTH_BYTES } from './frames.ts';
import { encodeInner, type InnerRequest } from './inner.ts';
import {
  kidOf,
  requestInfo,
  requestKeys,
  RESPONSE_EXPORT_LABEL,
  transcript,
  transcript0,
} from './key-schedule.ts';
import { DEADLINE_MAX_MS, RECIPIENTS_MAX, TTL_MAX_S } from './limits.ts';
import { padmeBytes } from './padding.ts';
import { encodePrelude, payerRefOf, routeTag, type AssetId, type Prelude } from './prelude.ts';

export type { InnerRequest } from './inner.ts';

export interface SealInput {
  /** 1..8, one KEM, one model, one policy, different kids. */
  readonly keys: readonly AttestedKey[];
  readonly request: InnerRequest;
  readonly bounds: {
    readonly maxAmount: bigint;
    readonly maxPrompt: number;
    readonly maxOutput: number;
    readonly asset: AssetId;
  };
  /** Channel id or SHA-256(API key). */
  readonly payer: Bytes<32>;
  readonly stream: boolean;
  readonly ttlS: number;
  readonly deadlineMs: number;
  readonly nowMs: number;
  /** Default: drawn. The same one again is the same request: nothing runs twice. */
  readonly msgId?: Bytes<16>;
  /** Default: a receipt is required; no constant rate; failover after a lost connection is allowed. */
  readonly flags?: {
    readonly constantRate?: boolean;
    readonly singleRecipient?: boolean;
    readonly receiptRequired?: boolean;
  };
  /** Default: X-Wing alone. Nothing negotiates this down. */
  readonly allowedKems?: readonly KemName[];
}

/** What the client must remember to read the answer. Holds exporter secrets; never serialised. */
export interface ClientExchange {
  readonly prelude: Prelude;
  readonly keys: readonly AttestedKey[];
  readonly th: Bytes<32>;
  /** The exporter secret shared with the recipient of this kid; undefined for a stranger. */
  readonly responseSecret: (kid: Uint8Array) => Bytes<32> | undefined;
}

export interface SealedRequest {
  readonly bytes: Uint8Array;
  readonly msgId: Bytes<16>;
  readonly exchange: ClientExchange;
}

/** Everything sealing draws from chance. */
export interface SealEntropy extends KemEntropy {
  readonly msgId: () => Bytes<16>;
  readonly contentKey: () => Bytes<32>;
}

const SYSTEM_ENTROPY: SealEntropy = {
  ...SYSTEM_KEM_ENTROPY,
  msgId: () => randomBytes(16),
  contentKey: () => randomBytes(CONTENT_KEY_BYTES),
};

/** Throws `sx.input`, `sx.kem`, `sx.inner`; an unattested or expired key is `internal.invariant`. */
export function sealRequest(input: SealInput): SealedRequest {
  return sealRequestWith(input, SYSTEM_ENTROPY);
}

/** For the vector generator, which must give the same bytes twice. Everybody else calls `sealRequest`. */
export function sealRequestWith(input: SealInput, entropy: SealEntropy): SealedRequest {
  const { keys } = input;
  const first = checkKeys(input);
  const prelude = makePrelude(input, first, input.msgId ?? entropy.msgId());
  const inner = encodeInner(input.request, first.policyDigest);

  const preludeBytes = encodePrelude(prelude);
  const kids = concat(...keys.map((key) => key.kid));
  const th0 = transcript0(preludeBytes, kids);
  const contentKey = entropy.contentKey();
  const setups = keys.map((key) => setupSender(key, requestInfo(th0, key.statementHash), entropy));
  const blocks = concat(...setups.flatMap((setup) => wrap(setup, contentKey)));
  const th = transcript(th0, blocks);
  const requestSecrets = requestKeys(th, contentKey);
  contentKey.fill(0);
  const frames = sealFrames(new FrameSealer(requestSecrets), inner);
  return {
    bytes: concat(preludeBytes, kids, blocks, requestSecrets.commit, ...frames),
    msgId: prelude.msgId,
    exchange: { prelude, keys, th, responseSecret: secretsByKid(keys, setups) },
  };
}

/** Every rule about the set of recipients. Spec: P§4.3. */
function checkKeys({ keys, nowMs, bounds, allowedKems = ['X-Wing'] }: SealInput): AttestedKey {
  const [first] = keys;
  if (first === undefined || keys.length > RECIPIENTS_MAX) {
    throw sxError('sx.input', `recipients: want 1..${RECIPIENTS_MAX}, got ${keys.length}`);
  }
  for (const key of keys) {
    assertAttested(key, nowMs);
    const kid = kidOf(key.statementHash, key.kem, key.publicKey);
    assert(toHex(kid) === toHex(key.kid), 'the kid of an attested key is derived from it');
    if (!allowedKems.includes(key.kem)) throw sxError('sx.kem', key.kem);
    if (key.kem !== first.kem) throw sxError('sx.kem', 'recipients of different suites');
    if (key.model.id !== first.model.id) throw sxError('sx.input', 'recipients serve two models');
    if (toHex(key.policyDigest) !== toHex(first.policyDigest)) {
      throw sxError('sx.input', 'recipients were admitted by two policies');
    }
    if (key.prices.asset !== (bounds.asset === 0 ? 'TON' : 'USDT')) {
      throw sxError('sx.input', 'a recipient is paid in another asset');
    }
    if (bounds.maxAmount === 0n && !isFree(key.prices)) {
      throw sxError('sx.input', 'a ceiling of zero for a recipient that is not free');
    }
  }
  if (new Set(keys.map((key) => toHex(key.kid))).size !== keys.length) {
    throw sxError('sx.input', 'the same recipient twice');
  }
  return first;
}

function makePrelude(input: SealInput, key: AttestedKey, msgId: Bytes<16>): Prelude {
  const { bounds, flags = {}, ttlS, deadlineMs } = input;
  const inRange = (value: number, max: number) =>
    Number.isInteger(value) && value >= 1 && value <= max;
  if (!inRange(ttlS, TTL_MAX_S)) throw sxError('sx.input', 'ttlS');
  if (!inRange(deadlineMs, DEADLINE_MAX_MS)) throw sxError('sx.input', 'deadlineMs');
  if (!inRange(bounds.maxPrompt, 0xffff_ffff)) throw sxError('sx.input', 'maxPrompt');
  if (!inRange(bounds.maxOutput, 0xffff_ffff)) throw sxError('sx.input', 'maxOutput');
  if (bounds.maxAmount < 0n || bounds.maxAmount >= 1n << 64n) {
    throw sxError('sx.input', 'maxAmount');
  }
  return {
    recipientCount: input.keys.length,
    flags: {
      stream: input.stream,
      constantRate: flags.constantRate ?? false,
      singleRecipient: flags.singleRecipient ?? false,
      receiptRequired: flags.receiptRequired ?? true,
    },
    msgId,
    issuedAtMs: input.nowMs,
    ttlS,
    deadlineMs,
    kem: key.kem,
    routeTag: routeTag(key.model.id),
    ...bounds,
    payerRef: payerRefOf(input.payer, msgId),
  };
}

function wrap(setup: SenderSetup, contentKey: Bytes<32>): readonly Uint8Array[] {
  return [setup.enc, setup.context.seal(new Uint8Array(), contentKey)];
}

function secretsByKid(
  keys: readonly AttestedKey[],
  setups: readonly SenderSetup[],
): ClientExchange['responseSecret'] {
  const secrets = new Map<string, Bytes<32>>();
  for (const [i, key] of keys.entries()) {
    const setup = setups[i];
    assert(setup !== undefined, 'one setup per key');
    secrets.set(toHex(key.kid), setup.context.export(RESPONSE_EXPORT_LABEL));
  }
  return (kid) => (kid.length === KID_BYTES ? secrets.get(toHex(kid)) : undefined);
}

/** The padded message in slots of one frame each; slots past its end are all padding. Spec: P§6.4. */
function sealFrames(sealer: FrameSealer, inner: Uint8Array): readonly Uint8Array[] {
  const frames: Uint8Array[] = [];
  const paddedBytes = padmeBytes(inner.length);
  for (let at = 0; at < paddedBytes; at += FRAME_DATA_MAX_BYTES) {
    const slotBytes = Math.min(FRAME_DATA_MAX_BYTES, paddedBytes - at);
    const data = inner.subarray(at, at + slotBytes);
    frames.push(sealer.seal(FRAME.data, data, DATA_LENGTH_BYTES + slotBytes));
  }
  frames.push(sealer.seal(FRAME.final, new Uint8Array(), DATA_LENGTH_BYTES));
  return frames;
}
