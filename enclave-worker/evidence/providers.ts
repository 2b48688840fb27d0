/** Every evidence provider a worker can use. To add one: write the file, add its lines here. @module */

import { z } from 'zod';
import { decodeConfig } from '../../core/node/config.ts';
import { PATH } from '../config-fields.ts';
import { CONFIGFS_TSM, CONFIGFS_TSM_CONFIG, openConfigfsTsm } from './configfs-tsm.ts';
import { DSTACK, DSTACK_CONFIG, openDstack } from './dstack.ts';
import type { Guest } from './guest.ts';
import type { EvidenceProvider } from './provider.ts';
import { DEMO_GATEWAY_MEASUREMENTS, DEMO_GATEWAY_SNP_MEASUREMENT } from './simulator/demo-image.ts';
import { createSimulator, simulator } from './simulator/simulator.ts';
import { createSnpSimulator, snpSimulator } from './simulator/snp/simulator.ts';

export interface ProviderKind {
  readonly name: string;
  readonly simulated: boolean;
  /** `config` is decoded by the provider's own strict schema. Throws `evidence.*`, `config.invalid`. */
  readonly open: (config: unknown, guest: Guest, signal: AbortSignal) => Promise<EvidenceProvider>;
}

type Open<Options> = (
  options: Options,
  guest: Guest,
  signal: AbortSignal,
) => Promise<EvidenceProvider>;

function decoding<Schema extends z.ZodType>(
  schema: Schema,
  open: Open<z.output<Schema>>,
): ProviderKind['open'] {
  return async (config, guest, signal) => open(decodeConfig(schema, config), guest, signal);
}

function simulatorConfig<Name extends string>(name: Name) {
  return z.strictObject({
    provider: z.literal(name),
    /** Where the development hierarchy is kept. */
    pkiDir: PATH,
    /** What the simulated machine measures; absent: a worker. */
    image: z.enum(['worker', 'gateway']).exactOptional(),
  });
}

const SIMULATOR_CONFIG = simulatorConfig(simulator.name);
const SNP_SIMULATOR_CONFIG = simulatorConfig(snpSimulator.name);

export const PROVIDERS = [
  { name: DSTACK, simulated: false, open: decoding(DSTACK_CONFIG, openDstack) },
  { name: CONFIGFS_TSM, simulated: false, open: decoding(CONFIGFS_TSM_CONFIG, openConfigfsTsm) },
  {
    name: simulator.name,
    simulated: true,
    open: decoding(SIMULATOR_CONFIG, ({ pkiDir, image }) =>
      createSimulator({
        pkiDir,
        ...(image === 'gateway' ? { measurements: DEMO_GATEWAY_MEASUREMENTS } : {}),
      }),
    ),
  },
  {
    name: snpSimulator.name,
    simulated: true,
    open: decoding(SNP_SIMULATOR_CONFIG, ({ pkiDir, image }) =>
      createSnpSimulator({
        pkiDir,
        ...(image === 'gateway' ? { measurement: DEMO_GATEWAY_SNP_MEASUREMENT } : {}),
      }),
    ),
  },
] as const satisfies readonly ProviderKind[];
export type ProviderName = (typeof PROVIDERS)[number]['name'];

/** What the worker is told about evidence. `auto` looks for a real machine and never takes the simulator. */
export const EVIDENCE_CONFIG = z.discriminatedUnion('provider', [
  z.strictObject({ provider: z.literal('auto') }),
  DSTACK_CONFIG,
  CONFIGFS_TSM_CONFIG,
  SIMULATOR_CONFIG,
  SNP_SIMULATOR_CONFIG,
]);
export type EvidenceConfig = z.output<typeof EVIDENCE_CONFIG>;
