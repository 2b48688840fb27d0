/**
 * The chain through several providers of toncenter's v2 API. Account states need a quorum; transactions then need none,
 * because the agreed state names the newest by its hash, and each names the one before. Spec: ton-settlement §4.6, §4.11.
 * @module
 */

import type { Address, Cell, Transaction, TupleItem } from '@ton/core';
import type { Clock } from '../../core/clock.ts';
import { hasCode, VeilError } from '../../core/errors.ts';
import type {
  AccountState,
  ChainHealth,
  ReadOptions,
  TonChain,
  TransactionId,
  TransactionsSince,
} from './chain.ts';
import { tonError } from './errors.ts';
import {
  HEAD_AGE_MAX_S,
  HISTORY_MAX,
  PAGE_SIZE,
  PROVIDERS_MAX,
  READ_DEADLINE_MS,
} from './limits.ts';
import type { TonNetwork } from './network.ts';
import { agree, type Question } from './toncenter/agreement.ts';
import {
  decodeAccount,
  decodeRun,
  decodeTransactions,
  encodeStack,
  stackDigest,
  type AccountAnswer,
  type RunAnswer,
} from './toncenter/decode.ts';
import { Provider, type ProviderOptions } from './toncenter/provider.ts';

export interface ToncenterOptions {
  readonly network: TonNetwork;
  readonly providers: readonly ProviderOptions[];
  /** How many must say the same; one only where a single provider is trusted with the money, as on the devnet. */
  readonly quorum: number;
  readonly now: Clock;
  /** Told of a provider that said what the others did not. */
  readonly onReport?: (report: ProviderReport) => void;
}

export interface ProviderReport {
  readonly provider: string;
  /** `contradicts`: outvoted. `disagrees`: nobody knows who is right. */
  readonly code: 'contradicts' | 'disagrees' | 'wrong_history';
}

export type { ProviderOptions } from './toncenter/provider.ts';

/** Throws `ton.config`, `http.origin`. Nothing is asked yet. */
export function openToncenter(options: ToncenterOptions): TonChain {
  const { providers, quorum } = options;
  if (providers.length > PROVIDERS_MAX || quorum < 1 || quorum > providers.length) {
    throw tonError('ton.config', `quorum ${quorum} of ${providers.length} providers`);
  }
  const chain = new Toncenter(options);
  if (new Set(providers.map(({ url }) => new URL(url).origin)).size !== providers.length) {
    throw tonError('ton.config', 'a provider that stands twice would agree with itself');
  }
  return chain;
}

const MS_PER_S = 1000;

class Toncenter implements TonChain {
  readonly network: TonNetwork;
  readonly #options: ToncenterOptions;
  readonly #providers: readonly Provider[];
  readonly #closing = new AbortController();
  /** The newest masterchain block that an agreed answer was of: what is older does not count any more. */
  #floorSeqno = 0;
  #health: ChainHealth = { kind: 'reachable' };

  constructor(options: ToncenterOptions) {
    this.network = options.network;
    this.#options = options;
    this.#providers = options.providers.map(
      (provider) => new Provider(provider, options.network, options.now),
    );
  }

  async readAccount(address: Address, options: ReadOptions = {}): Promise<AccountState> {
    return await this.#tracked(
      options,
      async () => await this.#account(address, this.#deadline(options)),
    );
  }

  async #account(address: Address, signal: AbortSignal): Promise<AccountState> {
    const params = { address: address.toString() };
    const { values, by } = await agree<AccountAnswer>({
      ...this.#question(signal),
      ask: async (provider, asked) => {
        const value = decodeAccount(await provider.call('getAddressInformation', params, asked));
        return { key: accountDigest(value), value, isOld: this.#isOld(value) };
      },
      contradicts: contradictsAccount,
    });
    const [first] = values;
    if (first === undefined) throw tonError('ton.unreachable');
    const seqno = Math.min(...values.map((value) => value.seqno));
    this.#floorSeqno = Math.max(this.#floorSeqno, seqno);
    const timeS = Math.min(...values.map((value) => value.timeS));
    return { ...first, seqno, timeS, agreedBy: by.map(({ name }) => name) };
  }

  #isOld({ seqno, timeS }: AccountAnswer): boolean {
    return seqno < this.#floorSeqno || timeS < this.#options.now() / MS_PER_S - HEAD_AGE_MAX_S;
  }

  async runGetMethod(
    address: Address,
    method: string,
    stack: readonly TupleItem[],
    options: ReadOptions = {},
  ): Promise<readonly TupleItem[]> {
    const params = { address: address.toString(), method, stack: encodeStack(stack) };
    const answer = await this.#tracked(options, async () => {
      const { values } = await agree<RunAnswer>({
        ...this.#question(this.#deadline(options)),
        ask: async (provider, asked) => {
          const value = decodeRun(await provider.call('runGetMethod', params, asked));
          return { key: runDigest(value), value, isOld: false };
        },
        // The answer does not say of which block it is: it may be of another one.
        contradicts: () => false,
      });
      return values[0];
    });
    if (answer === undefined) throw tonError('ton.unreachable');
    // 0 and 1 both are success. Spec: TVM §4.5.
    if (answer.exitCode !== 0 && answer.exitCode !== 1) {
      throw tonError('ton.get_method', `exit code ${answer.exitCode}`, {
        facts: { exitCode: answer.exitCode },
      });
    }
    return answer.stack;
  }

  async transactionsSince(
    address: Address,
    afterLt: bigint,
    { limit = HISTORY_MAX, ...options }: ReadOptions & { readonly limit?: number } = {},
  ): Promise<TransactionsSince> {
    const signal = this.#deadline(options);
    return await this.#tracked(options, async () => {
      let next = (await this.#account(address, signal)).last;
      const newestFirst: Transaction[] = [];
      while (next !== undefined && next.lt > afterLt && newestFirst.length < limit) {
        for (const transaction of await this.#page(address, next, signal)) {
          if (transaction.lt <= afterLt || newestFirst.length >= limit) break;
          newestFirst.push(transaction);
        }
        next = before(newestFirst.at(-1));
      }
      const isComplete = next === undefined || next.lt <= afterLt;
      return { transactions: newestFirst.reverse(), isComplete };
    });
  }

  /** Starts at `from` and hangs together. Throws `ton.history`, `ton.unreachable`. */
  async #page(
    address: Address,
    from: TransactionId,
    signal: AbortSignal,
  ): Promise<readonly Transaction[]> {
    const params = {
      address: address.toString(),
      limit: PAGE_SIZE,
      lt: from.lt.toString(),
      hash: from.hash,
      archival: true,
    };
    let isAnswered = false;
    for (const provider of this.#usable()) {
      try {
        const page = decodeTransactions(await provider.call('getTransactions', params, signal));
        isAnswered = true;
        if (isChained(page, from)) return page;
        if (page.length > 0) this.#report(provider, 'wrong_history');
      } catch (error) {
        // Another one may have it.
        if (!(error instanceof VeilError) || signal.aborted) break;
      }
    }
    throw isAnswered ? tonError('ton.history', `lt ${from.lt}`) : tonError('ton.unreachable');
  }

  async send(message: Cell, options: ReadOptions = {}): Promise<void> {
    const params = { boc: message.toBoc().toString('base64') };
    const signal = this.#deadline(options);
    await this.#tracked(options, async () => {
      const sent = this.#usable().map(
        async (provider) => await provider.call('sendBoc', params, signal),
      );
      try {
        // The others get it too, but nobody waits for them.
        await Promise.any(sent);
      } catch (error) {
        throw this.#unsent(error instanceof AggregateError ? error.errors : [error]);
      }
    });
  }

  /** Nobody took it: because the contract does not want it, if as many say so as are believed elsewhere. */
  #unsent(errors: readonly unknown[]): VeilError {
    const refusals = errors.filter((error) => hasCode(error, 'ton.not_accepted'));
    const [refusal] = refusals;
    if (refusal !== undefined && refusals.length >= this.#options.quorum) return refusal;
    if (this.#usable().length === 0) return tonError('ton.network', 'no provider of this network');
    return tonError('ton.unreachable', `${errors.length} tried`, { cause: errors[0] });
  }

  health(): ChainHealth {
    return this.#health;
  }

  providers() {
    return this.#providers.map((provider) => provider.health());
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#providers.map((provider) => provider.close()));
  }

  #usable(): readonly Provider[] {
    return this.#providers.filter(({ isExcluded }) => !isExcluded);
  }

  #question(
    signal: AbortSignal,
  ): Pick<Question<never>, 'providers' | 'quorum' | 'report' | 'signal'> {
    return {
      providers: this.#providers,
      quorum: this.#options.quorum,
      report: (provider, code) => this.#report(provider, code),
      signal,
    };
  }

  #report(provider: Provider, code: ProviderReport['code']): void {
    if (code !== 'disagrees') provider.contradicted();
    this.#options.onReport?.({ provider: provider.name, code });
  }

  #deadline({ signal, deadlineMs = READ_DEADLINE_MS }: ReadOptions): AbortSignal {
    const own = [AbortSignal.timeout(deadlineMs), this.#closing.signal];
    return AbortSignal.any(signal === undefined ? own : [...own, signal]);
  }

  /** What the chain says is an answer, whatever it says; only silence and dispute are trouble. */
  async #tracked<T>({ signal }: ReadOptions, work: () => Promise<T>): Promise<T> {
    try {
      const done = await work();
      this.#health = { kind: 'reachable' };
      return done;
    } catch (error) {
      const isCancelled = signal?.aborted === true || this.#closing.signal.aborted;
      if (error instanceof VeilError && ANSWERS.includes(error.code)) {
        this.#health = { kind: 'reachable' };
      } else if (!isCancelled && this.#health.kind === 'reachable') {
        const code = error instanceof VeilError ? error.code : 'unknown';
        this.#health = { kind: 'unreachable', sinceMs: this.#options.now(), code };
      }
      throw error;
    }
  }
}

/** The providers are there and agree, only not with the caller. */
const ANSWERS: readonly string[] = ['ton.not_accepted', 'ton.history'];

function accountDigest({ state, balanceNanoton, code, data, last }: AccountAnswer): string {
  const parts = [code, data].map((cell) => cell?.hash().toString('hex') ?? '');
  return [state, balanceNanoton, ...parts, last?.lt ?? 0n, last?.hash ?? ''].join(' ');
}

/**
 * Of one account, the same last transaction leaves one state, and a newer block never shows an older one. Anything else
 * may be the difference of a moment.
 */
function contradictsAccount(said: AccountAnswer, agreed: AccountAnswer): boolean {
  const [saidLt, agreedLt] = [said.last?.lt ?? 0n, agreed.last?.lt ?? 0n];
  if (saidLt === agreedLt) return accountDigest(said) !== accountDigest(agreed);
  return saidLt < agreedLt ? said.seqno >= agreed.seqno : said.seqno <= agreed.seqno;
}

function runDigest({ exitCode, stack }: RunAnswer): string {
  return `${exitCode} ${stackDigest(stack)}`;
}

function isChained(page: readonly Transaction[], from: TransactionId): boolean {
  let want: TransactionId | undefined = from;
  for (const transaction of page) {
    if (want === undefined || transaction.lt !== want.lt) return false;
    if (transaction.raw.hash().toString('hex') !== want.hash) return false;
    want = before(transaction);
  }
  return page.length > 0;
}

function before(transaction: Transaction | undefined): TransactionId | undefined {
  if (transaction === undefined || transaction.prevTransactionLt === 0n) return undefined;
  const hash = transaction.prevTransactionHash.toString(16).padStart(64, '0');
  return { lt: transaction.prevTransactionLt, hash };
}
