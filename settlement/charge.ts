/**
 * VGC1, the gateway's side of the dual lock: how much of a channel was really used. Signed only when a claim is sent.
 * Spec: ton-settlement §4.3, §4.8.
 * @module
 */

import { ascii, type Bytes } from '../core/bytes.ts';
import { signEd25519, verifyEd25519 } from '#primitives';
import { artefactError, encodePreimage, parsePreimage } from './artefact.ts';
import type { Amount } from './money.ts';

const TAG = ascii('VGC1');

export interface Charge {
  readonly channel: Bytes<32>;
  readonly epoch: number;
  /** The last one of its epoch: pays out and returns the rest to the payer. */
  readonly isFinal: boolean;
  readonly charged: Amount;
}

export function encodeCharge(charge: Charge): Bytes<55> {
  const { channel, epoch, isFinal, charged } = charge;
  return encodePreimage(TAG, { channel, epoch, flag: isFinal ? 1 : 0, amount: charged });
}

/** Throws `settlement.artefact`. */
export function parseCharge(bytes: Uint8Array): Charge {
  const { channel, epoch, flag, amount: charged } = parsePreimage(TAG, bytes);
  if (flag > 1) throw artefactError('flag');
  return { channel, epoch, isFinal: flag === 1, charged };
}

export function signCharge(secretKey: Bytes<32>, charge: Charge): Bytes<64> {
  return signEd25519(secretKey, encodeCharge(charge));
}

export function isChargeSignedBy(
  charge: Charge,
  signature: Bytes<64>,
  payeeKey: Bytes<32>,
): boolean {
  return verifyEd25519(payeeKey, signature, encodeCharge(charge));
}
