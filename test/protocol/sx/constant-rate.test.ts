/** Answers at a constant rate: what is seen from outside does not depend on what is said. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, toHex, utf8 } from '../../../core/bytes.ts';
import { ResponseRelay } from '../../../protocol/sx/clear.ts';
import { ConstantRate } from '../../../protocol/sx/constant-rate.ts';
import { clearFrame, FRAME, HEADER_BYTES } from '../../../protocol/sx/frames.ts';
import { openRequest } from '../../../protocol/sx/open.ts';
import { ResponseReader, type ResponseEvent } from '../../../protocol/sx/read-response.ts';
import { KEEPALIVE_FRAME } from '../../../protocol/sx/respond.ts';
import type { OpenedRequest } from '../../../protocol/sx/open.ts';
import type { SealedRequest } from '../../../protocol/sx/seal.ts';
import { NOW_MS, refuses, seal, StageWorker, USAGE } from './stage.ts';

const OPENING_BYTES = 48;
const FRAME_BYTES = 4 + 4096 + 16;
const TICK_MS = 50;
const STEP = 20;

interface Write {
  readonly atMs: number;
  readonly bytes: Uint8Array;
}

/** A worker whose time a test moves: what it writes, and when. */
class Stage {
  readonly worker = new StageWorker('X25519');
  readonly sealed: SealedRequest = seal([this.worker], { flags: { constantRate: true } });
  readonly opened: OpenedRequest = this.worker.open(this.sealed.bytes);
  readonly writes: Write[] = [];
  readonly #gone = new AbortController();
  readonly rate: ConstantRate;
  nowMs = 1000;
  /** Each timer fires so much later than asked. */
  lateMs = 0;
  hasRoom = true;
  #timer: { readonly atMs: number; readonly run: () => void } | undefined;

  constructor() {
    this.rate = new ConstantRate({
      responder: this.opened.responder,
      nowMs: () => this.nowMs,
      scheduler: {
        after: (delayMs, run) => {
          const timer = { atMs: this.nowMs + delayMs + this.lateMs, run };
          this.#timer = timer;
          return () => {
            if (this.#timer === timer) this.#timer = undefined;
          };
        },
      },
      write: (bytes) => this.writes.push({ atMs: this.nowMs, bytes }),
      hasRoom: () => this.hasRoom,
    });
  }

  async run(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    while (this.#timer !== undefined && this.#timer.atMs <= endMs) {
      const { atMs, run } = this.#timer;
      this.#timer = undefined;
      this.nowMs = atMs;
      run();
      await new Promise(setImmediate);
    }
    this.nowMs = endMs;
  }

  leave(): void {
    this.#gone.abort();
  }

  begin(): void {
    this.rate.head(200, [['content-type', 'text/event-stream']]);
  }

  end(): Promise<void> {
    return this.rate.end(this.#gone.signal);
  }

  async finish(): Promise<void> {
    await this.end();
    this.writes.push({ atMs: this.nowMs, bytes: concat(...this.last()) });
  }

  last(): readonly Uint8Array[] {
    const { responder, inner } = this.opened;
    assert.ok(inner.kind === 'request');
    const { signer } = this.worker;
    const { policyDigest } = inner;
    const times = { startMs: NOW_MS, endMs: NOW_MS + 40 };
    return [
      responder.receipt({ signer, policyDigest, usage: USAGE, outcome: 'ok', ...times }).bytes,
      responder.final(),
    ];
  }

  /** When, how much, and what is in the clear: type and length of the frame. */
  get seen(): readonly (readonly [number, number, string])[] {
    return this.writes.map(({ atMs, bytes }, at) => {
      const frame = bytes.subarray(at === 0 ? OPENING_BYTES : 0);
      return [atMs, bytes.length, toHex(frame.subarray(0, HEADER_BYTES))];
    });
  }

  read(): { readonly text: string; readonly events: readonly ResponseEvent[] } {
    const reader = new ResponseReader(this.sealed.exchange);
    const events = this.writes.flatMap(({ bytes }) => reader.push(bytes));
    reader.end();
    const data = events.flatMap((event) => (event.kind === 'data' ? [event.bytes] : []));
    return { text: Buffer.concat(data).toString(), events };
  }
}

/** `say` moves the time; the answer is whole after so much of it. */
async function answered(say: (stage: Stage) => Promise<void>): Promise<Stage> {
  const stage = new Stage();
  await say(stage);
  const finished = stage.finish();
  await stage.run(3000);
  await finished;
  return stage;
}

test('two answers that have nothing in common but the second in which they end look the same', async () => {
  const quick = await answered(async (stage) => {
    stage.begin();
    stage.rate.write(utf8('data: yes\n\n'));
  });
  const slow = await answered(async (stage) => {
    await stage.run(310);
    stage.begin();
    for (let at = 0; at < 9; at++) {
      stage.rate.write(utf8('a long event '.repeat(50)));
      await stage.run(at * 7);
    }
  });
  assert.equal(quick.read().text, 'data: yes\n\n');
  assert.equal(slow.read().text, 'a long event '.repeat(450));
  assert.deepEqual(quick.seen, slow.seen);
  const sizes = quick.seen.map(([, size]) => size);
  assert.deepEqual(sizes.slice(0, 2), [OPENING_BYTES + FRAME_BYTES, FRAME_BYTES]);
  assert.deepEqual(
    quick.seen.map(([atMs]) => atMs),
    Array.from({ length: STEP }, (_, at) => 1000 + at * TICK_MS),
  );
  assert.equal(new Set(sizes.slice(1, -1)).size, 1);
  assert.equal(new Set(quick.seen.map(([, , header]) => header)).size, 1);
});

test('the first frame leaves before there is anything to say, and the status is inside', async () => {
  const stage = new Stage();
  assert.equal(stage.writes.length, 1);
  await stage.run(175);
  assert.equal(stage.writes.length, 4);
  stage.rate.head(400, [['content-type', 'application/json']]);
  stage.rate.write(utf8('{}'));
  const finished = stage.finish();
  await stage.run(3000);
  await finished;
  const { events, text } = stage.read();
  const [head] = events;
  assert.ok(head?.kind === 'head' && head.status === 400);
  assert.equal(text, '{}');
  assert.equal(stage.writes.length, STEP);
});

test('what is long goes on for another second, a frame at a time', async () => {
  const stage = await answered(async (made) => {
    made.begin();
    made.rate.write(utf8('x'.repeat(4089 * 17 + 1)));
  });
  // Padding, the head, eighteen of content, and the end: one more than a step holds.
  assert.equal(stage.writes.length, 2 * STEP);
  assert.equal(stage.read().text.length, 4089 * 17 + 1);
  const fits = await answered(async (made) => {
    made.begin();
    made.rate.write(utf8('x'.repeat(4089 * 17)));
  });
  assert.equal(fits.writes.length, STEP);
});

test('whoever generates ahead of the pace waits for it', async () => {
  const stage = new Stage();
  stage.begin();
  stage.rate.write(new Uint8Array(16_384));
  await stage.rate.room();
  stage.rate.write(new Uint8Array(1));
  let isFree = false;
  const wait = async (): Promise<void> => {
    await stage.rate.room();
    isFree = true;
  };
  const waiting = wait();
  await stage.run(TICK_MS); // the head
  assert.equal(isFree, false);
  await stage.run(TICK_MS);
  await waiting;
  assert.equal(isFree, true);
});

test('a reader that is slow misses ticks, and gets no two frames in one', async () => {
  const stage = new Stage();
  stage.begin();
  await stage.run(2 * TICK_MS);
  stage.hasRoom = false;
  await stage.run(10 * TICK_MS);
  assert.equal(stage.writes.length, 3);
  stage.hasRoom = true;
  await stage.run(2 * TICK_MS);
  assert.equal(stage.writes.length, 5);
});

test('a tick that comes late is not made good', async () => {
  const stage = new Stage();
  stage.begin();
  stage.lateMs = 400;
  await stage.run(900);
  const late = stage.writes.length;
  stage.lateMs = 0;
  await stage.run(10 * TICK_MS);
  const times = stage.writes.map(({ atMs }) => atMs);
  for (const [at, atMs] of times.entries()) {
    if (at > late) assert.equal(atMs - (times[at - 1] ?? 0), TICK_MS);
  }
  assert.equal(new Set(times).size, times.length);
});

test('when the reader is gone all is written at once, and is whole', async () => {
  const stage = new Stage();
  stage.begin();
  stage.rate.write(utf8('y'.repeat(10_000)));
  const finished = stage.finish();
  await stage.run(TICK_MS);
  stage.leave();
  await finished;
  assert.equal(stage.writes.length, STEP);
  assert.equal(stage.nowMs, 1000 + TICK_MS);
  assert.equal(stage.read().text.length, 10_000);
});

test('a gateway relays it, and holds what it holds of any answer', async () => {
  const stage = await answered(async (made) => made.begin());
  const relay = new ResponseRelay(stage.opened.kid, { constantRate: true });
  const forwarded = stage.writes.flatMap(({ bytes }) => relay.push(bytes).forward);
  relay.end();
  const reader = new ResponseReader(stage.sealed.exchange);
  for (const bytes of [...forwarded, ...relay.release()]) reader.push(bytes);
  reader.end();
});

/** For both readers of an answer that was asked for at a constant rate. */
function refused(sealed: SealedRequest, kid: OpenedRequest['kid'], ...wire: Uint8Array[]): void {
  const reader = new ResponseReader(sealed.exchange);
  refuses(() => wire.forEach((bytes) => reader.push(bytes)), 'sx.response');
  const relay = new ResponseRelay(kid, { constantRate: true });
  refuses(() => wire.forEach((bytes) => relay.push(bytes)), 'sx.response');
}

test('an answer at its own pace is no answer to whoever asked for a constant rate', () => {
  const worker = new StageWorker('X25519');
  const sealed = seal([worker], { flags: { constantRate: true } });
  const plain = openRequest(sealed.bytes, {
    keys: worker.keys,
    replay: worker.replay,
    nowMs: NOW_MS,
    admit: () => undefined,
  });
  const opening = plain.responder.head(200, []).subarray(0, OPENING_BYTES);
  const small = clearFrame(FRAME.data, new Uint8Array(128 + 16));
  const large = clearFrame(FRAME.data, new Uint8Array(8192 + 16));
  refused(sealed, plain.kid, opening, small);
  refused(sealed, plain.kid, opening, large);
  refused(sealed, plain.kid, opening, clearFrame(FRAME.pad, new Uint8Array(128 + 16)));
});

test('a frame whose type says that nothing is said has no place in it', async () => {
  const stage = await answered(async (made) => made.begin());
  const [first, ...rest] = stage.writes.map(({ bytes }) => bytes);
  assert.ok(first);
  const pad = clearFrame(FRAME.pad, new Uint8Array(4096 + 16));
  refused(stage.sealed, stage.opened.kid, first.subarray(0, OPENING_BYTES), pad);
  refused(stage.sealed, stage.opened.kid, first, ...rest.slice(1), pad);
  refuses(() => stage.opened.responder.pad(), 'internal.invariant');
});

test('its end stands only where many answers end, with no keepalive once it has begun', async () => {
  const stage = await answered(async (made) => made.begin());
  const [first, ...rest] = stage.writes.map(({ bytes }) => bytes);
  const last = rest.pop();
  assert.ok(first && last);
  // A gateway that leaves out a tick, or that knows how to end one earlier.
  refused(stage.sealed, stage.opened.kid, first, ...rest.slice(1), last.subarray(FRAME_BYTES));
  refused(stage.sealed, stage.opened.kid, first, ...rest, last.subarray(FRAME_BYTES));
  refused(stage.sealed, stage.opened.kid, first, KEEPALIVE_FRAME);
  const meter = clearFrame(FRAME.meter, new Uint8Array(144));
  refused(stage.sealed, stage.opened.kid, first, ...rest, meter);
});

test('and at its own pace there is neither padding before the head nor silence', () => {
  const worker = new StageWorker('X25519');
  const sealed = seal([worker]);
  const { responder } = worker.open(sealed.bytes);
  refuses(() => responder.pad(), 'internal.invariant');
  refuses(() => responder.silence(), 'internal.invariant');
  const opening = responder.head(200, []).subarray(0, OPENING_BYTES);
  const reader = new ResponseReader(sealed.exchange);
  reader.push(opening);
  refuses(() => reader.push(clearFrame(FRAME.pad, new Uint8Array(4096 + 16))), 'sx.response');
});

test('a worker does not meter what it paces, and does not end it elsewhere', async () => {
  const stage = new Stage();
  stage.begin();
  await stage.run(TICK_MS);
  const { signer } = stage.worker;
  const { responder } = stage.opened;
  refuses(() => responder.meter({ signer, usage: USAGE, seq: 1 }), 'internal.invariant');
  refuses(() => stage.last(), 'internal.invariant');
});

test('what goes wrong in a tick is told to whoever ends the answer, and to no timer', async () => {
  const stage = new Stage();
  stage.rate.head(200, [['set-cookie', 'a=b']]);
  stage.rate.write(new Uint8Array(20_000));
  const room = stage.rate.room();
  await stage.run(1000);
  await room;
  assert.equal(stage.writes.length, 1, 'the frame at once, and none after the failure');
  await assert.rejects(stage.end(), { code: 'sx.inner' });
});

test('also when it is being ended', async () => {
  const stage = new Stage();
  stage.rate.head(200, [['set-cookie', 'a=b']]);
  const ended = assert.rejects(stage.end(), { code: 'sx.inner' });
  await stage.run(1000);
  await ended;
});

test('and when its reader goes meanwhile', async () => {
  const stage = new Stage();
  stage.rate.head(200, [['set-cookie', 'a=b']]);
  const ended = assert.rejects(stage.end(), { code: 'sx.inner' });
  stage.leave();
  await ended;
});

test('it says beforehand when an answer will have left', async () => {
  for (const bytes of [0, 1, 60_000, 200_000]) {
    const stage = new Stage();
    await stage.run(170);
    const dueMs = stage.nowMs + stage.rate.lastsMs(bytes);
    stage.begin();
    stage.rate.write(new Uint8Array(bytes));
    const finished = stage.finish();
    await stage.run(10_000);
    await finished;
    const endMs = stage.writes.at(-1)?.atMs ?? 0;
    assert.ok(endMs <= dueMs && endMs > dueMs - 2 * TICK_MS, `${bytes}: ${endMs}, ${dueMs}`);
  }
});
