/**
 * `veilgate policy schema`: the JSON Schema that editors complete and check policies by; with `--header`, the line that makes
 * an editor use it. Exit status: 0 done, 2 wrong usage, 3 the file cannot be read or written.
 * @module
 */

import type { Command } from 'commander';
import { policyJsonSchema } from '../../attestation/policy/schema.ts';
import { POLICY_MAX_BYTES } from '../../attestation/policy/yaml.ts';
import { attempt } from '../../attestation/attempt.ts';
import { concat, fromUtf8, utf8 } from '../../core/bytes.ts';
import { cliError } from '../errors.ts';
import { printable } from '../attest/text.ts';
import { readBoundedFile } from '../measure/files.ts';
import {
  EXIT,
  jsonAnswer,
  respond,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from './answer.ts';
import { saveFile } from './save.ts';

const HEADER = '# yaml-language-server: $schema=';
/** Beside the policy, where the generated file lies. */
const SCHEMA_DEFAULT = './policy-1.schema.json';
/** What an editor takes for one: a comment of this form, wherever it stands. */
const MODELINE = /^#[ \t]*yaml-language-server[ \t]*:/m;

interface SchemaOptions {
  readonly header?: string;
  readonly ref: string;
  readonly json?: true;
}

export function registerSchemaCommand(parent: Command): void {
  parent
    .command('schema')
    .description('print the JSON Schema of policies, or make an editor use it')
    .option('--header <file>', 'add the editor line to this policy where it has none')
    .option('--ref <path>', 'where the editor finds the schema, for --header', SCHEMA_DEFAULT)
    .option('--json', 'one line of JSON')
    .action((options: SchemaOptions) => {
      const question = { command: 'schema', json: options.json === true };
      return respond(question, () => schemaAnswer(question, options));
    });
}

export function schemaAnswer(
  question: PolicyQuestion,
  { header, ref }: SchemaOptions,
): PolicyAnswer {
  if (header === undefined) {
    const schema = policyJsonSchema();
    if (question.json) return jsonAnswer(question, EXIT.ok, { schema });
    return textAnswer(EXIT.ok, [JSON.stringify(schema, undefined, 2)]);
  }
  const isAdded = addHeader(header, ref);
  if (question.json) return jsonAnswer(question, EXIT.ok, { file: header, added: isAdded });
  const text = isAdded ? 'the editor line was added' : 'has an editor line already';
  return textAnswer(EXIT.ok, [printable(`${header}: ${text}`)]);
}

/** False when there is one: it may be there for a reason. Every other byte stays. Throws `cli.file`, `cli.option`. */
export function addHeader(path: string, ref: string): boolean {
  if (!/^[\x21-\x7e]{1,512}$/.test(ref)) {
    throw cliError('cli.option', '--ref wants a path or URL without spaces');
  }
  if (path.endsWith('.json')) {
    throw cliError('cli.option', '--header goes with YAML: JSON has no comments');
  }
  const bytes = readBoundedFile('policy', path, POLICY_MAX_BYTES);
  const read = attempt(() => fromUtf8(bytes));
  if (read.outcome === 'malformed') throw cliError('cli.file', `${path} is not UTF-8`);
  if (MODELINE.test(read.value)) return false;
  const lineBreak = /^[^\n]*\r\n/.test(read.value) ? '\r\n' : '\n';
  saveFile('policy', path, concat(utf8(`${HEADER}${ref}${lineBreak}`), bytes));
  return true;
}
