/**
 * `Idempotency-Key` of a request that this gateway seals: the message id follows from the account and the key, so that the
 * ledger, which takes every id once, also takes every key once. It knows them after a restart and from any replica, and it
 * forgets a request that nobody was paid for, but never one that was settled: nothing else is kept.
 * Spec: openai-gateway-and-engine §2.5, §2.6; overview "Once only".
 * @module
 */

import type { IncomingHttpHeaders } from 'node:http';
import { sha256 } from '#primitives';
import { concat, fixed, toHex, utf8, type Bytes } from '../core/bytes.ts';
import { sxError } from '../protocol/sx/errors.ts';
import type { RequestState } from '../settlement/ledger/ledger.ts';
import { gatewayError } from './errors.ts';
import { IDEMPOTENT_ATTEMPTS_MAX } from './limits.ts';

export const IDEMPOTENCY_HEADER = 'idempotency-key';
const KEY = /^[\x21-\x7e]{1,255}$/;
const LABEL = utf8('veilgate.idempotency/1');
const MSG_ID_BYTES = 16;

/** The id of the next attempt. Throws `sx.replay` once one was paid for or is under way, `gateway.rate` after too many. */
export type NextMsgId = () => Promise<Bytes<16>>;

export interface IdempotencyOptions {
  /** Of this gateway's identity: the same after a restart and in every replica. */
  readonly sign: (bytes: Uint8Array) => Bytes<64>;
  readonly find: (requestId: Bytes<16>) => Promise<RequestState | undefined>;
}

export class Idempotency {
  readonly #secret: Bytes<32>;
  readonly #find: IdempotencyOptions['find'];

  constructor({ sign, find }: IdempotencyOptions) {
    // Ids are the ledger's, and everybody's: one that a stranger could guess, a stranger could use up first.
    this.#secret = sha256(LABEL, sign(LABEL));
    this.#find = find;
  }

  /** Undefined without a key. Throws `gateway.body` for one that is none. */
  idsFor(headers: IncomingHttpHeaders, payer: Uint8Array): NextMsgId | undefined {
    const key = headers[IDEMPOTENCY_HEADER];
    if (key === undefined) return undefined;
    if (typeof key !== 'string' || !KEY.test(key)) {
      throw gatewayError('gateway.body', IDEMPOTENCY_HEADER);
    }
    let attempt = 0;
    return async () => {
      // The ones before came from this same request, which tries again because they were refused.
      const first = attempt;
      for (; attempt < IDEMPOTENT_ATTEMPTS_MAX; attempt++) {
        const msgId = this.#msgId(payer, key, attempt);
        const known = await this.#find(msgId);
        if (known !== undefined && known.state !== 'released') {
          throw sxError('sx.replay', '', { facts: { requestId: toHex(msgId) } });
        }
        if (known !== undefined) continue;
        attempt++;
        return msgId;
      }
      throw gatewayError('gateway.rate', `${attempt - first} attempts`);
    };
  }

  #msgId(payer: Uint8Array, key: string, attempt: number): Bytes<16> {
    const parts = concat(LABEL, this.#secret, payer, Uint8Array.of(attempt), utf8(key));
    return fixed(sha256(parts).slice(0, MSG_ID_BYTES), MSG_ID_BYTES);
  }
}
