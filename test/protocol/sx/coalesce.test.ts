/** The coalescing window. Spec: P§10.6. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromUtf8, utf8 } from '../../../core/bytes.ts';
import { FrameCoalescer } from '../../../protocol/sx/coalesce.ts';

/** A timer that fires when the test says so. */
function stage(maxBytes?: number) {
  let pending: { readonly delayMs: number; readonly run: () => void } | undefined;
  const sent: string[] = [];
  const coalescer = new FrameCoalescer({
    scheduler: {
      after: (delayMs, run) => {
        const mine = { delayMs, run };
        pending = mine;
        return () => {
          if (pending === mine) pending = undefined;
        };
      },
    },
    emit: (bytes) => sent.push(fromUtf8(bytes)),
    ...(maxBytes === undefined ? {} : { maxBytes }),
  });
  const tick = () => {
    const due = pending;
    pending = undefined;
    due?.run();
  };
  return { coalescer, sent, tick, timer: () => pending?.delayMs };
}

test('the first write leaves at once; what follows within 20 ms leaves together', () => {
  const { coalescer, sent, tick, timer } = stage();
  coalescer.write(utf8('a'));
  assert.deepEqual(sent, ['a']);
  assert.equal(timer(), 20);
  coalescer.write(utf8('b'));
  coalescer.write(utf8('c'));
  assert.deepEqual(sent, ['a']);
  tick();
  assert.deepEqual(sent, ['a', 'bc']);
});

test('after a quiet window nothing is held', () => {
  const { coalescer, sent, tick, timer } = stage();
  coalescer.write(utf8('a'));
  tick();
  assert.equal(timer(), undefined, 'no timer runs for nothing');
  coalescer.write(utf8('b'));
  assert.deepEqual(sent, ['a', 'b']);
});

test('a full frame does not wait, flush ends the stream, cancel drops it', () => {
  const { coalescer, sent, timer } = stage(4);
  coalescer.write(utf8('a'));
  coalescer.write(utf8('bc'));
  coalescer.write(utf8('de'));
  assert.deepEqual(sent, ['a', 'bcde']);
  coalescer.write(utf8('f'));
  coalescer.flush();
  assert.deepEqual(sent, ['a', 'bcde', 'f']);
  assert.equal(timer(), undefined);
  coalescer.write(utf8('g'));
  coalescer.write(utf8('h'));
  coalescer.cancel();
  assert.deepEqual(sent, ['a', 'bcde', 'f', 'g']);
  assert.equal(timer(), undefined);
  coalescer.write(utf8(''));
  assert.equal(timer(), undefined, 'nothing opens no window');
});
