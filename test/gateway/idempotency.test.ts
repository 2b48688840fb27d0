/**
 * A request that names a key runs and is paid for once: what was served is never served again under it, what came to nothing
 * may be tried again. Spec: openai-gateway-and-engine §2.5, §2.6.
 * @module
 */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fixed, fromUtf8, toHex, utf8 } from '../../core/bytes.ts';
import { randomBytes } from '#primitives';
import { plainModeSealer } from '../../cli/plain-mode.ts';
import { Idempotency } from '../../gateway/idempotency.ts';
import { IDEMPOTENT_ATTEMPTS_MAX } from '../../gateway/limits.ts';
import type { RequestState } from '../../settlement/ledger/ledger.ts';
import { exchange, openLab, post, type Lab, type RawAnswer } from '../support/gateway-lab.ts';
import { answering, type Script, type SxWorker } from '../support/sx-worker.ts';
import { until } from '../support/until.ts';

const CONFIG = { plaintext: 'operator-can-read' } as const;
const ANSWER = answering('{"object":"chat.completion","choices":[]}');
const BUSY: Script = { kind: 'status', status: 503 };

let lab: Lab;
let worker: SxWorker;
before(async () => {
  lab = await openLab({ config: CONFIG, deps: { sealer: plainModeSealer } });
  worker = await lab.worker(ANSWER);
});
after(() => lab.close());

const BODY = utf8(
  JSON.stringify({ model: 'veilgate-demo', messages: [{ role: 'user', content: 'hello' }] }),
);

function chat(key: string, at: Pick<Lab, 'port' | 'apiKey'> = lab): Promise<RawAnswer> {
  return post(at, '/v1/chat/completions', BODY, {
    'content-type': 'application/json',
    authorization: `Bearer ${at.apiKey}`,
    'idempotency-key': key,
  });
}

function assertReplayed(answer: RawAnswer): void {
  assert.equal(answer.status, 422);
  assert.match(fromUtf8(answer.body), /"code":"request_replayed"/);
  assert.equal(answer.headers['x-should-retry'], 'false');
}

test('a key that was served is refused from then on, and names what it was served as', async () => {
  worker.script = ANSWER;
  const served = await chat('order-1');
  assert.equal(served.status, 200);
  const seen = worker.seen.count;
  const again = await chat('order-1');
  assertReplayed(again);
  assert.equal(worker.seen.count, seen);
  assert.equal(again.headers['sx-request-id'], served.headers['sx-request-id']);
  const path = `/v1/settlements/${String(again.headers['sx-request-id'])}`;
  const authorization = `Bearer ${lab.apiKey}`;
  const settled = await post(lab, path, new Uint8Array(), { authorization }, 'GET');
  assert.match(fromUtf8(settled.body), /"state":"settled"/);
  assert.equal((await chat('order-2')).status, 200);
});

test('of two at once under one key, one is served', async () => {
  worker.script = ANSWER;
  const seen = worker.seen.count;
  const answers = await Promise.all(Array.from({ length: 6 }, () => chat('at-once')));
  const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b);
  assert.deepEqual(statuses, [200, 422, 422, 422, 422, 422]);
  assert.equal(worker.seen.count, seen + 1);
});

test('a key whose request came to nothing may be used again, and is then spent', async () => {
  worker.script = BUSY;
  const failed = await chat('flaky');
  assert.equal(failed.status, 503);
  worker.script = ANSWER;
  // Released in the background: until then it counts as under way.
  await until(async () => (await chat('flaky')).status === 200);
  assertReplayed(await chat('flaky'));
});

test('a request that runs holds its key', async () => {
  worker.script = { kind: 'hang' };
  const seen = worker.seen.count;
  const leave = new AbortController();
  const hanging = fetch(`${lab.url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${lab.apiKey}`,
      'idempotency-key': 'held',
    },
    body: Uint8Array.from(BODY),
    signal: leave.signal,
  }).catch(() => undefined);
  await until(() => worker.seen.count === seen + 1);
  assertReplayed(await chat('held'));
  leave.abort();
  await hanging;
});

test('without a key every request is its own', async () => {
  worker.script = ANSWER;
  const ask = () =>
    post(lab, '/v1/chat/completions', BODY, {
      'content-type': 'application/json',
      authorization: `Bearer ${lab.apiKey}`,
    });
  assert.deepEqual([(await ask()).status, (await ask()).status], [200, 200]);
});

test('a text that is no key is refused before anything is sent', async () => {
  const seen = worker.seen.count;
  for (const key of ['', 'with space', 'x'.repeat(256), 'a,b c']) {
    assert.equal((await chat(key)).status, 400, key);
  }
  assert.equal(worker.seen.count, seen);
});

test('a sealed request is known by its message id: repeated, it is refused on the wire of SX/1', async () => {
  worker.script = ANSWER;
  const { bytes } = lab.seal(lab.keysOf(worker));
  assert.equal((await exchange(lab, bytes.slice())).status, 200);
  const again = await exchange(lab, bytes.slice());
  assert.equal(again.status, 409);
  assert.match(fromUtf8(again.body), /"code":"sx\.replay"/);
});

test('a gateway that was restarted knows what was served', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'veilgate-keys-'));
  t.after(() => rmSync(dataDir, { recursive: true }));
  const open = () => openLab({ dataDir, config: CONFIG, deps: { sealer: plainModeSealer } });
  const first = await open();
  await first.worker(ANSWER);
  assert.equal((await chat('kept', first)).status, 200);
  await first.close();
  const second = await open();
  t.after(() => second.close());
  const fresh = await second.worker(ANSWER);
  assertReplayed(await chat('kept', { port: second.port, apiKey: first.apiKey }));
  assert.equal(fresh.seen.count, 0);
});

test('keys are nowhere in what the gateway writes', async () => {
  worker.script = ANSWER;
  await chat('canary-3f1c');
  await chat('canary-3f1c');
  assert.ok(!lab.logLines.join('').includes('canary-3f1c'));
});

function idempotency(known: ReadonlyMap<string, RequestState>, seed = 1): Idempotency {
  return new Idempotency({
    sign: () => fixed(new Uint8Array(64).fill(seed), 64),
    find: (id) => Promise.resolve(known.get(toHex(id))),
  });
}

test('a key that came to nothing again and again is put off', async () => {
  const known = new Map<string, RequestState>();
  const payer = randomBytes(32);
  const next = idempotency(known).idsFor({ 'idempotency-key': 'k' }, payer);
  assert.ok(next !== undefined);
  const ids: string[] = [];
  for (let i = 0; i < IDEMPOTENT_ATTEMPTS_MAX; i++) ids.push(toHex(await next()));
  assert.equal(new Set(ids).size, IDEMPOTENT_ATTEMPTS_MAX);
  await assert.rejects(next(), { code: 'gateway.rate' });
});
