/**
 * The face of an embedded ledger: takes calls, sends what has gathered while the last group was being committed, and
 * resolves each when its group is on the disk. A lone call never waits for company. Spec: ton-settlement §5.
 * @module
 */

import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Bytes } from '../../../core/bytes.ts';
import { assert } from '../../../core/errors.ts';
import { ledgerError } from '../../errors.ts';
import type { Asset } from '../../money.ts';
import { appraisePayerKey } from '../../payer-key.ts';
import { assertVerified, type VerifiedVoucher } from '../../voucher.ts';
import type { Call, MethodName, Output } from '../calls.ts';
import type * as port from '../ledger.ts';
import {
  DESTINATION_MAX_CHARS,
  FEE_BPS_MAX,
  GROUP_MAX,
  PAGE_MAX,
  NOTE_KIND_MAX_CHARS,
  NOTE_MAX_BYTES,
  PAYOUTS_MAX,
  RAMP_CAPS,
  WAITING_MAX,
  WORKERS_MAX,
  type RampCaps,
} from '../limits.ts';
import type { SignerSource } from '../signer.ts';
import { compact } from './compact.ts';
import type { Answer, Failure, FromThread, Reply, ThreadOptions, ToThread } from './messages.ts';

interface Waiting {
  readonly call: Call;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

const FILE_NAME = 'ledger.sqlite';

export interface SqliteLedgerOptions {
  readonly dataDir: string;
  readonly durability: 'full' | 'normal';
  readonly signer: SignerSource;
  readonly rampCaps?: RampCaps;
}

/** Resolves when the file was audited. Throws `ledger.inconsistent`, `ledger.schema`, `ledger.store`. */
export async function openSqliteLedger(options: SqliteLedgerOptions): Promise<SqliteLedger> {
  const { dataDir, durability, signer, rampCaps = RAMP_CAPS } = options;
  const path = join(dataDir, FILE_NAME);
  const workerData: ThreadOptions = { path, durability, signer, rampCaps };
  const worker = new Worker(new URL('thread.ts', import.meta.url), { workerData });
  const ledger = new SqliteLedger(worker);
  await ledger.opened;
  return ledger;
}

export class SqliteLedger implements port.Ledger {
  readonly opened: Promise<void>;
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  #waiting: Waiting[] = [];
  #sent: readonly Waiting[] = [];
  #isSending = false;
  #isClosing = false;
  #end: Error | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()));
    this.opened = new Promise((resolve, reject) => {
      worker.on('message', (message: FromThread) => {
        if (message.kind === 'opened') resolve();
        else if (message.kind === 'done') this.#onDone(message.replies);
        else if (message.kind === 'broken') this.#endWith(errorOf(message.failure), reject);
        else this.#endWith(ledgerError('ledger.closed'), reject);
      });
      worker.once('error', (cause) => {
        this.#endWith(ledgerError('ledger.store', 'the thread failed', { cause }), reject);
      });
      worker.once('exit', () => {
        this.#endWith(ledgerError('ledger.store', 'the thread ended'), reject);
      });
    });
  }

  #endWith(error: Error, reject: (error: Error) => void): void {
    this.#end ??= error;
    reject(this.#end);
    const lost = [...this.#sent, ...this.#waiting];
    this.#sent = [];
    this.#waiting = [];
    for (const waiting of lost) waiting.reject(this.#end);
  }

  #onDone(replies: readonly Reply[]): void {
    const group = this.#sent;
    this.#sent = [];
    this.#send();
    group.forEach(({ resolve, reject }, at) => {
      const reply = replies[at];
      if (reply === undefined) reject(ledgerError('ledger.store', 'a reply is missing'));
      else if ('failure' in reply) reject(errorOf(reply.failure));
      else resolve(reply);
    });
  }

  #send(): void {
    if (this.#sent.length > 0) return;
    if (this.#waiting.length === 0) {
      if (this.#isClosing) this.#post({ kind: 'close' });
      return;
    }
    this.#sent = this.#waiting.slice(0, GROUP_MAX);
    this.#waiting = this.#waiting.slice(GROUP_MAX);
    this.#post({ kind: 'group', calls: this.#sent.map(({ call }) => call) });
  }

  #post(message: ToThread): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    this.#worker.postMessage(message);
  }

  #call<Name extends MethodName>(call: Call & { method: Name }): Promise<Output<Name>> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    if (this.#isClosing) return Promise.reject(ledgerError('ledger.closed'));
    if (this.#waiting.length >= WAITING_MAX) return Promise.reject(ledgerError('ledger.busy'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({
        call,
        resolve: (reply) => {
          if (isAnswerTo(reply, call.method)) resolve(reply.output);
          else reject(ledgerError('ledger.store', 'another reply'));
        },
        reject,
      });
      if (this.#isSending) return;
      // Whatever this turn of the loop asks for goes together.
      this.#isSending = true;
      setImmediate(() => {
        this.#isSending = false;
        this.#send();
      });
    });
  }

  openAccount(terms: port.AccountTerms): Promise<port.OpenOutcome> {
    if (terms.kind === 'channel' && appraisePayerKey(terms.payerKey) !== 'sound') {
      return Promise.resolve({ outcome: 'refused', code: 'key_unsound' });
    }
    return this.#call({ method: 'openAccount', input: compact(terms) });
  }

  findAccount(id: Bytes<32>): Promise<port.Account | undefined> {
    return this.#call({ method: 'findAccount', input: compact(id) });
  }

  setStanding(id: Bytes<32>, standing: port.Standing): Promise<port.Account | undefined> {
    return this.#call({ method: 'setStanding', input: compact({ id, standing }) });
  }

  credit(credit: port.Credit): Promise<port.CreditOutcome> {
    return this.#call({ method: 'credit', input: compact(credit) });
  }

  acceptVoucher(voucher: VerifiedVoucher): Promise<port.VoucherOutcome> {
    assertVerified(voucher);
    return this.#call({ method: 'acceptVoucher', input: voucher });
  }

  recordChainState(state: port.ChainState): Promise<port.ChainOutcome> {
    return this.#call({ method: 'recordChainState', input: compact(state) });
  }

  adoptCharge(adopt: port.AdoptCharge): Promise<port.AdoptOutcome> {
    return this.#call({ method: 'adoptCharge', input: compact(adopt) });
  }

  closeAccount(id: Bytes<32>): Promise<port.CloseOutcome> {
    return this.#call({ method: 'closeAccount', input: compact(id) });
  }

  reserve(reserve: port.Reserve): Promise<port.ReserveOutcome> {
    const { voucher, workers, feeBps } = reserve;
    if (voucher !== undefined) {
      assertVerified(voucher);
      // The proof does not travel, so what it was about is checked here: the account's own key is compared there.
      assert(
        reserve.account.every((byte, at) => byte === voucher.channel[at]),
        'its own voucher',
      );
    }
    assert(workers.length > 0 && workers.length <= WORKERS_MAX, 'one to eight workers');
    assert(Number.isInteger(feeBps) && feeBps >= 0 && feeBps <= FEE_BPS_MAX, 'fee in basis points');
    return this.#call({ method: 'reserve', input: compact(reserve) });
  }

  extend(extend: port.Extend): Promise<port.ExtendOutcome> {
    return this.#call({ method: 'extend', input: compact(extend) });
  }

  settle({ receipt: signed, policyDigest, nowMs }: port.Settle): Promise<port.SettleOutcome> {
    const { requestId, workerId, statementHash, workerSeq, amount: asked } = signed.receipt;
    const input = {
      requestId,
      workerId,
      statementHash,
      workerSeq,
      asked,
      receiptHash: signed.hash,
      receipt: signed.payload,
      policyDigest,
      nowMs,
    };
    return this.#call({ method: 'settle', input: compact(input) });
  }

  release(requestId: Bytes<16>): Promise<port.ReleaseOutcome> {
    return this.#call({ method: 'release', input: compact(requestId) });
  }

  findRequest(requestId: Bytes<16>): Promise<port.RequestState | undefined> {
    return this.#call({ method: 'findRequest', input: compact(requestId) });
  }

  listReservations(
    after: Bytes<16> | undefined,
    limit: number,
  ): Promise<readonly port.Reservation[]> {
    const input = compact({ after, limit: Math.min(limit, PAGE_MAX) });
    return this.#call({ method: 'listReservations', input });
  }

  purge(nowMs: number): Promise<number> {
    return this.#call({ method: 'purge', input: nowMs });
  }

  findWorker(workerId: Bytes<32>, asset: Asset): Promise<port.WorkerBalance> {
    return this.#call({ method: 'findWorker', input: compact({ workerId, asset }) });
  }

  planPayouts(plan: port.PlanPayouts): Promise<port.PlanOutcome> {
    assert(plan.payees.length <= PAYOUTS_MAX, 'payees of one message');
    assert(
      plan.payees.every(({ destination }) => destination.length <= DESTINATION_MAX_CHARS),
      'an address is short',
    );
    return this.#call({ method: 'planPayouts', input: compact(plan) });
  }

  confirmPayout(queryId: bigint, nowMs: number): Promise<port.ConfirmOutcome> {
    return this.#call({ method: 'confirmPayout', input: { queryId, nowMs } });
  }

  expirePayout(queryId: bigint, nowMs: number): Promise<port.ExpireOutcome> {
    return this.#call({ method: 'expirePayout', input: { queryId, nowMs } });
  }

  journalHead(): Promise<port.JournalHead> {
    return this.#call({ method: 'journalHead', input: undefined });
  }

  readJournal(fromSeq: bigint, limit: number): Promise<readonly port.JournalEntry[]> {
    const input = { fromSeq, limit: Math.min(limit, PAGE_MAX) };
    return this.#call({ method: 'readJournal', input });
  }

  hasHead(head: port.JournalHead): Promise<boolean> {
    return this.#call({ method: 'hasHead', input: compact(head) });
  }

  findHead(hash: Bytes<32>): Promise<port.JournalHead | undefined> {
    return this.#call({ method: 'findHead', input: compact(hash) });
  }

  hasWorkerSeq(witness: port.WorkerWitness): Promise<boolean> {
    return this.#call({ method: 'hasWorkerSeq', input: compact(witness) });
  }

  spendNullifier(nullifier: port.Nullifier): Promise<boolean> {
    return this.#call({ method: 'spendNullifier', input: compact(nullifier) });
  }

  dropNullifiers(beforeEpoch: number): Promise<number> {
    return this.#call({ method: 'dropNullifiers', input: beforeEpoch });
  }

  saveNote(note: port.Note): Promise<void> {
    assert(note.value.length <= NOTE_MAX_BYTES, 'a note is short');
    assert(note.kind.length <= NOTE_KIND_MAX_CHARS, 'a kind is a word');
    return this.#call({ method: 'saveNote', input: compact(note) });
  }

  dropNote(kind: string, key: Bytes<32>): Promise<boolean> {
    return this.#call({ method: 'dropNote', input: compact({ kind, key }) });
  }

  findNote(kind: string, key: Bytes<32>): Promise<port.Note | undefined> {
    return this.#call({ method: 'findNote', input: compact({ kind, key }) });
  }

  listNotes(page: port.NotesAfter): Promise<readonly port.Note[]> {
    const limit = Math.min(page.limit, PAGE_MAX);
    return this.#call({ method: 'listNotes', input: compact({ ...page, limit }) });
  }

  async close(): Promise<void> {
    if (!this.#isClosing && this.#end === undefined) {
      this.#isClosing = true;
      if (!this.#isSending) this.#send();
    }
    await this.#exited;
  }

  /** As if the process had died: what was not committed is lost, and whoever waits is told nothing but that. */
  async abandon(): Promise<void> {
    this.#end ??= ledgerError('ledger.closed', 'abandoned');
    await this.#worker.terminate();
  }
}

function isAnswerTo<Name extends MethodName>(reply: Reply, method: Name): reply is Answer<Name> {
  return 'method' in reply && reply.method === method;
}

function errorOf({ code, detail, facts }: Failure): Error {
  return ledgerError(code, detail, { facts });
}
