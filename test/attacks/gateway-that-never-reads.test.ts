/**
 * A gateway asks and does not read the answer: it would hold a worker's place, memory and timers for as long as it keeps the
 * connection. Spec: P§10.8; gateways-and-e2ee §8.2 C. @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  exchangeFixture,
  MODEL_ID,
  openWire,
  scriptedEngine,
  untilAborted,
} from '../enclave-worker/exchange-fixture.ts';

const QUESTION = { model: MODEL_ID, messages: [{ role: 'user', content: 'hi' }] };
const DEADLINE_MS = 30_000;
/** What a gateway gives an answer that is late, and more than that. */
const LATE_MAX_MS = 15_000;

const CASES = [
  { name: 'a stream at its own pace', stream: true, constantRate: false },
  { name: 'a stream at a constant rate', stream: true, constantRate: true },
  { name: 'a whole answer at a constant rate', stream: false, constantRate: true },
];

for (const { name, stream, constantRate } of CASES) {
  test(`${name} ends soon after its deadline, with a receipt for what was generated`, async () => {
    const { deps, seal, exchange } = exchangeFixture({
      engine: scriptedEngine(async function* script(_job, signal) {
        yield { kind: 'started' };
        yield { kind: 'text', text: 'one' };
        if (stream) await untilAborted(signal);
        yield { kind: 'end', reason: stream ? 'aborted' : 'stop' };
      }),
    });
    const wire = openWire();
    wire.room = false;
    wire.onDrain = () => untilAborted(wire.gone.signal);
    const sealed = seal(
      { ...QUESTION, stream },
      { flags: { constantRate }, stream, deadlineMs: DEADLINE_MS },
    );
    const answering = exchange(sealed, wire);
    const { cutAfterMs = Infinity } = wire;
    assert.ok(cutAfterMs > DEADLINE_MS / 2, 'not before it may be read');
    assert.ok(cutAfterMs <= DEADLINE_MS + LATE_MAX_MS);
    assert.equal(deps.load.active, 1);
    // As the link does then.
    wire.gone.abort();
    const { receipt, final } = await answering;
    assert.ok(receipt && final);
    assert.equal(receipt.receipt.usage.completion, 1);
    assert.equal(deps.load.active, 0);
  });
}
