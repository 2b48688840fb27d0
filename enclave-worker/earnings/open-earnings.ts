/** Puts the books of a worker together from its configuration and its card. @module */

import type { Card } from '../../attestation/card.ts';
import { workerIdOf } from '../../attestation/card.ts';
import type { Clock } from '../../core/clock.ts';
import { VeilError } from '../../core/errors.ts';
import type { GatewaySettlement } from '../../protocol/gateway-document.ts';
import { parseAmount, type Amount, type Asset } from '../../settlement/money.ts';
import { NETWORKS, type TonNetwork } from '../../settlement/ton/network.ts';
import { openToncenter } from '../../settlement/ton/toncenter.ts';
import { rawAddress } from '../../settlement/ton/worker-channel.ts';
import type { WorkerConfig } from '../config.ts';
import { workerError } from '../errors.ts';
import type { WorkerLog } from '../events.ts';
import type { Epochs } from '../keys.ts';
import { CHAIN_LOOK_EVERY_MS } from '../limits.ts';
import type { ReceiptStore } from '../receipts.ts';
import { Earnings } from './earnings.ts';
import { ChainHoldings, ON_WORD, type Holdings } from './holdings.ts';
import { openEarnings } from './sqlite.ts';

export interface EarningsParts {
  readonly card: Card;
  readonly receipts: ReceiptStore;
  readonly epochs: Epochs;
  readonly clock: Clock;
  readonly log: WorkerLog;
}

export interface OpenedEarnings {
  readonly earnings: Earnings;
  /** Throws `worker.gateway_fee`. */
  readonly onSettlement: (settlement: GatewaySettlement) => void;
  readonly close: () => Promise<void>;
}

/** Throws `worker.config`, `earnings.store`, `file.private`, `ton.config`. */
export function openWorkerEarnings(config: WorkerConfig, parts: EarningsParts): OpenedEarnings {
  const { card, receipts, epochs, clock, log } = parts;
  const { settlement, gateway } = config;
  const { asset } = card.prices;
  const network = networkNamed(settlement.network);
  const creditMax = creditOf(settlement.creditMax, asset);
  const store = openEarnings(config.earnings.dir, clock());
  try {
    const chain = openHoldings(config, network, parts);
    const earnings = new Earnings({
      book: { gateway: gateway.aud, workerId: workerIdOf(card.owner), asset },
      model: card.model.id,
      terms: {
        asset,
        creditMax,
        paidCounts: settlement.paidCounts,
        payout: card.payout === null ? undefined : rawAddress(card.payout),
        network: `tvm:${network.globalId}`,
        withdrawDelayMinS: settlement.withdrawDelayMinS,
      },
      store,
      receipts,
      holdings: chain.holdings,
      hasStatement: (hash) => epochs.of(hash) !== undefined,
      clock,
      log,
    });
    return {
      earnings,
      onSettlement: ({ feeBps }) => {
        if (feeBps > settlement.feeMaxBps) throw workerError('worker.gateway_fee');
        earnings.feeIs(feeBps);
      },
      close: async () => {
        await chain.close();
        store.close();
      },
    };
  } catch (error) {
    store.close();
    throw error;
  }
}

function networkNamed(name: WorkerConfig['settlement']['network']): TonNetwork {
  const network = NETWORKS.find((known) => known.name === name);
  if (network === undefined) throw workerError('worker.config', 'settlement.network');
  return network;
}

function creditOf(text: string, asset: Asset): Amount {
  try {
    return parseAmount(text, asset);
  } catch (cause) {
    if (!(cause instanceof VeilError)) throw cause;
    throw workerError('worker.config', 'settlement.creditMax', { cause });
  }
}

function openHoldings(
  { settlement }: WorkerConfig,
  network: TonNetwork,
  { clock, log }: EarningsParts,
): { readonly holdings: Holdings; readonly close: () => Promise<void> } {
  if (settlement.chain === undefined) {
    return { holdings: ON_WORD, close: () => Promise.resolve() };
  }
  const { providers, quorum } = settlement.chain;
  const chain = openToncenter({ network, providers, quorum, now: clock });
  const holdings = new ChainHoldings(chain, { clock, log });
  const closing = new AbortController();
  const running = holdings.run(CHAIN_LOOK_EVERY_MS, closing.signal);
  return {
    holdings,
    close: async () => {
      closing.abort();
      await running;
      await chain.close();
    },
  };
}
