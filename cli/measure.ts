/**
 * `veilgate measure`: what a guest that is started with these files will measure, as a policy wants to have it. One
 * sub-command for each kind of TEE. Exit status: 0 computed, 1 a file cannot be read or measured, 2 wrong usage.
 * @module
 */

import type { Command } from 'commander';
import { registerMeasureSnpCommand } from './measure/snp.ts';

export function registerMeasureCommand(program: Command): void {
  const measure = program
    .command('measure')
    .description('compute what a guest will measure, ready for a policy');
  registerMeasureSnpCommand(measure);
}
