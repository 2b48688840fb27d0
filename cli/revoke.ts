/**
 * `veilgate revoke …`: taking trust away at once, and the service that says what is the newest. One sub-command per file.
 * Exit status: 0 done, 1 refused, 2 wrong usage, 3 an input cannot be read. Spec: docs/publication.md §2.
 * @module
 */

import type { Command } from 'commander';
import { registerRevokeAddCommand } from './revoke/add.ts';
import { registerRevokeListCommand } from './revoke/list.ts';
import { registerRevokeRemoveCommand } from './revoke/remove.ts';
import { registerRevokeTimestampCommand } from './revoke/timestamp.ts';

const EXAMPLES = `
In an emergency:
  veilgate revoke add cpu 00112233445566778899aabbccddeeff --repo repo
    --as carol.key --reason "host seized, incident 214"

Exit status: 0 done, 1 refused, 2 wrong usage, 3 an input cannot be read. All
take --json.`;

export function registerRevokeCommand(program: Command): void {
  const revoke = program
    .command('revoke')
    .description('take trust away: one person, seconds')
    .addHelpText('after', EXAMPLES);
  registerRevokeAddCommand(revoke);
  registerRevokeRemoveCommand(revoke);
  registerRevokeListCommand(revoke);
  registerRevokeTimestampCommand(revoke);
}
