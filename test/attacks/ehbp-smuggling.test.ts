/**
 * Attack: headers. An EHBP client's stand outside of the encryption, so a client, a proxy or a worker may write what it
 * likes into them. None of the app's reach the worker; of the worker's only three do the app, in few forms. @module
 */

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test, type TestContext } from 'node:test';
import { fromUtf8, toHex, utf8 } from '../../core/bytes.ts';
import {
  begin,
  beginStream,
  EHBP_CONFIG,
  ehbpCaller,
  endStream,
  EVENT_HEADERS,
  wholeStream,
} from '../support/ehbp-lab.ts';
import { openLab } from '../support/gateway-lab.ts';
import type { EhbpTurn } from '../support/sx-worker.ts';
import { until } from '../support/until.ts';

async function opened(context: TestContext, onEhbp: (turn: EhbpTurn) => void) {
  const lab = await openLab({ config: EHBP_CONFIG });
  context.after(() => lab.close());
  const worker = await lab.worker(undefined, { onEhbp });
  return { lab, worker, caller: await ehbpCaller(lab, worker) };
}

test('no header of the app reaches the worker', async (context) => {
  const turns: EhbpTurn[] = [];
  const { caller } = await opened(context, (turn) => {
    turns.push(turn);
    wholeStream(turn);
  });
  const answer = await caller.send(await caller.seal(), {
    cookie: 'canary-header=1',
    'x-canary-header': 'canary-header',
    'sx-policy': 'canary-header',
    'sx-meter': '1',
    'idempotency-key': 'canary-header',
    'ehbp-status': '204',
    'ehbp-response-nonce': 'canary-header',
    'x-request-id': 'canary-header',
  });
  assert.equal(answer.status, 200);
  const [turn] = turns;
  assert.ok(turn !== undefined);
  assert.deepEqual(
    Object.keys(turn.headers).sort(),
    ['accept', 'connection', 'content-length', 'content-type', 'host'].filter(
      (name) => name in turn.headers,
    ),
  );
  assert.ok(!JSON.stringify(turn.headers).includes('canary-header'));
  assert.ok(
    !fromUtf8(Buffer.from(turn.bytes.map((byte) => byte & 0x7f))).includes('canary-header'),
  );
});

test('a key that is said twice, or a length and chunks at once, is refused', async (context) => {
  const { lab, worker, caller } = await opened(context, wholeStream);
  const { enc, body } = await caller.seal();
  const common = [
    `POST ${caller.path} HTTP/1.1`,
    'host: gateway',
    `authorization: Bearer ${lab.apiKey}`,
    'content-type: application/json',
    `ehbp-encapsulated-key: ${toHex(enc)}`,
  ];
  const twice = [
    ...common,
    `ehbp-encapsulated-key: ${toHex(enc)}`,
    `content-length: ${body.length}`,
  ];
  const both = [...common, `content-length: ${body.length}`, 'transfer-encoding: chunked'];
  for (const lines of [twice, both]) {
    assert.match(
      await raw(lab.port, utf8(`${lines.join('\r\n')}\r\n\r\n`), body),
      /^HTTP\/1\.1 400 /,
    );
  }
  assert.equal(worker.seen.count, 0);
});

function raw(port: number, head: Uint8Array, body: Uint8Array): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect(port, '127.0.0.1');
  const parts: Buffer[] = [];
  const done = (): void => {
    socket.destroy();
    resolve(Buffer.concat(parts).toString('latin1'));
  };
  socket.on('data', (part) => {
    parts.push(part);
    done();
  });
  socket.once('close', done);
  socket.once('error', done);
  socket.write(head);
  socket.write(body);
  return promise;
}

test('a worker that says more in its headers than it may is not passed on', async (context) => {
  let said: Readonly<Record<string, string>> = {};
  const { caller } = await opened(context, (turn) => {
    begin(turn, said);
    const { responder } = turn.opened;
    turn.response.write(responder.head(200, EVENT_HEADERS));
    endStream(turn);
  });
  for (const more of [
    { 'ehbp-status': '101' },
    { 'ehbp-status': '199' },
    { 'ehbp-status': '204' },
    { 'ehbp-status': '302' },
    { 'ehbp-status': '600' },
    { 'ehbp-status': '200 OK' },
    { 'ehbp-status': '' },
    { 'ehbp-content-type': 'text/html' },
    { 'ehbp-content-type': 'application/json, text/html' },
    { 'ehbp-retry-after': 'Fri, 31 Dec 1999 23:59:59 GMT' },
    { 'ehbp-retry-after-ms': '-1' },
    { 'content-type': 'application/vnd.sx1.res' },
  ]) {
    said = more;
    const answer = await caller.send(await caller.seal());
    assert.ok(answer.status >= 500, JSON.stringify(more));
    assert.equal(answer.body.length, 0);
  }
});

test('what else a worker writes does not reach the app', async (context) => {
  const { caller } = await opened(context, (turn) => {
    begin(turn, {
      'set-cookie': 'canary=1',
      location: 'https://canary.example',
      'ehbp-set-cookie': 'canary=1',
      'ehbp-location': 'https://canary.example',
      'sx-privacy': 'end-to-end',
      'payment-response': 'canary',
      'access-control-allow-origin': '*',
      'ehbp-response-nonce': 'canary',
      'x-request-id': 'canary',
    });
    turn.response.write(turn.opened.responder.head(200, EVENT_HEADERS));
    endStream(turn);
  });
  const { status, headers } = await caller.send(await caller.seal());
  assert.equal(status, 200);
  assert.ok(!JSON.stringify(headers).includes('canary'));
  assert.equal(headers['sx-privacy'], undefined);
  assert.equal(headers['access-control-allow-origin'], undefined);
});

test('a worker that answers for another key is not passed on', async (context) => {
  const { caller } = await opened(context, (turn) => {
    begin(turn);
    const head = turn.opened.responder.head(200, EVENT_HEADERS).slice();
    head[0] = (head[0] ?? 0) ^ 1;
    turn.response.write(head);
    endStream(turn);
  });
  const answer = await caller.send(await caller.seal());
  assert.ok(answer.status >= 500);
});

test('a receipt of another form, or for another request, settles nothing', async (context) => {
  const turns: EhbpTurn[] = [];
  const { lab, caller } = await opened(context, (turn) => {
    turns.push(turn);
    beginStream(turn);
    const [first] = turns;
    // The second answer ends with the end of the first one.
    if (first !== undefined && turns.length === 2) {
      turn.response.write(turn.opened.responder.last(utf8('data: [DONE]\n\n')));
      const { epoch, opened: other } = first;
      const bytes = other.responder.receipt({
        signer: epoch.signer,
        policyDigest: other.th,
        usage: { prompt: 1, cached: 0, completion: 1, reasoning: 0 },
        outcome: 'ok',
        startMs: 1,
        endMs: 1,
      }).bytes;
      turn.response.write(bytes.subarray(-449));
      turn.response.end(other.responder.final());
    }
  });
  const kept = caller.send(await caller.seal()).catch(() => undefined);
  await until(() => turns.length === 1);
  const answer = await caller.send(await caller.seal());
  assert.equal(answer.complete, false);
  const second = turns[1]?.opened.prelude.msgId;
  assert.ok(second !== undefined);
  assert.notEqual((await lab.gateway.ledger.findRequest(second))?.state, 'settled');
  turns[0]?.response.destroy();
  await kept;
});
