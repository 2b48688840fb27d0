/**
 * E9. Attack: somebody who is no recipient learns from how a worker refuses: whether a block decapsulates, a commitment fits,
 * a frame opens, a padding is right. Every refusal but those that the protocol tells apart is the same: the same status, no
 * byte more, the same at the link and through a gateway, with the reason in counters only. Spec: P§8.2, §11.
 *
 * Time is not looked at here: a worker that refuses late has done more than one that refuses early, and says so by it. What a
 * sender learns from that is how far its own ciphertext got; it holds no other, because every block has a key of its own.
 * @module
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { concat } from '../../core/bytes.ts';
import { sealedFetch } from '../../client/index.ts';
import { FRAME, type FrameSealer } from '../../protocol/sx/frames.ts';
import type { SealedRequest } from '../../protocol/sx/seal.ts';
import { exchangeFixture, MODEL_ID, scriptedEngine } from '../enclave-worker/exchange-fixture.ts';
import { flip, layout } from '../protocol/sx/stage.ts';
import { sendTo } from '../support/attacked-worker.ts';
import { craftRequest, finalFrame, framesOver } from '../support/crafted-request.ts';
import { startStack, STACK_MODEL, type Stack } from '../support/stack.ts';

const AT = layout('X-Wing', 1);
const X25519_IN_ENC = 1088;

/** What is done to the bytes of a request to one recipient, and what only the recipient would know of it. */
const CHANGES: readonly (readonly [what: string, change: (bytes: Uint8Array) => Uint8Array])[] = [
  ['the ML-KEM part does not decapsulate to the same secret', (bytes) => flip(bytes, AT.blocks)],
  ['the X25519 part is another point', (bytes) => flip(bytes, AT.blocks + X25519_IN_ENC)],
  [
    'the X25519 part is a point of small order',
    (bytes) =>
      bytes.map((byte, at) =>
        at >= AT.blocks + X25519_IN_ENC && at < AT.blocks + 1120 ? 0 : byte,
      ),
  ],
  ['the wrapped key does not open', (bytes) => flip(bytes, AT.blocks + 1120)],
  ['the tag of the wrapped key is another', (bytes) => flip(bytes, AT.commit - 1)],
  ['the commitment is another', (bytes) => flip(bytes, AT.commit)],
  ['the last byte of the commitment is another', (bytes) => flip(bytes, AT.frames - 1)],
  ['the first frame does not open', (bytes) => flip(bytes, AT.frames + 4)],
  ['the last frame does not open', (bytes) => flip(bytes, bytes.length - 1)],
  ['the model is retagged', (bytes) => flip(bytes, 40)],
  ['the payer is another', (bytes) => flip(bytes, 111)],
  ['FINAL is missing', (bytes) => bytes.slice(0, -(4 + 19))],
  ['a byte is behind it', (bytes) => concat(bytes, Uint8Array.of(0))],
  ['a byte is missing', (bytes) => bytes.slice(0, -1)],
];

const BODY = { model: MODEL_ID, messages: [{ role: 'user', content: 'x' }] };
const BARE = { outer: 400, inner: 0, bytes: 0 };

function worker() {
  const engine = scriptedEngine(async function* hello() {
    yield { kind: 'started' };
    yield { kind: 'end', reason: 'stop' };
  });
  return { engine, fixture: exchangeFixture({ engine }) };
}

for (const [what, change] of CHANGES) {
  test(`E9: where ${what} the worker says 400 and nothing else`, async () => {
    const { fixture, engine } = worker();
    const sealed = fixture.seal(BODY);
    assert.deepEqual(await sendTo(fixture, { ...sealed, bytes: change(sealed.bytes) }), BARE);
    assert.equal(engine.jobs.length, 0);
    assert.equal(fixture.deps.load.active, 0);
  });
}

const PADDING: readonly (readonly [what: string, frames: (sealer: FrameSealer) => Uint8Array[]])[] =
  [
    ['FINAL carries data', (sealer) => [sealer.seal(FRAME.final, Uint8Array.of(1), 4)]],
    [
      'PAD carries data',
      (sealer) => [sealer.seal(FRAME.pad, Uint8Array.of(1), 64), finalFrame(sealer)],
    ],
    [
      'frames are sealed in another order',
      (sealer) => framesOver(new Uint8Array(70_000))(sealer).toReversed(),
    ],
  ];

for (const [what, frames] of PADDING) {
  test(`E9: where ${what}, under a right key, it says the same`, async () => {
    const { fixture } = worker();
    const { key } = fixture.worker;
    const sealed = craftRequest({ keys: [key], like: fixture.seal(BODY), frames });
    assert.deepEqual(await sendTo(fixture, sealed), BARE);
  });
}

test('E9: a time that is over and one to come are refused alike, whether the rest is right or not', async () => {
  const { fixture } = worker();
  const { clock } = fixture.deps;
  for (const nowMs of [clock() - 10_000_000, clock() + 10_000_000]) {
    const sealed = fixture.seal(BODY, { nowMs });
    assert.deepEqual(await sendTo(fixture, sealed), BARE);
    const spoilt = { ...sealed, bytes: flip(sealed.bytes, AT.commit) };
    assert.deepEqual(await sendTo(fixture, spoilt), BARE);
  }
});

test('E9: whether a message was seen before is told to whoever sealed it, and to nobody else', async () => {
  const { fixture } = worker();
  const sealed = fixture.seal(BODY);
  assert.equal((await sendTo(fixture, sealed)).inner, 200);
  assert.deepEqual(await sendTo(fixture, sealed), { ...BARE, outer: 409 });
  // Its id under another seal that does not open: what was seen is not asked.
  const guess: SealedRequest = { ...sealed, bytes: flip(sealed.bytes, AT.blocks) };
  assert.deepEqual(await sendTo(fixture, guess), BARE);
});

test('E9: what the log says of a refusal is a reason from a closed list, with no byte of it', async () => {
  const { fixture } = worker();
  for (const [, change] of CHANGES) {
    const sealed = fixture.seal(BODY);
    await sendTo(fixture, { ...sealed, bytes: change(sealed.bytes) });
  }
  const said = fixture.logLines.join('');
  assert.doesNotMatch(said, /"(stack|message)"|[0-9a-f]{80}/);
});

let stack: Stack;
before(async () => {
  stack = await startStack();
});
after(() => stack.close());

test('E9: through a gateway every one of them is the same answer, but for its number', async () => {
  const seen = new Set<string>();
  let change = (bytes: Uint8Array): Uint8Array => bytes;
  const sealed = sealedFetch({
    policy: { root: stack.rootFile },
    recipients: 1,
    fetch: async (url, init) => {
      if (!url.endsWith('/sx/v1/exchange')) return fetch(url, init);
      const body = Uint8Array.from(change(init.body ?? new Uint8Array()));
      const answer = await fetch(url, { ...init, body });
      const headers = [...answer.headers].filter(
        // How many requests are left counts them, whatever they were.
        ([name]) => !['date', 'x-request-id'].includes(name) && !name.startsWith('x-ratelimit-'),
      );
      seen.add(JSON.stringify([answer.status, headers, await answer.clone().text()]));
      return answer;
    },
  });
  // What the gateway itself checks in clear, the payer among it, is refused there.
  for (const [what, next] of CHANGES.filter(([name]) => !name.includes('payer'))) {
    change = next;
    const answer = await sealed(`${stack.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stack.apiKey}` },
      body: JSON.stringify({ model: STACK_MODEL, messages: [{ role: 'user', content: 'x' }] }),
    });
    assert.ok(answer.status >= 400, what);
  }
  assert.equal(seen.size, 1, [...seen].join('\n'));
  assert.match([...seen][0] ?? '', /^\[400/);
});
