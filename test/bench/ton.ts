/** Gas and fees of the contracts in the sandbox beside the figures of the design. Spec: ton-settlement §3.2. @module */

import { measureChannel, type Measured } from '../support/ton/measure-channel.ts';
import { measureJetton } from '../support/ton/measure-jetton.ts';
import { measurePolicy } from '../support/ton/measure-policy.ts';
import type { Bench, BenchResult } from './bench.ts';

interface Designed {
  readonly gas?: number;
  readonly ton: number;
}

/** The prototype's figures: whole trace, the sender's wallet included for internal messages. Ours leave the wallet out. */
const DESIGNED: Readonly<Record<string, Designed>> = {
  'deploy and first deposit': { gas: 2462, ton: 0.0149 },
  'top-up': { gas: 2375, ton: 0.0028 },
  'claim, external': { gas: 8058, ton: 0.00439 },
  'claim, external, single lock': { gas: 7334, ton: 0.00386 },
  'claim, internal': { gas: 9809, ton: 0.0079 },
  'request withdraw': { gas: 8113, ton: 0.0063 },
  'finalize, internal': { gas: 6457, ton: 0.0051 },
  'close, internal': { gas: 13_482, ton: 0.0102 },
  'close, external': { gas: 11_151, ton: 0.0063 },
  'jetton: deploy and init': { ton: 0.0177 },
  'jetton: claim': { ton: 0.0101 },
  'jetton: close': { ton: 0.0149 },
  'registry: propose': { ton: 0.0033 },
  'registry: activate': { ton: 0.0028 },
  'registry: revoke': { ton: 0.0034 },
  anchor: { ton: 0.00157 },
};

const NANO = 1e9;

function rowText({ operation, gas, fees }: Measured): string {
  const designed = DESIGNED[operation];
  const ours = `${operation.padEnd(32)} ${String(gas).padStart(7)} gas  ${(Number(fees) / NANO).toFixed(5)} TON`;
  if (designed === undefined) return ours;
  const designedGas = designed.gas === undefined ? '' : `${designed.gas} gas, `;
  return `${ours}   (design: ${designedGas}${designed.ton} TON)`;
}

async function run(): Promise<BenchResult> {
  const rows = [
    ...(await measureChannel()),
    ...(await measureJetton()),
    ...(await measurePolicy()),
  ];
  return {
    figures: {
      operations: rows.map(({ operation, gas, fees }) => ({
        operation,
        gas: Number(gas),
        ton: Number(fees) / NANO,
        designed: DESIGNED[operation],
      })),
    },
    lines: [
      'contracts in the sandbox, fees of the whole trace; the design counts the sender’s wallet (about 0.003 TON) too',
      ...rows.map(rowText),
    ],
  };
}

export const bench: Bench = {
  name: 'ton',
  summary: 'gas and fees of every contract operation beside the figures of the design',
  run,
};
