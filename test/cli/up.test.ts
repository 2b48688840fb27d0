/** `veilgate up` as a program uses it: one line when ready, an answer, a clean end, and state that stays. @module */

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, suite, test } from 'node:test';
import OpenAI from 'openai';
import { z } from 'zod';
import { toHex } from '../../core/bytes.ts';
import { sealedFetch, type SealedFetch, type Settlement } from '../../client/index.ts';
import { parsePaymentResponse, PAYMENT_RESPONSE_HEADER } from '../../settlement/x402.ts';

const READY = z.object({
  ready: z.literal(true),
  baseUrl: z.string(),
  httpsUrl: z.string(),
  aud: z.string().startsWith('gw1.'),
  apiKey: z.string(),
  model: z.string(),
  root: z.string(),
  admin: z.string(),
  payer: z.string(),
  channelFile: z.string(),
  channel: z.string(),
  available: z.literal('5000000000'),
  simulated: z.literal(true),
  workers: z.array(
    z.object({
      workerId: z.string(),
      pid: z.number(),
      earnings: z.string(),
      simulated: z.literal(true),
      decision: z.literal('admitted'),
      checks: z.array(z.object({ id: z.string(), outcome: z.string() })),
    }),
  ),
});
type Ready = z.output<typeof READY>;
const SETTLED = z.looseObject({ account: z.string(), amount: z.string() });

function spawnUp(...args: readonly string[]): ChildProcess {
  return spawn(process.execPath, ['cli/veilgate.ts', 'up', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function readyOf(child: ChildProcess): Promise<Ready> {
  assert.ok(child.stdout !== null);
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  return READY.parse(JSON.parse(String(line)));
}

async function textOf(child: ChildProcess): Promise<{ text: string; code: unknown }> {
  let text = '';
  child.stdout?.on('data', (chunk) => (text += String(chunk)));
  child.stderr?.on('data', (chunk) => (text += String(chunk)));
  const [code] = await once(child, 'exit');
  return { text, code };
}

async function outputOf(...args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, ['cli/veilgate.ts', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk) => (text += String(chunk)));
  assert.deepEqual(await once(child, 'close'), [0, null]);
  return text;
}

function tokenOf(json: string): { readonly token: string } {
  return z.looseObject({ token: z.string() }).parse(JSON.parse(json));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

suite('veilgate up', () => {
  const data = mkdtempSync(join(tmpdir(), 'veilgate-up-'));
  let child: ChildProcess;
  let ready: Ready;

  before(async () => {
    child = spawnUp('--json', '--port', '0', '--data', data);
    ready = await readyOf(child);
  });
  after(() => {
    child.kill('SIGKILL');
    rmSync(data, { recursive: true, force: true });
  });

  test('two workers are admitted, and nothing about them failed or was skipped', () => {
    assert.equal(ready.workers.length, 2);
    for (const { checks } of ready.workers) {
      assert.ok(checks.length > 50);
      assert.deepEqual([...new Set(checks.map(({ outcome }) => outcome))].sort(), [
        'pass',
        'waived',
      ]);
    }
  });

  test('the convenience mode answers and says who could read it', async () => {
    const response = await fetch(`${ready.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ready.apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        model: ready.model,
        temperature: 0,
        messages: [{ role: 'user', content: 'What is remote attestation?' }],
      }),
    });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('sx-privacy'), 'gateway-visible');
    assert.equal(response.headers.get('sx-simulated'), 'true');
    assert.match(await response.text(), /prove which software it runs/);
    const paid = parsePaymentResponse(response.headers.get(PAYMENT_RESPONSE_HEADER) ?? '');
    assert.equal(paid.receipt?.receipt.outcome, 'ok');
    assert.ok(paid.statement.statement.amount > 0n);
  });

  test('the last event of a stream says what it cost, and SDKs pass over it', async () => {
    const openai = new OpenAI({ baseURL: ready.baseUrl, apiKey: ready.apiKey });
    const stream = await openai.chat.completions.create({
      model: ready.model,
      messages: [{ role: 'user', content: 'What is remote attestation?' }],
      stream: true,
    });
    const settled: unknown[] = [];
    let text = '';
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      if ('x_settlement' in chunk) settled.push(chunk.x_settlement);
    }
    assert.match(text, /prove which software it runs/);
    const [{ amount }] = z.tuple([z.looseObject({ amount: z.string() })]).parse(settled);
    assert.ok(BigInt(amount) > 0n);
  });

  test('a sealed request is paid from the channel, and everybody sees the same bill', async () => {
    const bills: Settlement[] = [];
    const sealed = sealedFetch({
      policy: { root: ready.root },
      pay: { channelFile: ready.channelFile },
      onSettled: (settlement) => bills.push(settlement),
    });
    const openai = new OpenAI({ baseURL: ready.baseUrl, apiKey: 'none', fetch: sealed });
    const answer = await openai.chat.completions.create({
      model: ready.model,
      messages: [{ role: 'user', content: 'What is remote attestation?' }],
    });
    await sealed.close();
    const { prompt_tokens: read = 0, completion_tokens: written = 0 } = answer.usage ?? {};
    const [bill] = bills;
    assert.ok(bill !== undefined && bills.length === 1);
    const { prices } = bill.receipt.key;
    const costs = BigInt(read) * prices.prompt + BigInt(written) * prices.completion;
    assert.equal(bill.amount, (costs + 999_999n) / 1_000_000n);
    assert.deepEqual([bill.cum, bill.n], [bill.amount, 1n]);

    const followed = spawn(
      process.execPath,
      ['cli/veilgate.ts', 'settlements', 'tail', '--url', ready.admin, '--after', '0', '--json'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const told: unknown[] = [];
    for await (const line of createInterface({ input: followed.stdout })) {
      const { account, amount } = SETTLED.parse(JSON.parse(line));
      if (account === ready.channel) told.push(amount);
      if (told.length > 0) break;
    }
    assert.deepEqual(told, [bill.amount.toString()]);
    followed.kill('SIGINT');
    assert.deepEqual(await once(followed, 'exit'), [0, null]);
  });

  test('a token of the channel is an API key for any SDK, until the channel is paid from otherwise', async () => {
    const words = ['channel', 'token', '--dir', ready.payer, '--limit', '0.01'];
    const { token } = tokenOf(await outputOf(...words, '--model', ready.model, '--json'));
    assert.match(token, /^vgv1\.[\w-]+\.[\w-]+\.[\w-]+$/);
    const ask = async (fetch?: SealedFetch) =>
      await new OpenAI({
        baseURL: ready.baseUrl,
        apiKey: token,
        maxRetries: 0,
        ...(fetch && { fetch }),
      }).chat.completions.create({
        model: ready.model,
        messages: [{ role: 'user', content: 'What is remote attestation?' }],
      });
    const plain = await ask();
    assert.match(plain.choices[0]?.message.content ?? '', /prove which software it runs/);
    const bills: Settlement[] = [];
    const sealed = sealedFetch({
      policy: { root: ready.root },
      onSettled: (settlement) => bills.push(settlement),
    });
    await ask(sealed);
    const [bill] = bills;
    assert.ok(bill !== undefined);
    assert.equal(toHex(bill.statement.statement.channel), ready.channel);

    const paying = sealedFetch({
      policy: { root: ready.root },
      pay: { channelFile: ready.channelFile },
      onSettled: (settlement) => bills.push(settlement),
    });
    await new OpenAI({
      baseURL: ready.baseUrl,
      apiKey: 'none',
      fetch: paying,
    }).chat.completions.create({
      model: ready.model,
      messages: [{ role: 'user', content: 'What is remote attestation?' }],
    });
    await paying.close();
    assert.equal(bills[1]?.n, bill.n + 1n, 'what the token spent is no fault');
    await assert.rejects(ask(), { status: 402, code: 'voucher_stale' });
  });

  test('its secrets are for their owner alone', () => {
    for (const name of ['api-key', 'keys/worker-1-owner', 'gateway/gateway-identity.key']) {
      assert.equal(statSync(join(data, name)).mode & 0o077, 0, name);
    }
  });

  test('a second one on the same data directory is refused by name', async () => {
    const second = await textOf(spawnUp('--json', '--port', '0', '--data', data));
    assert.equal(second.code, 1);
    assert.match(second.text, /cli\.data_in_use.*choose another --data/);
  });

  test('SIGINT ends everything it started, and the next start keeps the key', async () => {
    child.kill('SIGINT');
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
    for (const { pid } of ready.workers) assert.ok(!isAlive(pid));
    const again = spawnUp('--json', '--port', '0', '--data', data, '--workers', '1');
    const { apiKey, workers } = await readyOf(again);
    assert.equal(apiKey, ready.apiKey);
    assert.equal(workers.length, 1);
    again.kill('SIGTERM');
    assert.deepEqual(await once(again, 'exit'), [0, null]);
    assert.ok(!readFileSync(join(data, 'policy.yaml'), 'utf8').includes('0'.repeat(64)));
  });
});

test('wrong usage says what is right', async () => {
  const { text, code } = await textOf(spawnUp('--port', 'many'));
  assert.notEqual(code, 0);
  assert.match(text, /--port takes a whole number from 0 to 65535/);
});
