/** What an operator sees of a settler: numbers as decimal text, so that it is JSON. @module */

import { toHex } from '../../core/bytes.ts';
import type { ChainHealth, ProviderHealth } from '../ton/chain.ts';
import type { TreasuryState } from '../ton/treasury.ts';
import type { ChannelStatus } from '../ton/contracts/pay-channel.ts';
import type { ClaimParts } from './claims.ts';
import { WORKER_CHANNELS_SHOWN_MAX } from './policy.ts';

export type SettlerState = 'new' | 'starting' | 'running' | 'degraded' | 'refused' | 'closed';

export interface SettlerStatus {
  readonly state: SettlerState;
  readonly network: string;
  readonly chain: ChainHealth;
  readonly providers: readonly (Omit<ProviderHealth, 'failing'> & {
    readonly failing: string | null;
  })[];
  /** Raw addresses; nanoTON. Null: not read yet. */
  readonly treasury: { readonly address: string; readonly balance: string | null };
  readonly anchor: { readonly address: string; readonly anchoredMs: number | null };
  readonly channels: {
    readonly known: number;
    readonly unread: number;
    readonly closing: readonly string[];
    /** Withdrawn before it was claimed, in all. */
    readonly lost: string;
  };
  /** Of ours to workers; nanoTON, in all of each channel's life. */
  readonly workerChannels: {
    readonly known: number;
    /** So many may be opened; null: none is opened any more. */
    readonly max: number | null;
    readonly deposited: string;
    readonly promised: string;
    readonly claimed: string;
    readonly shown: readonly {
      readonly worker: string;
      readonly channel: string;
      readonly payee: string;
      /** `unread`: nothing of it was seen since the start. */
      readonly status: ChannelStatus | 'unread';
      /** Its worker takes no vouchers on it. */
      readonly isRefused: boolean;
      /** Put in and to be put in. */
      readonly funded: string;
      readonly deposited: string;
      readonly promised: string;
      readonly claimed: string;
    }[];
  };
  /** On its way. */
  readonly order: {
    readonly createdAtS: number;
    readonly kind: string;
    readonly fate: string;
  } | null;
  /** Our wallet did what this ledger does not explain: it pays nobody until the settler is started again. */
  readonly isHalted: boolean;
}

export interface StatusFacts {
  readonly state: SettlerState;
  readonly treasury: TreasuryState | undefined;
  readonly anchor: string;
  readonly anchoredMs: number | undefined;
}

const CLOSING_SHOWN_MAX = 100;

export function statusOf(parts: ClaimParts, facts: StatusFacts): SettlerStatus {
  const { chain, channels, outbox, payee, treasury } = parts;
  const all = channels.all();
  const order = outbox.order;
  return {
    state: facts.state,
    network: payee.network,
    chain: chain.health(),
    providers: chain.providers().map((each) => ({ ...each, failing: each.failing ?? null })),
    treasury: {
      address: treasury.address,
      balance: facts.treasury?.balance.toString() ?? null,
    },
    anchor: { address: facts.anchor, anchoredMs: facts.anchoredMs ?? null },
    channels: {
      known: all.length,
      unread: all.filter(({ readMs }) => readMs === undefined).length,
      closing: all
        .filter(({ status }) => status === 'closing')
        .slice(0, CLOSING_SHOWN_MAX)
        .map(({ id }) => toHex(id)),
      lost: all.reduce((sum, { lost }) => sum + lost, 0n).toString(),
    },
    workerChannels: workerChannelsOf(parts),
    order:
      order === undefined
        ? null
        : { createdAtS: order.createdAtS, kind: order.kind, fate: order.fate },
    isHalted: outbox.isHalted,
  };
}

function workerChannelsOf({ workers, policy }: ClaimParts): SettlerStatus['workerChannels'] {
  const all = workers.all();
  const sumOf = (parts: readonly bigint[]): string =>
    parts.reduce((sum, part) => sum + part, 0n).toString();
  return {
    known: all.length,
    max: policy.workerChannels === 'off' ? null : policy.workerChannels.max,
    deposited: sumOf(all.map(({ reading }) => reading?.deposited ?? 0n)),
    promised: sumOf(all.map(({ promised }) => promised)),
    claimed: sumOf(all.map(({ reading }) => reading?.claimed ?? 0n)),
    shown: all
      .slice(0, WORKER_CHANNELS_SHOWN_MAX)
      .map(({ workerId, channel, terms, funded, promised, reading }) => ({
        worker: toHex(workerId),
        channel: toHex(channel),
        payee: terms.payee,
        status: reading?.status ?? 'unread',
        isRefused: workers.isRefused(workerId),
        funded: funded.toString(),
        deposited: (reading?.deposited ?? 0n).toString(),
        promised: promised.toString(),
        claimed: (reading?.claimed ?? 0n).toString(),
      })),
  };
}
