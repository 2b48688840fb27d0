/** What holds for every surface in front of chat: splits do not matter, cuts are failures, hostile input is bounded. @module */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { FRONTS, frontAt } from '../../protocol/fronts.ts';
import type { Front, FrontRequest } from '../../protocol/openai/chat-front.ts';
import { typedEvents, type TypedEvent } from '../../protocol/typed-event.ts';
import {
  argumentsChunk,
  callChunk,
  chunkOf,
  chunksOf,
  decodedBy,
  eventsOf,
  readEvents,
  ROLE_CHUNK,
  USAGE_CHUNK,
  type ChatScript,
  type ScriptedCall,
} from '../support/chat-front.ts';

const BODIES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  '/v1/responses': { model: 'm', input: 'Hello', stream: true },
  '/v1/messages': {
    model: 'm',
    max_tokens: 9,
    messages: [{ role: 'user', content: 'Hello' }],
    stream: true,
  },
};

const TEXT = fc.string({ unit: 'grapheme', maxLength: 24 });
const CALLS = fc
  .array(fc.record({ name: fc.stringMatching(/^[a-z]{1,8}$/), argument: TEXT }), { maxLength: 3 })
  .map((calls) =>
    calls.map(({ name, argument }, at): ScriptedCall => ({
      id: `call_${at}`,
      name,
      arguments: JSON.stringify({ argument }),
    })),
  );
const SCRIPT: fc.Arbitrary<ChatScript> = fc.record(
  { text: TEXT, calls: CALLS, finish: fc.constantFrom('stop', 'length', 'tool_calls') },
  { requiredKeys: [] },
);

/** Between surrogates too: an engine must not, and a surface must not mind. */
function splitAt(text: string, points: readonly number[]): readonly string[] {
  const ends = [...new Set([...points.map((point) => point % (text.length + 1)), text.length])];
  ends.sort((a, b) => a - b);
  return ends.map((end, at) => text.slice(ends[at - 1] ?? 0, end));
}

function splitChunks(script: ChatScript, points: readonly number[]): readonly object[] {
  const [whole] = chunksOf(script).slice(-2, -1);
  return [
    ROLE_CHUNK,
    ...splitAt(script.text ?? '', points).map((content) => chunkOf({ content })),
    ...(script.calls ?? []).flatMap((call, index) => [
      callChunk(index, call),
      ...splitAt(call.arguments, points).map((piece) => argumentsChunk(index, piece)),
    ]),
    ...(whole === undefined ? [] : [whole]),
    USAGE_CHUNK,
  ];
}

/** The same events with neighbouring pieces joined and without their numbers. */
function joined(events: readonly TypedEvent[]): readonly unknown[] {
  const out: { readonly key: string; text: string }[] = [];
  for (const event of events) {
    const { sequence_number: _, delta, ...rest } = event;
    const piece = pieceOf(delta);
    const key = JSON.stringify([rest, piece === undefined ? delta : typeof delta]);
    const last = out.at(-1);
    if (piece !== undefined && last?.key === key) last.text += piece;
    else out.push({ key, text: piece ?? '' });
  }
  return out;
}

function pieceOf(delta: unknown): string | undefined {
  if (typeof delta === 'string') return delta;
  if (typeof delta !== 'object' || delta === null) return undefined;
  if ('text' in delta && typeof delta.text === 'string') return delta.text;
  return 'partial_json' in delta && typeof delta.partial_json === 'string'
    ? delta.partial_json
    : undefined;
}

function isEnd({ type }: TypedEvent): boolean {
  return ['response.completed', 'response.incomplete', 'message_stop'].includes(type);
}

function isFailure({ type }: TypedEvent): boolean {
  return ['response.failed', 'error'].includes(type);
}

const RUNS = { numRuns: 300 };
const POINTS = fc.array(fc.nat(200), { maxLength: 8 });

for (const front of FRONTS) {
  describe(front.path, () => {
    const body = BODIES[front.path] ?? {};
    const request: FrontRequest = decodedBy(front, body);

    test('is found by its path', () => {
      assert.equal(frontAt(front.path), front);
      assert.equal(frontAt(`${front.path}/`), undefined);
    });

    test('any two splits of a chat stream give the same events, but for the pieces', () => {
      fc.assert(
        fc.property(SCRIPT, POINTS, POINTS, (script, some, others) => {
          const of = (points: readonly number[]): readonly unknown[] =>
            joined(eventsOf(request, splitChunks(script, points)));
          assert.deepEqual(of(some), of(others));
        }),
        RUNS,
      );
    });

    test('one chunk with everything gives what many give', () => {
      const call = { id: 'call_0', name: 'add', arguments: '{"a":1}' };
      const all = chunkOf(
        {
          role: 'assistant',
          content: 'Hm.',
          tool_calls: [
            { index: 0, id: call.id, function: { name: call.name, arguments: call.arguments } },
          ],
        },
        'tool_calls',
      );
      const many = eventsOf(request, chunksOf({ text: 'Hm.', calls: [call] }, 1));
      assert.deepEqual(joined(eventsOf(request, [all, USAGE_CHUNK])), joined(many));
    });

    test('every cut of a chat stream is a failure, and only the whole of it an end', () => {
      fc.assert(
        fc.property(SCRIPT, fc.nat(60), (script, at) => {
          const chunks = chunksOf(script);
          const cut = eventsOf(request, chunks.slice(0, at));
          const isWhole = at >= chunks.length;
          assert.equal(cut.some(isEnd), isWhole);
          assert.equal(cut.filter(isFailure).length, isWhole ? 0 : 1);
          const last = cut.at(-1);
          assert.ok(last !== undefined && (isEnd(last) || isFailure(last)));
        }),
        RUNS,
      );
    });

    test('events are written as one line each and read back the same', () => {
      fc.assert(
        fc.property(SCRIPT, (script) => {
          const events = eventsOf(request, chunksOf(script));
          assert.deepEqual(readEvents(typedEvents(events)), JSON.parse(JSON.stringify(events)));
        }),
        RUNS,
      );
    });

    test('whatever is pushed, nothing is thrown, and at most one end is told', () => {
      const strange = fc.oneof(
        fc.jsonValue({ maxDepth: 4 }),
        fc.constantFrom(...chunksOf({ text: 'x' })),
      );
      fc.assert(
        fc.property(fc.array(strange, { maxLength: 12 }), (chunks) => {
          const events = eventsOf(request, chunks);
          assert.equal(events.filter((event) => isEnd(event) || isFailure(event)).length, 1);
        }),
        RUNS,
      );
    });

    test('whatever is sent, nothing is thrown, and a refusal is JSON with a status of its own', () => {
      const value = fc.jsonValue({ maxDepth: 4 });
      const member = fc.constantFrom(...Object.keys(body), 'tools', 'input', 'tool_choice', 'text');
      fc.assert(
        fc.property(fc.dictionary(member, value), (more) => {
          const decision = front.decode({ ...body, ...more });
          if (decision.outcome === 'decoded') return;
          assert.equal(decision.failure.status, 400);
          assert.ok(JSON.stringify(decision.failure.body).length < 512);
        }),
        RUNS,
      );
    });

    for (const [what, hostile] of hostileOf(front)) {
      test(`is refused before it is looked at: ${what}`, () => {
        const beganMs = performance.now();
        const decision = front.decode({ ...body, ...hostile });
        assert.equal(decision.outcome, 'refused');
        assert.ok(performance.now() - beganMs < 2000);
      });
    }
  });
}

function nested(depth: number): object {
  let value: object = {};
  for (let at = 0; at < depth; at++) value = at % 2 === 0 ? [value] : { a: value };
  return { a: value };
}

function hostileOf({ path }: Front): readonly (readonly [what: string, more: object])[] {
  const many = Array.from({ length: 1_000_000 }, () => 1);
  const isResponses = path === '/v1/responses';
  const tool = (schema: object): object =>
    isResponses
      ? { type: 'function', name: 'x', parameters: schema }
      : { name: 'x', input_schema: schema };
  const turns = isResponses ? 'input' : 'messages';
  return [
    ['a schema of a million levels', { tools: [tool(nested(1_000_000))] }],
    ['a schema of a million members', { tools: [tool({ enum: many })] }],
    ['a million turns', { [turns]: many }],
    [
      'turns of very many wrong parts',
      {
        [turns]: Array.from({ length: 60 }, () => ({ role: 'user', content: many.slice(0, 1024) })),
      },
    ],
    ['more tools than anybody has', { tools: Array.from({ length: 1025 }, () => tool({})) }],
  ];
}
