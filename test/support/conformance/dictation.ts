/**
 * An engine that takes dictation: a user's turn that begins with `DICTATE` holds the answers, one for each step of the
 * conversation after it. It plays a model that was trained on tools; everything else goes to the engine behind it, and what
 * it says is read by the product like any model's text.
 * @module
 */

import type {
  ChatTurn,
  Engine,
  EngineEvent,
  GenerateJob,
  Generation,
} from '../../../enclave-worker/engine.ts';
import { engineError } from '../../../enclave-worker/errors.ts';
import { toolCallsText } from '../../../enclave-worker/grammar/tool-text.ts';
import type { LabEngine } from './engines.ts';

const MARK = 'DICTATE\n';
const NEXT_STEP = '\n====\n';
const PIECE_CHARS = 3;
/** At the end of a dictated text: there the engine crashes. */
export const CRASH = '\nCRASH';

/** A prompt that makes the engine say these texts, one for each of its turns. */
export function dictation(...steps: readonly string[]): string {
  return `${MARK}${steps.join(NEXT_STEP)}`;
}

export function dictatedCall(name: string, args: object): string {
  return toolCallsText([{ name, arguments: JSON.stringify(args) }]);
}

export async function withDictation(start: () => Promise<LabEngine>): Promise<LabEngine> {
  const { engine, ...rest } = await start();
  return { ...rest, engine: dictated(engine) };
}

function dictated(engine: Engine): Engine {
  return {
    name: engine.name,
    capabilities: engine.capabilities,
    contextTokens: engine.contextTokens,
    slots: engine.slots,
    healthy: () => engine.healthy(),
    close: () => engine.close(),
    embed: (job, signal) => engine.embed(job, signal),
    generate: (job, signal) => {
      const text = dictatedFor(job);
      return text === undefined ? engine.generate(job, signal) : saying(text);
    },
  };
}

function dictatedFor({ prompts }: GenerateJob): string | undefined {
  const [prompt] = prompts;
  if (prompt?.kind !== 'chat') return undefined;
  const { messages } = prompt;
  const at = messages.findLastIndex(({ content }) => content.startsWith(MARK));
  const steps = messages[at]?.content.slice(MARK.length).split(NEXT_STEP);
  return steps?.[stepsSince(messages, at)];
}

function stepsSince(messages: readonly ChatTurn[], at: number): number {
  return messages.slice(at).filter(({ role }) => role === 'assistant').length;
}

const PROMPT_TOKENS = 7;

function saying(dictatedText: string): Generation {
  const crashes = dictatedText.endsWith(CRASH);
  const text = crashes ? dictatedText.slice(0, -CRASH.length) : dictatedText;
  let completion = 0;
  return {
    usage: () => ({ prompt: PROMPT_TOKENS, cached: 0, completion, reasoning: 0 }),
    events: (async function* play(): AsyncGenerator<EngineEvent> {
      yield await Promise.resolve({ kind: 'started' } as const);
      for (let at = 0; at < text.length; at += PIECE_CHARS) {
        completion++;
        yield { kind: 'text', text: text.slice(at, at + PIECE_CHARS) };
      }
      if (crashes) throw engineError('engine.crashed');
      yield { kind: 'end', reason: 'stop' };
    })(),
  };
}
