/** The package as an app gets it: what is in it, what it installs, that it works on every Node it says, and its types. @module */

import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { z } from 'zod';
import { utf8 } from '../../core/bytes.ts';
import { parseJson } from '../../core/json.ts';
import {
  installedPackages,
  installInto,
  nodesHere,
  packClient,
  versionHere,
  type Installed,
  type Packed,
} from '../support/client-package.ts';
import { startStack, STACK_MODEL, type Stack } from '../support/stack.ts';
import { CLIENT_PACKAGE } from './build.ts';

const folder = mkdtempSync(join(tmpdir(), 'veilgate-package-'));
const app = join(folder, 'app');
let packed: Packed;
let installed: Installed;

before(async () => {
  packed = await packClient(folder);
  installed = installInto(app, [packed.tarball, `openai@${versionHere('openai')}`]);
});

after(() => rmSync(folder, { recursive: true, force: true }));

function skipUnlessInstalled(t: TestContext): boolean {
  if (installed.outcome === 'installed') return false;
  t.skip(`npm could not install: ${installed.because}`);
  return true;
}

const DEPENDENCIES = [
  '@noble/ciphers',
  '@noble/curves',
  '@noble/hashes',
  '@noble/post-quantum',
  'yaml',
  'zod',
];

test('it brings the libraries it uses and none of the services', (t) => {
  if (skipUnlessInstalled(t)) return;
  const foreign = installedPackages(app).filter(
    (name) => name !== 'openai' && name !== CLIENT_PACKAGE,
  );
  assert.deepEqual(foreign.toSorted(), DEPENDENCIES);
});

test('it holds modules, declarations, the browser module, and no sources', () => {
  const { paths } = packed;
  for (const path of [
    'LICENSE',
    'README.md',
    'package.json',
    'esm/client/index.js',
    'esm/client/index.d.ts',
    'browser/veilgate-client.js',
    'browser/LICENCES.txt',
  ]) {
    assert.ok(paths.includes(path), path);
  }
  assert.deepEqual(
    paths.filter((path) => /(?<!\.d)\.ts$/.test(path)),
    [],
  );
  assert.deepEqual(
    paths.filter((path) => /^esm\/(gateway|enclave-worker|cli|test|settlement\/ton)\//.test(path)),
    [],
  );
});

const PACKED_MAX_BYTES = 800_000;

test('it is small', () => {
  assert.ok(packed.packedBytes < PACKED_MAX_BYTES, `${packed.packedBytes} bytes packed`);
});

const APP = `
import OpenAI from 'openai';
import { sealedFetch } from '${CLIENT_PACKAGE}';
const { BASE_URL: baseURL, API_KEY: apiKey, ROOT: root, MODEL: model } = process.env;
const fetch = sealedFetch({ policy: { root } });
const openai = new OpenAI({ baseURL, apiKey, maxRetries: 0, fetch });
const messages = [{ role: 'user', content: 'Say hello' }];
const asked = { model, messages, max_tokens: 16, temperature: 0, seed: 1 };
const { data, response } = await openai.chat.completions.create(asked).withResponse();
let streamed = '';
for await (const chunk of await openai.chat.completions.create({ ...asked, stream: true })) {
  streamed += chunk.choices[0]?.delta?.content ?? '';
}
const [verdict] = fetch.verdicts();
process.stdout.write(JSON.stringify({
  node: process.version,
  privacy: response.headers.get('sx-privacy'),
  outcome: verdict.appraisal.outcome,
  text: data.choices[0].message.content,
  streamed,
}));
`;
const SAID = z.strictObject({
  node: z.string(),
  privacy: z.literal('end-to-end'),
  outcome: z.literal('admitted'),
  text: z.string().min(1),
  streamed: z.string().min(1),
});
const APP_TIMEOUT_MS = 60_000;

async function runApp(node: string, stack: Stack): Promise<z.infer<typeof SAID>> {
  writeFileSync(join(app, 'app.js'), APP);
  const env = {
    BASE_URL: stack.baseUrl,
    API_KEY: stack.apiKey,
    ROOT: stack.rootFile,
    MODEL: STACK_MODEL,
  };
  const options = { cwd: app, env, timeout: APP_TIMEOUT_MS };
  const { stdout } = await promisify(execFile)(node, ['app.js'], options);
  return SAID.parse(parseJson(utf8(stdout), 65_536));
}

test('an app asks sealed through the SDK of OpenAI, on this Node and on an older one', async (t) => {
  if (skipUnlessInstalled(t)) return;
  const stack = await startStack();
  t.after(() => stack.close());
  for (const { path, version } of nodesHere()) {
    await t.test(version, async () => {
      const said = await runApp(path, stack);
      assert.equal(said.node, version);
      assert.equal(said.streamed, said.text);
    });
  }
  if (nodesHere().length === 1) t.diagnostic('no older Node on the path: not tried there');
});

test('a program of CommonJS can require it', (t) => {
  if (skipUnlessInstalled(t)) return;
  const code = `process.stdout.write(typeof require('${CLIENT_PACKAGE}').sealedFetch)`;
  const { stdout } = spawnSync(process.execPath, ['-e', code, '--input-type=commonjs'], {
    cwd: app,
    encoding: 'utf8',
  });
  assert.equal(stdout, 'function');
});

const TYPED = `
import { sealedFetch, openSession, type ClientOptions, type SealedFetch } from '${CLIENT_PACKAGE}';

const options: ClientOptions = { policy: { root: 'root.json' }, recipients: 3 };
const fetch: SealedFetch = sealedFetch(options);
export const answer: Promise<Response> = fetch('https://gateway.example/v1/models');
export const first: string | undefined = fetch.verdicts()[0]?.claimedWorkerId;
export async function ask(body: Uint8Array): Promise<Uint8Array> {
  const session = await openSession({ ...options, baseUrl: 'https://gateway.example', apiKey: '' });
  const whole = await session.complete({ path: '/v1/chat/completions', headers: [], body });
  return whole.body;
}
`;
const WRONG = `
import { sealedFetch } from '${CLIENT_PACKAGE}';
sealedFetch({ policy: { root: 5 } });
`;

interface TypeCase {
  readonly name: string;
  readonly options: object;
}

const TYPE_ROOTS = [join(import.meta.dirname, '../../node_modules/@types')];
const TYPE_CASES: readonly TypeCase[] = [
  {
    name: 'for Node',
    options: { module: 'nodenext', types: ['node'], typeRoots: TYPE_ROOTS, lib: ['es2023'] },
  },
  {
    name: 'in a bundler, with the DOM',
    options: { module: 'esnext', moduleResolution: 'bundler', types: [], lib: ['es2023', 'dom'] },
  },
];

function typeErrors(options: object, source: string): string {
  writeFileSync(join(app, 'typed.ts'), source);
  const compilerOptions = { strict: true, noEmit: true, skipLibCheck: false, ...options };
  writeFileSync(
    join(app, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, files: ['typed.ts'] }),
  );
  return tscIn(app);
}

function tscIn(project: string): string {
  const tsc = join(import.meta.dirname, '../../node_modules/.bin/tsc');
  return spawnSync(tsc, ['-p', 'tsconfig.json'], { cwd: project, encoding: 'utf8' }).stdout;
}

for (const { name, options } of TYPE_CASES) {
  test(`its types serve a consumer ${name}`, (t) => {
    if (skipUnlessInstalled(t)) return;
    assert.equal(typeErrors(options, TYPED), '');
    assert.match(typeErrors(options, WRONG), /TS2322.*number/);
  });
}

/** As a bundler resolves the package for a page: the browser module, and nothing of Node. */
test('a bundler takes it into a page', async (t) => {
  if (skipUnlessInstalled(t)) return;
  const { metafile, warnings } = await build({
    absWorkingDir: app,
    stdin: { contents: `export * from '${CLIENT_PACKAGE}'`, resolveDir: app },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    metafile: true,
    write: false,
    logLevel: 'silent',
  });
  assert.deepEqual(warnings, []);
  assert.deepEqual(
    Object.keys(metafile.inputs).filter((path) => path !== '<stdin>'),
    [`node_modules/${CLIENT_PACKAGE}/browser/veilgate-client.js`],
  );
});

test('sources that need a newer Node than the package says do not build', () => {
  const project = mkdtempSync(join(folder, 'newer-'));
  const config = join(import.meta.dirname, '../../client/package/tsconfig.json');
  writeFileSync(join(project, 'package.json'), JSON.stringify({ type: 'module' }));
  for (const [name, source] of [
    ['old', 'export const last = [1].findLast(Boolean);'],
    ['new', 'export const late = Promise.withResolvers<string>();'],
  ] as const) {
    writeFileSync(join(project, `${name}.ts`), source);
    const compilerOptions = { rootDir: '.', outDir: 'out', typeRoots: TYPE_ROOTS };
    writeFileSync(
      join(project, 'tsconfig.json'),
      JSON.stringify({ extends: config, compilerOptions, files: [`${name}.ts`] }),
    );
    const said = tscIn(project);
    assert.match(said, name === 'old' ? /^$/ : /withResolvers/);
  }
});
