/**
 * Verified keys and addresses for clients that speak EHBP, under the app's own policy like any other key. EHBP seals with
 * X25519 alone, so whoever has not allowed that gets none; `sealedFetch` never uses one. Spec: docs/ehbp.md.
 * @module
 */

import { toHex } from '../../core/bytes.ts';
import type { AttestedKey } from '../../attestation/verdict.ts';
import { sxError } from '../../protocol/sx/errors.ts';
import { clientError } from '../errors.ts';
import { gatewayUrlOf, openSession, type OpenSessionOptions } from '../open-session.ts';
import { shuffled } from '../shuffle.ts';

/** One worker, for one EHBP transport. */
export interface EhbpAddress {
  /** For the SDK: `https://…/e/<kid>/v1`. */
  readonly baseUrl: string;
  /** For the transport: host and port of the gateway. */
  readonly host: string;
  /** For the transport's identity. */
  readonly publicKeyHex: string;
  readonly kid: string;
  readonly workerId: string;
  readonly simulated: boolean;
  /** Unix ms; verify anew before it. */
  readonly expiresAtMs: number;
}

export interface EhbpDirectory {
  /** Workers that serve the model, are admitted by the policy, and offer a key; at least one. Throws `client.*`. */
  addresses(model: string, signal?: AbortSignal): Promise<readonly EhbpAddress[]>;
  /** The same, looked up anew: for whoever was just told, by a `KeyConfigMismatchError`, that a key is gone. */
  renewed(model: string, signal?: AbortSignal): Promise<readonly EhbpAddress[]>;
  close(): Promise<void>;
}

/** Throws `sx.kem` unless `allowedKems` says that X25519 will do, and as `openSession`. */
export async function openEhbp(options: OpenSessionOptions): Promise<EhbpDirectory> {
  if (options.allowedKems?.includes('X25519') !== true) throw sxError('sx.kem', 'EHBP is X25519');
  const session = await openSession(options);
  const gatewayUrl = gatewayUrlOf(options.baseUrl);
  const addressesOf = (keys: readonly AttestedKey[]): readonly EhbpAddress[] => {
    const found = keys.flatMap((key) => addressOf(key, gatewayUrl));
    if (found.length === 0) throw clientError('client.no_worker', 'none offers a key for EHBP');
    // Nobody is first for everybody.
    return shuffled(found);
  };
  return {
    addresses: async (model, signal = new AbortController().signal) =>
      addressesOf(await session.keys(model, signal)),
    renewed: async (model, signal = new AbortController().signal) =>
      addressesOf(await session.renew(model, signal)),
    close: () => session.close(),
  };
}

function addressOf(key: AttestedKey, gatewayUrl: string): readonly EhbpAddress[] {
  const { ehbp, workerId, simulated, expiresAtMs } = key;
  if (ehbp === undefined) return [];
  const kid = toHex(ehbp.kid);
  return [
    {
      baseUrl: `${gatewayUrl}/e/${kid}/v1`,
      host: new URL(gatewayUrl).host,
      publicKeyHex: toHex(ehbp.publicKey),
      kid,
      workerId: toHex(workerId),
      simulated,
      expiresAtMs,
    },
  ];
}
