/**
 * `npm run bench -- leakage`: what a gateway learns that reads of sealed answers what it can: how many bytes come when, and the
 * types of their frames. The same questions are asked again and again at the model's own pace and at a constant rate; an observer who has seen all other
 * answers with their questions guesses the question of each. Spec: P§10.4, P§10.8; gateways-and-e2ee §7.7.
 * @module
 */

import { utf8 } from '../../core/bytes.ts';
import { sealedFetch, type SealedFetch } from '../../client/index.ts';
import { assert } from '../../core/errors.ts';
import { FRAME } from '../../protocol/sx/frames.ts';
import { ResponseStream } from '../../protocol/sx/response-stream.ts';
import { startStack, STACK_MODEL, type Stack } from '../support/stack.ts';
import type { Bench, BenchResult } from './bench.ts';

/** Of the same length, so that the requests look the same. */
const QUESTIONS = [
  'What is 2 + 3?',
  'What is TDX??',
  'Count to five',
  'Say hello now',
  'Tell a story!',
  'Who are you??',
  'Name a color!',
  'What is TON??',
].map((text) => text.padEnd(16));
const SAMPLES = 12;
const CONCURRENCY = 2;
const MAX_TOKENS = 64;
/** Neighbours that vote. */
const NEIGHBOURS = 3;

type Pace = 'own' | 'constant';

interface Arrival {
  readonly atMs: number;
  readonly bytes: number;
  /** Of frames that ended in it. */
  readonly types: readonly number[];
}

interface Recording {
  readonly question: number;
  readonly arrivals: readonly Arrival[];
}

/** A `fetch` that writes down when bytes of a sealed answer came. */
function tapped(pace: Pace, record: (arrival: Arrival) => void): typeof fetch {
  return async (input, init) => {
    const startMs = performance.now();
    const response = await fetch(input, init);
    const { body } = response;
    if (response.headers.get('content-type') !== 'application/vnd.sx1.res' || body === null) {
      return response;
    }
    let types: number[] = [];
    const frames = new ResponseStream({
      from: 'gateway',
      constantRate: pace === 'constant',
      ports: { onOpening: () => undefined, onFrame: (type) => void types.push(type) },
    });
    const watched = body.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform: (chunk, controller) => {
          types = [];
          frames.push(chunk);
          record({ atMs: performance.now() - startMs, bytes: chunk.length, types });
          controller.enqueue(chunk);
        },
      }),
    );
    return new Response(watched, response);
  };
}

class Observed {
  readonly #stack: Stack;
  readonly #fetch: SealedFetch;
  #record: (arrival: Arrival) => void = () => undefined;

  constructor(stack: Stack, pace: Pace) {
    this.#stack = stack;
    this.#fetch = sealedFetch({
      policy: { root: stack.rootFile },
      constantRate: pace === 'constant',
      fetch: tapped(pace, (arrival) => this.#record(arrival)),
    });
  }

  async ask(question: number): Promise<Recording> {
    const arrivals: Arrival[] = [];
    this.#record = (arrival) => void arrivals.push(arrival);
    const { baseUrl, apiKey } = this.#stack;
    const response = await this.#fetch(`${baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      body: utf8(
        JSON.stringify({
          model: STACK_MODEL,
          messages: [{ role: 'user', content: QUESTIONS[question] }],
          max_tokens: MAX_TOKENS,
          temperature: 0,
          stream: true,
        }),
      ),
    });
    await response.arrayBuffer();
    assert(response.ok, 'answered');
    return { question, arrivals };
  }
}

async function record(stack: Stack, pace: Pace): Promise<readonly Recording[]> {
  const order = Array.from({ length: SAMPLES * QUESTIONS.length }, (_, at) => at);
  const recordings: Recording[] = [];
  const lanes = Array.from({ length: CONCURRENCY }, async () => {
    const observed = new Observed(stack, pace);
    for (let next = order.shift(); next !== undefined; next = order.shift()) {
      recordings.push(await observed.ask(next % QUESTIONS.length));
    }
  });
  await Promise.all(lanes);
  return recordings;
}

const QUANTILES = [0, 0.25, 0.5, 0.75, 0.9, 1];

/** Everything coarse and fine that a relay can count. */
function features({ arrivals }: Recording): readonly number[] {
  const times = arrivals.map(({ atMs }) => atMs);
  const sizes = arrivals.map(({ bytes }) => bytes);
  const gaps = times.slice(1).map((atMs, at) => atMs - (times[at] ?? 0));
  const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
  return [
    arrivals.length,
    total,
    times[0] ?? 0,
    (times.at(-1) ?? 0) - (times[0] ?? 0),
    ...quantiles(gaps),
    ...quantiles(sizes),
    ...QUANTILES.map((part) => sizes[Math.floor(part * (sizes.length - 1))] ?? 0),
    ...[FRAME.data, FRAME.pad].flatMap((type) => timesOf(type, arrivals)),
  ];
}

/** How many of a type there are, and when the first and the last came. */
function timesOf(type: number, arrivals: readonly Arrival[]): readonly number[] {
  const times = arrivals.flatMap(({ atMs, types }) =>
    types.filter((got) => got === type).map(() => atMs),
  );
  return [times.length, times[0] ?? 0, times.at(-1) ?? 0];
}

function quantiles(values: readonly number[]): readonly number[] {
  const sorted = values.toSorted((a, b) => a - b);
  return QUANTILES.map((part) => sorted[Math.floor(part * (sorted.length - 1))] ?? 0);
}

/** Nearest neighbours by every feature in units of its own spread, each recording against all others. */
function guessedRight(recordings: readonly Recording[]): number {
  const rows = recordings.map(features);
  const spreads = (rows[0] ?? []).map((_, column) => spread(rows.map((row) => row[column] ?? 0)));
  let right = 0;
  for (const [at, row] of rows.entries()) {
    const near = rows
      .map((other, index) => ({ index, distance: distance(row, other, spreads) }))
      .filter(({ index }) => index !== at)
      .toSorted((a, b) => a.distance - b.distance)
      .slice(0, NEIGHBOURS);
    const votes = QUESTIONS.map(
      (_, question) => near.filter(({ index }) => recordings[index]?.question === question).length,
    );
    if (votes.indexOf(Math.max(...votes)) === recordings[at]?.question) right++;
  }
  return right / recordings.length;
}

function spread(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

function distance(
  one: readonly number[],
  other: readonly number[],
  spreads: readonly number[],
): number {
  return one.reduce((sum, value, at) => {
    const unit = spreads[at] ?? 0;
    return unit === 0 ? sum : sum + ((value - (other[at] ?? 0)) / unit) ** 2;
  }, 0);
}

function means(recordings: readonly Recording[]): { readonly bytes: number; readonly ms: number } {
  const bytes = recordings.flatMap(({ arrivals }) => arrivals.map((arrival) => arrival.bytes));
  const ms = recordings.map(({ arrivals }) => arrivals.at(-1)?.atMs ?? 0);
  const sum = (values: readonly number[]): number => values.reduce((all, one) => all + one, 0);
  return { bytes: sum(bytes) / recordings.length, ms: sum(ms) / recordings.length };
}

async function run(): Promise<BenchResult> {
  const stack = await startStack();
  try {
    const figures: Record<string, unknown> = { questions: QUESTIONS.length, samples: SAMPLES };
    const lines = [
      `${QUESTIONS.length} questions, ${SAMPLES} answers each; blind guessing is right ${percent(1 / QUESTIONS.length)}`,
    ];
    for (const pace of ['own', 'constant'] as const) {
      const recordings = await record(stack, pace);
      const right = guessedRight(recordings);
      const { bytes, ms } = means(recordings);
      figures[pace] = { right, bytes, ms };
      const name = pace === 'own' ? 'the model’s own pace' : 'constant rate';
      lines.push(
        `${name.padEnd(22)} guessed right ${percent(right).padStart(5)}, ${Math.round(bytes / 1000)} kB and ${Math.round(ms)} ms an answer`,
      );
    }
    lines.push('the receipt, which the gateway reads, has the exact counts at either pace');
    return { figures, lines };
  } finally {
    await stack.close();
  }
}

function percent(part: number): string {
  return `${(part * 100).toFixed(0)} %`;
}

export const bench: Bench = {
  name: 'leakage',
  summary: 'which question was asked, by the sizes and times of a sealed answer, at both paces',
  run,
};
