/**
 * Request bodies in memory, over all requests and per account: what is full refuses, and nothing queues. One account
 * that announces bodies and sends them slowly must not shut the others out. Spec: gateways-and-e2ee §8.2 D3, D5.
 * @module
 */

import { gatewayError } from './errors.ts';

/** An account's share of the whole. */
const SHARE = 1 / 8;

export class BodyBudget {
  readonly #max: number;
  readonly #byAccount = new Map<string, number>();
  #used = 0;

  constructor(maxBytes: number) {
    this.#max = maxBytes;
  }

  /** Returns the way to give the bytes back, once. Throws `gateway.busy`. */
  take(keyId: string, bytes: number): () => void {
    const own = this.#byAccount.get(keyId) ?? 0;
    if (this.#used + bytes > this.#max) throw gatewayError('gateway.busy', 'bodies');
    if (own + bytes > this.#max * SHARE)
      throw gatewayError('gateway.busy', 'bodies of one account');
    this.#add(keyId, bytes);
    let taken = true;
    return () => {
      if (taken) this.#add(keyId, -bytes);
      taken = false;
    };
  }

  #add(keyId: string, bytes: number): void {
    const own = (this.#byAccount.get(keyId) ?? 0) + bytes;
    this.#used += bytes;
    if (own === 0) this.#byAccount.delete(keyId);
    else this.#byAccount.set(keyId, own);
  }
}
