/**
 * Guards the house: who may import whom, and the one home of each dangerous thing. Every message says what to do
 * instead. Spec: ARCHITECTURE.md "Who may import whom".
 * @module
 */

import assert from 'node:assert/strict';
import { readFileSync, globSync, readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

const ROOMS = [
  'core',
  'attestation',
  'protocol',
  'settlement',
  'client',
  'gateway',
  'enclave-worker',
  'cli',
  'test',
];
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: ['core'],
  attestation: ['core', 'attestation'],
  protocol: ['core', 'attestation', 'protocol'],
  settlement: ['core', 'attestation', 'protocol', 'settlement'],
  client: ['core', 'attestation', 'protocol', 'settlement', 'client'],
  gateway: ['core', 'attestation', 'protocol', 'settlement', 'gateway'],
  'enclave-worker': ['core', 'attestation', 'protocol', 'settlement', 'enclave-worker'],
  cli: ROOMS.filter((room) => room !== 'test'),
  test: ROOMS,
};
const OTHER_TOP_LEVEL = ['policies', 'deploy', 'docs'];

const FILES = ROOMS.flatMap((room) => globSync(`${room}/**/*.ts`)).map((path) =>
  path.replaceAll('\\', '/'),
);
const SOURCES = FILES.filter((path) => !path.startsWith('test/'));
const TEXTS = new Map(FILES.map((path) => [path, readFileSync(path, 'utf8')]));

/** Comments may name what the code must not; strings stay, because an import is a string. */
function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(^|\s)\/\/.*$/gm, '$1');
}

function withoutStrings(text: string): string {
  return text.replaceAll(/'(?:[^'\\\n]|\\.)*'/g, "''");
}

function importsOf(path: string): readonly string[] {
  const text = withoutComments(TEXTS.get(path) ?? '');
  const pattern = /(?:from\s+|import\s*\(\s*|^import\s+)'([^']+)'/gm;
  return [...text.matchAll(pattern)].map((match) => match[1] ?? '');
}

function targetOf(path: string, specifier: string): string {
  return specifier.startsWith('.') ? normalize(join(dirname(path), specifier)) : specifier;
}

function roomOf(path: string): string {
  return path.split('/')[0] ?? '';
}

function complain(problems: readonly string[]): void {
  assert.equal(problems.length, 0, `\n${problems.join('\n')}`);
}

test('a folder imports only itself and the folders to its left', () => {
  complain(
    FILES.flatMap((path) =>
      importsOf(path)
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => targetOf(path, specifier))
        .filter((target) => !(MAY_IMPORT[roomOf(path)] ?? []).includes(roomOf(target)))
        .map(
          (target) =>
            `${path} imports ${target}: move the shared part left, or receive it from cli/`,
        ),
    ),
  );
});

/** A ledger's driver owns a thread and a file; rails and the settler reach the chain. The rest of settlement runs in a browser. */
const PORTABLE =
  /^(attestation\/|protocol\/|core\/[^/]+$|settlement\/(?!ledger\/sqlite\/|settler\/|ton\/))/;

test('attestation, protocol, settlement but its drivers, and core outside core/node stay free of node: modules', () => {
  complain(
    SOURCES.filter((path) => PORTABLE.test(path)).flatMap((path) =>
      importsOf(path)
        .filter(
          (specifier) =>
            specifier.startsWith('node:') || targetOf(path, specifier).startsWith('core/node/'),
        )
        .map(
          (specifier) => `${path} imports ${specifier}: use #primitives or take it as a parameter`,
        ),
    ),
  );
});

test('protocol takes nothing from attestation but verdict.ts', () => {
  complain(
    SOURCES.filter((path) => path.startsWith('protocol/')).flatMap((path) =>
      importsOf(path)
        .map((specifier) => targetOf(path, specifier))
        .filter(
          (target) => target.startsWith('attestation/') && target !== 'attestation/verdict.ts',
        )
        .map(
          (target) => `${path} imports ${target}: protocol sees only the AttestedKey of verdict.ts`,
        ),
    ),
  );
});

/** Packages with one home, and what may mint an attested key. */
const ONE_IMPORTER: readonly (readonly [
  specifier: RegExp,
  homes: readonly string[],
  instead: string,
])[] = [
  [/^undici$/, ['core/node/http-client.ts'], 'use core/node/http-client.ts'],
  [
    /^qr(\/|$)/,
    ['core/node/qr-terminal.ts', 'test/core/qr.test.ts'],
    'use core/node/qr-terminal.ts',
  ],
  [/^pino$/, ['core/node/log.ts'], 'use core/node/log.ts'],
  [/^(prom-client)$/, ['core/node/metrics.ts'], 'use core/node/metrics.ts'],
  [/^@peculiar\/x509$/, ['attestation/x509.ts'], 'use attestation/x509.ts'],
  [/^@noble\//, ['core/primitives.ts', 'core/ml-kem.ts'], 'use #primitives'],
  [
    /^node:sqlite$/,
    [
      'gateway/store/sqlite.ts',
      'settlement/ledger/sqlite/database.ts',
      'enclave-worker/earnings/sqlite.ts',
    ],
    'go through the Store port, the Ledger port, or the EarningsStore port',
  ],
];

/** Packages with one folder. */
const ONE_FOLDER: readonly (readonly [specifier: RegExp, folder: string, instead: string])[] = [
  [/^@ton\//, 'settlement/ton/', 'use what settlement/ton/ exports'],
  [/^@ton\/tolk-js$/, 'settlement/ton/contracts/build.ts', 'load the committed code'],
];

test('each outside library has one importer', () => {
  complain(
    SOURCES.flatMap((path) =>
      importsOf(path).flatMap((specifier) =>
        ONE_IMPORTER.filter(
          ([pattern, homes]) => pattern.test(specifier) && !homes.includes(path),
        ).map(([, , instead]) => `${path} imports ${specifier}: ${instead}`),
      ),
    ),
  );
});

test('each outside library with one folder stays in it', () => {
  complain(
    SOURCES.flatMap((path) =>
      importsOf(path).flatMap((specifier) =>
        ONE_FOLDER.filter(
          ([pattern, folder]) => pattern.test(specifier) && !path.startsWith(folder),
        ).map(([, , instead]) => `${path} imports ${specifier}: ${instead}`),
      ),
    ),
  );
});

const MINT = 'mintAttestedKey';
const MINT_HOMES = [
  'attestation/verdict.ts',
  'attestation/appraise.ts',
  'test/support/attested-key.ts',
  'test/tidy.test.ts',
];

test('only appraise() mints attested keys', () => {
  complain(
    FILES.filter(
      (path) => !MINT_HOMES.includes(path) && (TEXTS.get(path) ?? '').includes(MINT),
    ).map((path) => `${path} mints a key: call appraise() and take the key from its verdict`),
  );
});

/** Words with one home. */
const ONE_HOME: readonly (readonly [word: RegExp, homes: RegExp, instead: string])[] = [
  [/\bDate\.now\b|\bnew Date\(/, /^core\/clock\.ts$/, 'take a Clock or an instant'],
  [/\bJSON\.parse\b/, /^core\/json\.ts$/, 'use parseJson or parseStrictJson'],
  [/\bprocess\.env\b/, /^core\/node\/config\.ts$/, 'read it in core/node/config.ts'],
  [/\bconsole\./, /^core\/node\/log\.ts$/, 'use log.event, or core/node/terminal.ts in cli/'],
  [/\bMath\.random\b/, /^$/, 'use randomBytes of #primitives'],
  [/\beval\(|\bnew Function\(/, /^$/, 'do without'],
  [
    /\.reveal\(\)/,
    /^(protocol|enclave-worker|client)\//,
    'content is revealed by sealing, opening and engines only',
  ],
];

test('each dangerous word has one home', () => {
  complain(
    SOURCES.flatMap((path) => {
      const code = withoutComments(TEXTS.get(path) ?? '');
      return ONE_HOME.filter(([word, homes]) => word.test(code) && !homes.test(path)).map(
        ([word, , instead]) => `${path} uses ${word.source}: ${instead}`,
      );
    }),
  );
});

test('type assertions live in core/bytes.ts and core/json.ts, each with its SAFETY line', () => {
  // An option of a command is no assertion: `--as KEYFILE` in a help text.
  const assertion = /(?<!-)\bas (?!const\b)[A-Z{][\w<>[\]., {}|]*/;
  complain(
    SOURCES.filter((path) => path !== 'core/bytes.ts' && path !== 'core/json.ts').flatMap((path) =>
      withoutStrings(withoutComments(TEXTS.get(path) ?? ''))
        .split('\n')
        .filter(
          (line) => assertion.test(line) && !/^\s*(import|export)\b|^\s*\w+ as \w+,?$/.test(line),
        )
        .map((line) => `${path}: "${line.trim()}": parse it at the border instead`),
    ),
  );
});

test('every source file opens by saying what it is for', () => {
  complain(
    FILES.filter(
      (path) => !/^(#!.*\n)?\/\*\*[\s\S]*?@module\s*\*\//.test(TEXTS.get(path) ?? ''),
    ).map((path) => `${path}: open with /** What this is for. Spec: …. @module */`),
  );
});

const FORBIDDEN_NAMES = /(^|\/)(utils|helpers|types|common|index)\.ts$/;

test('no drawer files', () => {
  complain(
    FILES.filter((path) => FORBIDDEN_NAMES.test(path) && path !== 'client/index.ts').map(
      (path) => `${path}: name the file after the one thing in it`,
    ),
  );
});

const CODE_LINES_MAX = 400;

test('no source file outgrows its reader', () => {
  complain(
    SOURCES.flatMap((path) => {
      const lines = withoutComments(TEXTS.get(path) ?? '')
        .split('\n')
        .filter((line) => line.trim() !== '').length;
      return lines > CODE_LINES_MAX
        ? [`${path} has ${lines} code lines: split it (limit ${CODE_LINES_MAX})`]
        : [];
    }),
  );
});

test('no other top-level folders', () => {
  const known = new Set([
    ...ROOMS,
    ...OTHER_TOP_LEVEL,
    'node_modules',
    'coverage',
    'dist',
    'shared',
  ]);
  const folders = readdirSync('.', { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => entry.name);
  complain(
    folders
      .filter((name) => !known.has(name))
      .map((name) => `${name}/: put it into one of the rooms`),
  );
  complain(
    OTHER_TOP_LEVEL.flatMap((room) => globSync(`${room}/**/*.ts`)).map(
      (path) => `${path}: ${roomOf(path)}/ holds no TypeScript`,
    ),
  );
});
