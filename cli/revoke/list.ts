/** `veilgate revoke list`: what is not trusted any more, since when, by whom, why; the newest first. @module */

import type { Command } from 'commander';
import type { DatedRevocation, RevocationList } from '../../attestation/publication/revocations.ts';
import { formatInstant, systemClock } from '../../core/clock.ts';
import { paragraph, printable, type Page } from '../attest/text.ts';
import { cliError } from '../errors.ts';
import {
  EXIT,
  jsonAnswer,
  respond,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from '../policy/answer.ts';
import { openDocument } from '../publication/documents.ts';
import { refused } from '../publication/errors.ts';
import { fromNow } from '../publication/lifetime.ts';
import { ownState } from '../publication/own-state.ts';
import { readRepository } from '../publication/repository.ts';
import { table } from '../publication/rows.ts';

interface ListOptions {
  readonly repo?: string;
  readonly json?: true;
}

export function registerRevokeListCommand(parent: Command): void {
  parent
    .command('list')
    .description('show what is revoked, the newest first')
    .argument('[file]', 'a list of revocations; its signatures are not checked')
    .option('--repo <dir>', 'the repository')
    .option('--json', 'one line of JSON')
    .action((path: string | undefined, options: ListOptions) => {
      const question = { command: 'revoke list', json: options.json === true };
      return respond(question, (page) => listAnswer(question, path, options, page));
    });
}

function listAnswer(
  question: PolicyQuestion,
  path: string | undefined,
  { repo }: ListOptions,
  page: Page,
): PolicyAnswer {
  if ((path === undefined) === (repo === undefined)) {
    throw cliError('cli.option', 'name either a file or --repo DIR');
  }
  const list = path === undefined ? listIn(repo ?? '') : listFrom(path);
  const nowMs = systemClock();
  const entries = [...(list?.entries ?? [])].sort((a, b) => b.atMs - a.atMs);
  if (question.json) {
    return jsonAnswer(question, EXIT.ok, {
      number: list?.number ?? null,
      verified: path === undefined,
      entries: entries.map(({ atMs, ...entry }) => ({ ...entry, at: formatInstant(atMs) })),
    });
  }
  if (list === undefined) return textAnswer(EXIT.ok, ['no list is published yet']);
  const count = `${entries.length} ${entries.length === 1 ? 'entry' : 'entries'}`;
  return textAnswer(EXIT.ok, [
    `list ${list.number} of ${list.policy}, ${count}, ${fromNow(list.issuedMs, nowMs)}${path === undefined ? '' : ' (signatures not checked)'}`,
    ...(entries.length === 0 ? [] : ['', ...rowsOf(entries, nowMs, page)]),
  ]);
}

/** A value is copied, so it stays whole on a line of its own; in pipes an entry is one line. */
function rowsOf(entries: readonly DatedRevocation[], nowMs: number, page: Page): readonly string[] {
  if (page.rows === 'whole') {
    return table(
      entries.map(({ atMs, kind, value, by, reason }) => [
        formatInstant(atMs),
        kind,
        value,
        by,
        reason,
      ]),
      page,
    );
  }
  const heads = table(
    entries.map(({ atMs, kind, by }) => [formatInstant(atMs), fromNow(atMs, nowMs), kind, by]),
    { ...page, columns: Infinity },
  );
  return entries.flatMap(({ value, reason }, at) => [
    heads[at] ?? '',
    `  ${printable(value)}`,
    ...paragraph(reason, page, '  '),
  ]);
}

function listIn(repo: string): RevocationList | undefined {
  const files = readRepository(repo);
  const { state } = ownState(files, systemClock());
  if (state.revocations === undefined && files.revocations !== undefined) {
    throw refused(
      'the list that is published does not verify',
      `veilgate policy status --repo ${repo}`,
    );
  }
  return state.revocations?.document.payload;
}

function listFrom(path: string): RevocationList {
  const document = openDocument(path);
  if (document.kind === 'revocations') return document.list;
  throw refused(`${path} is a ${document.kind}`, 'name a list of revocations');
}
