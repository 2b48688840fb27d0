/**
 * The gateway's chain, opened from its configuration: providers, keys, and the settler behind the ledger.
 * Spec: ton-settlement §4.6 to §4.11; docs/settlement.md.
 * @module
 */

import { fromUtf8, toHex, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import type { Json } from '../../core/json.ts';
import { readPrivate } from '../../core/node/private-files.ts';
import { parseCard } from '../../attestation/card.ts';
import type { Ledger, Payee } from '../../settlement/ledger/ledger.ts';
import { openSettlement, type OpenedSettlement } from '../../settlement/settler/open.ts';
import { SETTLER_POLICY, type SettlerPolicy } from '../../settlement/settler/policy.ts';
import type { Settler } from '../../settlement/settler/settler.ts';
import type { GatewayConfig } from '../config.ts';
import type { GatewayLog } from '../events.ts';
import { gatewayError } from '../errors.ts';
import type { WorkerRegistry } from '../workers/registry.ts';

type TonConfig = NonNullable<GatewayConfig['settlement']['ton']>;

const API_KEY_MAX_BYTES = 512;

export interface ChainInput {
  readonly clock: Clock;
  /** Over what the configuration says. */
  readonly settlerPolicy?: Partial<SettlerPolicy>;
}

/** Asks nothing of the chain yet. Throws `settler.config`, `ton.*`, `file.private`, `gateway.config`. */
export function openChain(
  ton: TonConfig,
  { custodial }: GatewayConfig['settlement'],
  { clock, settlerPolicy: more }: ChainInput,
): OpenedSettlement {
  const { network, settlementKeyFile, treasuryKeyFile, depositMin, topUpMin } = ton;
  const { workerChannelDeposit: deposit, treasuryReserve: reserve, workerChannelsMax: max } = ton;
  return openSettlement({
    network,
    settlementKeyFile,
    treasuryKeyFile,
    depositMin,
    now: clock,
    providers: ton.providers.map(({ name, url, apiKeyFile }) => ({
      name,
      url,
      ...(apiKeyFile === null ? {} : { apiKey: readApiKey(apiKeyFile) }),
    })),
    policy: {
      anchor: ton.anchor === 'off' ? 'off' : SETTLER_POLICY.anchor,
      topUps: custodial === 'refuse' ? 'off' : { minimum: topUpMin },
      workerChannels: deposit === null ? 'off' : { deposit, reserve, max },
      ...more,
    },
    ...(ton.quorum === null ? {} : { quorum: ton.quorum }),
    ...(ton.withdrawDelayMinS === null ? {} : { withdrawDelayMinS: ton.withdrawDelayMinS }),
  });
}

function readApiKey(file: string): string {
  const bytes = readPrivate(file, { privacy: 'secret', maxBytes: API_KEY_MAX_BYTES });
  if (bytes === undefined) throw gatewayError('gateway.config', `${file} is not there`);
  return fromUtf8(bytes).trim();
}

export interface SettlerInput {
  readonly opened: OpenedSettlement;
  readonly ledger: Ledger;
  readonly registry: WorkerRegistry;
  readonly log: GatewayLog;
  readonly onWorkerChannel: (workerId: Bytes<32>) => void;
}

export function openSettler({
  opened,
  ledger,
  registry,
  log,
  onWorkerChannel,
}: SettlerInput): Settler {
  return opened.createSettler({
    ledger,
    payees: () => Promise.resolve(payeesOf(registry)),
    onWorkerChannel,
    onEvent: (name, fields) => log.event(name, fields),
  });
}

/** Owners put their address on the card, which every statement carries. */
function payeesOf(registry: WorkerRegistry): readonly Payee[] {
  const payees = new Map<string, Payee>();
  for (const { key, bundle } of registry.all()) {
    const { payout } = parseCard(bundle.card);
    if (payout !== null) {
      payees.set(toHex(key.workerId), { workerId: key.workerId, destination: payout });
    }
  }
  return [...payees.values()];
}

/** Null: no channels are taken, or the gateway has not begun to listen. */
export function chainStatus(settler: Settler | undefined): Json {
  if (settler === undefined) return null;
  const { providers, chain, ...status } = settler.status();
  return {
    ...status,
    chain: chain.kind,
    providers: providers.map((provider) => ({ ...provider, failing: provider.failing ?? null })),
  };
}
