/** `veilgate proxy` as people and programs start it, and what it says when it cannot. @module */

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import OpenAI, { APIError } from 'openai';
import { compilePolicy } from '../../../attestation/policy/compile.ts';
import { proxyRan, startProxyProcess, type ProxyProcess } from '../../support/proxy-process.ts';
import { startStack, STACK_MODEL, type Stack } from '../../support/stack.ts';
import { until } from '../../support/until.ts';

const MESSAGES = [{ role: 'user' as const, content: 'What is remote attestation?' }];
const QUESTION = { model: STACK_MODEL, messages: MESSAGES, max_tokens: 8 };

suite('veilgate proxy', () => {
  let stack: Stack;
  let dir: string;
  let keyFile: string;
  let common: readonly string[];
  const started: ProxyProcess[] = [];
  before(async () => {
    stack = await startStack();
    dir = join(stack.dataDir, 'home');
    mkdirSync(dir, { mode: 0o700 });
    keyFile = join(dir, 'api-key');
    writeFileSync(keyFile, `${stack.apiKey}\n`, { mode: 0o600 });
    const { rootFile, baseUrl } = stack;
    common = ['--gateway', baseUrl, '--policy-root', rootFile, '--dir', dir];
  });
  after(async () => {
    for (const { child } of started) child.kill('SIGKILL');
    await stack.close();
  });
  const start = (...words: readonly string[]): ProxyProcess => {
    const proxy = startProxyProcess(...common, ...words);
    started.push(proxy);
    return proxy;
  };

  test('with --json it says where it listens, whom it verified, what was asked, and how it ended', async () => {
    const proxy = start('--api-key-file', keyFile, '--json');
    const { baseUrl, token = '' } = await proxy.listening();
    assert.match(token, /^vgproxy_[\w-]{43}$/);
    const openai = new OpenAI({ baseURL: baseUrl, apiKey: token, maxRetries: 0 });
    const answer = await openai.chat.completions.create(QUESTION);
    assert.equal(answer.usage?.completion_tokens, 8);
    await until(() => proxy.events().some(({ event }) => event === 'ended'));
    await until(() => proxy.events().some(({ event }) => event === 'ready'));
    assert.equal(await proxy.end(), 0);
    const events = proxy.events();
    const [worker] = events.filter(({ event }) => event === 'worker');
    assert.equal(worker?.['outcome'], 'verified');
    assert.equal(worker?.['simulated'], true);
    const ended = events.find(({ event }) => event === 'ended');
    assert.equal(ended?.['outcome'], 'answered');
    assert.equal(ended?.['model'], STACK_MODEL);
    assert.deepEqual(Object.keys(Object(ended?.['cost'])), ['amount', 'asset', 'by']);
    assert.equal(events.at(-1)?.['event'], 'stopped');
    assert.equal(events.at(-1)?.['answered'], 1);
    assert.ok(/^[\x20-\x7e\n]*$/.test(proxy.stdout()));
    assert.equal(proxy.stderr(), '');
  });

  test('without a terminal it says one line for each event', async () => {
    const proxy = start('--api-key-file', keyFile);
    const [, baseUrl = ''] = await proxy.said(
      /listening on (\S+) for .* paid by balance of the API key/,
    );
    const [, token = ''] = await proxy.said(/token: (vgproxy_\S+)/);
    await proxy.said(/verified SIMULATED {2}worker [0-9a-f]{16}… {2}ADMIT/);
    await proxy.said(/ready: veilgate-demo/);
    const openai = new OpenAI({ baseURL: baseUrl, apiKey: token, maxRetries: 0 });
    await openai.chat.completions.create(QUESTION);
    await proxy.said(
      /#1 chat answered {2}200 {2}veilgate-demo {2}SIMULATED {2}\d+ read, 8 written .* TON/,
    );
    const stranger = new OpenAI({ baseURL: baseUrl, apiKey: 'x', maxRetries: 0 });
    await assert.rejects(stranger.models.list(), { status: 401 });
    await proxy.said(/refused at the door: token/);
    assert.equal(await proxy.end('SIGTERM'), 0);
    assert.match(
      proxy.stdout(),
      /stopped: 1 answered, 0 failed, 0 left early; spent 0\.\d+ TON\n$/,
    );
    assert.ok(!proxy.stdout().includes('\u001B'));
  });

  test('a token file is made once, for its owner alone, and is not printed', async () => {
    const path = join(dir, 'token');
    const tokens: string[] = [];
    for (let run = 0; run < 2; run++) {
      const proxy = start('--api-key-file', keyFile, '--json', '--token-file', path);
      const { token, tokenFile } = await proxy.listening();
      assert.deepEqual([token, tokenFile], [undefined, path]);
      tokens.push(readFileSync(path, 'utf8'));
      await proxy.end();
      assert.ok(!proxy.stdout().includes((tokens[0] ?? '').trim()));
    }
    assert.equal(tokens[0], tokens[1]);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    chmodSync(path, 0o644);
    const { status, err } = await proxyRan(...common, '--token-file', path);
    assert.deepEqual([status, /proxy\.token_file: .*chmod 600/.test(err)], [1, true]);
  });

  test('the policy that was accepted is remembered by its root', async () => {
    const proxy = start('--api-key-file', keyFile, '--json');
    await until(() => proxy.events().some(({ event }) => event === 'ready'));
    await proxy.end();
    const memory = proxyMemory(dir);
    assert.match(readFileSync(memory, 'utf8'), /"document":"release","number":1/);
  });

  test('a gateway that is away is said with what to do, and found again when it comes', async () => {
    const [server, port] = await listener();
    await closed(server);
    const proxy = startProxyProcess(
      '--gateway',
      `http://127.0.0.1:${port}`,
      '--policy-root',
      stack.rootFile,
      '--dir',
      dir,
      '--api-key-file',
      keyFile,
      '--json',
    );
    started.push(proxy);
    const { baseUrl, token = '' } = await proxy.listening();
    await until(() => proxy.events().some(({ event }) => event === 'gateway'));
    const away = proxy.events().find(({ event }) => event === 'gateway');
    assert.deepEqual([away?.['state'], away?.['code']], ['away', 'client.unreachable']);
    const openai = new OpenAI({ baseURL: baseUrl, apiKey: token, maxRetries: 0 });
    await assert.rejects(openai.chat.completions.create(QUESTION), {
      status: 502,
      code: 'gateway_unreachable',
    });
    await proxy.end();
    const ended = proxy.events().find(({ event }) => event === 'ended');
    assert.match(String(ended?.['advice']), /does not answer/);
  });

  test('a policy that refuses every worker says which check failed first', async () => {
    const path = join(dir, 'strict.yaml');
    const bytes = readFileSync(stack.policyPath);
    const text = bytes.toString('utf8');
    const [image] = compilePolicy(bytes).document.images;
    assert.ok(image !== undefined);
    const hex = Buffer.from(image.workload.image).toString('hex');
    writeFileSync(path, text.replaceAll(hex, '0'.repeat(hex.length)));
    const proxy = startProxyProcess(
      '--gateway',
      stack.baseUrl,
      '--policy',
      path,
      '--api-key-file',
      keyFile,
      '--lines',
    );
    started.push(proxy);
    const [, baseUrl = ''] = await proxy.said(/listening on (\S+)/);
    const [, token = ''] = await proxy.said(/token: (\S+)/);
    await proxy.said(/denied.* first failed: [\w.]+: want .*, got /);
    await proxy.said(/model veilgate-demo: client\.none_admitted: .*first failed check: [\w.]+/);
    const openai = new OpenAI({ baseURL: baseUrl, apiKey: token, maxRetries: 0 });
    await assert.rejects(openai.chat.completions.create(QUESTION), (error) => {
      assert.ok(error instanceof APIError);
      assert.equal(error.code, 'attestation_failed');
      assert.match(
        error.message,
        /No worker of this model proves itself .*first failed check: [\w.]+/,
      );
      return true;
    });
    await assert.rejects(async () => openai.models.list(), /first failed check: [\w.]+/);
    await proxy.end();
  });

  test('what is wrong with the words is said before anything is opened', async () => {
    const [server, port] = await listener();
    const taken = await proxyRan(...common, '--port', String(port));
    assert.equal(taken.status, 1);
    assert.match(
      taken.err,
      /127\.0\.0\.1:\d+ is used by another program\.\n {2}Choose another port/,
    );
    assert.equal(taken.out, '');
    const open = await proxyRan(...common, '--host', '0.0.0.0');
    assert.deepEqual([open.status, open.out], [1, '']);
    assert.match(open.err, /proxy\.bind.*there is no option for others/);
    const { status, out } = await proxyRan(...common, '--host', '0.0.0.0', '--json');
    assert.equal(status, 1);
    assert.match(out, /^\{"event":"error","code":"proxy\.bind",/);
    assert.equal((await proxyRan(...common, '--plaintext')).status, 2);
    assert.equal((await proxyRan(...common, '--port', 'many')).status, 2);
    await closed(server);
  });
});

function proxyMemory(dir: string): string {
  const folder = join(dir, 'policy');
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  const [name = ''] = readdirSorted(folder);
  return join(folder, name);
}

function readdirSorted(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort();
}

async function listener(): Promise<readonly [server: Server, port: number]> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const place = server.address();
  assert.ok(typeof place === 'object' && place !== null);
  return [server, place.port];
}

async function closed(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
}
