/** A chain in the process: @ton/sandbox with a clock that moves only when told, and outcomes one can compare. @module */

import { external, type Address, type Cell, type StateInit, TupleReader } from '@ton/core';
import { Blockchain, EmulationError, internal as sandboxInternal } from '@ton/sandbox';

const START_S = 1_800_000_000;

export interface Outcome {
  /** Of the addressed contract; 0 is success. */
  readonly exitCode: number;
  readonly gas: bigint;
  /** All fees of the whole trace in nanoTON, forwarding included. */
  readonly fees: bigint;
  /** What the addressed contract sent. */
  readonly sent: readonly Sent[];
  /** Exit code of its action phase; 0 is success. */
  readonly actionCode: number;
  readonly skippedActions: number;
  readonly isExternal: boolean;
}

export interface Sent {
  readonly to: Address;
  readonly value: bigint;
  readonly body: Cell;
  readonly forwardFee: bigint;
}

export interface InternalSend {
  readonly from: Address;
  readonly to: Address;
  readonly value: bigint;
  readonly body: Cell;
  readonly init?: StateInit;
  readonly bounced?: boolean;
}

type Transaction = Awaited<ReturnType<Blockchain['sendMessage']>>['transactions'][number];

export class Chain {
  readonly blockchain: Blockchain;
  #minted = 0n;
  #fees = 0n;

  private constructor(blockchain: Blockchain) {
    this.blockchain = blockchain;
  }

  static async create(): Promise<Chain> {
    const blockchain = await Blockchain.create({ config: 'slim' });
    blockchain.now = START_S;
    return new Chain(blockchain);
  }

  /** What came in by messages so far less what validators kept of it: as much as all accounts hold. */
  get circulating(): bigint {
    return this.#minted - this.#fees;
  }

  get now(): number {
    return this.blockchain.now ?? START_S;
  }

  pass(seconds: number): void {
    this.blockchain.now = this.now + seconds;
  }

  /** From an address that need not exist: whatever the rules are, they cannot depend on the sender's code. */
  async send({ from, to, value, body, init, bounced }: InternalSend): Promise<Outcome> {
    const message = sandboxInternal({
      from,
      to,
      value,
      body,
      ...(init === undefined ? {} : { stateInit: init }),
      bounce: bounced !== true,
      bounced: bounced === true,
    });
    const { transactions } = await this.blockchain.sendMessage(message);
    this.#minted += value;
    return this.#counted(outcomeOf(transactions, to));
  }

  /** A refused external message is no transaction: only its exit code is known. */
  async external(to: Address, body: Cell, init?: StateInit): Promise<Outcome> {
    try {
      const message = external({ to, body, ...(init === undefined ? {} : { init }) });
      const { transactions } = await this.blockchain.sendMessage(message);
      return this.#counted(outcomeOf(transactions, to));
    } catch (cause) {
      if (!(cause instanceof EmulationError) || cause.exitCode === undefined) throw cause;
      return {
        exitCode: cause.exitCode,
        gas: 0n,
        fees: 0n,
        sent: [],
        actionCode: 0,
        skippedActions: 0,
        isExternal: true,
      };
    }
  }

  #counted(outcome: Outcome): Outcome {
    this.#fees += outcome.fees;
    return outcome;
  }

  async balance(of: Address): Promise<bigint> {
    return (await this.blockchain.getContract(of)).balance;
  }

  async get(of: Address, method: string, args: Parameters<Blockchain['runGetMethod']>[2] = []) {
    const { stack } = await this.blockchain.runGetMethod(of, method, args);
    return new TupleReader(stack);
  }
}

/** What a trace did at `to`. */
export function outcomeOf(transactions: readonly Transaction[], to: Address): Outcome {
  const at = transactions.find(
    ({ inMessage }) => inMessage?.info.dest?.toString() === to.toString(),
  );
  if (at?.description.type !== 'generic') throw new Error('no transaction at the address');
  const { computePhase, actionPhase } = at.description;
  const computed = computePhase.type === 'vm' ? computePhase : { exitCode: -1, gasUsed: 0n };
  return {
    exitCode: computed.exitCode,
    gas: computed.gasUsed,
    fees: transactions.reduce((sum, transaction) => sum + feesOf(transaction), 0n),
    sent: computed.exitCode === 0 ? sentBy(at) : [],
    actionCode: actionPhase?.resultCode ?? 0,
    skippedActions: actionPhase?.skippedActions ?? 0,
    isExternal: at.inMessage?.info.type === 'external-in',
  };
}

/** What validators keep: fees of the account, and forwarding that is taken from messages. */
function feesOf(transaction: Transaction): bigint {
  let sum = transaction.totalFees.coins;
  for (const message of transaction.outMessages.values()) {
    if (message.info.type === 'internal') sum += message.info.forwardFee;
  }
  return sum;
}

function sentBy(transaction: Transaction): readonly Sent[] {
  return [...transaction.outMessages.values()].flatMap(({ info, body }) =>
    info.type === 'internal'
      ? [{ to: info.dest, value: info.value.coins, body, forwardFee: info.forwardFee }]
      : [],
  );
}
