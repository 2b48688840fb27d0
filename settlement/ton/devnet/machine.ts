/**
 * The emulator behind the devnet: one message in, one transaction out, accounts kept here. The sandbox's own queue is not
 * used: it keeps every transaction for ever, and what a dry run leaves in it executes with the next message.
 * Spec: ton-settlement §6 "Traps".
 * @module
 */

import {
  Address,
  beginCell,
  type Cell,
  Dictionary,
  type Message,
  type ShardAccount,
  type Transaction,
  type TupleItem,
} from '@ton/core';
import {
  Blockchain,
  EmulationError,
  Executor,
  GetMethodError,
  LocalBlockchainStorage,
  SmartContract,
} from '@ton/sandbox';
import { assert } from '../../../core/errors.ts';
import { devnetError } from './errors.ts';

const GLOBAL_ID_PARAMETER = 19;
const LT_STEP = 1_000_000n;

/** Inherits because the logical time of a `Blockchain` can be moved from inside only. */
class Emulator extends Blockchain {
  static async open(globalId: number): Promise<Emulator> {
    const emulator = new Emulator({
      executor: await Executor.create(),
      storage: new LocalBlockchainStorage(),
      config: 'slim',
    });
    emulator.verbosity = { print: false, blockchainLogs: false, vmLogs: 'none', debugLogs: false };
    emulator.setConfig(withGlobalId(emulator.config, globalId));
    return emulator;
  }

  moveLt(lt: bigint): void {
    assert(lt >= this.currentLt, 'logical time runs forwards');
    this.currentLt = lt;
  }
}

function withGlobalId(config: Cell, globalId: number): Cell {
  const parameters = Dictionary.loadDirect(
    Dictionary.Keys.Int(32),
    Dictionary.Values.Cell(),
    config,
  );
  parameters.set(GLOBAL_ID_PARAMETER, beginCell().storeInt(globalId, 32).endCell());
  return beginCell().storeDictDirect(parameters).endCell();
}

export interface GetMethodAnswer {
  readonly exitCode: number;
  readonly gasUsed: bigint;
  readonly stack: readonly TupleItem[];
}

export interface Trial {
  /** Absent: the account as it is now. */
  readonly account?: ShardAccount;
  readonly nowS: number;
  readonly ignoreSignature?: true;
}

/** What lite servers answer for an account without code. */
const NOT_ACTIVE_EXIT_CODE = -13;

export class Machine {
  readonly #emulator: Emulator;
  readonly #contracts = new Map<string, SmartContract>();

  private constructor(emulator: Emulator) {
    this.#emulator = emulator;
  }

  static async open(globalId: number): Promise<Machine> {
    return new Machine(await Emulator.open(globalId));
  }

  get lt(): bigint {
    return this.#emulator.lt;
  }

  /** Only forwards. */
  moveLt(lt: bigint): void {
    this.#emulator.moveLt(lt);
  }

  /** Undefined for an account that was never touched. */
  account(address: Address): ShardAccount | undefined {
    return this.#contracts.get(address.toRawString())?.account;
  }

  accounts(): readonly (readonly [string, ShardAccount])[] {
    return [...this.#contracts].map(([address, contract]) => [address, contract.account]);
  }

  /** Undefined takes the account away. */
  setAccount(address: string, account: ShardAccount | undefined): void {
    if (account === undefined) this.#contracts.delete(address);
    else this.#contracts.set(address, this.#contractOf(Address.parse(address), account));
  }

  /** Executes. Throws `devnet.not_accepted` when the contract refuses an external message; nothing has changed then. */
  async execute(message: Message, nowS: number): Promise<Transaction> {
    const address = destinationOf(message);
    const key = address.toRawString();
    const known = this.#contracts.get(key);
    const contract = known ?? SmartContract.empty(this.#emulator, address);
    this.#emulator.moveLt(this.#emulator.lt + LT_STEP);
    const transaction = await receive(contract, message, { nowS });
    if (known === undefined) this.#contracts.set(key, contract);
    return transaction;
  }

  /** What executing would make, without doing it. Throws `devnet.not_accepted`. */
  async trial(message: Message, trial: Trial): Promise<Transaction> {
    const address = destinationOf(message);
    return await receive(
      this.#contractOf(address, trial.account ?? this.account(address)),
      message,
      trial,
    );
  }

  async runGetMethod(
    address: Address,
    account: ShardAccount | undefined,
    call: { readonly method: string | number; readonly stack: TupleItem[]; readonly nowS: number },
  ): Promise<GetMethodAnswer> {
    const contract = this.#contractOf(address, account);
    if (contract.accountState?.type !== 'active') {
      return { exitCode: NOT_ACTIVE_EXIT_CODE, gasUsed: 0n, stack: [] };
    }
    try {
      const answer = await contract.get(call.method, call.stack, { now: call.nowS });
      return { exitCode: answer.exitCode, gasUsed: answer.gasUsed, stack: answer.stack };
    } catch (error) {
      if (!(error instanceof GetMethodError)) throw error;
      return { exitCode: error.exitCode, gasUsed: error.gasUsed, stack: [] };
    }
  }

  #contractOf(address: Address, account: ShardAccount | undefined): SmartContract {
    const contract = SmartContract.empty(this.#emulator, address);
    if (account !== undefined) contract.account = account;
    return contract;
  }
}

async function receive(
  contract: SmartContract,
  message: Message,
  { nowS, ignoreSignature }: Trial,
): Promise<Transaction> {
  try {
    return await contract.receiveMessage(message, {
      now: nowS,
      ...(ignoreSignature === undefined ? {} : { ignoreChksig: true }),
    });
  } catch (cause) {
    if (!(cause instanceof EmulationError)) throw cause;
    const { exitCode } = cause;
    throw devnetError(
      'devnet.not_accepted',
      exitCode === undefined ? '' : `exit code ${exitCode}`,
      {
        // None where there is no code that could have ended with one.
        facts: exitCode === undefined ? {} : { exitCode },
        cause,
      },
    );
  }
}

export function destinationOf(message: Message): Address {
  if (message.info.type === 'external-out') throw devnetError('devnet.message', 'leaves the chain');
  return message.info.dest;
}
