/**
 * The money side of one gateway put together: its ledger, the keys it signs ledger lines with, who may pay and how.
 * Spec: ton-settlement §4.11 rule 6, §5.
 * @module
 */

import { join } from 'node:path';
import { ed25519PublicKey, generateEd25519 } from '#primitives';
import { fixed, toHex, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import type { JsonObject } from '../../core/json.ts';
import { codeOf } from '../../core/node/log.ts';
import type { Lifecycle } from '../../core/node/lifecycle.ts';
import { readPrivate, saveOnce } from '../../core/node/private-files.ts';
import type { GatewaySettlement } from '../../protocol/gateway-document.ts';
import type { Ledger } from '../../settlement/ledger/ledger.ts';
import { LEDGERS } from '../../settlement/ledger/ledgers.ts';
import type { RampCaps } from '../../settlement/ledger/limits.ts';
import type { SettlerPolicy } from '../../settlement/settler/policy.ts';
import type { Settler } from '../../settlement/settler/settler.ts';
import { seedSigner } from '../../settlement/ledger/seed-signer.ts';
import { createAccounts, type Accounts } from '../accounts.ts';
import type { GatewayConfig } from '../config.ts';
import { gatewayError } from '../errors.ts';
import type { GatewayLog } from '../events.ts';
import type { PolicyDesk } from '../policy/desk.ts';
import type { Store } from '../store/store.ts';
import type { WorkerRegistry } from '../workers/registry.ts';
import { Cashier } from './cashier.ts';
import type { TopUps } from './routes.ts';
import { chainStatus, openChain, openSettler } from './chain.ts';
import { Payers } from './payers.ts';
import { WorkerNotices } from './worker-notices.ts';

export interface PaymentsInput {
  readonly config: GatewayConfig;
  readonly store: Store;
  readonly desk: PolicyDesk;
  readonly clock: Clock;
  readonly log: GatewayLog;
  readonly lifecycle: Lifecycle;
  /** Over what the configuration says. */
  readonly settlerPolicy?: Partial<SettlerPolicy>;
}

export interface Payments {
  readonly ledger: Ledger;
  readonly cashier: Cashier;
  readonly accounts: Accounts;
  readonly payers: Payers;
  /** For the gateway's document. */
  readonly settlement: GatewaySettlement;
  /** Undefined where balances cannot be paid in from outside. */
  readonly topUps: TopUps | undefined;
  /** Undefined where no channels are taken, and before `start`. */
  readonly settler: () => Settler | undefined;
  /**
   * Before anything is served: the books are held against the chain. Throws `settler.*`, `ledger.*`: then nothing may be
   * served.
   */
  readonly start: (registry: WorkerRegistry) => Promise<void>;
  /** For this machine's operator. */
  readonly status: () => Promise<JsonObject>;
}

const LEDGER_KEY_FILE = 'ledger.key';
const SEED_BYTES = 32;

/** Throws `ledger.*`, `file.private`, `gateway.config`. */
export async function openPayments(input: PaymentsInput): Promise<Payments> {
  const { config, store, desk, clock, log, lifecycle } = input;
  const { mode, ...limits } = config.accounts;
  const { custodial, feeBps } = config.settlement;
  const holdsBalances = custodial === 'operator-holds-balances';
  if (holdsBalances && mode === 'open') {
    throw gatewayError('gateway.config', 'balances belong to API keys: accounts.mode is open');
  }
  const { ton } = config.settlement;
  const chain = ton === null ? undefined : openChain(ton, config.settlement, input);
  lifecycle.onClose('chain', async () => await chain?.close());
  const ledgerKey = loadLedgerKey(config.dataDir);
  const ledger = await openLedger(config, ledgerKey, chain?.rampCaps);
  lifecycle.onClose('ledger', () => ledger.close());
  const means = holdsBalances ? 'custodial' : 'none';
  const accounts = createAccounts({ store, clock, limits, mode, means });
  let settler: Settler | undefined;
  const notices = new WorkerNotices({ clock, log, ledger, settler: () => settler });
  lifecycle.onClose('acknowledgements', () => notices.close());
  const cashier = new Cashier({
    ledger,
    desk,
    clock,
    feeBps,
    log,
    onSettled: (worker, receipt) => notices.settled(worker, receipt),
  });
  const payers = new Payers({ accounts, ledger, clock, takesChannels: chain !== undefined });
  const ledgerKeys = [ed25519PublicKey(ledgerKey)];
  const settlement = { payee: chain?.payee ?? null, feeBps, ledgerKeys };
  const topUps =
    chain === undefined || ton === null || !holdsBalances
      ? undefined
      : { address: chain.payee.address, minimum: ton.topUpMin };
  const start = async (registry: WorkerRegistry): Promise<void> => {
    if (chain === undefined) return;
    const opened = openSettler({
      opened: chain,
      ledger,
      registry,
      log,
      onWorkerChannel: (workerId) => notices.channelFilled(registry, workerId),
    });
    lifecycle.onClose('settler', () => opened.close());
    await opened.start();
    settler = opened;
    opened.ended.catch((error: unknown) => {
      log.event('settlement.halted', { code: codeOf(error) });
      cashier.halt();
    });
  };
  const status = async (): Promise<JsonObject> => {
    const { seq, hash } = await ledger.journalHead();
    const journal = { seq: seq.toString(), hash: toHex(hash) };
    return { journal, custodial, feeBps, chain: chainStatus(settler) };
  };
  return {
    ledger,
    cashier,
    accounts,
    payers,
    settlement,
    topUps,
    settler: () => settler,
    start,
    status,
  };
}

function openLedger(
  { store, dataDir }: GatewayConfig,
  key: Bytes<32>,
  rampCaps: RampCaps | undefined,
): Promise<Ledger> {
  const kind = LEDGERS.find(({ name }) => name === store.kind);
  if (kind === undefined) throw gatewayError('gateway.config', 'store.kind');
  const { durability } = store;
  const signer = seedSigner(key);
  return kind.open({
    dataDir,
    durability,
    signer,
    ...(rampCaps === undefined ? {} : { rampCaps }),
  });
}

/** Made once; two processes that start together agree on one. */
function loadLedgerKey(dataDir: string): Bytes<32> {
  const path = join(dataDir, LEDGER_KEY_FILE);
  saveOnce(path, generateEd25519().secretKey);
  const bytes = readPrivate(path, { privacy: 'secret', maxBytes: SEED_BYTES });
  if (bytes === undefined) throw gatewayError('gateway.identity', path);
  return fixed(bytes, SEED_BYTES, 'ledger key');
}
