/** What the gateway takes from EHBP clients, what it refuses, and in which words. Spec: docs/ehbp.md. @module */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Identity } from 'ehbp';
import { fromUtf8, toHex, utf8 } from '../../../core/bytes.ts';
import { keyHashOf } from '../../../gateway/accounts.ts';
import { EHBP_BODY_MAX_BYTES } from '../../../protocol/ehbp/limits.ts';
import { ceilingOf } from '../../../protocol/price.ts';
import { payerRefOf } from '../../../protocol/sx/prelude.ts';
import { TEST_PRICES } from '../../support/attested-key.ts';
import {
  EHBP_ASKED,
  EHBP_CONFIG,
  ehbpCaller,
  ehbpHeaders,
  wholeStream,
  type EhbpCaller,
} from '../../support/ehbp-lab.ts';
import {
  openLab,
  post,
  type Lab,
  type LabOptions,
  type WorkerMore,
} from '../../support/gateway-lab.ts';
import type { EhbpTurn, SxWorker } from '../../support/sx-worker.ts';
import { until } from '../../support/until.ts';

interface Opened {
  readonly lab: Lab;
  readonly worker: SxWorker;
  readonly caller: EhbpCaller;
  readonly turns: EhbpTurn[];
}

async function opened(
  context: TestContext,
  options: LabOptions = {},
  more: WorkerMore = {},
): Promise<Opened> {
  const lab = await openLab({ ...options, config: { ...EHBP_CONFIG, ...options.config } });
  context.after(() => lab.close());
  const turns: EhbpTurn[] = [];
  const onEhbp = (turn: EhbpTurn): void => {
    turns.push(turn);
    wholeStream(turn);
  };
  const worker = await lab.worker(undefined, { onEhbp, ...more });
  return { lab, worker, caller: await ehbpCaller(lab, worker), turns };
}

test('an answer is the worker’s chunks and headers, the request its ciphertext', async (context) => {
  const { lab, caller, turns } = await opened(context);
  const sealed = await caller.seal();
  const answer = await caller.send(sealed);
  assert.equal(answer.status, 200);
  assert.match(await caller.read(sealed, answer), /data: \[DONE\]/);
  const [turn] = turns;
  assert.ok(turn?.opened.inner.kind === 'request');
  assert.equal(fromUtf8(turn.opened.inner.request.body), EHBP_ASKED);
  assert.equal(turn.opened.inner.request.path, '/v1/chat/completions');
  assert.equal(answer.headers['content-type'], 'text/event-stream; charset=utf-8');
  assert.equal(answer.headers['content-length'], undefined);
  const { prelude } = turn.opened;
  assert.equal(answer.headers['x-request-id'], `req_${toHex(prelude.msgId)}`);
  assert.deepEqual(prelude.payerRef, payerRefOf(keyHashOf(lab.apiKey), prelude.msgId));
  const settled = await lab.gateway.ledger.findRequest(prelude.msgId);
  assert.equal(settled?.state, 'settled');
});

test('without the operator’s word the address does not exist', async (context) => {
  const { caller, worker } = await opened(context, { config: { ehbp: 'refuse' } });
  const answer = await caller.send(await caller.seal());
  assert.equal(answer.status, 404);
  assert.equal(worker.seen.count, 0);
});

test('a worker that offers no key has no address', async (context) => {
  const { lab } = await opened(context);
  const plain = await lab.worker();
  assert.equal(plain.epoch.ehbp, undefined);
  const [key] = lab.keysOf(plain);
  assert.equal(key?.ehbp, undefined);
  // Nor does the kid of the sealed exchange name one.
  const url = `/e/${toHex(key?.kid ?? new Uint8Array())}/v1/chat/completions`;
  const answer = await post(lab, url, utf8('x'), ehbpHeaders(lab, new Uint8Array(32)));
  assert.equal(answer.status, 422);
});

test('an unknown key is the problem that clients know, and nothing was read', async (context) => {
  const { lab, caller, worker } = await opened(context);
  const { enc, body } = await caller.seal();
  const path = caller.path.replace(/[0-9a-f]{32}/, '0'.repeat(32));
  const answer = await post(lab, path, body, ehbpHeaders(lab, enc));
  assert.equal(answer.status, 422);
  assert.equal(answer.headers['content-type'], 'application/problem+json');
  assert.equal(answer.headers['ehbp-response-nonce'], undefined);
  assert.match(fromUtf8(answer.body), /"urn:ietf:params:ehbp:error:key-config"/);
  assert.equal(worker.seen.count, 0);
});

test('nobody is served without a key of this gateway', async (context) => {
  const { caller, worker } = await opened(context);
  for (const authorization of ['', 'Bearer nobody', `Bearer vg_${'A'.repeat(43)}`]) {
    const answer = await caller.send(await caller.seal(), { authorization });
    assert.equal(answer.status, 401);
    assert.equal(answer.headers['sx-error'], 'gateway.unauthorized');
  }
  assert.equal(worker.seen.count, 0);
});

test('what the gateway says itself is a status and an empty encrypted body', async (context) => {
  const { caller } = await opened(context);
  const sealed = await caller.seal();
  const answer = await caller.send(sealed, { authorization: 'Bearer nobody' });
  assert.equal(answer.body.length, 0);
  assert.match(String(answer.headers['ehbp-response-nonce']), /^[0-9a-f]{64}$/);
  assert.equal(await caller.read(sealed, answer), '');
});

test('a body that is not encrypted is refused, not served', async (context) => {
  const { lab, caller, worker } = await opened(context);
  const headers = ehbpHeaders(lab, new Uint8Array(32));
  delete headers['ehbp-encapsulated-key'];
  assert.equal((await post(lab, caller.path, utf8(EHBP_ASKED), headers)).status, 400);
  assert.equal((await post(lab, caller.path, new Uint8Array(), headers)).status, 400);
  const sealed = await caller.seal();
  for (const key of ['', 'xyz', toHex(sealed.enc).toUpperCase(), toHex(sealed.enc).slice(2)]) {
    assert.equal((await caller.send(sealed, { 'ehbp-encapsulated-key': key })).status, 400, key);
  }
  assert.equal(worker.seen.count, 0);
});

test('forms of body that nobody asked for are refused', async (context) => {
  const { caller, worker } = await opened(context);
  const sealed = await caller.seal();
  assert.equal((await caller.send(sealed, { 'content-type': 'text/plain' })).status, 415);
  assert.equal((await caller.send(sealed, { 'content-encoding': 'gzip' })).status, 415);
  const length = String(EHBP_BODY_MAX_BYTES + 1);
  const large = { ...sealed, body: new Uint8Array() };
  assert.equal((await caller.send(large, { 'content-length': length })).status, 413);
  assert.equal(worker.seen.count, 0);
});

test('a body without a length is read up to the limit', async (context) => {
  const { lab, caller } = await opened(context);
  const sealed = await caller.seal();
  const send = (body: AsyncGenerator<Uint8Array>): Promise<Response> =>
    fetch(`${lab.url}${caller.path}`, {
      method: 'POST',
      headers: ehbpHeaders(lab, sealed.enc),
      body,
      duplex: 'half',
    });
  assert.equal((await send(inPieces(sealed.body))).status, 200);
  const piece = new Uint8Array(1_048_576);
  const endless = send(
    (async function* pieces() {
      for (let sent = 0; sent <= EHBP_BODY_MAX_BYTES; sent += piece.length) yield piece;
    })(),
  );
  // Refused while it still comes: a client sees the answer, or that nobody reads on.
  const status = await endless.then((response) => response.status).catch(() => 413);
  assert.equal(status, 413);
});

test('a body without a length takes no more memory than it has while it is answered', async (context) => {
  const turns: EhbpTurn[] = [];
  const { lab, caller } = await opened(context, {}, { onEhbp: (turn) => void turns.push(turn) });
  // Each could have been so large that an account has no room for as many.
  const answers: Promise<Response>[] = [];
  for (let at = 0; at < 5; at++) {
    const { enc, body } = await caller.seal();
    answers.push(
      fetch(`${lab.url}${caller.path}`, {
        method: 'POST',
        headers: ehbpHeaders(lab, enc),
        body: inPieces(body),
        duplex: 'half',
      }),
    );
    const answered = answers.map(async (answer) => (await answer).status);
    await Promise.race([until(() => turns.length === at + 1), ...answered]);
    assert.equal(turns.length, at + 1);
  }
  for (const turn of turns) wholeStream(turn);
  for (const answer of answers) assert.equal((await answer).status, 200);
});

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 20) yield bytes.subarray(at, at + 20);
}

test('paths, methods and queries beside the list do not exist', async (context) => {
  const { lab, caller, worker } = await opened(context);
  const { enc, body } = await caller.seal();
  const headers = ehbpHeaders(lab, enc);
  const root = caller.path.slice(0, caller.path.indexOf('/v1'));
  for (const [path, method, status] of [
    [`${root}/v1/files`, 'POST', 404],
    [`${root}/v1/chat/completions?x=1`, 'POST', 404],
    [`${root}/v1/chat/completions/`, 'POST', 404],
    [`${root}//v1/chat/completions`, 'POST', 404],
    [`${root}/../v1/chat/completions`, 'POST', 404],
    [root.toUpperCase().replace('/E/', '/e/').concat('/v1/chat/completions'), 'POST', 404],
    [`${root}/v1/chat/completions`, 'PUT', 405],
    [`${root}/v1/models`, 'POST', 405],
    ['/.well-known/hpke-keys', 'GET', 404],
  ] as const) {
    assert.equal((await post(lab, path, body, headers, method)).status, status, path);
  }
  assert.equal(worker.seen.count, 0);
});

test('the key and the model of an address can be read', async (context) => {
  const { lab, caller, worker } = await opened(context);
  const root = `${lab.url}${caller.path.slice(0, caller.path.indexOf('/v1'))}`;
  const config = await fetch(`${root}/.well-known/hpke-keys`);
  assert.equal(config.headers.get('content-type'), 'application/ohttp-keys');
  const identity = await Identity.unmarshalPublicConfig(new Uint8Array(await config.arrayBuffer()));
  assert.equal(
    await identity.getPublicKeyHex(),
    toHex(worker.epoch.ehbp?.pair.publicKey ?? new Uint8Array()),
  );
  const models = await (await fetch(`${root}/v1/models`)).text();
  assert.match(models, /"id":"veilgate-demo"/);
  assert.equal((await fetch(`${root}/v1/models/veilgate-demo`)).status, 200);
  assert.equal((await fetch(`${root}/v1/models/other`)).status, 404);
});

test('bounds are the worker’s, or the lower ones that were asked for', async (context) => {
  const { caller, turns } = await opened(context);
  const ask = async (headers: Readonly<Record<string, string>>): Promise<readonly number[]> => {
    const { status } = await caller.send(await caller.seal(), headers);
    assert.equal(status, 200);
    const prelude = turns.at(-1)?.opened.prelude;
    return [prelude?.maxPrompt ?? 0, prelude?.maxOutput ?? 0];
  };
  assert.deepEqual(await ask({}), [128, 128]);
  assert.deepEqual(await ask({ 'x-vg-max-prompt': '20', 'x-vg-max-output': '5' }), [20, 5]);
  assert.deepEqual(await ask({ 'x-vg-max-prompt': '4000000000' }), [128, 128]);
  // Several choices, as many as there may be.
  assert.deepEqual(await ask({ 'x-vg-max-output': '4000000000' }), [128, 128 * 128]);
  for (const value of ['0', '-1', '1.5', '1e3', '99999999999', 'x']) {
    const answer = await caller.send(await caller.seal(), { 'x-vg-max-output': value });
    assert.equal(answer.status, 400, value);
  }
});

test('dearer than allowed is refused before anything is reserved', async (context) => {
  const settlement = { custodial: 'operator-holds-balances' } as const;
  const { caller, worker } = await opened(
    context,
    { config: { settlement } },
    { prices: TEST_PRICES },
  );
  const most = ceilingOf(TEST_PRICES, 128, 128);
  const refused = await caller.send(await caller.seal(), {
    'x-vg-max-amount': String(most - 1n),
  });
  assert.equal(refused.status, 402);
  assert.equal(refused.headers['sx-error'], 'sx.price');
  // At the price itself it is the balance that is asked, and there is none.
  const poor = await caller.send(await caller.seal(), { 'x-vg-max-amount': String(most) });
  assert.equal(poor.status, 402);
  assert.match(String(poor.headers['sx-error']), /^insufficient_/);
  assert.equal(worker.seen.count, 0);
});

test('a page of a listed origin may ask, and read what EHBP needs', async (context) => {
  const origin = 'https://app.example';
  const { lab, caller } = await opened(context, { config: { cors: { origins: [origin] } } });
  const preflight = await post(
    lab,
    caller.path,
    new Uint8Array(),
    {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type,ehbp-encapsulated-key',
    },
    'OPTIONS',
  );
  assert.equal(preflight.status, 204);
  assert.match(String(preflight.headers['access-control-allow-headers']), /ehbp-encapsulated-key/);
  const answer = await caller.send(await caller.seal(), { origin });
  assert.equal(answer.headers['access-control-allow-origin'], origin);
  assert.equal(answer.headers['access-control-expose-headers'], '*');
});

test('the log says no more of a request than of any other', async (context) => {
  const { lab, caller } = await opened(context);
  await caller.send(await caller.seal());
  const log = lab.logLines.join('\n');
  assert.ok(log.includes('exchange.done'));
  assert.ok(!log.includes('canary'));
});
