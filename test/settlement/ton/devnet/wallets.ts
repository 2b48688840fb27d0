/** Wallets and clients as an app would make them: nothing in them knows that the network is not real. @module */

import { Address, internal, SendMode, type MessageRelaxed, type OpenedContract } from '@ton/core';
import { keyPairFromSeed, type KeyPair } from '@ton/crypto';
import { TonClient, WalletContractV5R1 } from '@ton/ton';
import {
  openDevnet,
  type Devnet,
  type DevnetOptions,
} from '../../../../settlement/ton/devnet/devnet.ts';
import { until } from '../../../support/until.ts';

export const TON = 1_000_000_000n;
export const MODES = [
  { mode: 'instant mode', blockTimeMs: 0 },
  { mode: 'timed mode', blockTimeMs: 40 },
] as const;

export async function withDevnet(
  options: DevnetOptions,
  work: (devnet: Devnet) => Promise<void>,
): Promise<void> {
  const devnet = await openDevnet(options);
  try {
    await work(devnet);
  } finally {
    await devnet.close();
  }
}

export function clientOf({ endpoint }: Pick<Devnet, 'endpoint'>, apiKey?: string): TonClient {
  return new TonClient({ endpoint, ...(apiKey === undefined ? {} : { apiKey }), timeout: 10_000 });
}

export interface TestWallet {
  readonly keys: KeyPair;
  readonly address: Address;
  readonly contract: WalletContractV5R1;
  readonly opened: OpenedContract<WalletContractV5R1>;
  /** Waits until the wallet has executed it. */
  send(messages: MessageRelaxed[]): Promise<void>;
}

export function walletOf(client: TonClient, seedByte: number): TestWallet {
  const keys = keyPairFromSeed(Buffer.alloc(32, seedByte));
  const contract = WalletContractV5R1.create({
    publicKey: keys.publicKey,
    walletId: { networkGlobalId: -217 },
  });
  const opened = client.open(contract);
  return {
    keys,
    address: contract.address,
    contract,
    opened,
    send: async (messages) => {
      const seqno = await opened.getSeqno();
      await opened.sendTransfer({
        seqno,
        secretKey: keys.secretKey,
        messages,
        sendMode: SendMode.PAY_GAS_SEPARATELY + SendMode.IGNORE_ERRORS,
      });
      await until(async () => (await opened.getSeqno()) > seqno);
    },
  };
}

export function addressOf(byte: number): Address {
  return new Address(0, Buffer.alloc(32, byte));
}

export function transfer(to: Address, value: bigint): MessageRelaxed {
  return internal({ to, value, bounce: false });
}

/** A call of a control path or of the JSON-RPC itself. */
export async function post(
  url: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly json: Record<string, unknown> }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  const json: unknown = await response.json();
  return { status: response.status, json: { ...Object(json) } };
}

export async function call(devnet: Devnet, method: string, params: unknown) {
  return await post(devnet.endpoint, { id: '1', jsonrpc: '2.0', method, params });
}
