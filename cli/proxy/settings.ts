/**
 * From the words on the command line to what the proxy runs with. Everything that is wrong with them is said before anything
 * is opened. Secrets come as files, never as words.
 * @module
 */

import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { setDefaultCACertificates } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import { sha256 } from '#primitives';
import { fromUtf8, toHex } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { makePrivateFolder, readPrivate, systemCodeOf } from '../../core/node/private-files.ts';
import { compilePolicy } from '../../attestation/policy/compile.ts';
import type { PolicySource } from '../../client/policy-source.ts';
import { readChannelFile } from '../../client/node/channel-file.ts';
import { gatewayUrlOf } from '../../client/open-session.ts';
import { parseAmount } from '../../settlement/money.ts';
import { shortId } from './lines.ts';
import { isLoopbackAddress } from './door.ts';
import { proxyError } from './errors.ts';
import { API_KEY_FILE_MAX_BYTES, POLICY_FILE_MAX_BYTES, ROOT_FILE_MAX_BYTES } from './limits.ts';
import { newToken, tokenIn } from './token.ts';

export interface ProxyOptions {
  readonly gateway?: string;
  readonly gatewayId?: string;
  readonly cacert?: string;
  readonly policyRoot?: string;
  readonly policy?: string;
  readonly publication?: string;
  readonly policyMemory?: string;
  readonly channel?: string;
  readonly apiKeyFile?: string;
  readonly spendMax?: string;
  readonly maxPrice?: string;
  readonly chunkTokens?: number;
  readonly recipients?: number;
  readonly constantRate?: true;
  readonly host: string;
  readonly port: number;
  readonly tokenFile?: string;
  readonly concurrency: number;
  readonly dir?: string;
  readonly lines?: true;
  readonly json?: true;
}

export type PayerSetting =
  | { readonly kind: 'channel'; readonly channelFile: string; readonly channel: string }
  | { readonly kind: 'account' }
  | { readonly kind: 'nobody' };

export interface ProxySettings {
  readonly host: string;
  readonly port: number;
  readonly concurrency: number;
  readonly token: string;
  /** Where the token is kept; undefined for one of this run. */
  readonly tokenFile: string | undefined;
  /** Without `/v1`. */
  readonly gatewayUrl: string;
  readonly gatewayId: string | undefined;
  readonly policy: PolicySource;
  readonly payer: PayerSetting;
  readonly apiKey: string;
  readonly spendMax: bigint | undefined;
  /** Pay as answers arrive, in chunks of so many tokens; undefined: for each request. */
  readonly chunkTokens: number | undefined;
  readonly maxAmount: bigint | undefined;
  readonly recipients: number | undefined;
  readonly constantRate: boolean;
}

/** Throws `proxy.*`, `client.*`, `policy.*`, `settlement.amount`, `money.channel`. */
export async function settingsOf(options: ProxyOptions): Promise<ProxySettings> {
  const { host, port, concurrency, gatewayId, recipients, spendMax, maxPrice } = options;
  const { chunkTokens, constantRate = false } = options;
  assertLoopback(host);
  const payer = await payerOf(options);
  const gatewayUrl = gatewayOf(options, payer);
  if ((spendMax ?? chunkTokens) !== undefined && payer.kind !== 'channel') {
    throw proxyError(
      'proxy.option',
      '--spend-max and --chunk-tokens are about a channel: name one with --channel',
    );
  }
  if (constantRate && chunkTokens !== undefined) {
    throw proxyError('proxy.option', '--constant-rate hides what --chunk-tokens is counted by');
  }
  if (gatewayId !== undefined && !/^gw1\.[A-Za-z0-9_-]{43}$/.test(gatewayId)) {
    throw proxyError('proxy.option', '--gateway-id: want gw1. and 43 characters');
  }
  const tokenFile = options.tokenFile === undefined ? undefined : resolve(options.tokenFile);
  return {
    host,
    port,
    concurrency,
    gatewayUrl,
    gatewayId,
    recipients,
    constantRate,
    payer,
    chunkTokens,
    apiKey: options.apiKeyFile === undefined ? '' : apiKeyIn(options.apiKeyFile),
    spendMax: spendMax === undefined ? undefined : parseAmount(spendMax, 'TON'),
    maxAmount: maxPrice === undefined ? undefined : parseAmount(maxPrice, 'TON'),
    policy: policyOf(options),
    tokenFile,
    token: tokenFile === undefined ? newToken() : tokenIn(tokenFile),
  };
}

function assertLoopback(host: string): void {
  if (isLoopbackAddress(host)) return;
  throw proxyError(
    'proxy.bind',
    `--host ${host}: only addresses of this machine alone (127.0.0.1, ::1); whoever reaches the proxy spends from your channel, so there is no option for others`,
  );
}

async function payerOf({ channel, apiKeyFile, dir }: ProxyOptions): Promise<PayerSetting> {
  if (channel === undefined) return { kind: apiKeyFile === undefined ? 'nobody' : 'account' };
  if (apiKeyFile !== undefined) {
    throw proxyError('proxy.option', '--channel or --api-key-file: one of them pays');
  }
  const channelFile = await channelPath(channel, dir);
  return { kind: 'channel', channelFile, channel: toHex(readChannelFile(channelFile).channel) };
}

/** Only the search by id needs what knows of channels on the chain. */
async function channelPath(channel: string, dir: string | undefined): Promise<string> {
  if (channel.includes('/') || channel.endsWith('.json')) return resolve(channel);
  const { findChannel } = await import('../channel/channel-files.ts');
  return findChannel({ channel, ...(dir !== undefined && { dir }) }).path;
}

function gatewayOf({ gateway }: ProxyOptions, payer: PayerSetting): string {
  if (gateway !== undefined) return gatewayUrlOf(gateway);
  if (payer.kind === 'channel') return gatewayUrlOf(readChannelFile(payer.channelFile).url);
  throw proxyError('proxy.option', '--gateway is needed: https://…, as apps use it');
}

function policyOf(options: ProxyOptions): PolicySource {
  const { policyRoot, policy, publication, policyMemory } = options;
  if (policyRoot !== undefined && policy !== undefined) {
    throw proxyError('proxy.option', '--policy-root or --policy: one of them decides');
  }
  if (policyRoot === undefined) {
    if (policy === undefined) {
      throw proxyError(
        'proxy.option',
        'whom to trust? --policy-root FILE (signed by a security team) or --policy FILE (your own); without a policy nothing is sent',
      );
    }
    if (publication !== undefined || policyMemory !== undefined) {
      throw proxyError('proxy.option', 'a policy of your own is not published: see --policy-root');
    }
    return compilePolicy(fileAt(policy, POLICY_FILE_MAX_BYTES), { source: policy });
  }
  const root = fileAt(policyRoot, ROOT_FILE_MAX_BYTES);
  const memory = policyMemory === undefined ? memoryFor(root, options) : resolve(policyMemory);
  return { root, memory, ...(publication !== undefined && { publication }) };
}

const HOME_FOLDER = '.veilgate';
const NAME_CHARS = 16;

/** One for each root, so that what was accepted holds from one start to the next. */
function memoryFor(root: Uint8Array, { dir }: ProxyOptions): string {
  const home = dir === undefined ? join(homedir(), HOME_FOLDER) : resolve(dir);
  const folder = join(home, 'policy');
  makePrivateFolder(folder);
  return join(folder, `${toHex(sha256(root)).slice(0, NAME_CHARS)}.json`);
}

function fileAt(path: string, maxBytes: number): Uint8Array {
  try {
    const bytes = readFileSync(path);
    if (bytes.length <= maxBytes) return bytes;
  } catch (cause) {
    throw proxyError('proxy.option', `${path} cannot be read (${systemCodeOf(cause)})`, { cause });
  }
  throw proxyError('proxy.option', `${path} is too large`);
}

function apiKeyIn(path: string): string {
  let bytes: Uint8Array | undefined;
  try {
    bytes = readPrivate(path, { privacy: 'secret', maxBytes: API_KEY_FILE_MAX_BYTES });
  } catch (cause) {
    const why = cause instanceof VeilError ? cause.message : systemCodeOf(cause);
    throw proxyError('proxy.key_file', why, { cause });
  }
  if (bytes === undefined) throw proxyError('proxy.key_file', `${path} is not there`);
  const key = fromUtf8(bytes).trim();
  if (/^\S{1,512}$/.test(key)) return key;
  throw proxyError('proxy.key_file', `${path}: want one line with the key`);
}

/** For every connection of this process: these authorities and no others. Throws `proxy.option`. */
export function trustOnly(cacert: string): void {
  const text = fromUtf8(fileAt(cacert, ROOT_FILE_MAX_BYTES));
  // One by one: of a text with several Node.js takes none, and says nothing.
  const certificates = text.match(CERTIFICATE) ?? [];
  try {
    if (certificates.length === 0) throw proxyError('proxy.option', 'none');
    for (const pem of certificates) void new X509Certificate(pem).fingerprint256;
  } catch (cause) {
    throw proxyError('proxy.option', `${cacert} holds no certificate`, { cause });
  }
  setDefaultCACertificates(certificates);
}

/** RFC 7468 §5.1. */
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export function payerText(payer: PayerSetting): string {
  if (payer.kind === 'channel') return `channel ${shortId(payer.channel)}`;
  return payer.kind === 'account' ? 'balance of the API key' : 'nobody (free workers only)';
}
