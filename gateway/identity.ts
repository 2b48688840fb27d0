/**
 * Who this gateway is: one Ed25519 key, made on first use and kept readable to its owner only. It signs the document at
 * `/v1/gateway` and is the client certificate on every link. Spec: overview "Identities".
 * @module
 */

import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ed25519PublicKey, generateEd25519, signEd25519 } from '#primitives';
import { fixed, type Bytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import type { ClientCertificate } from '../core/node/http-client.ts';
import { saveOnce, saveOver } from '../core/node/private-files.ts';
import { selfSign, type SelfSigned } from '../attestation/x509.ts';
import { ed25519CryptoKeys, generateP256 } from '../attestation/x509-keys.ts';
import {
  audOf,
  signGatewayDocument,
  type GatewayDocumentJson,
  type GatewaySettlement,
} from '../protocol/gateway-document.ts';
import { gatewayError } from './errors.ts';
import { certificateSpki, isPair, readCertificate, type TlsIdentity } from './tls-identity.ts';

export interface GatewayIdentity {
  readonly publicKey: Bytes<32>;
  readonly aud: string;
  readonly sign: (bytes: Uint8Array) => Bytes<64>;
  /** For links: self-signed around the identity key. */
  readonly clientCertificate: ClientCertificate;
}

const IDENTITY_FILE = 'gateway-identity.key';
const TLS_CERTIFICATE_FILE = 'gateway-tls.crt';
const TLS_KEY_FILE = 'gateway-tls.key';
const SEED_BYTES = 32;
const DAY_MS = 86_400_000;
const CERTIFICATE_LIFETIME_MS = 3650 * DAY_MS;
const DEVELOPMENT_TLS_LIFETIME_MS = 397 * DAY_MS;

/** Throws `gateway.identity` when the file is not a key or is open to others. */
export async function loadIdentity(dataDir: string, clock: Clock): Promise<GatewayIdentity> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const seed = loadSeed(join(dataDir, IDENTITY_FILE));
  const publicKey = ed25519PublicKey(seed);
  const nowMs = clock();
  const signed = await selfSign({
    keys: await ed25519CryptoKeys({ publicKey, secretKey: seed }),
    commonName: 'veilgate gateway',
    notBeforeMs: nowMs - DAY_MS,
    notAfterMs: nowMs + CERTIFICATE_LIFETIME_MS,
  });
  return {
    publicKey,
    aud: audOf(publicKey),
    sign: (bytes) => signEd25519(seed, bytes),
    clientCertificate: {
      certificatePem: signed.certificatePem,
      privateKeyPem: signed.privateKeyPem,
    },
  };
}

function loadSeed(path: string): Bytes<32> {
  try {
    // Two processes that start together agree on one key.
    saveOnce(path, generateEd25519().secretKey);
    if ((statSync(path).mode & 0o077) !== 0)
      throw gatewayError('gateway.identity', 'open to others');
    return fixed(new Uint8Array(readFileSync(path)), SEED_BYTES, 'identity key');
  } catch (cause) {
    throw gatewayError('gateway.identity', path, { cause });
  }
}

export interface DevelopmentTlsOptions {
  readonly dataDir: string;
  readonly hostNames: readonly string[];
  readonly clock: Clock;
}

/** A self-signed certificate for machines without one; kept, so that pins outlive a restart. */
export async function loadDevelopmentTls(options: DevelopmentTlsOptions): Promise<TlsIdentity> {
  const { dataDir, clock } = options;
  const certificatePath = join(dataDir, TLS_CERTIFICATE_FILE);
  const keyPath = join(dataDir, TLS_KEY_FILE);
  const kept = readCertificate(certificatePath, keyPath);
  const nowMs = clock();
  if (kept !== undefined && kept.expiresMs > nowMs + DAY_MS && isPair(kept)) return kept;
  const signed = await selfSigned('veilgate development', options);
  saveOver(keyPath, signed.privateKeyPem);
  saveOver(certificatePath, signed.certificatePem);
  return certificateSpki(signed.certificatePem, signed.privateKeyPem);
}

async function selfSigned(
  commonName: string,
  { hostNames, clock }: DevelopmentTlsOptions,
): Promise<SelfSigned> {
  const nowMs = clock();
  return selfSign({
    keys: await generateP256(),
    commonName,
    dnsNames: ['localhost', ...hostNames],
    ipAddresses: ['127.0.0.1', '::1'],
    notBeforeMs: nowMs - DAY_MS,
    notAfterMs: nowMs + DEVELOPMENT_TLS_LIFETIME_MS,
  });
}

/**
 * A key that only this process ever holds, for a gateway whose quote names it: one from a file would be known to whoever
 * could read the file. The certificate is public; it stands where a development gateway has its own.
 */
export async function makeAttestedTls(options: DevelopmentTlsOptions): Promise<TlsIdentity> {
  const signed = await selfSigned('veilgate attested gateway', options);
  saveOver(join(options.dataDir, TLS_CERTIFICATE_FILE), signed.certificatePem);
  return certificateSpki(signed.certificatePem, signed.privateKeyPem);
}

const DOCUMENT_LIFETIME_MS = 43_200_000;
const DOCUMENT_REFRESH_MS = 3_600_000;

export interface DocumentOptions {
  readonly identity: GatewayIdentity;
  readonly tlsSpkiSha256: readonly Bytes<32>[];
  /** Asked at signing time: ports are known only after listening. */
  readonly baseUrls: () => readonly string[];
  readonly settlement: GatewaySettlement;
  readonly clock: Clock;
}

/** The signed document, signed anew every hour. */
export function documentSource(options: DocumentOptions): () => GatewayDocumentJson {
  let current: { readonly json: GatewayDocumentJson; readonly untilMs: number } | undefined;
  return () => {
    const nowMs = options.clock();
    if (current !== undefined && nowMs < current.untilMs) return current.json;
    const json = signGatewayDocument(
      {
        identity: options.identity.publicKey,
        tlsSpkiSha256: options.tlsSpkiSha256,
        baseUrls: options.baseUrls(),
        settlement: options.settlement,
        issuedMs: nowMs,
        expiresMs: nowMs + DOCUMENT_LIFETIME_MS,
      },
      options.identity.sign,
    );
    current = { json, untilMs: nowMs + DOCUMENT_REFRESH_MS };
    return json;
  };
}
