/** C21: many streams at once, and two readers that do not read: they hold up their own answers and nobody's memory. @module */

import assert from 'node:assert/strict';
import { labOf, waysOf } from '../support/conformance/lab.ts';
import { pacedEngine } from '../support/conformance/paced.ts';
import { row } from '../support/conformance/rows.ts';
import { openAi } from '../support/conformance/way.ts';
import { until } from '../support/until.ts';

const STREAMS = 64;
const SLOW = 2;
const WORD_BYTES = 4096;
const WORD = 'w'.repeat(WORD_BYTES);
const SHORT_TOKENS = 20;
/** 400 MB to a slow reader, if nothing held it back. */
const LONG_TOKENS = 100_000;
/** All buffers between an engine and an app that does not read: sockets of two hops, windows, and a read ahead. */
const BUFFERED_MAX_BYTES = 16 * 1024 * 1024;

const ALWAYS = Number.POSITIVE_INFINITY;
const paced = pacedEngine({
  // What a cell leaves behind may still be settled while the next begins.
  slots: STREAMS * 2,
  contextTokens: LONG_TOKENS * 2,
  of: () => ({ text: WORD, allowed: ALWAYS }),
});
const lab = labOf({ engine: () => Promise.resolve(paced) });

row('C21', waysOf(lab), {
  O: async (way) => {
    const from = paced.jobs.length;
    // On a slow machine a link to the worker may come too late; nothing ran then, and clients ask again.
    const client = openAi(way, { maxRetries: 5 });
    const ask = (content: string, tokens: number, signal?: AbortSignal) =>
      client.chat.completions.create(
        {
          model: way.model,
          messages: [{ role: 'user', content }],
          max_tokens: tokens,
          stream: true,
        },
        { signal },
      );
    const leave = new AbortController();
    const slow = await Promise.all(
      Array.from({ length: SLOW }, () => ask('slow', LONG_TOKENS, leave.signal)),
    );
    const fast = async (): Promise<void> => {
      let bytes = 0;
      for await (const { choices } of await ask('fast', SHORT_TOKENS)) {
        bytes += choices[0]?.delta.content?.length ?? 0;
      }
      assert.equal(bytes, SHORT_TOKENS * WORD_BYTES);
    };
    await Promise.all(Array.from({ length: STREAMS - SLOW }, fast));
    const held = paced.jobs.slice(from).filter(({ asked }) => asked === 'slow');
    assert.equal(held.length, SLOW);
    await until(standsStill(() => held.reduce((sum, { produced }) => sum + produced, 0)));
    for (const job of held) {
      assert.ok(!job.ended);
      assert.ok(job.produced * WORD_BYTES <= BUFFERED_MAX_BYTES, `${job.produced} tokens`);
    }
    leave.abort();
    for (const stream of slow) stream.controller.abort();
    await until(() => held.every(({ ended, aborted }) => ended && aborted));
  },
});

const STILL_LOOKS = 20;

/** True when the number has been the same so many times in a row. */
function standsStill(read: () => number): () => boolean {
  let last = -1;
  let same = 0;
  return () => {
    const now = read();
    same = now === last ? same + 1 : 0;
    last = now;
    return same >= STILL_LOOKS;
  };
}
