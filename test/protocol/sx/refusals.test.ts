/** What a worker refuses: one named test per attack on the request, for both KEMs. Spec: P§8. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, fixed, u64be } from '../../../core/bytes.ts';
import { VeilError } from '../../../core/errors.ts';
import { randomBytes } from '#primitives';
import { setupSender } from '../../../protocol/hpke.ts';
import { REQUEST_WIRE_MAX_BYTES } from '../../../protocol/sx/limits.ts';
import { encodeInner } from '../../../protocol/sx/inner.ts';
import { sxError } from '../../../protocol/sx/errors.ts';
import { FRAME, FrameSealer } from '../../../protocol/sx/frames.ts';
import {
  requestInfo,
  requestKeys,
  transcript,
  transcript0,
} from '../../../protocol/sx/key-schedule.ts';
import { openRequest } from '../../../protocol/sx/open.ts';
import { ReplaySet } from '../../../protocol/sx/replay.ts';
import { TEST_POLICY_DIGEST } from '../../support/attested-key.ts';
import {
  CANARY,
  flip,
  framesOf,
  KEMS,
  layout,
  NOW_MS,
  pick,
  refuses,
  refusesCoded,
  seal,
  stageWorkers,
  StageWorker,
} from './stage.ts';

/** Field, offset, bits: every one of them is inside its legal range after the change, so only the seal can tell. */
const PRELUDE_CHANGES: readonly (readonly [string, number, number])[] = [
  ['flags (stream)', 5, 1],
  ['flags (single-recipient)', 5, 4],
  ['flags (receipt-required)', 5, 8],
  ['msg_id', 8, 0x80],
  ['issued_at', 31, 1],
  ['ttl', 33, 1],
  ['deadline', 37, 1],
  ['route_tag', 40, 1],
  ['max_amount', 63, 1],
  ['max_prompt', 67, 1],
  ['max_output', 71, 1],
  ['asset', 72, 1],
  ['payer_ref', 111, 1],
];

for (const kem of KEMS) {
  const stage = () => {
    const workers = stageWorkers(kem, 2);
    return { workers, first: pick(workers, 0), sealed: seal(workers), at: layout(kem, 2) };
  };

  test(`${kem}: the same bytes twice at one worker`, () => {
    const { first, sealed } = stage();
    first.open(sealed.bytes);
    refuses(() => first.open(sealed.bytes), 'sx.replay');
  });

  test(`${kem}: the same bytes at another recipient are accepted, by design`, () => {
    const { workers, sealed } = stage();
    for (const worker of workers) worker.open(sealed.bytes);
  });

  test(`${kem}: a worker to which the request was not sealed`, () => {
    const { sealed } = stage();
    const stranger = new StageWorker(kem);
    refuses(() => stranger.open(sealed.bytes), 'sx.key_unknown');
    assert.equal(stranger.admissions, 0);
  });

  test(`${kem}: a key past the end of its statement`, () => {
    const { first, sealed } = stage();
    refuses(() => first.open(sealed.bytes, NOW_MS + 3_600_000), 'sx.key_unknown');
  });

  for (const [field, offset, bits] of PRELUDE_CHANGES) {
    test(`${kem}: changed ${field}`, () => {
      const { first, sealed } = stage();
      refuses(() => first.open(flip(sealed.bytes, offset, bits)), 'sx.refused', {
        reason: 'unwrap',
      });
      assert.equal(first.replay.size, 0, 'nothing is consumed');
    });
  }

  test(`${kem}: the kid table swapped`, () => {
    const { first, sealed, at } = stage();
    const changed = sealed.bytes.slice();
    changed.set(sealed.bytes.subarray(at.kids, at.kids + 16), at.kids + 16);
    changed.set(sealed.bytes.subarray(at.kids + 16, at.kids + 32), at.kids);
    refuses(() => first.open(changed), 'sx.refused', { reason: 'unwrap' });
  });

  test(`${kem}: the own block altered`, () => {
    const { first, sealed, at } = stage();
    refuses(() => first.open(flip(sealed.bytes, at.blocks)), 'sx.refused', { reason: 'unwrap' });
  });

  test(`${kem}: another recipient's block altered`, () => {
    const { first, sealed, at } = stage();
    const changed = flip(sealed.bytes, at.blocks + at.blockBytes);
    refuses(() => first.open(changed), 'sx.refused', { reason: 'commit' });
  });

  test(`${kem}: the commit altered`, () => {
    const { first, sealed, at } = stage();
    refuses(() => first.open(flip(sealed.bytes, at.commit)), 'sx.refused', { reason: 'commit' });
  });

  test(`${kem}: a different content key for each recipient`, () => {
    const { workers, sealed, at } = stage();
    const head = sealed.bytes.subarray(0, 112);
    const kids = sealed.bytes.subarray(at.kids, at.blocks);
    const th0 = transcript0(head, kids);
    const contentKeys = [randomBytes(32), randomBytes(32)];
    const blocks = concat(
      ...workers.flatMap(({ attested }, i) => {
        const setup = setupSender(attested.key, requestInfo(th0, attested.key.statementHash));
        return [setup.enc, setup.context.seal(new Uint8Array(), pick(contentKeys, i))];
      }),
    );
    const keys = requestKeys(transcript(th0, blocks), pick(contentKeys, 0));
    const sealer = new FrameSealer(keys);
    const inner = encodeInner(
      { path: '/v1/chat/completions', headers: [], body: new Uint8Array(3) },
      TEST_POLICY_DIGEST,
    );
    const bytes = concat(
      head,
      kids,
      blocks,
      keys.commit,
      sealer.seal(FRAME.data, inner, 259),
      sealer.seal(FRAME.final, new Uint8Array(), 3),
    );
    assert.equal(pick(workers, 0).open(bytes).inner.kind, 'request');
    refuses(() => pick(workers, 1).open(bytes), 'sx.refused', { reason: 'commit' });
  });

  test(`${kem}: stale and future time, to the millisecond`, () => {
    const { first, sealed } = stage();
    refuses(() => first.open(sealed.bytes, NOW_MS + 60_001), 'sx.refused', { reason: 'clock' });
    refuses(() => first.open(sealed.bytes, NOW_MS - 60_001), 'sx.refused', { reason: 'clock' });
    first.open(sealed.bytes, NOW_MS + 60_000);
    const other = stage();
    other.first.open(other.sealed.bytes, NOW_MS - 60_000);
  });

  test(`${kem}: cut at a frame boundary, mid-frame, and before any frame`, () => {
    const { first, sealed, at } = stage();
    const [data] = framesOf(sealed.bytes.subarray(at.frames));
    assert.ok(data !== undefined);
    const cut = (end: number) => () => first.open(sealed.bytes.subarray(0, end));
    refuses(cut(at.frames + data.length), 'sx.refused', { reason: 'order' });
    refuses(cut(at.frames + data.length - 1), 'sx.refused', { reason: 'frame' });
    refuses(cut(at.frames), 'sx.refused', { reason: 'order' });
    refuses(cut(sealed.bytes.length - 1), 'sx.refused', { reason: 'frame' });
  });

  test(`${kem}: frames reordered, repeated, retyped`, () => {
    const workers = stageWorkers(kem, 1);
    const body = new Uint8Array(150_000);
    const sealed = seal(workers, {
      request: { path: '/v1/chat/completions', headers: [], body },
    });
    const { frames: start } = layout(kem, 1);
    const [one, two, three, final] = framesOf(sealed.bytes.subarray(start));
    assert.ok(one && two && three && final);
    const openFrames = (...frames: readonly Uint8Array[]) => {
      const worker = pick(workers, 0);
      const fresh = { keys: worker.keys, replay: new ReplaySet(), nowMs: NOW_MS, admit: () => {} };
      return () => openRequest(concat(sealed.bytes.subarray(0, start), ...frames), fresh);
    };
    openFrames(one, two, three, final)();
    const frame = { reason: 'frame' };
    const order = { reason: 'order' };
    refuses(openFrames(two, one, three, final), 'sx.refused', frame);
    refuses(openFrames(one, one, two, three, final), 'sx.refused', frame);
    refuses(openFrames(one, three, final), 'sx.refused', frame);
    refuses(openFrames(one, two, final, three), 'sx.refused', order);
    refuses(openFrames(one, two, three, final, final), 'sx.refused', order);
    refuses(openFrames(one, two, flip(three, 0, 2), final), 'sx.refused', frame);
    refuses(openFrames(one, two, flip(three, 0, 0x10), final), 'sx.refused', frame);
    refuses(openFrames(final), 'sx.refused', frame);
  });

  test(`${kem}: every single changed byte of a sealed request`, () => {
    const workers = stageWorkers(kem, 2);
    const first = pick(workers, 0);
    const { bytes } = seal(workers);
    for (let at = 0; at < bytes.length; at++) {
      refusesCoded(() => {
        const fresh = { keys: first.keys, replay: new ReplaySet(), nowMs: NOW_MS, admit: () => {} };
        openRequest(flip(bytes, at, 1 << (at % 8)), fresh);
      }, `byte ${at}`);
    }
  });

  test(`${kem}: refused work consumes nothing; the same bytes are then welcome`, () => {
    const { first, sealed } = stage();
    const busy = () =>
      openRequest(sealed.bytes, {
        keys: first.keys,
        replay: first.replay,
        nowMs: NOW_MS,
        admit: () => {
          throw sxError('sx.busy');
        },
      });
    refuses(busy, 'sx.busy');
    assert.equal(first.replay.size, 0);
    first.open(sealed.bytes);
  });
}

test('a prelude that names another suite than the kid', () => {
  const worker = new StageWorker('X25519');
  const { bytes } = seal([worker]);
  const { frames } = layout('X25519', 1);
  const changed = concat(
    bytes.subarray(0, 38),
    Uint8Array.of(0x64, 0x7a),
    bytes.subarray(40, 128),
    new Uint8Array(1168),
    bytes.subarray(frames - 32),
  );
  refuses(() => worker.open(changed), 'sx.refused', { reason: 'kids' });
});

test('the same kid twice', () => {
  const workers = stageWorkers('X25519', 2);
  const { bytes } = seal(workers);
  const changed = bytes.slice();
  changed.set(bytes.subarray(112, 128), 128);
  refuses(() => pick(workers, 0).open(changed), 'sx.refused', { reason: 'kids' });
});

test('modes of another day are refused with their own code', () => {
  const worker = new StageWorker('X25519');
  const { bytes } = seal([worker]);
  refuses(() => worker.open(flip(bytes, 5, 16)), 'sx.unsupported'); // round usage
  refuses(() => worker.open(flip(bytes, 2, 2)), 'sx.unsupported'); // version
  refuses(() => worker.open(flip(bytes, 39, 1)), 'sx.unsupported'); // kem
  refuses(() => worker.open(flip(bytes, 4, 1)), 'sx.refused', { reason: 'prelude' }); // unknown flag
});

/** Offset, bytes: each breaks exactly one fixed rule of P§3. */
const BAD_PRELUDES: readonly (readonly [string, number, readonly number[]])[] = [
  ['magic', 0, [0x53, 0x59]],
  ['no recipients', 3, [0]],
  ['nine recipients', 3, [9]],
  ['reserved', 6, [0, 1]],
  ['issued_at beyond integers', 24, [0xff]],
  ['ttl 0', 32, [0, 0]],
  ['ttl 301', 32, [1, 45]],
  ['deadline 0', 34, [0, 0, 0, 0]],
  ['deadline beyond 30 minutes', 34, [0, 0x1b, 0x77, 0x41]],
  ['max_prompt 0', 64, [0, 0, 0, 0]],
  ['max_output 0', 68, [0, 0, 0, 0]],
  ['asset 2', 72, [2]],
  ['bytes that must be zero', 79, [1]],
];

for (const [name, offset, values] of BAD_PRELUDES) {
  test(`prelude refused: ${name}`, () => {
    const worker = new StageWorker('X25519');
    const changed = seal([worker]).bytes.slice();
    changed.set(values, offset);
    refuses(() => worker.open(changed), 'sx.refused', { reason: 'prelude' });
  });
}

test('all bare refusals look the same from outside', () => {
  const workers = stageWorkers('X25519', 2);
  const first = pick(workers, 0);
  const { bytes } = seal(workers);
  const at = layout('X25519', 2);
  const errors = [
    flip(bytes, 40), // unwrap
    flip(bytes, at.commit), // commit
    flip(bytes, at.frames + 9), // frame
    bytes.subarray(0, 100), // size
  ].map((changed) => {
    try {
      first.open(changed);
    } catch (error) {
      assert.ok(error instanceof VeilError);
      return { code: error.code, ...error.spec };
    }
    return assert.fail('accepted');
  });
  for (const error of errors) assert.deepEqual(error, errors[0]);
});

/** A request with frames of the test's own making. */
function crafted(worker: StageWorker, makeFrames: (sealer: FrameSealer) => readonly Uint8Array[]) {
  const { key } = worker.attested;
  const prelude = seal([worker]).bytes.slice(0, 112);
  const th0 = transcript0(prelude, key.kid);
  const contentKey = randomBytes(32);
  const setup = setupSender(key, requestInfo(th0, key.statementHash));
  const block = concat(setup.enc, setup.context.seal(new Uint8Array(), contentKey));
  const keys = requestKeys(transcript(th0, block), contentKey);
  return concat(prelude, key.kid, block, keys.commit, ...makeFrames(new FrameSealer(keys)));
}

test('a million PAD frames end at the seventeenth', () => {
  const worker = new StageWorker('X25519');
  const withPads = (count: number) =>
    crafted(worker, (sealer) => [
      ...Array.from({ length: count }, () => sealer.seal(FRAME.pad, new Uint8Array(), 3)),
      sealer.seal(FRAME.final, new Uint8Array(), 3),
    ]);
  assert.equal(worker.open(withPads(16)).inner.kind, 'refused');
  refuses(() => worker.open(withPads(17)), 'sx.refused', { reason: 'order' });
});

test('PAD or FINAL with data', () => {
  const worker = new StageWorker('X25519');
  const withFirst = (make: (sealer: FrameSealer) => Uint8Array) => () =>
    worker.open(
      crafted(worker, (sealer) => [make(sealer), sealer.seal(FRAME.final, new Uint8Array(), 3)]),
    );
  const frame = { reason: 'frame' };
  refuses(
    withFirst((sealer) => sealer.seal(FRAME.pad, Uint8Array.of(1), 64)),
    'sx.refused',
    frame,
  );
  const hugeFinal = () =>
    worker.open(crafted(worker, (sealer) => [sealer.seal(FRAME.final, Uint8Array.of(1), 4)]));
  refuses(hugeFinal, 'sx.refused', frame);
});

test('a frame longer than the limit is refused by its header alone', () => {
  const worker = new StageWorker('X25519');
  const bytes = crafted(worker, () => [Uint8Array.of(0, 1, 0, 17)]);
  refuses(() => worker.open(bytes), 'sx.refused', { reason: 'frame' });
});

test('a request longer than the wire limit is refused before it is parsed', () => {
  const worker = new StageWorker('X25519');
  refuses(() => worker.open(new Uint8Array(REQUEST_WIRE_MAX_BYTES + 1)), 'sx.refused', {
    reason: 'size',
  });
});

test('a full replay set refuses new work and forgets nothing', () => {
  const worker = new StageWorker('X25519', {}, new ReplaySet(1));
  const one = seal([worker]);
  worker.open(one.bytes);
  refuses(() => worker.open(seal([worker]).bytes), 'sx.busy');
  refuses(() => worker.open(one.bytes), 'sx.replay');
});

test('a small-order point instead of an encapsulated key', () => {
  const worker = new StageWorker('X25519');
  const changed = seal([worker]).bytes.slice();
  changed.fill(0, 128, 160);
  refuses(() => worker.open(changed), 'sx.refused', { reason: 'unwrap' });
});

test('what is sealed wrong is answered sealed: the responder lives', () => {
  const worker = new StageWorker('X25519');
  const bytes = crafted(worker, (sealer) => [
    sealer.seal(FRAME.data, new TextEncoder().encode(CANARY), 259),
    sealer.seal(FRAME.final, new Uint8Array(), 3),
  ]);
  const { inner, responder } = worker.open(bytes);
  assert.ok(inner.kind === 'refused');
  assert.equal(inner.error.code, 'sx.inner');
  assert.ok(!inner.error.message.includes('canary'));
  assert.ok(responder.head(400, []).length > 48);
});

test('replay set: entries live their time, and a clock set back does not revive them', () => {
  const set = new ReplaySet(10);
  const id = fixed(concat(u64be(1n), u64be(2n)), 16);
  assert.equal(set.insert(id, 100_000, 1000), 'inserted');
  assert.equal(set.insert(id, 100_000, 99_000), 'replay');
  assert.equal(set.size, 1);
  const other = fixed(concat(u64be(3n), u64be(4n)), 16);
  assert.equal(set.insert(other, 200_000, 101_000), 'inserted');
  assert.equal(set.size, 1, 'the first was dropped');
  assert.equal(set.insert(id, 100_000, 50_000), 'replay', 'its time is over for good');
});
