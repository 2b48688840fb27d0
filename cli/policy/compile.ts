/**
 * `veilgate policy compile PATH`: what is signed and judged by, from what people write: canonical JSON and its digest. Exit
 * status: 0 compiled, 1 it is no policy (each problem with its line), 2 wrong usage, 3 it cannot be read or written.
 * @module
 */

import type { Command } from 'commander';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { toHex, utf8 } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { printable } from '../attest/text.ts';
import {
  EXIT,
  jsonAnswer,
  respond,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from './answer.ts';
import { readPolicy } from './read-policy.ts';
import { saveFile } from './save.ts';

interface CompileOptions {
  readonly out?: string;
  readonly json?: true;
}

export function registerCompileCommand(parent: Command): void {
  parent
    .command('compile')
    .description('turn a policy into canonical JSON and its digest')
    .argument('<path>', 'a policy file, or a directory with policy.yaml')
    .option('--out <file>', 'write the canonical JSON here: its SHA-256 is the digest')
    .option('--json', 'one line of JSON')
    .action((path: string, options: CompileOptions) => {
      const question = { command: 'compile', json: options.json === true };
      return respond(question, () => compileAnswer(question, path, options));
    });
}

export function compileAnswer(
  question: PolicyQuestion,
  path: string,
  { out }: CompileOptions,
): PolicyAnswer {
  const policy = readPolicy(path);
  if (out !== undefined) saveFile('compiled policy', out, utf8(policy.canonical));
  const counts = policyCounts(policy);
  const digest = `sha256:${toHex(policy.digest)}`;
  const { name, serial, issued, expires } = policy.document;
  if (question.json) {
    const at = { issued: formatInstant(issued), expires: formatInstant(expires) };
    return jsonAnswer(question, EXIT.ok, { name, serial, digest, ...at, counts, out: out ?? null });
  }
  return textAnswer(EXIT.ok, [
    policyName(policy),
    digest,
    countsText(counts),
    `in force from ${formatInstant(issued)} to ${formatInstant(expires)}`,
    ...(out === undefined ? [] : [printable(`written to ${out}`)]),
  ]);
}

/** `production#42`. */
export function policyName({ document: { name, serial } }: CompiledPolicy): string {
  return `${name}#${serial}`;
}

export interface PolicyCounts {
  readonly rules: number;
  readonly images: number;
  /** Of all images together. */
  readonly tuples: number;
  readonly models: number;
  readonly advisories: number;
  readonly hosts: number;
}

export function policyCounts({ document }: CompiledPolicy): PolicyCounts {
  const { rules, images, models, advisories, hosts } = document;
  const tuples = images.map(({ tdx = [], snp = [] }) => tdx.length + snp.length);
  return {
    rules: rules.length,
    images: images.length,
    tuples: tuples.reduce((sum, count) => sum + count, 0),
    models: models.length,
    advisories: advisories.length,
    hosts: hosts.length,
  };
}

const ONE: Readonly<Record<keyof PolicyCounts, string>> = {
  rules: 'rule',
  images: 'image',
  tuples: 'tuple',
  models: 'model',
  advisories: 'advisory',
  hosts: 'host',
};

/** `2 rules, 1 image, 3 tuples, …`. */
export function countsText(counts: PolicyCounts): string {
  const words = ['rules', 'images', 'tuples', 'models', 'advisories', 'hosts'] as const;
  return words.map((word) => `${counts[word]} ${counts[word] === 1 ? ONE[word] : word}`).join(', ');
}
