/**
 * HPKE base mode with export: HKDF-SHA256 and AES-256-GCM over either KEM of kem.ts. One message per context is all
 * that SX/1 needs; a recipient can read a sequence of them, as EHBP has it. Spec: RFC 9180 §5.1, §5.2, §5.3, §7; P§5.
 * @module
 */

import { ascii, concat, fixed, u16be, type Bytes } from '../core/bytes.ts';
import { assert } from '../core/errors.ts';
import { KEM_IDS, type KemName } from '../attestation/verdict.ts';
import { aes256GcmKey, hmacSha256, openAes256Gcm, sealAes256Gcm } from '#primitives';
import {
  decapsulate,
  encapsulate,
  SYSTEM_KEM_ENTROPY,
  type HpkeKeyPair,
  type KemEntropy,
} from './kem.ts';
import { Nonces } from './nonces.ts';

export { encBytesOf, generateHpkeKeyPair, hpkeKeyPairOf, type HpkeKeyPair } from './kem.ts';

const KDF_HKDF_SHA256 = 0x0001;
const AEAD_AES_256_GCM = 0x0002;
const VERSION = ascii('HPKE-v1');
const MODE_BASE = Uint8Array.of(0);
const ONE = Uint8Array.of(1);
const EMPTY = new Uint8Array();

/** Everything of the key schedule that does not depend on the exchange, made once per KEM. */
interface Suite {
  readonly infoHash: Uint8Array;
  readonly secret: Uint8Array;
  readonly key: Uint8Array;
  readonly baseNonce: Uint8Array;
  readonly exporter: Uint8Array;
  readonly exported: Uint8Array;
  readonly pskIdHash: Bytes<32>;
}

function makeSuite(kem: KemName): Suite {
  const id = concat(
    ascii('HPKE'),
    u16be(KEM_IDS[kem]),
    u16be(KDF_HKDF_SHA256),
    u16be(AEAD_AES_256_GCM),
  );
  const extract = (label: string) => concat(VERSION, id, ascii(label));
  const expand = (label: string, size: number) => concat(u16be(size), VERSION, id, ascii(label));
  return {
    infoHash: extract('info_hash'),
    secret: extract('secret'),
    key: expand('key', 32),
    baseNonce: expand('base_nonce', 12),
    exporter: expand('exp', 32),
    exported: expand('sec', 32),
    pskIdHash: hmacSha256(EMPTY, extract('psk_id_hash')),
  };
}

const SUITES: Readonly<Record<KemName, Suite>> = {
  'X-Wing': makeSuite('X-Wing'),
  X25519: makeSuite('X25519'),
};

/** One side of one encapsulation. `seal`, `open` and `opener` work once: a second message would repeat the nonce. */
export class HpkeContext {
  readonly #suite: Suite;
  readonly #key: Bytes<32>;
  readonly #nonce: Bytes<12>;
  readonly #exporterSecret: Bytes<32>;
  #isSpent = false;

  constructor(kem: KemName, sharedSecret: Bytes<32>, info: Uint8Array) {
    const suite = SUITES[kem];
    const infoHash = hmacSha256(EMPTY, suite.infoHash, info);
    const context = concat(MODE_BASE, suite.pskIdHash, infoHash);
    const secret = hmacSha256(sharedSecret, suite.secret);
    this.#suite = suite;
    this.#key = hmacSha256(secret, suite.key, context, ONE);
    const nonce = hmacSha256(secret, suite.baseNonce, context, ONE).subarray(0, 12);
    this.#nonce = fixed(nonce, 12);
    this.#exporterSecret = hmacSha256(secret, suite.exporter, context, ONE);
  }

  #spend(): void {
    assert(!this.#isSpent, 'an HPKE context of SX/1 carries one message');
    this.#isSpent = true;
  }

  seal(aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    this.#spend();
    return sealAes256Gcm(aes256GcmKey(this.#key), this.#nonce, aad, plaintext);
  }

  /** Undefined when the tag does not match. */
  open(aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    this.#spend();
    return openAes256Gcm(aes256GcmKey(this.#key), this.#nonce, aad, sealed);
  }

  /** For messages in a row: each call opens the next one, and undefined ends them. In place of `open`. */
  opener(): (sealed: Uint8Array) => Uint8Array | undefined {
    this.#spend();
    const key = aes256GcmKey(this.#key);
    const nonces = new Nonces(this.#nonce);
    return (sealed) => openAes256Gcm(key, nonces.next(), EMPTY, sealed);
  }

  /** 32 exported bytes. Spec: RFC 9180 §5.3. */
  export(context: Uint8Array): Bytes<32> {
    return hmacSha256(this.#exporterSecret, this.#suite.exported, context, ONE);
  }
}

export interface SenderSetup {
  readonly enc: Uint8Array;
  readonly context: HpkeContext;
}

export function setupSender(
  recipient: { readonly kem: KemName; readonly publicKey: Uint8Array },
  info: Uint8Array,
  entropy: KemEntropy = SYSTEM_KEM_ENTROPY,
): SenderSetup {
  const { enc, sharedSecret } = encapsulate(recipient.kem, recipient.publicKey, entropy);
  return { enc, context: new HpkeContext(recipient.kem, sharedSecret, info) };
}

/** Throws `primitive.dh` for a small-order point in `enc`, `bytes.size` for a wrong length. */
export function setupRecipient(enc: Uint8Array, pair: HpkeKeyPair, info: Uint8Array): HpkeContext {
  return new HpkeContext(pair.kem, decapsulate(enc, pair), info);
}
