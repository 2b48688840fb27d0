/**
 * D3. Attack: sizes: declared and sent, of frames, tables, messages, nesting and pictures. Each is refused by what announces
 * it where it can be, and none reaches an engine. Spec: P§12.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, utf8 } from '../../core/bytes.ts';
import { FRAME, type FrameSealer } from '../../protocol/sx/frames.ts';
import {
  RECIPIENTS_MAX,
  REQUEST_FRAMES_MAX,
  REQUEST_WIRE_MAX_BYTES,
} from '../../protocol/sx/limits.ts';
import { exchangeFixture, MODEL_ID, scriptedEngine } from '../enclave-worker/exchange-fixture.ts';
import { sendTo } from '../support/attacked-worker.ts';
import {
  craftRequest,
  finalFrame,
  framesOver,
  innerBytes,
  type Crafting,
} from '../support/crafted-request.ts';

const BODY = { model: MODEL_ID, messages: [{ role: 'user', content: 'x' }] };
const PLENTY = { maxPromptTokens: 150, maxOutputTokens: 100, maxConcurrent: 2 };

const engine = scriptedEngine(async function* hello() {
  yield { kind: 'started' };
  yield { kind: 'end', reason: 'stop' };
});
const fixture = exchangeFixture({ engine, limits: PLENTY });
const { key } = fixture.worker;

/** What a worker says in clear and under the seal, and that no engine heard of it. */
async function refusedWith(bytes: Uint8Array, sealed = fixture.seal(BODY)) {
  const before = engine.jobs.length;
  const { outer, inner } = await sendTo(fixture, { ...sealed, bytes });
  assert.equal(engine.jobs.length, before, 'an engine was asked');
  assert.equal(fixture.deps.load.active, 0);
  return [outer, inner];
}

async function refusedFrames(frames: Crafting['frames']) {
  const sealed = craftRequest({ keys: [key], like: fixture.seal(BODY), frames });
  return refusedWith(sealed.bytes, sealed);
}

const pads = (count: number) => (sealer: FrameSealer) => [
  ...Array.from({ length: count }, () => sealer.seal(FRAME.pad, new Uint8Array(), 3)),
  finalFrame(sealer),
];

for (const [what, bytes] of [
  ['a prelude alone', () => fixture.seal(BODY).bytes.subarray(0, 112)],
  ['more than the wire takes', () => new Uint8Array(REQUEST_WIRE_MAX_BYTES + 1)],
  [
    'a table for sixteen and junk behind it',
    () => {
      const junk = new Uint8Array(112 + 16 * 16 + 16 * 1168 + 32 + 64).fill(7);
      junk.set(fixture.seal(BODY).bytes.subarray(0, 112));
      junk[3] = 16;
      return junk;
    },
  ],
  [
    'a table longer than what follows',
    () => {
      const { bytes } = fixture.seal(BODY);
      const copy = bytes.slice();
      copy[3] = RECIPIENTS_MAX;
      return copy;
    },
  ],
  [
    'a frame that announces sixteen megabytes',
    () => concat(fixture.seal(BODY).bytes.slice(0, -4), Uint8Array.of(0, 0xff, 0xff, 0xff)),
  ],
] as const) {
  test(`D3: ${what} is a bare refusal`, async () => {
    assert.deepEqual(await refusedWith(bytes()), [400, 0]);
  });
}

for (const count of [17, 100_000]) {
  test(`D3: ${count} PAD frames are a bare refusal`, async () => {
    assert.deepEqual(await refusedFrames(pads(count)), [400, 0]);
  });
}

test('D3: more DATA frames than fit are a bare refusal', async () => {
  const empty = (sealer: FrameSealer) => [
    ...Array.from({ length: REQUEST_FRAMES_MAX }, () =>
      sealer.seal(FRAME.data, new Uint8Array(), 3),
    ),
    finalFrame(sealer),
  ];
  assert.deepEqual(await refusedFrames(empty), [400, 0]);
});

test('D3: a message that announces more than it has is refused under the seal', async () => {
  const inner = innerBytes(utf8(JSON.stringify(BODY)));
  const longer = inner.slice();
  // The length of the content, two bytes in this form, stands before it.
  const at = inner.length - utf8(JSON.stringify(BODY)).length - 3;
  longer[at] = 0x7f;
  assert.deepEqual(await refusedFrames(framesOver(longer)), [200, 400]);
});

const NESTED = 100_000;
for (const [what, body] of [
  ['nested a hundred thousand deep', `${'['.repeat(NESTED)}${']'.repeat(NESTED)}`],
  ['an object nested as deep', `${'{"a":'.repeat(NESTED)}1${'}'.repeat(NESTED)}`],
  ['unclosed', '['.repeat(NESTED)],
  [
    'of a message with a million parts',
    JSON.stringify({
      ...BODY,
      messages: [
        {
          role: 'user',
          content: Array.from({ length: 100_000 }, () => ({ type: 'text', text: '' })),
        },
      ],
    }),
  ],
  [
    'of a hundred thousand messages',
    JSON.stringify({
      ...BODY,
      messages: Array.from({ length: 100_000 }, () => ({ role: 'user', content: '' })),
    }),
  ],
  ['with a number of a million digits', `{"model":"${MODEL_ID}","n":${'9'.repeat(1_000_000)}}`],
  [
    'with a picture of five megabytes in it',
    JSON.stringify({
      ...BODY,
      messages: [
        {
          role: 'user',
          content: [
            {
              type: 'image_url',
              image_url: { url: `data:image/png;base64,${'A'.repeat(5_000_000)}` },
            },
          ],
        },
      ],
    }),
  ],
] as const) {
  test(`D3: a body ${what} is refused under the seal`, async () => {
    const [outer, inner = 0] = await refusedFrames(framesOver(innerBytes(utf8(body))));
    assert.equal(outer, 200);
    assert.ok(inner >= 400 && inner < 500, `${inner}`);
  });
}
