/**
 * HPKE base mode with export, HKDF-SHA256 and AES-256-GCM, for two KEMs behind one interface: DHKEM(X25519) and X-Wing.
 * Spec: RFC 9180 §4.1, §5.1, §5.3; draft-connolly-cfrg-xwing-kem; draft-ietf-hpke-pq (KEM id 0x647a); P§5.
 * @module
 */

import type { KemName } from '../attestation/verdict.ts';

/** A recipient's key pair; the secret stays inside the object that `hpke.ts` made. */
export interface HpkeKeyPair {
  readonly kem: KemName;
  /** X-Wing 1216 bytes, X25519 32 bytes. */
  readonly publicKey: Uint8Array;
}

export declare function generateHpkeKeyPair(kem: KemName): HpkeKeyPair;
