/**
 * Reads calls of tools out of what an engine wrote as text: each choice has a reader of its own, and what it says takes the
 * place of the text. Spec: docs/structured-output.md "Tool calls"; openai-gateway-and-engine §2.4 rule 3.
 * @module
 */

import type { FinishReason } from '../protocol/openai/answer-shape.ts';
import type { EngineEvent } from './engine.ts';
import { newToolCallId, ToolCallReader, type ToolDelta } from './grammar/tool-calls.ts';

export interface ToolEventsInput {
  readonly events: AsyncIterable<EngineEvent>;
  /** Of all prompts. */
  readonly choices: number;
  /** `json`: an answer without calls is JSON. */
  readonly answer: 'text' | 'json';
}

export async function* toolEvents(input: ToolEventsInput): AsyncGenerator<EngineEvent> {
  const { events, choices, answer } = input;
  const readers = new Map(
    Array.from({ length: choices }, (_, choice) => [
      choice,
      new ToolCallReader({ newId: newToolCallId, answer }),
    ]),
  );
  for await (const event of events) {
    if (event.kind === 'text') {
      const { choice = 0 } = event;
      const deltas = readers.get(choice)?.push(event.text) ?? [];
      yield* deltas.map((delta) => eventOf(choice, delta));
    } else if (event.kind === 'choice-end') {
      yield* ended(readers, event.choice, event.reason);
    } else if (event.kind === 'end' && event.reason !== 'aborted') {
      for (const choice of readers.keys()) yield* ended(readers, choice, event.reason);
      yield event;
    } else yield event;
  }
}

function* ended(
  readers: Map<number, ToolCallReader>,
  choice: number,
  reason: FinishReason,
): Generator<EngineEvent> {
  const reader = readers.get(choice);
  if (reader === undefined || !readers.delete(choice)) return;
  const { deltas, outcome, wholeCalls } = reader.end();
  yield* deltas.map((delta) => eventOf(choice, delta));
  // An answer that the bound on its length ended says so, also behind a whole call.
  const said = outcome === 'calls' && reason === 'stop' ? 'tool_calls' : reason;
  yield { kind: 'choice-end', choice, reason: said, wholeCalls };
}

function eventOf(choice: number, delta: ToolDelta): EngineEvent {
  return { ...delta, choice };
}
