/**
 * The build of the contracts: what stands in `build/`, and nothing else runs. Only `npm run generate` and
 * `npm run check` come here, so that the compiler is never part of a running service.
 * @module
 */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runTolkCompiler } from '@ton/tolk-js';
import { assert } from '../../../core/errors.ts';

export interface BuiltContract {
  readonly path: string;
  readonly text: string;
}

const HERE = 'settlement/ton/contracts';

/** Every contract. To add one: write its folder, add its line here. */
const CONTRACTS = [
  { name: 'PayChannel', folder: 'pay-channel' },
  { name: 'PolicyRegistry', folder: 'policy-registry' },
  { name: 'LedgerAnchor', folder: 'ledger-anchor' },
  { name: 'JettonPayChannel', folder: 'jetton-pay-channel' },
] as const;

export async function buildContracts(): Promise<readonly BuiltContract[]> {
  const built: BuiltContract[] = [];
  for (const contract of CONTRACTS) built.push(await build(contract));
  return built;
}

async function build({ name, folder }: (typeof CONTRACTS)[number]): Promise<BuiltContract> {
  const result = await runTolkCompiler({
    entrypointFileName: `${folder}/${name}.tolk`,
    fsReadCallback: (path) => readFileSync(fileURLToPath(new URL(path, import.meta.url)), 'utf8'),
  });
  assert(result.status === 'ok', `${name}: ${result.status === 'ok' ? '' : result.message}`);
  const { codeBoc64, codeHashHex, tolkVersion } = result;
  const text = JSON.stringify(
    { codeBoc64, codeHash: codeHashHex.toLowerCase(), tolkVersion },
    null,
    2,
  );
  return { path: `${HERE}/build/${name}.json`, text: `${text}\n` };
}
