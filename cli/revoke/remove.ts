/** `veilgate revoke remove KIND VALUE`: trust given back, by as many as it takes to give it. @module */

import type { Command } from 'commander';
import { systemClock } from '../../core/clock.ts';
import type { Page } from '../attest/text.ts';
import {
  EXIT,
  jsonAnswer,
  respond,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from '../policy/answer.ts';
import { readPinnedRepository, ROOT_OPTION } from '../publication/pinned-root.ts';
import { collect } from '../publication/collect.ts';
import { refused } from '../publication/errors.ts';
import { readSigningKey } from '../publication/keys.ts';
import { publishList } from '../publication/next-list.ts';
import { facts } from '../publication/rows.ts';
import { draftListAnswer } from './draft.ts';
import { kindFrom, valueFrom } from './value.ts';

interface RemoveOptions {
  readonly repo: string;
  readonly as: readonly string[];
  readonly out?: string;
  readonly root?: string;
  readonly json?: true;
}

export function registerRevokeRemoveCommand(parent: Command): void {
  parent
    .command('remove')
    .description('trust something again: needs the role policy as well')
    .argument('<kind>', 'as in the list')
    .argument('<value>', 'as in the list')
    .requiredOption('--repo <dir>', 'the repository')
    .requiredOption(
      '--as <keyfile>',
      'keys of the roles revocation and policy; once for each',
      collect,
    )
    .option('--out <file>', 'where the list goes for the others to sign')
    .option(...ROOT_OPTION)
    .option('--json', 'one line of JSON')
    .action((kind: string, value: string, options: RemoveOptions) => {
      const question = { command: 'revoke remove', json: options.json === true };
      return respond(question, (page) => removeAnswer(question, { kind, value, ...options }, page));
    });
}

async function removeAnswer(
  question: PolicyQuestion,
  options: RemoveOptions & { readonly kind: string; readonly value: string },
  page: Page,
): Promise<PolicyAnswer> {
  const { repo, root } = options;
  const kind = kindFrom(options.kind);
  const value = valueFrom(kind, options.value, readPinnedRepository(repo, root));
  const result = await publishList({
    directory: repo,
    root,
    keys: options.as.map(readSigningKey),
    roles: ['revocation', 'policy'],
    now: systemClock,
    out: options.out,
    change: (entries) => {
      const kept = entries.filter((entry) => entry.kind !== kind || entry.value !== value);
      if (kept.length < entries.length) return kept;
      throw refused(`${kind} ${value} is not revoked`, `veilgate revoke list --repo ${repo}`);
    },
  });
  if (result.outcome === 'draft') return draftListAnswer(question, result, repo, page);
  const { number } = result;
  if (question.json) return jsonAnswer(question, EXIT.ok, { trusted: { kind, value }, number });
  return textAnswer(
    EXIT.ok,
    facts(
      [
        ['trusted again', `${kind} ${value}`],
        ['list', String(number)],
      ],
      page,
    ),
  );
}
