/**
 * `veilgate key create|list|revoke`: the API keys of a gateway, in its data directory, also while it runs. Run by the user
 * that the gateway runs as. Exit status: 0 done, 1 a problem, 2 wrong usage.
 * @module
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import { formatInstant, systemClock } from '../core/clock.ts';
import { jsonLine, outputLine, printable } from '../core/node/terminal.ts';
import { createApiKey, LABEL_MAX_CHARS, listApiKeys } from '../gateway/accounts.ts';
import type { Store } from '../gateway/store/store.ts';
import { STORES } from '../gateway/store/stores.ts';
import { cliError } from './errors.ts';

const FORMAT = 'veilgate.api-keys/1';
const FILE = 'gateway.sqlite';
const LABEL_CHARS = 24;
const KEY_ID = /^key_[0-9a-f]{16}$/;

const KEYS_HELP = `
The directory is "dataDir" of the gateway's configuration. What it holds of a
key is its hash: whoever has the directory cannot use it, and whoever lost a
key gets another one. A running gateway takes a new key at once, and a revoked
one for five seconds more at most.

Exit status: 0 done; 1 a problem; 2 wrong usage.`;

interface Words {
  readonly json?: true;
}

export function registerKeyCommand(program: Command): void {
  const key = program.command('key').description('the API keys of a gateway');
  key
    .command('create')
    .description('make a key and show it, once')
    .argument('<directory>', 'the gateway’s data directory')
    .option('--label <text>', 'whose it is, for "list"', labelOf, '')
    .option('--json', 'one line of JSON')
    .addHelpText('after', KEYS_HELP)
    .action(create);
  key
    .command('list')
    .description('show whose keys there are, without the keys')
    .argument('<directory>', 'the gateway’s data directory')
    .option('--json', 'one line of JSON')
    .addHelpText('after', KEYS_HELP)
    .action(list);
  key
    .command('revoke')
    .description('end a key')
    .argument('<directory>', 'the gateway’s data directory')
    .argument('<key_…>', 'its id, as "list" shows it; not the key itself')
    .option('--json', 'one line of JSON')
    .addHelpText('after', KEYS_HELP)
    .action(revoke);
}

/** What a terminal would take for a command has no place in a name. */
function labelOf(text: string): string {
  if (text.length <= LABEL_MAX_CHARS && printable(text) === text) return text;
  throw new InvalidArgumentError(`want at most ${LABEL_MAX_CHARS} printable characters`);
}

function create(directory: string, { label, json }: Words & { readonly label: string }): void {
  const { keyId, apiKey } = within(directory, (store) => createApiKey(store, label, systemClock()));
  if (json === true) return outputLine(jsonLine({ format: FORMAT, keyId, apiKey }));
  outputLine(`${apiKey}\n`);
  outputLine(`This is ${keyId}. It is shown here only: keep it now.`);
}

function list(directory: string, { json }: Words): void {
  const keys = within(directory, listApiKeys);
  if (json === true) {
    const rows = keys.map(({ keyId, label, createdMs, revokedMs }) => ({
      keyId,
      label,
      createdAt: formatInstant(createdMs),
      revokedAt: revokedMs === undefined ? null : formatInstant(revokedMs),
    }));
    return outputLine(jsonLine({ format: FORMAT, keys: rows }));
  }
  if (keys.length === 0) return outputLine('There are no keys: veilgate key create makes one.');
  for (const { keyId, label, createdMs, revokedMs } of keys) {
    const name = printable(label).slice(0, LABEL_CHARS).padEnd(LABEL_CHARS);
    const state = revokedMs === undefined ? '' : `  revoked ${formatInstant(revokedMs)}`;
    outputLine(`${keyId}  ${name}  since ${formatInstant(createdMs)}${state}`);
  }
}

function revoke(directory: string, keyId: string, { json }: Words, command: Command): void {
  // Not by a parser of arguments: those repeat what was written, and somebody may have written the key.
  if (!KEY_ID.test(keyId))
    command.error('error: want key_ and 16 hex digits, as "list" shows them');
  const isRevoked = within(directory, (store) => store.revokeApiKey(keyId, systemClock()));
  if (!isRevoked) throw cliError('cli.option', `${keyId}: no such key, or revoked before`);
  if (json === true) return outputLine(jsonLine({ format: FORMAT, keyId, revoked: true }));
  outputLine(`${keyId} opens nothing any more.`);
}

/** A folder that is no gateway's must not become one by a slip of the pen. */
function within<Value>(directory: string, work: (store: Store) => Value): Value {
  if (!existsSync(join(directory, FILE))) {
    throw cliError('cli.file', `${directory}: no ${FILE}; a gateway makes it when it first starts`);
  }
  const [{ open }] = STORES;
  const store = open(directory, 'full');
  try {
    return work(store);
  } finally {
    store.close();
  }
}
