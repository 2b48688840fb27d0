/**
 * A whole Veilgate whose requests are paid for: a devnet, a gateway that takes channels and holds balances, a worker that
 * keeps its earnings, and a payer with an open channel. What any part wrote can be read back, keys included. @module
 */

import { globSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fixed, type Bytes } from '../../core/bytes.ts';
import { loadChannel, type KeptChannel } from '../../cli/channel/channel-files.ts';
import { openDataDirectory, type DataDirectory } from '../../cli/up/data-directory.ts';
import { startDevMoney, type DevMoney } from '../../cli/up/money.ts';
import type { PriceList } from '../../attestation/verdict.ts';
import type { GatewayConfigInput } from '../../gateway/config.ts';
import { startStack, type Stack } from './stack.ts';
import type { Trace } from './canaries.ts';

export interface PaidStack {
  readonly stack: Stack;
  readonly money: DevMoney;
  readonly kept: KeptChannel;
  /** Signs for the channel. */
  readonly payerKey: Bytes<32>;
  /** Ends every process; what they wrote stays until `close`. */
  stop(): Promise<void>;
  close(): Promise<void>;
  /** Everything on the disk and in the logs. */
  traces(): readonly Trace[];
}

/** A hundredth of a TON a request, and less: many fit under the ramp, and together they are worth a claim. */
const PRICES: PriceList = {
  asset: 'TON',
  base: 3_000_000n,
  prompt: 50_000_000_000n,
  cached: 50_000_000_000n,
  completion: 50_000_000_000n,
  reasoning: 50_000_000_000n,
};

/** Of the provider of the chain. */
export const PROVIDER_KEY = 'toncenter-key-9f27c1d05b';
const SECRET_BYTES = 32;

type Closer = () => Promise<void> | void;

export async function startPaidStack(): Promise<PaidStack> {
  const dir = mkdtempSync(join(tmpdir(), 'veilgate-paid-stack-'));
  const closers: Closer[] = [() => rmSync(dir, { recursive: true, force: true })];
  const stoppers: Closer[] = [];
  const stop = async (): Promise<void> => {
    for (const stopper of stoppers.splice(0).reverse()) await stopper();
  };
  const close = async (): Promise<void> => {
    await stop();
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const data = openDataDirectory(dir);
    stoppers.push(() => data.release());
    const said: string[] = [];
    const money = await startDevMoney({ data, onProgress: (line) => void said.push(line) });
    stoppers.push(() => money.close());
    const stack = await startStack({
      prices: PRICES,
      workerConfig: (index) => ({
        settlement: { network: 'devnet' },
        earnings: { dir: join(dir, `earnings-${index}`) },
      }),
      gateway: { settlement: settlementOf(data, money) },
    });
    stoppers.push(() => stack.stop());
    closers.push(() => stack.close());
    const demo = await money.openDemoChannel({
      gatewayUrl: new URL(stack.baseUrl).origin,
      aud: stack.gateway.aud,
    });
    const kept = loadChannel(demo.channelFilePath);
    const payerKey = fixed(readFileSync(kept.path.replace(/\.json$/, '.key')), SECRET_BYTES);
    const traces = (): readonly Trace[] => [
      { name: 'progress', bytes: Buffer.from(said.join('\n')) },
      ...stack.traces(),
      ...filesIn(dir),
    ];
    return { stack, money, kept, payerKey, stop, close, traces };
  } catch (error) {
    await close();
    throw error;
  }
}

function settlementOf(
  data: DataDirectory,
  { providerUrl, keys, payee }: DevMoney,
): NonNullable<GatewayConfigInput['settlement']> {
  data.write('provider.key', PROVIDER_KEY);
  return {
    feeBps: 500,
    custodial: 'operator-holds-balances',
    ton: {
      network: 'devnet',
      providers: [{ name: 'devnet', url: providerUrl, apiKeyFile: data.path('provider.key') }],
      settlementKeyFile: keys.settlement.path,
      treasuryKeyFile: keys.treasury.path,
      withdrawDelayMinS: payee.withdrawDelayMinS,
      depositMin: '0.1',
    },
  };
}

function filesIn(dir: string): readonly Trace[] {
  return globSync('**/*', { cwd: dir })
    .map((name) => join(dir, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => ({ name: path, bytes: readFileSync(path) }));
}

export interface KeyFile {
  readonly path: string;
  readonly key: Uint8Array;
}

/** Every file that is a key: 32 bytes that only their owner may read. */
export function keyFilesAmong(traces: readonly Trace[]): readonly KeyFile[] {
  return traces
    .filter(({ bytes }) => bytes.length === SECRET_BYTES)
    .map(({ name, bytes }) => ({ path: name, key: bytes }));
}
