/**
 * An embedded TON network for development and tests: the real virtual machine, the real wallets and the unmodified
 * `TonClient` work against it, on loopback, without a node. Its coins are worth nothing and nothing it says proves
 * anything. Spec: ton-settlement §6.
 * @module
 */

import { Address } from '@ton/core';
import { systemClock, type Clock } from '../../../core/clock.ts';
import { pause } from '../../../core/node/lifecycle.ts';
import { takeWriterLock } from '../../../core/node/writer-lock.ts';
import { DEVNET, type TonNetwork } from '../network.ts';
import { DevnetChain } from './chain.ts';
import { devnetError } from './errors.ts';
import type { Fault } from './faults.ts';
import { BLOCK_TIME_MAX_MS, HEIGHT_SAVE_ROUNDS, STATE_SAVE_EVERY_MS } from './limits.ts';
import { openProvider, type Provider } from './server.ts';
import { loadState, saveState } from './state-file.ts';

export interface DevnetOptions {
  /** 0, the default: a free one. */
  readonly port?: number;
  readonly host?: '127.0.0.1' | '::1';
  /** 0, the default: every message makes its block at once. */
  readonly blockTimeMs?: number;
  readonly apiKey?: string;
  /** Where accounts and time are kept between runs; its folder must be there and be ours. */
  readonly statePath?: string;
  readonly now?: Clock;
}

export type { Provider } from './server.ts';
export type { Fault } from './faults.ts';

export interface Devnet extends Provider {
  readonly network: TonNetwork;
  nowS(): number;
  seqno(): number;
  faucet(address: Address | string, nanoton: bigint): Promise<void>;
  /** Returns the new time. Throws `devnet.request` for a step back. */
  forward(seconds: number): Promise<number>;
  mine(blocks: number): Promise<void>;
  snapshot(name: string): Promise<void>;
  restore(name: string): Promise<void>;
  reorganise(blocks: number, messages: 'lost' | 'again'): Promise<void>;
  inject(fault: Fault): void;
  /** Another provider in front of the same chain, with troubles of its own; closes with the devnet. */
  openProvider(options?: { readonly port?: number; readonly apiKey?: string }): Promise<Provider>;
}

/** Throws `devnet.option`, `devnet.state`, `writer_lock.held`, and the system's error for a port that is taken. */
export async function openDevnet(options: DevnetOptions = {}): Promise<Devnet> {
  const { blockTimeMs = 0, host = '127.0.0.1', now = systemClock, statePath } = options;
  if (!Number.isInteger(blockTimeMs) || blockTimeMs < 0 || blockTimeMs > BLOCK_TIME_MAX_MS) {
    throw devnetError('devnet.option', `block time: 0 to ${BLOCK_TIME_MAX_MS} ms`);
  }
  const kept = statePath === undefined ? undefined : keepState(statePath);
  try {
    const chain = await DevnetChain.open(
      { network: DEVNET, now, mode: blockTimeMs === 0 ? 'instant' : 'timed' },
      kept?.load(),
    );
    const first = await openProvider({ ...options, chain, host, port: options.port ?? 0 });
    const closing = new AbortController();
    const running = [
      blockTimeMs === 0 ? Promise.resolve() : makeBlocks(chain, blockTimeMs, closing.signal),
      kept?.follow(chain, closing.signal) ?? Promise.resolve(),
    ];
    return withChain(chain, first, {
      host,
      stop: async () => {
        closing.abort();
        await Promise.all(running);
        await kept?.close(chain);
      },
    });
  } catch (error) {
    kept?.release();
    throw error;
  }
}

function withChain(
  chain: DevnetChain,
  first: Provider,
  { host, stop }: { readonly host: '127.0.0.1' | '::1'; readonly stop: () => Promise<void> },
): Devnet {
  const providers = [first];
  let closed: Promise<void> | undefined;
  return {
    ...first,
    network: chain.network,
    nowS: () => chain.timeS(),
    seqno: () => chain.headSeqno(),
    faucet: async (address, nanoton) =>
      await chain.faucet(typeof address === 'string' ? Address.parse(address) : address, nanoton),
    forward: async (seconds) => await chain.forward(seconds),
    mine: async (blocks) => await chain.mine(blocks),
    snapshot: async (name) => await chain.snapshot(name),
    restore: async (name) => await chain.restore(name),
    reorganise: async (blocks, messages) => await chain.reorganise(blocks, messages),
    inject: (fault) => first.faults.add(fault),
    openProvider: async ({ port = 0, ...rest } = {}) => {
      const provider = await openProvider({ ...rest, chain, host, port });
      providers.push(provider);
      return provider;
    },
    close: async () => {
      closed ??= Promise.all(providers.map((provider) => provider.close())).then(stop);
      await closed;
    },
  };
}

async function makeBlocks(chain: DevnetChain, everyMs: number, signal: AbortSignal): Promise<void> {
  while (await pause(everyMs, signal)) await chain.mine(1);
}

/** One devnet at a time has the file. */
function keepState(path: string) {
  const release = takeWriterLock(`${path}.lock`);
  let [isChanged, isHigher, rounds] = [true, false, 0];
  const save = async (chain: DevnetChain): Promise<void> => {
    [isChanged, isHigher, rounds] = [false, false, 0];
    saveState(path, DEVNET, await chain.state());
  };
  return {
    release,
    load: () => loadState(path, DEVNET),
    follow: async (chain: DevnetChain, signal: AbortSignal): Promise<void> => {
      chain.onChange((what) => {
        if (what === 'state') isChanged = true;
        else isHigher = true;
      });
      while (await pause(STATE_SAVE_EVERY_MS, signal)) {
        rounds++;
        if (!isChanged && !(isHigher && rounds >= HEIGHT_SAVE_ROUNDS)) continue;
        await save(chain).catch(() => {
          // A disk may be full for a while. If it still is at the end, closing says so.
          isChanged = true;
        });
      }
    },
    close: async (chain: DevnetChain): Promise<void> => {
      try {
        await save(chain);
      } finally {
        release();
      }
    },
  };
}
