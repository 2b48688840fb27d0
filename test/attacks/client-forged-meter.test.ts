/**
 * A gateway forges the worker's progress, or shows it again, skips it, turns it back or takes it from another answer, to have
 * a client sign more: no voucher follows, the answer and its bill stand, and nobody else is blamed. Spec: P§10.7, §11.
 * @module
 */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { generateEd25519, signEd25519 } from '#primitives';
import { concat } from '../../core/bytes.ts';
import { encodePayState, newPayState } from '../../client/pay/pay-state.ts';
import { encodeMeter, METER_BYTES, parseMeterUnverified } from '../../protocol/meter.ts';
import { clearFrame, FRAME, HEADER_BYTES } from '../../protocol/sx/frames.ts';
import { meteredAnswer } from '../support/memory-gateway.ts';
import { paidGateway, payingApp, TestMemory } from '../support/paying.ts';
import { until } from '../support/until.ts';

const TOKENS = 400;
const STEP = 40;
const STRANGER = generateEd25519();

type Pieces = readonly Uint8Array[];

function isMeter(piece: Uint8Array): boolean {
  return piece.length === HEADER_BYTES + METER_BYTES && piece[0] === FRAME.meter;
}

/** The METERs of an answer in the places of its METERs. */
function replaced(pieces: Pieces, change: (meters: Pieces) => Pieces): Pieces {
  const changed = [...change(pieces.filter(isMeter))];
  return pieces.flatMap((piece) => {
    if (!isMeter(piece)) return [piece];
    const next = changed.shift();
    return next === undefined ? [] : [next];
  });
}

function meterOf(piece: Uint8Array | undefined): Uint8Array {
  assert.ok(piece);
  return piece.subarray(HEADER_BYTES);
}

/** By somebody else's hand: everything that was not sent yet. */
function resigned(piece: Uint8Array): Uint8Array {
  const { meter } = parseMeterUnverified(meterOf(piece));
  const body = encodeMeter({ ...meter, completion: TOKENS, amount: 1010n + 8n * 400n });
  return clearFrame(FRAME.meter, concat(signEd25519(STRANGER.secretKey, body), body));
}

function altered(piece: Uint8Array): Uint8Array {
  const copy = piece.slice();
  // The last byte of the count.
  const at = HEADER_BYTES + 64 + 55;
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

let ofBefore: Pieces = [];

const FORGERIES: readonly (readonly [what: string, change: (meters: Pieces) => Pieces])[] = [
  ['signs them with a key of its own', (meters) => meters.map(resigned)],
  ['counts one token more in them', (meters) => meters.map(altered)],
  ['takes them from an answer before', () => ofBefore],
  ['begins with the last', (meters) => [...meters].reverse()],
  ['skips the first', (meters) => meters.slice(1)],
  ['sends them ahead of the text that they count', (meters) => [concat(...meters)]],
  [
    'cuts them short',
    (meters) => meters.map((piece) => piece.with(3, (piece[3] ?? 0) - 1).slice(0, -1)),
  ],
];

async function stage(context: TestContext) {
  const gateway = await paidGateway(context, {
    answer: meteredAnswer(TOKENS, STEP),
    usage: { prompt: 5, cached: 0, completion: TOKENS, reasoning: 0 },
  });
  const memory = new TestMemory(encodePayState(newPayState(gateway.books.channel, 'known')));
  const app = payingApp(gateway, { memory, pay: { policy: { chunkTokens: 80 } } });
  return { gateway, app };
}

for (const [what, change] of FORGERIES) {
  const isRefused = what === 'cuts them short';
  test(`a gateway that ${what} has no voucher raised by it`, async (context) => {
    const { gateway, app } = await stage(context);
    gateway.mischief.answer = (pieces) => {
      ofBefore = pieces.filter(isMeter);
      return pieces;
    };
    await app.stream();
    await until(() => app.settled.length === 1);
    const raised = gateway.books.raised.length;
    gateway.mischief.answer = (pieces) => replaced(pieces, change);
    gateway.mischief.pace = () => Promise.resolve();
    if (isRefused) {
      await assert.rejects(app.stream());
      assert.equal(gateway.books.raised.length, raised);
      return;
    }
    assert.match(await app.stream(), /^(word ){400}$/);
    await until(() => app.settled.length === 2);
    assert.equal(gateway.books.raised.length, raised);
    assert.deepEqual(
      app.heldBack.map(({ reason }) => reason.code),
      ['sx.meter'],
    );
    assert.deepEqual(app.faults, []);
    // It has harmed itself: no more was reserved than at first.
    assert.equal(app.settled[1]?.amount, gateway.books.vouchers[0]);
    delete gateway.mischief.answer;
    delete gateway.mischief.pace;
    await app.stream();
    await until(() => app.settled.length === 3);
    assert.equal(app.settled[2]?.amount, 1010n + 8n * 400n);
  });
}

for (const [what, change] of [
  ['again', (meters: Pieces) => meters.flatMap((piece) => [piece, piece])],
  ['and then an older one', (meters: Pieces) => [...meters.slice(0, 7), ...meters.slice(0, 3)]],
] as const) {
  test(`a METER that is shown ${what} ends the following there, with what was read by then`, async (context) => {
    const { gateway, app } = await stage(context);
    gateway.mischief.answer = (pieces) => replaced(pieces, change);
    gateway.mischief.pace = (_, honest) =>
      app.heldBack.length > 0
        ? Promise.resolve()
        : Promise.race([honest(), until(() => app.heldBack.length > 0)]);
    await app.stream();
    assert.deepEqual(
      app.heldBack.map(({ reason }) => [reason.code, reason.facts['check']]),
      [['sx.meter', 'seq']],
    );
    const honest = what === 'again' ? 1 : 7;
    const most = 1010n + BigInt(honest * STEP) * 8n + 120n * 8n;
    assert.ok(gateway.books.raised.every((ceiling) => ceiling <= most));
    assert.deepEqual(app.faults, []);
  });
}

test('a voucher that was still being written when a METER turned out forged does not leave', async (context) => {
  const { gateway, app } = await stage(context);
  const written = Promise.withResolvers<void>();
  const [whole, end] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  gateway.mischief.answer = (pieces) =>
    replaced(pieces, (meters) => [...meters.slice(0, 8), ...meters.slice(8).map(resigned)]);
  gateway.mischief.hold = () => {
    app.memory.before = () => written.promise;
    return Promise.resolve();
  };
  gateway.mischief.pace = async (meter) => {
    if (meter.seq !== 10) return;
    whole.resolve();
    await end.promise;
  };
  const streamed = app.stream();
  await whole.promise;
  await until(() => app.heldBack.length > 0);
  written.resolve();
  // Everything that could be sent by now has been.
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  end.resolve();
  await streamed;
  assert.deepEqual(gateway.books.raised, []);
  assert.ok(app.state().ceiling > (gateway.books.vouchers[0] ?? 0n));
});
