/** Every generated file and what it is made from. @module */

import { globSync, readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { LINT_KINDS } from '../attestation/policy/lint/finding.ts';
import { policyJsonSchema } from '../attestation/policy/schema.ts';
import { declaredErrors } from '../core/errors.ts';
import { buildContracts } from '../settlement/ton/contracts/build.ts';
import { conformanceDocument } from './support/conformance/document.ts';
import { ehbpVectorFiles } from './protocol/vectors/generate-ehbp.ts';
import { protocolVectorFiles } from './protocol/vectors/generate.ts';

export interface GeneratedFile {
  readonly path: string;
  readonly text: string;
}

export async function generatedFiles(): Promise<readonly GeneratedFile[]> {
  return [
    { path: 'policies/policy-1.schema.json', text: json(policyJsonSchema()) },
    { path: 'docs/errors.md', text: await errorList() },
    { path: 'docs/policy-lint.md', text: lintList() },
    { path: 'docs/conformance.md', text: conformanceDocument() },
    ...protocolVectorFiles().map(({ path, text }) => ({ path, text })),
    ...ehbpVectorFiles(),
    ...(await buildContracts()),
  ];
}

function lintList(): string {
  const rows = Object.entries(LINT_KINDS).map(
    ([id, { level, about }]) => `| \`${id}\` | ${level} | ${about} |`,
  );
  return [
    '# Findings of `veilgate policy lint`',
    '',
    'The ids are API, messages are not. An error ends with exit status 1, a warning with `--strict`, a note never. Generated',
    'from `attestation/policy/lint/finding.ts` by `npm run generate`.',
    '',
    '| id | level | what it says |',
    '|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

const SOURCES = [
  'core',
  'attestation',
  'protocol',
  'settlement',
  'client',
  'gateway',
  'enclave-worker',
  'cli',
];

/** Loads every file that declares codes; the registry of core/errors.ts then knows them all. */
async function errorList(): Promise<string> {
  const files = SOURCES.flatMap((room) => globSync(`${room}/**/*.ts`))
    .filter((path) => /\bdefineErrors\(/.test(readFileSync(path, 'utf8')))
    .sort();
  for (const path of files) await import(pathToFileURL(path).href);
  const rows = declaredErrors().map(
    ([code, { status, recovery, public: text }]) =>
      `| \`${code}\` | ${status} | ${recovery} | ${text.replaceAll('|', '\\|')} |`,
  );
  return [
    '# Errors',
    '',
    'Codes are API, messages are not. Generated from the `defineErrors` tables by `npm run generate`.',
    '',
    '| code | HTTP status | what to do | what outsiders are told |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
