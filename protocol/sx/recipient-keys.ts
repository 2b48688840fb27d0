/**
 * Worker: the private HPKE keys it can open with, by kid, each until its statement ends. Memory only. Spec: P§4.2.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { HpkeKeyPair } from '../hpke.ts';

export interface Recipient {
  readonly kid: Bytes<16>;
  readonly statementHash: Bytes<32>;
  readonly pair: HpkeKeyPair;
  /** `exp` of the statement: the key is dropped then. */
  readonly expiresAtMs: number;
}

export declare class RecipientKeys {
  add(input: Omit<Recipient, 'kid'>): Recipient;
  /** The live recipient of this kid. */
  get(kid: Uint8Array, nowMs: number): Recipient | undefined;
  retire(kid: Uint8Array): void;
  /** Drops what has expired; call it on a timer, `get` never returns a dead key anyway. */
  purge(nowMs: number): void;
  kids(nowMs: number): readonly Bytes<16>[];
}
