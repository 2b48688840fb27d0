/**
 * The gateway put together. The token paths stay on raw requests; everything else goes to hono. What crosses to other
 * rooms (the sealer of the convenience mode, policy bytes, a clock) is handed in. Spec: STYLE §12 "Read a request".
 * @module
 */

import { getRequestListener } from '@hono/node-server';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Bytes } from '../core/bytes.ts';
import { systemClock, type Clock } from '../core/clock.ts';
import { createLifecycle, type Lifecycle } from '../core/node/lifecycle.ts';
import { codeOf, createLog, type LogDestination } from '../core/node/log.ts';
import type { SettlerPolicy } from '../settlement/settler/policy.ts';
import type { Account } from './accounts.ts';
import {
  assertAttestable,
  openAttested,
  type AttestedGatewayParts,
} from './attested/open-attested.ts';
import type { QuoteSource } from './attested/quote-source.ts';
import { openAudit, type Audit } from './audit.ts';
import { BodyBudget } from './body-budget.ts';
import type { GatewayConfig } from './config.ts';
import { createControl } from './control.ts';
import { answerCors } from './cors.ts';
import { createCounters, type Counters } from './counters.ts';
import { createDeadlines } from './deadline.ts';
import { dispatchSealed, type DispatchDeps, type DispatchOutcome } from './dispatch.ts';
import { gatewayError } from './errors.ts';
import { GATEWAY_EVENTS, type GatewayLog } from './events.ts';
import { serveEhbp } from './ehbp/ehbp-route.ts';
import { EXCHANGE_PATH, handleSealed } from './exchange-route.ts';
import { documentSource, loadIdentity, type GatewayIdentity } from './identity.ts';
import { Idempotency } from './idempotency.ts';
import { BODY_BYTES_IN_FLIGHT_MAX, SILENCE_MARGIN_MS } from './limits.ts';
import { keepHouse, openAdmin } from './house.ts';
import { listen, type ListenerLimits } from './listeners.ts';
import { plainCaller } from './openai/plain-caller.ts';
import { serveOpenAi } from './openai/routes.ts';
import type { Sealer } from './openai/sealer.ts';
import type { GatewayParts } from './parts.ts';
import { demandHeaders } from './payments/demand.ts';
import type { PaymentRefusal } from './payments/cashier.ts';
import { baseUrls, tlsIdentity } from './own-addresses.ts';
import { openPayments, type Payments } from './payments/open-payments.ts';
import { PaymentRecovery } from './payments/recovery.ts';
import { openPolicies, type Policies } from './policy/open-policies.ts';
import { RefusedEvidence } from './policy/refused-evidence.ts';
import { givenRequestId, newRequestId, REQUEST_ID_HEADER } from './request-id.ts';
import { ReceiptRecovery } from './receipt-recovery.ts';
import { respondMethodNotAllowed } from './respond-clear.ts';
import type { SealedSink } from './sealed-sink.ts';
import type { Store } from './store/store.ts';
import { STORES } from './store/stores.ts';
import { Challenges } from './workers/challenges.ts';
import type { Resolve } from './workers/endpoint.ts';
import { WorkerJudge } from './workers/judge.ts';
import { MemoryRegistry, type WorkerRegistry } from './workers/registry.ts';
import { Registrar } from './workers/register.ts';
import { Rounds } from './workers/rounds.ts';
import { openVouching, type Vouching } from './workers/vouching.ts';

export interface GatewayDeps {
  readonly config: GatewayConfig;
  readonly clock?: Clock;
  readonly logDestination?: LogDestination;
  /** Of the convenience mode; used only where the configuration lets this gateway read prompts. */
  readonly sealer?: (gateway: GatewayParts) => Sealer;
  /** Of the machine that this process runs in; used only where the configuration says that the gateway is attested. */
  readonly quotes?: QuoteSource;
  readonly resolve?: Resolve;
  readonly listenerLimits?: ListenerLimits;
  readonly sweepIntervalMs?: number;
  /** Over what the configuration says: tests do not wait ten seconds for a round. */
  readonly settlerPolicy?: Partial<SettlerPolicy>;
  /** In place of the store of the configuration: tests bring one that trusts their own vendors. */
  readonly vouching?: Vouching;
}

export interface Gateway extends GatewayParts {
  listen(): Promise<ListeningPorts>;
  /** In process, for whoever has an account: the same dispatch as over HTTP. */
  exchange(
    sealed: Uint8Array,
    account: Account,
    signal: AbortSignal,
    sink: SealedSink,
  ): Promise<DispatchOutcome>;
  /** Stops accepting, drains, and closes everything. Resolves with the names of what ran late. */
  close(): Promise<readonly string[]>;
}

export interface ListeningPorts {
  readonly httpPort: number | undefined;
  readonly httpsPort: number | undefined;
  readonly adminPort: number | undefined;
}

/** Throws `config.*`, `policy.*`, `publication.*`, `gateway.*`. Opens nothing to the outside before `listen`. */
export async function createGateway(deps: GatewayDeps): Promise<Gateway> {
  const { config, clock = systemClock } = deps;
  const log = createLog({
    events: GATEWAY_EVENTS,
    part: 'gateway',
    level: config.logLevel,
    ...(deps.logDestination === undefined ? {} : { destination: deps.logDestination }),
  });
  const lifecycle = createLifecycle({ graceMs: config.closeGraceMs });
  const close = async (): Promise<readonly string[]> => {
    const late = await lifecycle.close();
    log.event('gateway.stopped', { late: late.length });
    return late;
  };
  try {
    const built = await build({ deps, clock, log, lifecycle, counters: createCounters() });
    return {
      ...built.parts,
      listen: () => openGateway(built),
      exchange: (sealed, account, signal, sink) =>
        dispatchSealed(built.dispatch, sealed, account, signal, sink),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Basis {
  readonly deps: GatewayDeps;
  readonly clock: Clock;
  readonly log: GatewayLog;
  readonly lifecycle: Lifecycle;
  readonly counters: Counters;
}

async function build(basis: Basis): Promise<Built> {
  const { deps, clock, log, lifecycle, counters } = basis;
  const { config } = deps;
  const { dataDir } = config;
  assertAttestable(config, deps.quotes);
  const identity = await loadIdentity(dataDir, clock);
  const audit = openAudit(dataDir, clock, {
    onFailure: ({ code }) => log.event('audit.failed', { code }),
  });
  lifecycle.onClose('audit', () => audit.close());
  const policies = await openPolicies({ config, clock, log, counters, audit, lifecycle });
  const { desk, isDevelopment } = policies;
  const store = openStore(basis);
  const { settlerPolicy } = deps;
  const payments = await openPayments({
    config,
    store,
    desk,
    clock,
    log,
    lifecycle,
    ...(settlerPolicy === undefined ? {} : { settlerPolicy }),
  });
  const registry = openRegistry(basis, audit);
  const dispatch = openDispatch(basis, { registry, desk, payments });
  const { collateral } = config;
  const vouching =
    deps.vouching ??
    (await openVouching({ config: collateral, dataDir, isDevelopment, clock, log, lifecycle }));
  const { aud } = identity;
  const judge = new WorkerJudge({
    clock,
    aud,
    desk,
    log,
    ...(vouching === undefined ? {} : { vouching }),
  });
  await audit.started(aud);
  const { ledger } = payments;
  const shown: Built['shown'] = { document: undefined };
  const document = () => shown.document?.();
  const parts = { aud, desk, registry, store, ledger, clock, document };
  return {
    deps,
    parts,
    identity,
    dispatch,
    payments,
    log,
    lifecycle,
    audit,
    judge,
    policies,
    shown,
  };
}

function openStore({ deps: { config }, lifecycle }: Basis): Store {
  const kind = STORES.find(({ name }) => name === config.store.kind);
  if (kind === undefined) throw gatewayError('gateway.config', 'store.kind');
  const store = kind.open(config.dataDir, config.store.durability);
  lifecycle.onClose('store', () => store.close());
  return store;
}

function openRegistry({ log, counters, lifecycle }: Basis, audit: Audit): WorkerRegistry {
  const registry = new MemoryRegistry({
    onRemoved: (worker, reason) => {
      counters.removal(reason);
      log.event('worker.removed', { workerId: worker.workerId, kid: worker.kid, reason });
      audit.workerRemoved(worker, reason);
    },
  });
  lifecycle.onClose('links', () => registry.close());
  return registry;
}

function openDispatch(
  { deps, clock, log, lifecycle, counters }: Basis,
  {
    registry,
    desk,
    payments,
  }: Pick<DispatchDeps, 'registry' | 'desk'> & {
    readonly payments: Payments;
  },
): DispatchDeps {
  const { config } = deps;
  const { cashier, accounts } = payments;
  const recovery = new ReceiptRecovery(cashier, log);
  lifecycle.onClose('receipts', () => recovery.close());
  const deadlines = createDeadlines(clock);
  lifecycle.onClose('deadlines', () => deadlines.close());
  const { limits } = config;
  const load = { active: 0 };
  return {
    clock,
    registry,
    desk,
    cashier,
    accounts,
    deadlines,
    recovery,
    limits,
    log,
    counters,
    load,
  };
}

interface Built {
  readonly deps: GatewayDeps;
  readonly parts: GatewayParts;
  readonly identity: GatewayIdentity;
  readonly dispatch: DispatchDeps;
  readonly payments: Payments;
  readonly log: GatewayLog;
  readonly lifecycle: Lifecycle;
  readonly audit: Audit;
  readonly judge: WorkerJudge;
  readonly policies: Policies;
  /** Known once it listens. */
  readonly shown: { document: ReturnType<typeof documentSource> | undefined };
}

async function openGateway(built: Built): Promise<ListeningPorts> {
  const { deps, parts, identity, dispatch, payments, log, lifecycle } = built;
  const { config } = deps;
  const { listen: where } = config;
  await payments.start(parts.registry);
  const attested = await openAttested({
    config,
    quotes: deps.quotes,
    identity: identity.publicKey,
    ledgerKeys: payments.settlement.ledgerKeys,
    clock: parts.clock,
    log,
    lifecycle,
  });
  const tls =
    where.httpsPort === null
      ? undefined
      : (attested?.tls ?? (await tlsIdentity(config, parts.clock)));
  const open: { httpPort: number | undefined; httpsPort: number | undefined } = {
    httpPort: undefined,
    httpsPort: undefined,
  };
  const document = documentSource({
    identity,
    tlsSpkiSha256: tls === undefined ? [] : [tls.spkiSha256],
    baseUrls: () => baseUrls(config, open),
    settlement: payments.settlement,
    clock: parts.clock,
  });
  built.shown.document = document;
  const handler = requestHandler(built, document, attested);
  const common = {
    host: where.host,
    handler,
    silenceTimeoutMs: longestSilenceMs(config) + SILENCE_MARGIN_MS,
    ...(deps.listenerLimits === undefined ? {} : { limits: deps.listenerLimits }),
  };
  if (where.httpPort !== null) {
    const listener = await listen({ ...common, port: where.httpPort });
    open.httpPort = listener.port;
    lifecycle.onClose('http', (deadline) => listener.close(deadline));
  }
  if (where.httpsPort !== null && tls !== undefined) {
    const listener = await listen({ ...common, port: where.httpsPort, tls });
    open.httpsPort = listener.port;
    lifecycle.onClose('https', (deadline) => listener.close(deadline));
  }
  const adminPort = await openAdmin(config.admin.port, {
    metrics: dispatch.counters.metrics,
    status: () => built.policies.status(parts.clock()),
    settlement: payments.status,
    cashier: payments.cashier,
    lifecycle,
  });
  log.event('gateway.started', {
    aud: identity.aud,
    httpPort: open.httpPort ?? 0,
    httpsPort: open.httpsPort ?? 0,
    policy: parts.desk.current().digest,
  });
  dispatch.counters.active(0);
  return { ...open, adminPort };
}

function longestSilenceMs({ limits }: GatewayConfig): number {
  const { firstSealedTimeoutMs, idleTimeoutMs, slowReaderTimeoutMs } = limits;
  return Math.max(firstSealedTimeoutMs, idleTimeoutMs, slowReaderTimeoutMs);
}

function requestHandler(
  built: Built,
  document: ReturnType<typeof documentSource>,
  attested: AttestedGatewayParts | undefined,
): RequestListener {
  const { deps, parts, identity, dispatch, payments, log, lifecycle } = built;
  const { audit, judge, policies } = built;
  const { config } = deps;
  const { clock, registry, desk } = parts;
  const { counters } = dispatch;
  const { payers } = payments;
  const network = payments.settlement.payee?.network;
  const demand = (refusal: PaymentRefusal) => demandHeaders(payments.settlement, refusal);
  const refused = new RefusedEvidence();
  const challenges = new Challenges();
  const registrar = new Registrar({
    clock,
    aud: identity.aud,
    desk,
    judge,
    registry,
    challenges,
    endpoints: {
      allowPrivate: config.workers.allowPrivateEndpoints,
      ...(deps.resolve === undefined ? {} : { resolve: deps.resolve }),
    },
    identity: identity.clientCertificate,
    log,
    counters,
    audit,
    refused,
  });
  const rounds = new Rounds({ clock, registry, judge, desk, log, counters });
  const { cashier } = payments;
  const recovery = new PaymentRecovery({ cashier, registry, clock, log });
  const { sweepIntervalMs } = deps;
  keepHouse({ parts, rounds, recovery, lifecycle, log, sweepIntervalMs });
  policies.run({ registry, judge, refused });
  const control = createControl({
    clock,
    aud: identity.aud,
    document,
    registry,
    challenges,
    registrar,
    payments,
    models: config.models,
    closing: lifecycle.closing,
    published: policies.published,
    attested,
    staleBecause: () => desk.staleBecause(clock()),
    log,
    counters,
  });
  const onControl = getRequestListener(control.fetch, { overrideGlobalObjects: false });
  const sealer = config.plaintext === 'refuse' ? undefined : deps.sealer?.(parts);
  const bodies = new BodyBudget(BODY_BYTES_IN_FLIGHT_MAX);
  const bodyMaxBytes = config.limits.plainBodyMaxBytes;
  const find = (requestId: Bytes<16>) => cashier.find(requestId);
  const idempotency = new Idempotency({ sign: identity.sign, find });
  const openAi = {
    bodyMaxBytes,
    ...(sealer === undefined ? {} : { sealer }),
    ...(attested === undefined ? {} : { onProven: attested.proofs.keep.bind(attested.proofs) }),
    authenticate: (request: IncomingMessage) =>
      plainCaller(
        { dispatch, bodies, payers, demand, network, bodyMaxBytes, idempotency },
        request,
      ),
    onFailure: (error: unknown, stage: string) =>
      log.event('plain.failed', { code: codeOf(error), stage }),
    clock,
    models: () => publishedModels(registry, clock()),
  };
  const sealed = { payers, dispatch, bodies, demand };
  const ehbp = config.ehbp === 'serve' ? { ...sealed, network } : undefined;
  const { origins } = config.cors;
  return (request: IncomingMessage, response: ServerResponse) => {
    const givenId = givenRequestId(request.headers[REQUEST_ID_HEADER]);
    response.setHeader(REQUEST_ID_HEADER, givenId ?? newRequestId());
    if (answerCors(origins, request, response)) return;
    if (request.url === EXCHANGE_PATH) {
      if (request.method === 'POST') void handleSealed(sealed, request, response);
      else respondMethodNotAllowed(response, 'POST');
      return;
    }
    if (ehbp !== undefined && serveEhbp(ehbp, request, response)) return;
    if (serveOpenAi(openAi, request, response)) return;
    void onControl(request, response);
  };
}

function publishedModels(registry: WorkerRegistry, nowMs: number) {
  return registry
    .all()
    .filter((worker) => nowMs < worker.publishUntilMs)
    .map(({ key }) => ({ id: key.model.id, contextLength: key.model.contextLength }));
}
