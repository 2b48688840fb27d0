/** C07, C08: an app that leaves at a token stops the work, and pays for little more than it has read. @module */

import assert from 'node:assert/strict';
import { streamText } from 'ai';
import { labOf, LAB_PRICES, waysOf } from '../support/conformance/lab.ts';
import { pacedEngine, type PacedJob } from '../support/conformance/paced.ts';
import { row } from '../support/conformance/rows.ts';
import { aiSdk, langChain, openAi, type Way } from '../support/conformance/way.ts';
import { until } from '../support/until.ts';

const WORD = 'word ';
const TOKENS = 4000;
/** Where the app leaves. */
const AT = 5;
/** What may be made and billed after that: at this pace, in a second. */
const OVERRUN = 32;
const PACE_MS = 1000 / OVERRUN;

const paced = pacedEngine({ of: () => ({ text: WORD, allowed: 1 }) });
const lab = labOf({ engine: () => Promise.resolve(paced) });
const messages = [{ role: 'user' as const, content: 'Go.' }];

/** The engine of one app: it makes a token when the app has read the one before. */
interface Reading {
  /** After each token that the app has. True: now it leaves. */
  readonly read: (text: string) => boolean;
}

async function leaving(way: Way, ask: (reading: Reading) => Promise<void>): Promise<void> {
  const from = paced.jobs.length;
  const before = way.ended.length;
  const chargedBefore = await way.charged();
  const jobNow = (): PacedJob => {
    const job = paced.jobs[from];
    assert.ok(job !== undefined);
    return job;
  };
  let read = 0;
  await ask({
    read: (text) => {
      const words = text.split(WORD).length - 1;
      if (words === 0) return false;
      read += words;
      if (read < AT) jobNow().allow(words);
      else jobNow().freeRun(PACE_MS);
      return read >= AT;
    },
  });
  const job = jobNow();
  await until(() => job.ended && way.ended.length > before);
  assert.ok(job.aborted);
  assert.ok(job.produced <= read + OVERRUN, `${job.produced} made, ${read} read`);
  const ended = way.ended.at(-1);
  assert.equal(ended?.outcome, 'cancelled');
  assert.equal(ended.completion, job.produced);
  if (chargedBefore === undefined) return;
  let charged = 0n;
  await until(async () => {
    charged = ((await way.charged()) ?? 0n) - chargedBefore;
    return charged > 0n;
  });
  const { base, prompt, completion } = LAB_PRICES;
  const asked = base + (BigInt(ended.prompt) * prompt) / 1_000_000n;
  assert.ok(charged <= asked + (BigInt(read + OVERRUN) * completion) / 1_000_000n, `${charged}`);
}

const asked = ({ model }: Way) => ({ model, messages, max_tokens: TOKENS, stream: true }) as const;

row('C07', waysOf(lab), {
  O: (way) =>
    leaving(way, async ({ read }) => {
      const stop = new AbortController();
      const stream = await openAi(way).chat.completions.create(asked(way), {
        signal: stop.signal,
      });
      for await (const { choices } of stream) {
        if (read(choices[0]?.delta.content ?? '')) stop.abort();
      }
    }),
  A: (way) =>
    leaving(way, async ({ read }) => {
      const stop = new AbortController();
      const stream = streamText({
        model: aiSdk(way)(way.model),
        messages,
        maxOutputTokens: TOKENS,
        maxRetries: 0,
        abortSignal: stop.signal,
      });
      const kinds: string[] = [];
      for await (const part of stream.fullStream) {
        kinds.push(part.type);
        if (part.type === 'text-delta' && read(part.text)) stop.abort();
      }
      assert.equal(kinds.at(-1), 'abort');
    }),
  L: (way) =>
    leaving(way, async ({ read }) => {
      const stop = new AbortController();
      const { signal } = stop;
      const reading = async (): Promise<void> => {
        const stream = await langChain(way, { maxTokens: TOKENS }).stream('Go.', { signal });
        for await (const piece of stream) if (read(piece.text)) stop.abort();
      };
      await assert.rejects(reading(), { name: 'AbortError' });
    }),
});

row('C08', waysOf(lab), {
  O: (way) =>
    leaving(way, async ({ read }) => {
      for await (const { choices } of await openAi(way).chat.completions.create(asked(way))) {
        if (read(choices[0]?.delta.content ?? '')) break;
      }
    }),
});
