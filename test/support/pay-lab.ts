/**
 * A devnet, a wallet with coins, and a gateway on loopback that takes channels: as much of one as a payer's commands meet.
 * It can be told to answer otherwise. @module
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ed25519PublicKey, signEd25519 } from '#primitives';
import { fixed, fromHex, toHex, type Bytes } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import type { MoneyIo } from '../../cli/ton/io.ts';
import { makeWallet } from '../../cli/ton/wallet-file.ts';
import { audOf, signGatewayDocument, type ChannelPayee } from '../../protocol/gateway-document.ts';
import { PAY_CHANNEL } from '../../settlement/ton/contracts/compiled.ts';
import { openDevnet, type Devnet } from '../../settlement/ton/devnet/devnet.ts';
import { DEVNET } from '../../settlement/ton/network.ts';
import type { TonWallet } from '../../settlement/ton/wallet.ts';
import { jsonObject } from './json-object.ts';

const seedOf = (byte: number): Bytes<32> => fixed(new Uint8Array(32).fill(byte), 32);
export const IDENTITY_SEED = seedOf(31);
export const PAYEE_SEED = seedOf(32);
export const PAYEE_ADDRESS = `0:${'07'.repeat(32)}`;
export const TON = 1_000_000_000n;
const LIFETIME_MS = 3_600_000;

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body: string;
}

export interface FakeAnswer {
  readonly status: number;
  readonly json: unknown;
}

export interface FakeGateway {
  readonly url: string;
  readonly aud: string;
  readonly asked: Asked[];
  payee: ChannelPayee | null;
  /** Undefined: answers as a gateway does that has seen nothing charged. */
  answer: (asked: Asked) => FakeAnswer | undefined | Promise<FakeAnswer | undefined>;
}

export const HONEST_PAYEE: ChannelPayee = {
  network: 'tvm:-217',
  address: PAYEE_ADDRESS,
  key: ed25519PublicKey(PAYEE_SEED),
  codeHash: fixed(fromHex(PAY_CHANNEL.codeHash), 32),
  withdrawDelayMinS: 86_400,
  depositMin: 100_000_000n,
};

export interface PayLab {
  readonly dir: string;
  readonly devnet: Devnet;
  readonly wallet: TonWallet;
  readonly gateway: FakeGateway;
  /** Options that every command takes. */
  readonly common: { readonly dir: string; readonly provider: readonly string[] };
  /** What was said, in order. */
  readonly said: string[];
  readonly shown: string[];
  /** `answers`: to the questions that are asked, in order; nobody is there without. */
  readonly io: (answers?: readonly string[]) => MoneyIo;
}

export async function withPayLab(
  work: (lab: PayLab) => Promise<void>,
  { coins = 10n * TON, blockTimeMs = 0 } = {},
): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'veilgate-pay-'));
  const devnet = await openDevnet({ blockTimeMs });
  const { wallet } = makeWallet({ dir }, DEVNET);
  if (coins > 0n) await devnet.faucet(wallet.address, coins);
  if (blockTimeMs > 0) await devnet.mine(1);
  const gateway = await openFake();
  const [said, shown]: [string[], string[]] = [[], []];
  const ended = new AbortController();
  try {
    await work({
      dir,
      devnet,
      wallet,
      gateway: gateway.fake,
      common: { dir, provider: [devnet.endpoint] },
      said,
      shown,
      io: (answers) => ({
        say: (line) => void said.push(line),
        show: (line) => void shown.push(line),
        ask: answers === undefined ? undefined : asker([...answers], said),
        now: systemClock,
        signal: ended.signal,
        pollMs: 5,
      }),
    });
  } finally {
    ended.abort();
    await gateway.close();
    await devnet.close();
    rmSync(dir, { recursive: true });
  }
}

function asker(answers: string[], said: string[]) {
  return async (question: string): Promise<string> => {
    said.push(question);
    const next = answers.shift();
    if (next === undefined) throw new Error(`nobody expected: ${question}`);
    return await Promise.resolve(next);
  };
}

export async function withFakeGateway(
  work: (gateway: FakeGateway) => Promise<void>,
): Promise<void> {
  const { fake, close } = await openFake();
  try {
    await work(fake);
  } finally {
    await close();
  }
}

async function openFake() {
  const identity = ed25519PublicKey(IDENTITY_SEED);
  const known = new Map<string, string>();
  const server = createServer((request, response) => {
    void serve(request, response).catch((error: unknown) => response.destroy(asError(error)));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const place = server.address();
  if (place === null || typeof place === 'string') throw new Error('no port');
  const fake: FakeGateway = {
    url: `http://127.0.0.1:${place.port}`,
    aud: audOf(identity),
    asked: [],
    payee: HONEST_PAYEE,
    answer: () => undefined,
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const parts: Uint8Array[] = [];
    for await (const part of request) if (part instanceof Uint8Array) parts.push(part);
    const asked = {
      method: request.method ?? '',
      path: request.url ?? '',
      body: Buffer.concat(parts).toString('utf8'),
    };
    fake.asked.push(asked);
    const { status, json } = (await fake.answer(asked)) ?? usual(asked);
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(json));
  };
  const usual = ({ method, path, body }: Asked): FakeAnswer => {
    if (path === '/v1/gateway') return { status: 200, json: documentOf(identity, fake.payee) };
    if (method === 'POST' && path === '/v1/channels') {
      const channel = String(jsonObject(body)['channel']);
      known.set(channel, body);
      return { status: 200, json: { channel, state: 'open' } };
    }
    return {
      status: 404,
      json: {
        error: {
          type: 'invalid_request_error',
          code: 'channel_unknown',
          message: 'No such channel.',
        },
      },
    };
  };
  const close = async (): Promise<void> => {
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  };
  return { fake, close };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error('unknown');
}

function documentOf(identity: Bytes<32>, payee: ChannelPayee | null) {
  const nowMs = systemClock();
  return signGatewayDocument(
    {
      identity,
      tlsSpkiSha256: [],
      baseUrls: [],
      settlement: { payee, feeBps: 300, ledgerKeys: [] },
      issuedMs: nowMs,
      expiresMs: nowMs + LIFETIME_MS,
    },
    (bytes) => signEd25519(IDENTITY_SEED, bytes),
  );
}

/** As a gateway's books say it. */
export function stateJson(
  channel: Uint8Array,
  changes: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const zero = { refunded: '0', withdrawing: '0', claimed: '0', ceiling: '0', charged: '0' };
  const rest = { epoch: '0', deposited: '1500000000', reserved: '0', n: '0' };
  return { channel: toHex(channel), ...zero, ...rest, ...changes };
}

/** A member of an answer that is text. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new Error(`not text: ${JSON.stringify(value)}`);
}
