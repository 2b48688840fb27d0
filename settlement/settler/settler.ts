/**
 * Between the ledger and the chain, in the gateway's process: watches, claims, pays, anchors. One round does every duty in
 * turn; a duty that fails is tried again in the next, and none of them is on the way of a request. Start reading here.
 * Spec: ton-settlement §4.6 to §4.11.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { hasCode, VeilError } from '../../core/errors.ts';
import { pause } from '../../core/node/lifecycle.ts';
import type { ChannelPayee } from '../../protocol/gateway-document.ts';
import type { AnnouncedChannel } from '../channel-terms.ts';
import type { Ledger, Payee } from '../ledger/ledger.ts';
import type { TonChain } from '../ton/chain.ts';
import type { Treasury, TreasuryState } from '../ton/treasury.ts';
import { anchorOf, checkAnchor, moveAnchor } from './anchor.ts';
import { ChannelBook } from './channels.ts';
import {
  claimDue,
  claimNow,
  closeChannel,
  type ClaimOutcome,
  type ClaimParts,
  type CloseChannelOutcome,
} from './claims.ts';
import type { OnSettlerEvent } from './events.ts';
import { openNotes } from './notes.ts';
import { openChannel, type OpenChannelOutcome } from './open-channel.ts';
import { Outbox } from './outbox.ts';
import type { SettlerParts } from './parts.ts';
import { SETTLER_POLICY, type SettlerPolicy } from './policy.ts';
import { Progress } from './progress.ts';
import { statusOf, type SettlerState, type SettlerStatus } from './status.ts';
import { syncChannel, type SyncOutcome } from './sync.ts';
import { doubtOld, lookAtTreasury, readDue } from './watch.ts';
import { WorkerBook, type ChannelAnswer } from './worker-book.ts';
import { WorkerChannels } from './worker-channels.ts';
import { showWorkerChannel, type ShownWorkerChannel, type WorkerAt } from './worker-vouchers.ts';

export interface SettlerOptions {
  readonly chain: TonChain;
  readonly ledger: Ledger;
  readonly treasury: Treasury;
  /** Signs charges and the anchor; its public half is `payee.key`. */
  readonly settlementSeed: Bytes<32>;
  /** As the gateway's document says; its address is the treasury's. */
  readonly payee: ChannelPayee;
  readonly payees?: () => Promise<readonly Payee[]>;
  readonly accountOfMemo?: (memo: string) => Promise<Bytes<32> | undefined>;
  readonly policy?: Partial<SettlerPolicy>;
  /** There is more in this worker's channel than before: its voucher may rise. Must not throw. */
  readonly onWorkerChannel?: (workerId: Bytes<32>) => void;
  readonly onEvent: OnSettlerEvent;
  readonly now: Clock;
}

export interface Settler {
  /**
   * Resolves when every channel was read, or the chain was waited for long enough: then channels are admitted as they are
   * read. Throws `settler.rolled_back`, `settler.note`, and as the ledger does: then nothing may be served.
   */
  start(): Promise<void>;
  /** Rejects when the settler must not go on and nothing may be served any more; resolves once it is closed. */
  readonly ended: Promise<void>;
  /** Everything that is due, now. What fails is told as an event. */
  round(): Promise<void>;
  openChannel(announced: AnnouncedChannel, signal?: AbortSignal): Promise<OpenChannelOutcome>;
  /** Reads one channel now: after `channel_unsynced`, or when a payer says that it has deposited. */
  sync(channel: Bytes<32>, signal?: AbortSignal): Promise<SyncOutcome | ChainAway>;
  claim(channel: Bytes<32>): Promise<ClaimOutcome | ChainAway>;
  /** The caller has checked that the payer asks. */
  closeChannel(channel: Bytes<32>): Promise<CloseChannelOutcome | ChainAway>;
  /** For a notice of settlement, with a fresh voucher. Undefined: it is paid by transfers. Throws `ledger.*`. */
  showWorkerChannel(worker: WorkerAt): Promise<ShownWorkerChannel | undefined>;
  /** Until it says otherwise, or the next start, nothing more goes into or is promised on a channel that was refused. */
  answeredWorkerChannel(workerId: Bytes<32>, answer: ChannelAnswer): void;
  status(): SettlerStatus;
  /** What is on its way is left to the next start. */
  close(): Promise<void>;
}

/** What was decided is durable and goes on by itself when the chain is back. */
export interface ChainAway {
  readonly outcome: 'refused';
  readonly code: 'chain_away';
}

export function createSettler(options: SettlerOptions): Settler {
  return new RunningSettler(options);
}

class RunningSettler implements Settler {
  readonly ended: Promise<void>;
  readonly #parts: ClaimParts;
  readonly #workerChannels: WorkerChannels;
  readonly #closing = new AbortController();
  #end: { resolve(): void; reject(error: unknown): void };
  #state: SettlerState = 'new';
  #isChecked = false;
  /** Everything was read once. */
  #isUp = false;
  #isAway = false;
  #anchoredMs: number | undefined;
  #treasury: TreasuryState | undefined;
  #loop: Promise<void> = Promise.resolve();
  #round: Promise<void> | undefined;

  constructor(options: SettlerOptions) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ended = promise;
    // Whoever starts a settler is told by start(); not everybody waits for its end.
    promise.catch(() => undefined);
    this.#end = { resolve, reject };
    this.#parts = partsOf(options, this.#closing.signal);
    this.#workerChannels = new WorkerChannels(this.#parts, options.payee.withdrawDelayMinS);
  }

  async start(): Promise<void> {
    this.#state = 'starting';
    const { channels, progress, outbox, ledger, policy, emit } = this.#parts;
    try {
      await channels.load();
      await progress.load();
      await outbox.load();
      await this.#parts.workers.load();
      for (const { id, terms } of channels.all()) {
        const { payerKey } = terms;
        await ledger.openAccount({ kind: 'channel', id, asset: 'TON', payerKey });
      }
      await this.#firstRound(policy.startMs);
    } catch (error) {
      this.#refuse(error);
      throw error;
    }
    emit('settler.started', { channels: channels.size, degraded: !this.#isUp });
    this.#loop = this.#run();
  }

  /** The chain may be away: then what depends on it waits, and nothing else does. */
  async #firstRound(deadlineMs: number): Promise<void> {
    const deadline = AbortSignal.timeout(deadlineMs);
    const late = new Promise<void>((resolve) => {
      deadline.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([this.round(), late]);
    if (this.#state === 'refused') await this.ended;
  }

  async #run(): Promise<void> {
    while (await pause(this.#parts.policy.roundMs, this.#closing.signal)) {
      await this.round();
      if (this.#state === 'refused') return;
    }
  }

  /** One at a time; who asks while one is on its way waits for that one. */
  async round(): Promise<void> {
    this.#round ??= this.#duties().finally(() => {
      this.#round = undefined;
      this.#noteChain();
    });
    await this.#round;
  }

  async #duties(): Promise<void> {
    const parts = this.#parts;
    if (!this.#isChecked && !(await this.#duty('check', () => this.#check()))) return;
    const isRead = await this.#duty('read', () => readDue(parts));
    await this.#duty('doubt', () => doubtOld(parts));
    const isSeen = await this.#duty('watch', async () => {
      this.#treasury = await lookAtTreasury(parts);
    });
    await this.#duty('claim', () => claimDue(parts));
    await this.#duty('anchor', () => this.#anchor());
    await this.#duty('worker_channels', () =>
      this.#workerChannels.round(isSeen ? this.#treasury : undefined),
    );
    const treasury = this.#treasury;
    if (isSeen && treasury !== undefined) {
      await this.#duty('orders', () => parts.outbox.advance(treasury));
    }
    if (isRead && isSeen && !this.#isUp) {
      this.#isUp = true;
      if (this.#state === 'starting') this.#state = 'running';
    }
  }

  async #check(): Promise<void> {
    await checkAnchor(this.#parts, this.#closing.signal);
    this.#isChecked = true;
  }

  async #anchor(): Promise<void> {
    const { policy, now } = this.#parts;
    if (policy.anchor === 'off') return;
    if (this.#anchoredMs !== undefined && now() - this.#anchoredMs < policy.anchor.everyMs) return;
    if ((await moveAnchor(this.#parts)) !== 'waiting') this.#anchoredMs = now();
  }

  /** False when it failed. What is broken for good ends the settler. */
  async #duty(duty: string, work: () => Promise<void>): Promise<boolean> {
    if (this.#closing.signal.aborted || this.#state === 'refused') return false;
    try {
      await work();
      return true;
    } catch (error) {
      if (this.#closing.signal.aborted) return false;
      const code = error instanceof VeilError ? error.code : undefined;
      this.#parts.emit('settler.duty_failed', { duty, code });
      if (isForGood(error)) this.#refuse(error);
      return false;
    }
  }

  #noteChain(): void {
    const health = this.#parts.chain.health();
    const isAway = health.kind === 'unreachable';
    if (isAway === this.#isAway || this.#closing.signal.aborted) return;
    this.#isAway = isAway;
    if (isAway) this.#parts.emit('settler.chain_away', { code: health.code });
    else this.#parts.emit('settler.chain_back', {});
  }

  #refuse(error: unknown): void {
    this.#state = 'refused';
    this.#end.reject(error);
  }

  async openChannel(
    announced: AnnouncedChannel,
    signal: AbortSignal = this.#closing.signal,
  ): Promise<OpenChannelOutcome> {
    // Before the anchor was looked at, nobody knows whether this ledger is the newest.
    if (!this.#isChecked || this.#state === 'refused') {
      return { outcome: 'refused', code: 'chain_away' };
    }
    return await openChannel(this.#parts, announced, signal);
  }

  async sync(
    channel: Bytes<32>,
    signal: AbortSignal = this.#closing.signal,
  ): Promise<SyncOutcome | ChainAway> {
    return await this.#unlessAway(() => syncChannel(this.#parts, channel, signal));
  }

  async claim(channel: Bytes<32>): Promise<ClaimOutcome | ChainAway> {
    return await this.#unlessAway(() => claimNow(this.#parts, channel));
  }

  async closeChannel(channel: Bytes<32>): Promise<CloseChannelOutcome | ChainAway> {
    return await this.#unlessAway(() => closeChannel(this.#parts, channel));
  }

  async #unlessAway<Outcome>(work: () => Promise<Outcome>): Promise<Outcome | ChainAway> {
    const away: ChainAway = { outcome: 'refused', code: 'chain_away' };
    if (!this.#isChecked || this.#state === 'refused') return away;
    try {
      return await work();
    } catch (error) {
      if (error instanceof VeilError && AWAY.includes(error.code)) return away;
      throw error;
    }
  }

  async showWorkerChannel(worker: WorkerAt): Promise<ShownWorkerChannel | undefined> {
    // An older copy of these books does not know what was paid since, and would promise it once more.
    if (!this.#isChecked || this.#state === 'refused') return undefined;
    return await showWorkerChannel(this.#parts, worker);
  }

  answeredWorkerChannel(workerId: Bytes<32>, answer: ChannelAnswer): void {
    this.#parts.workers.answered(workerId, answer);
  }

  status(): SettlerStatus {
    return statusOf(this.#parts, {
      state: this.#isAway && UP.includes(this.#state) ? 'degraded' : this.#state,
      treasury: this.#treasury,
      anchor: anchorOf(this.#parts),
      anchoredMs: this.#anchoredMs,
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
    await this.#round;
    if (this.#state !== 'refused') this.#state = 'closed';
    this.#end.resolve();
  }
}

const UP: readonly SettlerState[] = ['starting', 'running'];
const AWAY: readonly string[] = [
  'ton.unreachable',
  'ton.disagree',
  'ton.network',
  'ton.rate_limited',
  'ton.history',
];

function isForGood(error: unknown): boolean {
  return (
    hasCode(error, 'settler.rolled_back') ||
    hasCode(error, 'settler.note') ||
    hasCode(error, 'ledger.fenced') ||
    hasCode(error, 'ledger.closed') ||
    hasCode(error, 'ledger.store') ||
    hasCode(error, 'ledger.inconsistent')
  );
}

function partsOf(options: SettlerOptions, signal: AbortSignal): ClaimParts {
  const { chain, ledger, treasury, settlementSeed, payee, onEvent: emit, now } = options;
  const notes = openNotes(ledger);
  const parts: SettlerParts = {
    chain,
    ledger,
    treasury,
    settlementSeed,
    payee,
    emit,
    now,
    notes,
    signal,
    channels: new ChannelBook(notes),
    progress: new Progress(notes),
    workers: new WorkerBook(notes, treasury),
    policy: { ...SETTLER_POLICY, ...options.policy },
    payees: options.payees ?? (() => Promise.resolve([])),
    accountOfMemo: options.accountOfMemo ?? (() => Promise.resolve(undefined)),
    onWorkerChannel: options.onWorkerChannel ?? (() => undefined),
  };
  return { ...parts, outbox: new Outbox(parts) };
}
