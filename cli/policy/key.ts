/**
 * `veilgate policy key new|show`: the key of one person or one machine. Exit status: 0 done, 2 wrong usage, 3 a file cannot be
 * read or written, or is there already.
 * @module
 */

import type { Command } from 'commander';
import { toBase64Url } from '../../core/bytes.ts';
import type { Page } from '../attest/text.ts';
import { makeKey, publicPath, readPublicPart, type PublicKey } from '../publication/keys.ts';
import { facts } from '../publication/rows.ts';
import {
  EXIT,
  jsonAnswer,
  respond,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from './answer.ts';

interface NewOptions {
  readonly name: string;
  readonly out: string;
  readonly json?: true;
}

export function registerKeyCommand(parent: Command): void {
  const key = parent.command('key').description('make and show the keys that sign policies');
  key
    .command('new')
    .description('make a key; what is there stays')
    .requiredOption('--name <name>', 'what the root will call it: alice')
    .requiredOption('--out <file>', 'where the secret goes, readable by you alone: alice.key')
    .option('--json', 'one line of JSON')
    .action((options: NewOptions) => {
      const question = { command: 'key new', json: options.json === true };
      return respond(question, (page) => newKeyAnswer(question, options, page));
    });
  key
    .command('show')
    .description('print the public part of a key')
    .argument('<file>', 'alice.key or alice.pub')
    .option('--json', 'one line of JSON')
    .action((path: string, options: { readonly json?: true }) => {
      const question = { command: 'key show', json: options.json === true };
      return respond(question, (page) => showKeyAnswer(question, path, page));
    });
}

function newKeyAnswer(
  question: PolicyQuestion,
  { name, out }: NewOptions,
  page: Page,
): PolicyAnswer {
  const key = makeKey(name, out);
  const files = { secretFile: out, publicFile: publicPath(out) };
  if (question.json) return jsonAnswer(question, EXIT.ok, { ...jsonOf(key), ...files });
  return textAnswer(EXIT.ok, [
    ...facts(
      [
        ...rowsOf(key),
        ['secret', `${out} (yours alone: keep a copy where nobody else gets at it)`],
        ['public', `${files.publicFile} (for whoever makes the root)`],
      ],
      page,
    ),
  ]);
}

function showKeyAnswer(question: PolicyQuestion, path: string, page: Page): PolicyAnswer {
  const key = readPublicPart(path);
  if (question.json) return jsonAnswer(question, EXIT.ok, jsonOf(key));
  return textAnswer(EXIT.ok, facts(rowsOf(key), page));
}

function jsonOf({ name, publicKey, keyid }: PublicKey) {
  return { name, ed25519: toBase64Url(publicKey), keyid };
}

function rowsOf({ name, publicKey, keyid }: PublicKey): readonly (readonly [string, string])[] {
  return [
    ['name', name],
    ['ed25519', toBase64Url(publicKey)],
    ['keyid', keyid],
  ];
}
