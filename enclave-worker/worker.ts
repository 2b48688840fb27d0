/**
 * A running worker: engine, link and keys, registered at its gateway and registered again before its statement is old.
 * Spec: overview "Key life", "Roles in one request".
 * @module
 */

import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { toHex, utf8, type Bytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { VeilError } from '../core/errors.ts';
import { pause } from '../core/node/lifecycle.ts';
import { codeOf } from '../core/node/log.ts';
import { parseCard, workerIdOf, type Card } from '../attestation/card.ts';
import { ENGINE_ENDPOINTS, type Capability } from '../protocol/openai/endpoints.ts';
import { ReplaySet } from '../protocol/sx/replay.ts';
import type { Endorser } from '../attestation/collateral/endorser.ts';
import type { WorkerConfig } from './config.ts';
import { openWorkerEarnings, type OpenedEarnings } from './earnings/open-earnings.ts';
import type { Engine } from './engine.ts';
import { ENGINES } from './engines.ts';
import { workerError } from './errors.ts';
import type { EvidenceProvider } from './evidence/provider.ts';
import type { WorkerLog } from './events.ts';
import { ExchangeLoad, handleEhbp, handleExchange } from './handle.ts';
import { Epochs, makeEpoch, makeLinkKey, type Epoch } from './keys.ts';
import {
  CLOCK_CHECK_EVERY_MS,
  PURGE_EVERY_MS,
  REGISTER_BACK_OFF_FIRST_MS,
  REGISTER_BACK_OFF_MAX_MS,
  REGISTER_TIMEOUT_MS,
} from './limits.ts';
import { openLink, type Link } from './link.ts';
import type { OwnerSigner } from './owner.ts';
import { ReceiptStore } from './receipts.ts';
import { leave, register, type RegisterDeps } from './register.ts';
import { RunningExchanges } from './running.ts';

export interface WorkerDeps {
  readonly provider: EvidenceProvider;
  /** Needed where the provider brings no endorsements, that is on every real machine. */
  readonly endorser?: Endorser;
  readonly owner: OwnerSigner;
  readonly clock: Clock;
  readonly log: WorkerLog;
  /** In place of the one that the configuration names: tests bring one whose pace they set. Closed with the worker. */
  readonly engine?: Engine;
}

export interface RunningWorker {
  readonly workerId: Bytes<32>;
  readonly endpoint: string;
  readonly port: number;
  /** Takes no more exchanges, lets running ones end within `drainMs`, tells the gateway, stops the engine. */
  close(): Promise<void>;
}

/**
 * Resolves when the gateway has admitted the worker. A gateway that cannot be reached is tried until `signal` aborts;
 * one that refuses, an owner who refuses, or a model that is not the one of the card ends the start.
 */
export async function createWorker(
  config: WorkerConfig,
  deps: WorkerDeps,
  signal: AbortSignal = new AbortController().signal,
): Promise<RunningWorker> {
  const cardBytes = await cardBytesOf(config);
  const card = parseCard(cardBytes);
  const epochs = new Epochs();
  const receipts = new ReceiptStore();
  const books = openWorkerEarnings(config, { ...deps, card, receipts, epochs });
  let engine: Engine | undefined;
  try {
    engine = deps.engine ?? (await startEngine(config, card, deps, signal));
    return await serve(
      config,
      { ...deps, card, cardBytes, engine, epochs, receipts, books },
      signal,
    );
  } catch (error) {
    await engine?.close();
    await books.close();
    throw error;
  }
}

async function cardBytesOf(config: WorkerConfig): Promise<Uint8Array> {
  const { card, cardFile } = config;
  if (card !== undefined && cardFile === undefined) return utf8(card);
  if (card === undefined && cardFile !== undefined) {
    try {
      return new Uint8Array(await readFile(cardFile));
    } catch (cause) {
      throw workerError('worker.config', 'cardFile cannot be read', { cause });
    }
  }
  throw workerError('worker.config', 'exactly one of card and cardFile');
}

async function startEngine(
  config: WorkerConfig,
  card: Card,
  { log, provider }: Pick<WorkerDeps, 'log' | 'provider'>,
  signal: AbortSignal,
): Promise<Engine> {
  const { name, modelPath, upstream, threads, gpu, environment, copyRoot } = config.engine;
  const kind = ENGINES.find((engine) => engine.name === name);
  if (kind === undefined) throw workerError('worker.config', 'engine.name');
  const serves = promisesOf(card);
  const engine = await kind.start({
    // The engine's process works in a folder of its own: what was meant from here has to be said in full.
    ...(modelPath === undefined ? {} : { modelPath: resolve(modelPath) }),
    ...(upstream === undefined ? {} : { upstream }),
    evidence: provider.simulated ? 'simulated' : 'real',
    modelSha256Hex: toHex(card.model.weights),
    contextTokens: card.model.contextLength,
    slots: card.limits.maxConcurrent,
    serves,
    threads,
    gpu,
    environment,
    ...(copyRoot === undefined ? {} : { copyRoot: resolve(copyRoot) }),
    signal,
    onState: (state) => log.event('worker.engine', { state }),
    onProblem: (problem) => log.event('worker.upstream', { problem }),
    onMeasured: progressLine(log),
  });
  if (serves.every((promise) => engine.capabilities.includes(promise))) return engine;
  await engine.close();
  throw workerError('worker.config', 'card: the engine has not all its capabilities');
}

const MIB = 1_048_576n;
/** Of what is measured: often enough to see that it goes on, seldom enough for a log. */
const PROGRESS_PARTS = 20n;
const PROGRESS_MIN = 1024n * MIB;

function progressLine(log: WorkerLog): (done: bigint, total: bigint) => void {
  let next = 0n;
  return (done, total) => {
    if (total < PROGRESS_MIN || (done < next && done < total)) return;
    next = done + total / PROGRESS_PARTS;
    log.event('worker.measuring', { done_mib: Number(done / MIB), total_mib: Number(total / MIB) });
  };
}

/** Requests are sent where a card promises to serve them: a word that nobody here knows would be a promise to nobody. */
function promisesOf({ model }: Card): readonly Capability[] {
  const known = ENGINE_ENDPOINTS.map(({ capability }) => capability);
  const promises = known.filter((capability) => model.capabilities.includes(capability));
  if (promises.length === 0 || promises.length !== model.capabilities.length) {
    throw workerError('worker.config', `card: capabilities are ${known.join(', ')}`);
  }
  return promises;
}

interface Serving extends WorkerDeps {
  readonly card: Card;
  readonly cardBytes: Uint8Array;
  readonly engine: Engine;
  readonly epochs: Epochs;
  readonly receipts: ReceiptStore;
  readonly books: OpenedEarnings;
}

async function serve(
  config: WorkerConfig,
  serving: Serving,
  signal: AbortSignal,
): Promise<RunningWorker> {
  const { card, cardBytes, engine, epochs, books, clock, log, provider, endorser } = serving;
  const workerId = workerIdOf(card.owner);
  const load = new ExchangeLoad(Math.min(card.limits.maxConcurrent, engine.slots));
  const linkKey = await makeLinkKey(clock());
  const link = await openExchangeLink(config, { serving, load, identity: linkKey });
  const endpoint = config.listen.endpoint ?? endpointOf(config.listen.host, link.port);
  log.event('worker.started', { worker: workerId, model: card.model.id, port: link.port });

  const { kem, ehbp, statementLifetimeS: lifetimeS, workload, gateway } = config;
  const registration: RegisterDeps = {
    gateway,
    endpoint,
    epochs,
    owner: serving.owner,
    clock,
    log,
    onSettlement: books.onSettlement,
    makeEpoch: (challenge, stop) =>
      makeEpoch(
        {
          kem,
          ehbp,
          lifetimeS,
          nowMs: clock(),
          aud: gateway.aud,
          challenge,
          workload,
          card,
          cardBytes,
          provider,
          linkKey,
          ...(endorser === undefined ? {} : { endorser }),
        },
        stop,
      ),
  };
  const closing = new AbortController();
  const keeper = new Registrar(registration, workerId, provider.simulated);
  const purge = setInterval(() => epochs.purge(clock()), PURGE_EVERY_MS);
  try {
    await keeper.first(AbortSignal.any([signal, closing.signal]));
  } catch (error) {
    clearInterval(purge);
    await link.close();
    throw error;
  }
  const kept = keeper.keep(closing.signal);
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    log.event('worker.closing', { active: load.active });
    closing.abort();
    await kept;
    await keeper.leave();
    await Promise.race([load.drain(), pause(config.drainMs, new AbortController().signal)]);
    clearInterval(purge);
    await link.close();
    await engine.close();
    await books.close();
    log.event('worker.closed', {});
  };
  return { workerId, endpoint, port: link.port, close: () => (closed ??= close()) };
}

function openExchangeLink(
  config: WorkerConfig,
  parts: {
    readonly serving: Serving;
    readonly load: ExchangeLoad;
    readonly identity: { readonly certificatePem: string; readonly privateKeyPem: string };
  },
): Promise<Link> {
  const { serving, load, identity } = parts;
  const { card, engine, epochs, receipts, books, clock, log } = serving;
  const { earnings } = books;
  const running = new RunningExchanges();
  const replay = new ReplaySet();
  const deps = { card, engine, epochs, replay, receipts, earnings, running, load, clock, log };
  return openLink({
    host: config.listen.host,
    port: config.listen.port,
    gatewayAud: config.gateway.aud,
    identity,
    onExchange: (bytes, sink, call) => handleExchange(deps, bytes, sink, call),
    onEhbp: (bytes, sink, call) => handleEhbp(deps, bytes, sink, call),
    receiptOf: (msgIdHex) => receipts.get(msgIdHex, clock()),
    receiptsAfter: (statementHex, afterSeq) => receipts.after(statementHex, afterSeq),
    onSettled: (bytes) => earnings.settled(bytes),
    stop: (msgIdHex) => running.stop(msgIdHex),
    healthy: () => engine.healthy() && earnings.isTrusted,
  });
}

function endpointOf(host: string, port: number): string {
  return host.includes(':') ? `https://[${host}]:${port}` : `https://${host}:${port}`;
}

const MS_PER_S = 1000;

/** Keeps the worker registered. */
class Registrar {
  readonly #deps: RegisterDeps;
  readonly #workerId: Bytes<32>;
  readonly #simulated: boolean;
  #current: Epoch | undefined;

  constructor(deps: RegisterDeps, workerId: Bytes<32>, simulated: boolean) {
    this.#deps = deps;
    this.#workerId = workerId;
    this.#simulated = simulated;
  }

  /** Until the gateway has decided. Throws what cannot get better by waiting. */
  async first(signal: AbortSignal): Promise<void> {
    const admitted = await this.#attempts(signal, (error) => {
      if (!canWait(error)) throw error;
    });
    if (!admitted) throw workerError('worker.closed');
  }

  /** New keys and a new quote at half life, until `signal` aborts. */
  async keep(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const { issuedAtMs = 0, expiresAtMs = 0 } = this.#current ?? {};
      const dueMs = issuedAtMs + (expiresAtMs - issuedAtMs) / 2;
      const leftMs = dueMs - this.#deps.clock();
      // In short steps: a timer does not know of the hours that a machine slept.
      if (leftMs > 0) await pause(Math.min(leftMs, CLOCK_CHECK_EVERY_MS), signal);
      else await this.#attempts(signal, () => undefined);
    }
  }

  async leave(): Promise<void> {
    if (this.#current === undefined) return;
    const signal = AbortSignal.timeout(REGISTER_TIMEOUT_MS);
    await leave(this.#deps, this.#workerId, this.#current, signal);
  }

  /** True when registered, false when aborted. */
  async #attempts(signal: AbortSignal, onError: (error: unknown) => void): Promise<boolean> {
    const { log, clock } = this.#deps;
    let waitMs = REGISTER_BACK_OFF_FIRST_MS;
    for (;;) {
      try {
        this.#current = await register(this.#deps, signal);
        log.event('worker.registered', {
          worker: this.#workerId,
          statement: this.#current.statementHash,
          expires_in_s: Math.round((this.#current.expiresAtMs - clock()) / MS_PER_S),
          simulated: this.#simulated,
        });
        return true;
      } catch (error) {
        if (signal.aborted) return false;
        log.event('worker.register_failed', { code: codeOf(error), retry_in_ms: waitMs });
        onError(error);
      }
      if (!(await pause(waitMs, signal))) return false;
      waitMs = Math.min(waitMs * 2, REGISTER_BACK_OFF_MAX_MS);
    }
  }
}

function canWait(error: unknown): boolean {
  return error instanceof VeilError && error.spec.recovery === 'retry_later';
}
