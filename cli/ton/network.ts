/**
 * Which network, and whom to believe about it. Keys of providers come from a file, one line for each: its origin and the
 * key. Several providers have to agree by more than half; one alone is believed, and that is said.
 * Spec: ton-settlement §4.11 rule 7.
 * @module
 */

import { InvalidArgumentError, Option, type Command } from 'commander';
import { fromUtf8 } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { readPrivate } from '../../core/node/private-files.ts';
import type { TonChain } from '../../settlement/ton/chain.ts';
import { PROVIDERS_MAX } from '../../settlement/ton/limits.ts';
import { NETWORKS, type TonNetwork } from '../../settlement/ton/network.ts';
import { openToncenter } from '../../settlement/ton/toncenter.ts';
import { cliError } from '../errors.ts';
import { moneyError } from './errors.ts';
import { KEY_FILE_MAX_BYTES } from './limits.ts';

export type NetworkName = TonNetwork['name'];

export interface NetworkOptions {
  readonly network?: NetworkName;
  readonly provider?: readonly string[];
  readonly apiKeys?: string;
}

export const NETWORK_NAMES = ['devnet', 'testnet', 'mainnet'] as const;

const DEFAULT_PROVIDERS: Readonly<Record<NetworkName, string>> = {
  devnet: 'http://127.0.0.1:8081/api/v2/jsonRPC',
  testnet: 'https://testnet.toncenter.com/api/v2/jsonRPC',
  mainnet: 'https://toncenter.com/api/v2/jsonRPC',
};

export function networkOption(about: string): Option {
  return new Option('--network <name>', about).choices(NETWORK_NAMES);
}

/** Adds the options that say whom to ask about the chain. */
export function withProviders(command: Command): Command {
  return command
    .option(
      '--provider <url>',
      'toncenter v2 JSON-RPC to ask; several times for several that must agree',
      collected,
    )
    .option(
      '--api-keys <file>',
      'keys of providers, owner-only: lines of "https://host KEY"; never an argument',
    );
}

function collected(url: string, before: readonly string[] = []): readonly string[] {
  if (!URL.canParse(url)) throw new InvalidArgumentError('want a URL');
  if (before.length >= PROVIDERS_MAX) throw new InvalidArgumentError(`at most ${PROVIDERS_MAX}`);
  return [...before, url];
}

export function networkNamed(name: NetworkName): TonNetwork {
  const found = NETWORKS.find((network) => network.name === name);
  if (found === undefined) throw cliError('cli.option', 'no such network');
  return found;
}

const CAIP = /^tvm:(-?\d{1,10})$/;

/** Throws `money.gateway` for a network that nobody here knows, or another than was asked for. */
export function networkOfCaip(text: string, asked: NetworkName | undefined): TonNetwork {
  const globalId = Number(CAIP.exec(text)?.[1]);
  const found = NETWORKS.find((network) => network.globalId === globalId);
  if (found === undefined) throw moneyError('money.gateway', `${text} is no network known here`);
  if (asked !== undefined && asked !== found.name) {
    throw moneyError('money.gateway', `it is paid on ${found.name}, not on ${asked}`);
  }
  return found;
}

export interface OpenedChain {
  readonly chain: TonChain;
  /** What to say about whom is believed; nothing when several have to agree. */
  readonly caution: string | undefined;
}

/** Throws `cli.option`, `cli.file`, `file.private`. Nothing is asked yet. */
export function openChain(
  network: TonNetwork,
  { provider = [DEFAULT_PROVIDERS[network.name]], apiKeys }: NetworkOptions,
  now: Clock,
): OpenedChain {
  const keys = apiKeys === undefined ? new Map<string, string>() : readKeys(apiKeys);
  const providers = provider.map((url) => {
    const { host, origin } = new URL(url);
    const apiKey = keys.get(origin);
    return { name: host, url, ...(apiKey === undefined ? {} : { apiKey }) };
  });
  const quorum = Math.floor(providers.length / 2) + 1;
  const chain = openToncenter({ network, providers, quorum, now });
  const isAlone = providers.length === 1 && network.name !== 'devnet';
  const caution = isAlone
    ? `Only ${providers[0]?.name ?? ''} is asked about the chain, and believed. Name more with --provider.`
    : undefined;
  return { chain, caution };
}

const KEY_LINE = /^(https?:\/\/[^\s/]+) (\S{1,256})$/;

function readKeys(path: string): ReadonlyMap<string, string> {
  const bytes = readPrivate(path, { privacy: 'secret', maxBytes: KEY_FILE_MAX_BYTES });
  if (bytes === undefined) throw cliError('cli.file', `${path} is not there`);
  const lines = fromUtf8(bytes)
    .split('\n')
    .filter((line) => line.trim() !== '');
  return new Map(
    lines.map((line, at) => {
      const [, origin, key] = KEY_LINE.exec(line.trim()) ?? [];
      if (origin === undefined || key === undefined) {
        throw cliError('cli.file', `${path}, line ${at + 1}: want "https://host KEY"`);
      }
      return [new URL(origin).origin, key];
    }),
  );
}
