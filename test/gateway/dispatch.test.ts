/** The failover matrix and once-only, with real links, real crypto and scripted workers. @module */

import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { after, before, test } from 'node:test';
import { randomBytes } from '#primitives';
import { fromUtf8, toHex } from '../../core/bytes.ts';
import { parseJson } from '../../core/json.ts';
import { keyHashOf } from '../../gateway/accounts.ts';
import { parseClearRequest } from '../../protocol/sx/clear.ts';
import { ResponseReader, type ResponseEvent } from '../../protocol/sx/read-response.ts';
import type { SealedRequest } from '../../protocol/sx/seal.ts';
import { exchange, openLab, type Lab, type RawAnswer } from '../support/gateway-lab.ts';
import { answering, receiptOf, type Script, type SxWorker } from '../support/sx-worker.ts';
import { until } from '../support/until.ts';

let lab: Lab;
let good: SxWorker;

before(async () => {
  lab = await openLab({
    config: {
      limits: { firstSealedTimeoutMs: 600, idleTimeoutMs: 600, slowReaderTimeoutMs: 1000 },
    },
  });
  good = await lab.worker(answering('hel', 'lo'));
});
after(() => lab.close());

function read(sealed: SealedRequest, answer: RawAnswer): readonly ResponseEvent[] {
  const reader = new ResponseReader(sealed.exchange);
  const events = reader.push(answer.body);
  reader.end();
  return events;
}

function textOf(events: readonly ResponseEvent[]): string {
  return events.map((event) => (event.kind === 'data' ? fromUtf8(event.bytes) : '')).join('');
}

function codeIn(answer: RawAnswer): unknown {
  const json = parseJson(answer.body, 100_000);
  return typeof json === 'object' && json !== null && 'error' in json ? json.error : undefined;
}

function assertCode(answer: RawAnswer, status: number, code: string): void {
  assert.equal(answer.status, status);
  const error = codeIn(answer);
  assert.ok(typeof error === 'object' && error !== null && 'code' in error);
  assert.equal(error.code, code);
}

/** Sends to a fresh worker with this script, and to the good one behind it. */
async function withFallback(
  script: Script,
): Promise<{ readonly answer: RawAnswer; readonly sealed: SealedRequest; readonly bad: SxWorker }> {
  const bad = await lab.worker(script);
  // The good one looks busy, so the scripted one is tried first.
  const [busy] = lab.gateway.registry.byWorkerId(good.workerId);
  assert.ok(busy !== undefined);
  busy.load.inFlight += 32;
  const sealed = lab.seal(lab.keysOf(bad, good));
  const answer = await exchange(lab, sealed.bytes);
  busy.load.inFlight -= 32;
  assert.equal(bad.seen.count, 1);
  return { answer, sealed, bad };
}

test('a sealed exchange comes back whole, with its receipt kept', async () => {
  const sealed = lab.seal(lab.keysOf(good));
  const answer = await exchange(lab, sealed.bytes);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['content-type'], 'application/vnd.sx1.res');
  const events = read(sealed, answer);
  assert.equal(textOf(events), 'hello');
  assert.ok(events.some(({ kind }) => kind === 'receipt'));
  assert.equal(events.at(-1)?.kind, 'final');
  const request = await lab.gateway.ledger.findRequest(sealed.msgId);
  assert.ok(request?.state === 'settled');
  assert.equal(request.entry.receipt.length, 445);
});

test('the same sealed bytes are never forwarded twice', async () => {
  const sealed = lab.seal(lab.keysOf(good));
  await exchange(lab, sealed.bytes);
  const before = good.seen.count;
  assertCode(await exchange(lab, sealed.bytes), 409, 'sx.replay');
  assert.equal(good.seen.count, before);
});

for (const status of [421, 402, 503, 500]) {
  test(`a bare ${status} moves on to the next recipient`, async () => {
    const { answer, sealed } = await withFallback({ kind: 'status', status });
    assert.equal(textOf(read(sealed, answer)), 'hello');
  });
}

for (const [status, code, seen] of [
  [400, 'sx.refused', 400],
  [409, 'sx.replay', 409],
] as const) {
  test(`a bare ${status} stops: no other recipient is asked`, async () => {
    const before = good.seen.count;
    const { answer } = await withFallback({ kind: 'status', status });
    assertCode(answer, seen, code);
    assert.equal(good.seen.count, before);
  });
}

test('a connection lost before the first sealed frame moves on', async () => {
  const { answer, sealed } = await withFallback({ kind: 'reset' });
  assert.equal(textOf(read(sealed, answer)), 'hello');
});

test('a request for a single recipient does not move on once it was sent', async () => {
  const bad = await lab.worker({ kind: 'reset' });
  const [busy] = lab.gateway.registry.byWorkerId(good.workerId);
  assert.ok(busy !== undefined);
  busy.load.inFlight += 32;
  const before = good.seen.count;
  const sealed = lab.seal(lab.keysOf(bad, good), '{}', { singleRecipient: true });
  assertCode(await exchange(lab, sealed.bytes), 503, 'sx.no_recipient');
  busy.load.inFlight -= 32;
  assert.equal(good.seen.count, before);
});

test('a worker that takes the request and says nothing is left for the next', async () => {
  const { answer, sealed, bad } = await withFallback({ kind: 'hang' });
  assert.equal(textOf(read(sealed, answer)), 'hello');
  assert.equal(bad.seen.aborted, 1);
});

test('keepalives without end do not extend the wait for the first sealed frame', async () => {
  const { answer, sealed } = await withFallback({
    kind: 'answer',
    act: ({ opened, response }) => {
      response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
      response.write(opened.responder.head(200, []).subarray(0, 48));
      const timer = setInterval(() => response.write(Uint8Array.of(0x11, 0, 0, 0)), 20);
      response.once('close', () => clearInterval(timer));
    },
  });
  assert.equal(textOf(read(sealed, answer)), 'hello');
});

/** Begins an answer, then does what `rest` does. */
function beginning(
  rest: (turn: Parameters<Extract<Script, { kind: 'answer' }>['act']>[0]) => void,
): Script {
  return {
    kind: 'answer',
    act: (turn) => {
      turn.response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
      turn.response.write(turn.opened.responder.head(200, []));
      rest(turn);
    },
  };
}

const BROKEN: readonly (readonly [name: string, code: string, script: Script])[] = [
  [
    'a stream that ends without FINAL',
    'sx.truncated',
    beginning(({ response }) => void response.end()),
  ],
  ['a stream that stops', 'gateway.timeout', beginning(() => {})],
  [
    'a frame larger than the protocol allows',
    'sx.response',
    beginning(({ response }) => void response.write(Uint8Array.of(0, 0xff, 0xff, 0xff))),
  ],
  [
    'FINAL without a receipt',
    'sx.receipt_missing',
    beginning(({ opened, response }) => void response.end(opened.responder.final())),
  ],
  [
    'the receipt of another exchange',
    'sx.receipt',
    beginning(({ opened, epoch, response }) => {
      const { signed, bytes } = receiptOf(opened, epoch);
      const strange = epoch.signer.sign({ ...signed.receipt, requestId: randomBytes(16) });
      bytes.set(strange.payload, bytes.length - strange.payload.length);
      response.write(bytes);
      response.end(opened.responder.final());
    }),
  ],
  [
    'a receipt with one bit changed',
    'sx.receipt',
    beginning(({ opened, epoch, response }) => {
      const { bytes } = receiptOf(opened, epoch);
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      response.write(bytes);
      response.end(opened.responder.final());
    }),
  ],
];

for (const [name, code, script] of BROKEN) {
  test(`${name} ends as an error frame, never as an end, and no other worker is asked`, async () => {
    const before = good.seen.count;
    const { answer, sealed } = await withFallback(script);
    assert.equal(answer.status, 200);
    assert.throws(() => read(sealed, answer));
    assert.ok(fromUtf8Loose(answer.body).includes(code), 'the code of the error frame');
    assert.equal(good.seen.count, before);
    assert.notEqual((await lab.gateway.ledger.findRequest(sealed.msgId))?.state, 'settled');
  });
}

test('a fault of our own in a begun answer ends it in an error frame, and leaves it to recovery', async (t) => {
  const { ledger } = lab.gateway;
  const release = t.mock.method(ledger, 'release', () => {
    throw new Error('a fault of our own');
  });
  const { answer, sealed } = await withFallback(beginning(({ response }) => void response.end()));
  assert.equal(release.mock.callCount(), 1);
  assert.equal(answer.status, 200);
  assert.throws(() => read(sealed, answer));
  assert.ok(fromUtf8Loose(answer.body).includes('internal'), 'the code of the error frame');
  assert.ok(!fromUtf8Loose(answer.body).includes('a fault of our own'));
  assert.equal((await ledger.findRequest(sealed.msgId))?.state, 'reserved');
});

function fromUtf8Loose(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(-200));
}

test('sealed to nobody who lives here is 421', async () => {
  const gone = await lab.worker();
  const keys = lab.keysOf(gone);
  assert.equal((await gone.leave()).status, 200);
  assertCode(await exchange(lab, lab.seal(keys).bytes), 421, 'sx.key_unknown');
  assert.equal(gone.seen.count, 0);
});

test('when every recipient refuses the price the answer is 402', async () => {
  const dear = await lab.worker({ kind: 'status', status: 402 });
  assertCode(await exchange(lab, lab.seal(lab.keysOf(dear)).bytes), 402, 'sx.price');
});

test('a recipient that answers 421 is taken out of service', async () => {
  const restarted = await lab.worker({ kind: 'status', status: 421 });
  assertCode(await exchange(lab, lab.seal(lab.keysOf(restarted)).bytes), 421, 'sx.key_unknown');
  assert.equal(lab.gateway.registry.byWorkerId(restarted.workerId).length, 0);
});

test('when the client leaves, the worker is aborted within a second and its receipt is kept', async () => {
  const started = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<number>();
  const slow = await lab.worker(
    beginning(({ opened, epoch, response }) => {
      started.resolve();
      response.once('close', () => {
        slow.receipts.set(
          Buffer.from(opened.prelude.msgId).toString('hex'),
          receiptOf(opened, epoch).signed.payload,
        );
        closed.resolve(performance.now());
      });
    }),
  );
  const sealed = lab.seal(lab.keysOf(slow));
  const leave = new AbortController();
  const answer = fetch(`${lab.url}/sx/v1/exchange`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.sx1.req', authorization: `Bearer ${lab.apiKey}` },
    body: Uint8Array.from(sealed.bytes),
    signal: leave.signal,
  });
  await started.promise;
  const response = await answer;
  assert.equal(response.status, 200);
  const leftMs = performance.now();
  leave.abort();
  assert.ok((await closed.promise) - leftMs < 1000);
  for (;;) {
    const record = await lab.gateway.ledger.findRequest(sealed.msgId);
    if (record?.state === 'settled') break;
    assert.notEqual(record?.state, 'released');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

test('a deadline that has passed is for the worker to answer, and closes no door', async () => {
  const honest = await lab.worker(answering('late'));
  const act = honest.script.kind === 'answer' ? honest.script.act : () => {};
  honest.script = {
    kind: 'answer',
    act: async (turn) => {
      await new Promise((resolve) => setTimeout(resolve, 400));
      await act(turn);
    },
  };
  const sealed = lab.seal(lab.keysOf(honest), '{}', { deadlineMs: 5 });
  assert.equal(textOf(read(sealed, await exchange(lab, sealed.bytes))), 'late');
  assert.equal(lab.gateway.registry.byWorkerId(honest.workerId)[0]?.load.failures, 0);
});

const PIECE = new Uint8Array(16_000);
const PIECES = 2000;

test('a client that reads nothing costs the worker neither its standing nor its receipt', async () => {
  const fluent = await lab.worker(
    beginning(({ opened, epoch, response }) => {
      let left = PIECES;
      // As the socket takes them: sealing all at once would hold up the gateway, which shares this process.
      const pour = (): void => {
        while (left-- > 0 && response.write(opened.responder.data(PIECE)));
      };
      response.on('drain', pour);
      response.once('close', () => {
        fluent.receipts.set(toHex(opened.prelude.msgId), receiptOf(opened, epoch).signed.payload);
      });
      pour();
    }),
  );
  const sealed = lab.seal(lab.keysOf(fluent));
  const outgoing = httpRequest({
    port: lab.port,
    path: '/sx/v1/exchange',
    method: 'POST',
    headers: { 'content-type': 'application/vnd.sx1.req', authorization: `Bearer ${lab.apiKey}` },
  });
  // A response that nobody listens to is not read.
  outgoing.on('response', (response) => response.on('error', () => {}));
  outgoing.on('error', () => {});
  outgoing.setHeader('content-length', sealed.bytes.length);
  outgoing.end(sealed.bytes);
  for (;;) {
    const record = await lab.gateway.ledger.findRequest(sealed.msgId);
    if (record?.state === 'settled') break;
    assert.notEqual(record?.state, 'released');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  outgoing.destroy();
  assert.equal(lab.gateway.registry.byWorkerId(fluent.workerId)[0]?.load.failures, 0);
});

test('a request sealed for another payer is refused before anybody is asked', async () => {
  const before = good.seen.count;
  const { sealFor } = await import('../support/gateway-lab.ts');
  const sealed = sealFor('vg_somebodyelse', lab.keysOf(good));
  assertCode(await exchange(lab, sealed.bytes), 403, 'gateway.payer');
  assert.equal(good.seen.count, before);
});

test('an exchange leaves no slot taken', () => {
  for (const worker of lab.gateway.registry.all()) assert.equal(worker.load.inFlight, 0);
});

test('of a client that left before anything was sent nothing is held', async () => {
  const sealed = lab.seal(lab.keysOf(good));
  const { msgId } = parseClearRequest(sealed.bytes).prelude;
  const seenBefore = good.seen.count;
  const account = { keyId: 'lab', payer: keyHashOf(lab.apiKey), means: { kind: 'none' } } as const;
  let isOver = false;
  const outcome = await lab.gateway.exchange(sealed.bytes, account, AbortSignal.abort(), {
    head: () => assert.fail('answered'),
    write: () => assert.fail('answered'),
    drain: () => Promise.resolve(),
    end: () => {
      isOver = true;
    },
    fail: (code) => assert.fail(code),
  });
  assert.equal(outcome.outcome, 'aborted');
  assert.ok(isOver);
  await until(async () => (await lab.gateway.ledger.findRequest(msgId))?.state === 'released');
  assert.equal(good.seen.count, seenBefore);
});
