/** An upstream that misbehaves in every way that is known: an app never takes what it gets for a whole answer. @module */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { utf8 } from '../../../core/bytes.ts';
import { startExchange } from '../../../enclave-worker/engines/openai-upstream/exchange.ts';
import { openUpstream } from '../../../enclave-worker/engines/openai-upstream/upstream.ts';
import { NEVER } from '../../support/engine-jobs.ts';
import {
  reply,
  startFakeUpstream,
  type FakeScript,
  type FakeUpstream,
} from '../../support/fake-upstream.ts';
import { until } from '../../support/until.ts';
import { chat, configFor, outcomeOf, readOut, startOver, type UpstreamEngine } from './fixture.ts';

let fake: FakeUpstream;
let over: UpstreamEngine;

before(async () => {
  fake = await startFakeUpstream();
  over = await startOver(
    fake,
    { pace: { everyMs: 50, breakMs: 20 } },
    { queueMs: 400, idleMs: 400 },
  );
});
afterEach(async () => {
  fake.script = undefined;
  // A breaker that these tests have opened closes by itself.
  await until(() => over.engine.healthy());
});
after(async () => {
  await over.engine.close();
  await fake.close();
});

const hello = { index: 0, delta: { role: 'assistant', content: 'Hello' }, finish_reason: null };
const stop = { index: 0, delta: {}, finish_reason: 'stop' };
const usage = { usage: { prompt_tokens: 5, completion_tokens: 1 } };

/** After one word: whatever comes then is the misbehaviour. */
function afterHello(then: FakeScript): FakeScript {
  return async (exchange) => {
    exchange.begin();
    await exchange.chunk(hello, usage);
    await then(exchange);
  };
}

const ends: FakeScript = ({ res }) => {
  res.end();
  return Promise.resolve();
};

const BROKEN: readonly (readonly [what: string, problem: string, script: FakeScript])[] = [
  ['ends without a finish reason', 'unfinished', afterHello(ends)],
  ['says that it is done without a finish reason', 'unfinished', afterHello(({ done }) => done())],
  [
    'is reset in the middle',
    'reset',
    afterHello(({ res }) => {
      res.destroy();
      return Promise.resolve();
    }),
  ],
  [
    'sends an event that is too large',
    'event-size',
    afterHello(async ({ write }) => {
      for (let sent = 0; sent < 40 && (await write('x'.repeat(65_536))); sent++);
    }),
  ],
  [
    'sends bytes that are no UTF-8',
    'utf8',
    afterHello(async ({ write }) => void (await write(Uint8Array.of(0x64, 0xff, 0x0a, 0x0a)))),
  ],
  [
    'sends text that is no JSON',
    'json',
    afterHello(async ({ write }) => void (await write('data: {"choices":\n\n'))),
  ],
  [
    'sends JSON of another form',
    'json',
    afterHello(async ({ event }) => void (await event({ choices: 'none' }))),
  ],
  [
    'says an error in the stream',
    'in-band',
    afterHello(async ({ event }) => void (await event({ error: { message: 'x' } }))),
  ],
  [
    'says an error by the name of the event',
    'in-band',
    afterHello(async ({ write }) => void (await write('event: error\ndata: {}\n\n'))),
  ],
  [
    'says an error as vLLM did',
    'in-band',
    afterHello(async ({ event }) => void (await event({ object: 'error', message: 'x' }))),
  ],
  [
    'answers as another model',
    'model',
    afterHello(async ({ event }) => void (await event({ model: 'other/model', choices: [stop] }))),
  ],
  [
    'answers with a choice that nobody asked for',
    'choice',
    afterHello(async ({ chunk }) => void (await chunk({ index: 1, delta: { content: 'x' } }))),
  ],
  [
    'ends in a way that nobody knows',
    'finish',
    afterHello(async ({ chunk }) => void (await chunk({ ...stop, finish_reason: 'abort' }))),
  ],
  [
    'ends twice and differently',
    'finish',
    afterHello(async ({ chunk }) => {
      await chunk(stop);
      await chunk({ ...stop, finish_reason: 'length' });
    }),
  ],
  [
    'goes on after the end',
    'after-finish',
    afterHello(async ({ chunk }) => {
      await chunk(stop);
      await chunk(hello);
    }),
  ],
  [
    'writes more than it was asked for',
    'runaway',
    async ({ begin, chunk }) => {
      begin();
      while (await chunk(hello));
    },
  ],
  [
    'calls a tool without a name',
    'call-form',
    afterHello(
      async ({ chunk }) =>
        void (await chunk({ index: 0, delta: { tool_calls: [{ index: 0, id: 'a' }] } })),
    ),
  ],
  [
    'renames a call',
    'call-identity',
    afterHello(async ({ chunk }) => {
      await chunk({
        index: 0,
        delta: { tool_calls: [{ index: 0, id: 'a', function: { name: 'x' } }] },
      });
      await chunk({ index: 0, delta: { tool_calls: [{ index: 0, function: { name: 'y' } }] } });
    }),
  ],
  [
    'changes the id of a call',
    'call-identity',
    afterHello(async ({ chunk }) => {
      await chunk({
        index: 0,
        delta: { tool_calls: [{ index: 0, id: 'a', function: { name: 'x' } }] },
      });
      await chunk({
        index: 0,
        delta: { tool_calls: [{ index: 0, id: 'b', function: { arguments: '{}' } }] },
      });
    }),
  ],
  [
    'answers a stream with one object',
    'not-a-stream',
    ({ res }) => {
      reply(res, 200, {
        choices: [{ index: 0, message: { content: 'Hello' }, finish_reason: 'stop' }],
      });
      return Promise.resolve();
    },
  ],
  [
    'answers with a page',
    'status',
    ({ res }) => {
      res.writeHead(502, { 'content-type': 'text/html' });
      res.end('<html>bad gateway</html>');
      return Promise.resolve();
    },
  ],
  [
    'answers with a page that says 200',
    'not-a-stream',
    ({ res }) => {
      res.writeHead(200, { 'content-type': 'text/html' });
      res.end('<html>hello</html>');
      return Promise.resolve();
    },
  ],
  [
    'fails inside',
    'status',
    ({ res }) => {
      reply(res, 500, { error: { message: 'x' } });
      return Promise.resolve();
    },
  ],
  [
    'wants a key',
    'status',
    ({ res }) => {
      reply(res, 401, { error: { message: 'x' } });
      return Promise.resolve();
    },
  ],
  [
    'leads elsewhere',
    'redirect',
    ({ res }) => {
      res.writeHead(307, { location: 'http://127.0.0.1:9/v1/chat/completions' });
      res.end();
      return Promise.resolve();
    },
  ],
];

/** Patience is short here, so that it is soon over. */
const HANGS: readonly (readonly [what: string, script: FakeScript])[] = [
  [
    'hangs after its headers',
    async ({ begin, gone }) => {
      begin();
      await gone;
    },
  ],
  ['never answers', ({ gone }) => gone],
  ['hangs in the middle', afterHello(({ gone }) => gone)],
  [
    'is alive in comments alone',
    async ({ begin, write }) => {
      begin();
      while (await write(': ping\n\n'));
    },
  ],
];

for (const [what, script] of HANGS) {
  test(`an upstream that ${what} is not waited for`, async () => {
    fake.script = script;
    const upstream = openUpstream(configFor(fake, { queueMs: 200, idleMs: 200 }), 1);
    const context = { upstream, contextTokens: 8192, echo: undefined };
    const ports = { onUsageProblem: () => undefined, onOver: () => undefined };
    const generation = startExchange({ ...context, ...ports }, chat(), NEVER);
    assert.equal((await readOut(generation)).error, 'engine.upstream timeout');
    await upstream.pool.destroy();
  });
}

for (const [what, problem, script] of BROKEN) {
  test(`an upstream that ${what} fails, and the owner reads why`, async () => {
    over.problems.length = 0;
    fake.script = script;
    const outcome = await outcomeOf(over, chat({ maxOutputTokens: 8 }));
    assert.equal(outcome.error, `engine.upstream ${problem}`);
    assert.ok(!outcome.events.some(({ kind }) => kind === 'end'));
    assert.deepEqual(
      over.problems.filter((said) => !said.startsWith('usage')),
      [problem],
    );
  });
}

const REFUSALS: readonly (readonly [what: string, code: string, status: number, body: object])[] = [
  [
    'a request that it does not take',
    'engine.refused',
    400,
    { error: { message: 'no', type: 'BadRequestError' } },
  ],
  ['one that pydantic does not take', 'engine.refused', 422, { detail: [] }],
  [
    'a prompt that is too long, by its code',
    'engine.prompt_too_long',
    400,
    { error: { message: 'x', code: 'context_length_exceeded' } },
  ],
  [
    'a prompt that is too long, as vLLM says it',
    'engine.prompt_too_long',
    400,
    { object: 'error', message: "This model's maximum context length is 8192 tokens" },
  ],
  [
    'a prompt that is too long, as llama.cpp says it',
    'engine.prompt_too_long',
    400,
    { error: { code: 400, type: 'exceed_context_size_error', message: 'x' } },
  ],
  ['work that it has no room for', 'engine.busy', 503, { error: 'overloaded' }],
  ['too many requests', 'engine.busy', 429, { error: { message: 'x' } }],
];

for (const [what, code, status, body] of REFUSALS) {
  test(`${what} is ${code}, and says nothing against the upstream`, async () => {
    over.problems.length = 0;
    fake.script = ({ res }) => {
      reply(res, status, body);
      return Promise.resolve();
    };
    const outcome = await outcomeOf(over);
    assert.equal(outcome.error, code);
    assert.deepEqual(outcome.usage, { prompt: 0, cached: 0, completion: 0, reasoning: 0 });
    assert.deepEqual(over.problems, []);
    assert.ok(over.engine.healthy());
  });
}

test('what was delivered before it broke is counted, and nothing more', async () => {
  fake.script = afterHello(ends);
  const { usage: spent } = await outcomeOf(over);
  assert.deepEqual(spent, { prompt: 5, cached: 0, completion: 1, reasoning: 0 });
});

test('an abort ends the answer at once, and the upstream hears of it', async () => {
  let isGone = false;
  fake.script = async ({ begin, chunk, gone }) => {
    begin();
    await chunk(hello, usage);
    await gone;
    isGone = true;
  };
  const abort = new AbortController();
  const generation = over.engine.generate(chat(), abort.signal);
  const kinds: string[] = [];
  for await (const event of generation.events) {
    kinds.push(event.kind === 'end' ? event.reason : event.kind);
    if (event.kind === 'text') abort.abort();
  }
  assert.deepEqual(kinds, ['started', 'text', 'aborted']);
  await until(() => isGone);
  assert.deepEqual(generation.usage(), { prompt: 5, cached: 0, completion: 1, reasoning: 0 });
  assert.ok(over.engine.healthy());
});

test('a slow reader holds the upstream up, and not the memory of the worker', async () => {
  let sent = 0;
  const text = 'x'.repeat(16_384);
  fake.script = async ({ begin, chunk, done }) => {
    begin();
    // More than any buffer on the way holds.
    for (; sent < 2000; sent++) if (!(await chunk({ index: 0, delta: { content: text } }))) return;
    await chunk(stop, { usage: { prompt_tokens: 5, completion_tokens: 2000 } });
    await done();
  };
  const generation = over.engine.generate(
    chat({ maxOutputTokens: 2000 }),
    new AbortController().signal,
  );
  const events = generation.events[Symbol.asyncIterator]();
  await events.next();
  // Still for a while, or sent to its end, which is what must not happen.
  let before = -1;
  let looks = 0;
  await until(() => {
    looks = sent === before && sent > 0 ? looks + 1 : 0;
    before = sent;
    return looks > 20 || sent === 2000;
  });
  assert.ok(sent < 2000, 'all of it was taken, and nobody has read it');
  let bytes = 0;
  for (;;) {
    const next = await events.next();
    if (next.done === true) break;
    if (next.value.kind === 'text') bytes += utf8(next.value.text).length;
  }
  assert.equal(bytes, 2000 * text.length);
});
