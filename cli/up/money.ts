/**
 * The chain and the keys of a trial: a devnet in this process whose state is kept, every key that a gateway settles with,
 * a payer with coins, and a channel that is opened as any payer opens one. Its coins are worth nothing; everything else is
 * as it is in earnest. Spec: docs/devnet.md, docs/wallet.md.
 * @module
 */

import { existsSync, renameSync } from 'node:fs';
import { ed25519PublicKey } from '#primitives';
import { fixed, fromHex, toHex, type Bytes } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import type { ChannelPayee } from '../../protocol/gateway-document.ts';
import { readAddress } from '../../settlement/ton/address-text.ts';
import type { TonChain } from '../../settlement/ton/chain.ts';
import { PAY_CHANNEL } from '../../settlement/ton/contracts/compiled.ts';
import { openDevnet, type Devnet } from '../../settlement/ton/devnet/devnet.ts';
import { DEVNET, type TonNetwork } from '../../settlement/ton/network.ts';
import { openToncenter } from '../../settlement/ton/toncenter.ts';
import { openTreasury } from '../../settlement/ton/treasury.ts';
import { openWallet, type TonWallet } from '../../settlement/ton/wallet.ts';
import { channelFolder } from '../channel/channel-files.ts';
import { openGateway } from '../channel/gateway.ts';
import { openChannel } from '../channel/open-channel.ts';
import { acceptablePayee } from '../channel/payee.ts';
import type { MoneyIo } from '../ton/io.ts';
import { ton } from '../ton/money-text.ts';
import { makeWallet } from '../ton/wallet-file.ts';
import type { DataDirectory } from './data-directory.ts';

const STATE_FILE = 'devnet.json';
const PAYER_FOLDER = 'payer';
const TON = 1_000_000_000n;
const PAYER_COINS = 100n * TON;
const TREASURY_COINS = 10n * TON;
const DEPOSIT_DEFAULT = 5n * TON;
const DEPOSIT_MIN = TON / 10n;
/** A trial is over before a day is. */
const WITHDRAW_DELAY_MIN_S = 600;
/** Asked on this machine alone. */
const POLL_MS = 5;

export interface DevMoneyOptions {
  readonly data: DataDirectory;
  /** 0, the default: a free one. */
  readonly port?: number;
  readonly onProgress: (line: string) => void;
}

/** A seed of 32 bytes in a file of the data directory that is its owner's alone. */
export interface DevKey {
  readonly path: string;
  readonly seed: Bytes<32>;
  readonly publicKey: Bytes<32>;
}

const KEYS = ['treasury', 'settlement', 'payout'] as const;
type KeyName = (typeof KEYS)[number];

export interface DevMoney {
  readonly network: TonNetwork;
  /** For a gateway and for `--provider`. */
  readonly providerUrl: string;
  readonly devnet: Devnet;
  readonly keys: Readonly<Record<KeyName, DevKey>>;
  /** Raw; of the gateway's wallet. */
  readonly treasuryAddress: string;
  /** Raw; of the owner of every worker. */
  readonly payoutAddress: string;
  /** For the gateway's document. */
  readonly payee: ChannelPayee;
  readonly withdrawDelayMinS: number;
  /** `--dir` of every command of the payer. */
  readonly payerDir: string;
  readonly payerAddress: string;
  /** Sees to it that an address, raw, has so much at least. */
  fund(address: string, nanoton: bigint): Promise<void>;
  openDemoChannel(options: DemoChannelOptions): Promise<DemoChannel>;
  close(): Promise<void>;
}

export interface DemoChannelOptions {
  readonly gatewayUrl: string;
  /** `gw1.…` of the gateway that was just started. */
  readonly aud: string;
  readonly deposit?: bigint;
}

export interface DemoChannel {
  /** What a client is given. */
  readonly channelFilePath: string;
  readonly channel: string;
  readonly available: bigint;
  /** `known`: of an earlier start. */
  readonly how: 'opened' | 'known';
}

/** Throws `devnet.*`, `writer_lock.held`, `file.private`. */
export async function startDevMoney(options: DevMoneyOptions): Promise<DevMoney> {
  const { data, port = 0, onProgress } = options;
  const statePath = data.path(STATE_FILE);
  const payerDir = data.path(PAYER_FOLDER);
  if (!existsSync(statePath)) putAside(channelFolder({ dir: payerDir }));
  const devnet = await openDevnet({ port, statePath });
  const chain = chainOf(devnet);
  const close = async (): Promise<void> => {
    await chain.close();
    await devnet.close();
  };
  try {
    const keys = keysOf(data);
    const treasuryAddress = openTreasury(keys.treasury.seed).address;
    const { wallet } = makeWallet({ dir: payerDir }, DEVNET);
    const fund = funderOf(devnet, chain);
    await fund(rawOf(wallet), PAYER_COINS);
    await fund(treasuryAddress, TREASURY_COINS);
    onProgress(`a TON devnet is at ${devnet.endpoint}; its coins are worth nothing`);
    const open = { payerDir, wallet, chain, onProgress };
    return {
      network: DEVNET,
      providerUrl: devnet.endpoint,
      devnet,
      keys,
      treasuryAddress,
      payoutAddress: rawOf(openWallet(keys.payout.seed, DEVNET)),
      withdrawDelayMinS: WITHDRAW_DELAY_MIN_S,
      payee: payeeOf(treasuryAddress, keys.settlement),
      payerDir,
      payerAddress: rawOf(wallet),
      fund,
      openDemoChannel: async (demo) => await openDemo(open, demo),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Channels of a chain that is gone: at their addresses a new life would begin with the epoch of the old one. Somebody may
 * have put others among them, so nothing is deleted.
 */
function putAside(folder: string): void {
  if (existsSync(folder)) renameSync(folder, `${folder}.before-${systemClock()}`);
}

function chainOf({ endpoint }: Devnet): TonChain {
  const providers = [{ name: 'devnet', url: endpoint }];
  return openToncenter({ network: DEVNET, providers, quorum: 1, now: systemClock });
}

function keysOf(data: DataDirectory): DevMoney['keys'] {
  const key = (name: KeyName): DevKey => {
    const seed = data.seed(name);
    return { path: data.path('keys', name), seed, publicKey: ed25519PublicKey(seed) };
  };
  return {
    treasury: key('treasury'),
    settlement: key('settlement'),
    payout: key('payout'),
  };
}

function rawOf({ address }: TonWallet): string {
  return address.toRawString();
}

function payeeOf(address: string, { publicKey }: DevKey): ChannelPayee {
  return {
    network: `tvm:${DEVNET.globalId}`,
    address,
    key: publicKey,
    codeHash: fixed(fromHex(PAY_CHANNEL.codeHash), 32),
    withdrawDelayMinS: WITHDRAW_DELAY_MIN_S,
    depositMin: DEPOSIT_MIN,
  };
}

function funderOf(devnet: Devnet, chain: TonChain): DevMoney['fund'] {
  return async (address, nanoton) => {
    const { balanceNanoton } = await chain.readAccount(readAddress(address, DEVNET).address);
    if (balanceNanoton < nanoton) await devnet.faucet(address, nanoton - balanceNanoton);
  };
}

interface Open {
  readonly payerDir: string;
  readonly wallet: TonWallet;
  readonly chain: TonChain;
  readonly onProgress: (line: string) => void;
}

async function openDemo(
  { payerDir, wallet, chain, onProgress }: Open,
  { gatewayUrl, aud, deposit = DEPOSIT_DEFAULT }: DemoChannelOptions,
): Promise<DemoChannel> {
  const io = quietIo();
  const gateway = openGateway(gatewayUrl, {}, io);
  try {
    const payee = acceptablePayee(await gateway.document(), { gatewayId: aud, deposit });
    const { kept, live, how } = await openChannel({
      gateway,
      aud,
      payee,
      chain,
      folder: channelFolder({ dir: payerDir }),
      payer: { kind: 'wallet', wallet },
      deposit,
      // Whoever starts a trial has asked for it, and these coins are nobody's.
      confirm: async () => await Promise.resolve(),
      io,
    });
    const words = how === 'opened' ? 'was opened' : 'is still open';
    onProgress(`a payment channel ${words}: ${ton(live.available)} to spend`);
    const channel = toHex(kept.channel.id);
    return { channelFilePath: kept.path, channel, available: live.available, how };
  } finally {
    await gateway.end();
  }
}

function quietIo(): MoneyIo {
  const nothing = (): undefined => undefined;
  const signal = new AbortController().signal;
  return { say: nothing, show: nothing, ask: undefined, now: systemClock, signal, pollMs: POLL_MS };
}
