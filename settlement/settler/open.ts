/**
 * From a plain options object to everything that stands between a gateway and the chain: providers, keys, treasury, what the
 * gateway's document says of all that, and the settler. Spec: ton-settlement §4.6, §4.11 (6), (7).
 * @module
 */

import { fixed, fromHex, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { ed25519PublicKey } from '#primitives';
import type { ChannelPayee } from '../../protocol/gateway-document.ts';
import { RAMP_CAPS, type RampCaps } from '../ledger/limits.ts';
import type { Amount } from '../money.ts';
import type { TonChain } from '../ton/chain.ts';
import { CHANNEL_CODE_HASHES, networkName } from '../ton/channels/place.ts';
import { NETWORKS, type TonNetwork } from '../ton/network.ts';
import { openToncenter, type ProviderOptions, type ProviderReport } from '../ton/toncenter.ts';
import { openTreasury, TREASURY_TIMEOUT_S, type Treasury } from '../ton/treasury.ts';
import { loadOrMakeSeed, loadSeed } from '../ton/wallet/seed-file.ts';
import { settlerError } from './errors.ts';
import { SETTLER_POLICY, WORKER_DEPOSIT_MIN, type SettlerPolicy } from './policy.ts';
import { createSettler, type Settler, type SettlerOptions } from './settler.ts';

export interface SettlementOptions {
  readonly network: TonNetwork['name'];
  /** toncenter v2; by different operators, or their agreement says nothing. */
  readonly providers: readonly ProviderOptions[];
  /** How many must say the same. Default: two, or one where there is one; mainnet takes no fewer than two. */
  readonly quorum?: number;
  /** 32 bytes in a file only its owner reads. Signs charges and the anchor. Made when absent on the devnet only. */
  readonly settlementKeyFile: string;
  /** The same for the treasury: pays workers and signs their vouchers. */
  readonly treasuryKeyFile: string;
  /** How long an order of the treasury can be carried out; part of its address. */
  readonly treasuryTimeoutS?: number;
  /** nanoTON. */
  readonly depositMin?: Amount;
  /** Less than the default on the devnet only. */
  readonly withdrawDelayMinS?: number;
  readonly policy?: Partial<SettlerPolicy>;
  readonly now: Clock;
  /** Of providers that contradict each other. */
  readonly onReport?: (report: ProviderReport) => void;
}

export interface OpenedSettlement {
  readonly chain: TonChain;
  readonly treasury: Treasury;
  /** For the gateway's document. */
  readonly payee: ChannelPayee;
  /** To open the ledger with, so that it admits what the settler claims. */
  readonly rampCaps: RampCaps;
  createSettler(
    rest: Pick<
      SettlerOptions,
      'ledger' | 'payees' | 'accountOfMemo' | 'onWorkerChannel' | 'onEvent'
    >,
  ): Settler;
  /** After the settler. */
  close(): Promise<void>;
}

const DAY_S = 86_400;
const CLAIM_INTERVALS = 4;
const MS_PER_S = 1000;
const DEPOSIT_MIN = 500_000_000n;
const QUORUM = 2;

/** Asks nothing of the chain yet. Throws `settler.config`, `ton.config`, `ton.wallet`, `file.private`. */
export function openSettlement(options: SettlementOptions): OpenedSettlement {
  const { now, providers, onReport } = options;
  const network = networkNamed(options.network);
  const policy = { ...SETTLER_POLICY, ...options.policy };
  const { workerChannels } = policy;
  if (workerChannels !== 'off' && workerChannels.deposit < WORKER_DEPOSIT_MIN) {
    throw settlerError('settler.config', `worker channels: ${WORKER_DEPOSIT_MIN} nanoTON at least`);
  }
  const settlementSeed = seedOf(network, options.settlementKeyFile);
  const treasurySeed = seedOf(network, options.treasuryKeyFile);
  const treasury = openTreasury(treasurySeed, {
    timeoutS: options.treasuryTimeoutS ?? TREASURY_TIMEOUT_S,
  });
  const payee: ChannelPayee = {
    network: networkName(network),
    address: treasury.address,
    key: ed25519PublicKey(settlementSeed),
    codeHash: fixed(fromHex(CHANNEL_CODE_HASHES[0] ?? ''), 32),
    withdrawDelayMinS: delayOf(network, options.withdrawDelayMinS, policy),
    depositMin: options.depositMin ?? DEPOSIT_MIN,
  };
  const chain = openToncenter({
    network,
    providers,
    quorum: quorumOf(network, options),
    now,
    ...(onReport === undefined ? {} : { onReport }),
  });
  return {
    chain,
    treasury,
    payee,
    rampCaps: { ...RAMP_CAPS, TON: policy.claims.rampCap },
    createSettler: (rest) =>
      createSettler({ ...rest, chain, treasury, settlementSeed, payee, policy, now }),
    close: () => chain.close(),
  };
}

function networkNamed(name: TonNetwork['name']): TonNetwork {
  const network = NETWORKS.find((known) => known.name === name);
  if (network === undefined) throw settlerError('settler.config', 'network');
  return network;
}

/** Elsewhere a key that is not there has been lost or misspelt: a new one would be another treasury. */
function seedOf({ name }: TonNetwork, path: string): Bytes<32> {
  return name === 'devnet' ? loadOrMakeSeed(path) : loadSeed(path);
}

function quorumOf({ name }: TonNetwork, { quorum, providers }: SettlementOptions): number {
  const chosen = quorum ?? Math.min(QUORUM, providers.length);
  if (name === 'mainnet' && chosen < QUORUM) {
    throw settlerError('settler.config', 'mainnet: two providers that must agree, at least');
  }
  return chosen;
}

/** There must be time to see a withdraw and to claim before it unlocks. §4.6. */
function delayOf(
  { name }: TonNetwork,
  wanted: number | undefined,
  { claims }: SettlerPolicy,
): number {
  const least = Math.max(DAY_S, (CLAIM_INTERVALS * claims.intervalMs) / MS_PER_S);
  if (wanted === undefined) return least;
  if (name !== 'devnet' && wanted < least) {
    throw settlerError('settler.config', `withdraw delay: ${least} s at least`);
  }
  return wanted;
}
