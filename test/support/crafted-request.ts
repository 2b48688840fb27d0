/** Sealed requests that no client of ours would make: right keys, and whatever a test puts under them. @module */

import { concat, toBase64Url, toHex, type Bytes } from '../../core/bytes.ts';
import { randomBytes } from '#primitives';
import type { AttestedKey } from '../../attestation/verdict.ts';
import { encodeRequest, type BinaryRequest } from '../../protocol/bhttp.ts';
import { setupSender } from '../../protocol/hpke.ts';
import { FRAME, FrameSealer } from '../../protocol/sx/frames.ts';
import {
  requestInfo,
  requestKeys,
  RESPONSE_EXPORT_LABEL,
  transcript,
  transcript0,
} from '../../protocol/sx/key-schedule.ts';
import { encodePrelude, type Prelude } from '../../protocol/sx/prelude.ts';
import type { SealedRequest } from '../../protocol/sx/seal.ts';
import { TEST_POLICY_DIGEST } from './attested-key.ts';

const LENGTH_BYTES = 3;
const SLOT_BYTES = 65_533;

export interface Crafting {
  readonly keys: readonly AttestedKey[];
  /** An honest request, whose clear part is taken over under another id. */
  readonly like: SealedRequest;
  readonly prelude?: Partial<Prelude>;
  /** Of the recipient at this place; the frames are sealed under that of the first. */
  readonly contentKeyOf?: (place: number) => Bytes<32>;
  readonly frames: (sealer: FrameSealer) => readonly Uint8Array[];
}

export function craftRequest(crafting: Crafting): SealedRequest {
  const { keys, like, frames } = crafting;
  const shared = randomBytes(32);
  const contentKeyOf = crafting.contentKeyOf ?? (() => shared);
  const msgId = randomBytes(16);
  const prelude = {
    ...like.exchange.prelude,
    msgId,
    recipientCount: keys.length,
    ...crafting.prelude,
  };
  const head = encodePrelude(prelude);
  const kids = concat(...keys.map(({ kid }) => kid));
  const th0 = transcript0(head, kids);
  const setups = keys.map((key) => setupSender(key, requestInfo(th0, key.statementHash)));
  const blocks = concat(
    ...setups.flatMap(({ enc, context }, place) => [
      enc,
      context.seal(new Uint8Array(), contentKeyOf(place)),
    ]),
  );
  const th = transcript(th0, blocks);
  const secrets = requestKeys(th, contentKeyOf(0));
  const answers = new Map(
    keys.map(({ kid }, place) => [
      toHex(kid),
      setups[place]?.context.export(RESPONSE_EXPORT_LABEL),
    ]),
  );
  return {
    bytes: concat(head, kids, blocks, secrets.commit, ...frames(new FrameSealer(secrets))),
    msgId,
    exchange: { prelude, keys, th, responseSecret: (kid) => answers.get(toHex(kid)) },
  };
}

export function finalFrame(sealer: FrameSealer): Uint8Array {
  return sealer.seal(FRAME.final, new Uint8Array(), LENGTH_BYTES);
}

/** These bytes in as many DATA frames as they need, and FINAL. */
export function framesOver(inner: Uint8Array): Crafting['frames'] {
  return (sealer) => {
    const frames: Uint8Array[] = [];
    for (let at = 0; at < Math.max(inner.length, 1); at += SLOT_BYTES) {
      const data = inner.subarray(at, at + SLOT_BYTES);
      frames.push(sealer.seal(FRAME.data, data, data.length + LENGTH_BYTES));
    }
    return [...frames, finalFrame(sealer)];
  };
}

/** An honest inner request but for what is named; headers go beside the mandatory one. */
export function innerBytes(
  body: Uint8Array,
  { fields = [], ...control }: Partial<BinaryRequest> = {},
): Uint8Array {
  return encodeRequest({
    method: 'POST',
    scheme: 'https',
    authority: 'worker.invalid',
    path: '/v1/chat/completions',
    content: body,
    ...control,
    fields: [
      ['content-type', 'application/json'],
      ['sx-policy', toBase64Url(TEST_POLICY_DIGEST)],
      ...fields,
    ],
  });
}
