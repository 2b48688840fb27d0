/**
 * `veilgate measure`: what a guest that is started with these files will measure (SEV-SNP), or did measure by its event
 * log (TDX), as a policy wants to have it. One sub-command for each kind of TEE. Exit status: 0 computed, 1 a file cannot be read or measured, 2 wrong usage.
 * @module
 */

import type { Command } from 'commander';
import { registerMeasureSnpCommand } from './measure/snp.ts';
import { registerMeasureTdxCommand } from './measure/tdx.ts';

export function registerMeasureCommand(program: Command): void {
  const measure = program
    .command('measure')
    .description('say what a guest measures, ready for a policy');
  registerMeasureSnpCommand(measure);
  registerMeasureTdxCommand(measure);
}
