/** What the fake upstream says when it behaves: everything that vLLM is known to do, at the smallest size. @module */

import type { FakeExchange } from './fake-upstream.ts';

export interface FakeState {
  readonly model: string;
  readonly ignoresAborts: boolean;
  readonly cachedTokens: number;
}

const WORDS: readonly string[] = ['Hello', ' from', ' the', ' fake', '.'];

/** A word each; a story goes on for as long as it may. */
export async function answerWell(exchange: FakeExchange, state: FakeState): Promise<void> {
  const { body, path } = exchange.asked;
  const isChat = path === '/v1/chat/completions';
  const prompt = promptTokens(body);
  const usage = (completion: number): object => ({
    usage: {
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens: prompt + completion,
      ...(state.cachedTokens > 0 && {
        prompt_tokens_details: { cached_tokens: Math.min(prompt, state.cachedTokens) },
      }),
    },
  });
  exchange.begin();
  const choices = typeof body['n'] === 'number' ? body['n'] : 1;
  const texts = Array.isArray(body['prompt']) ? body['prompt'].length : 1;
  let counted = 0;
  for (let index = 0; index < choices * texts; index++) {
    if (isChat) await exchange.chunk({ index, delta: { role: 'assistant', content: '' } });
    const said = isChat ? await sayCall(exchange, index) : 0;
    counted += said;
    const spoken =
      said > 0
        ? { count: 0, reason: 'tool_calls' }
        : await speak(exchange, index, (n) => usage(counted + n), state);
    counted += spoken.count;
    if (exchange.isGone()) return;
    const end = { index, finish_reason: spoken.reason };
    await exchange.chunk(isChat ? { ...end, delta: {} } : { ...end, text: '' }, usage(counted));
  }
  await exchange.event({ id: 'c', model: state.model, choices: [], ...usage(counted) });
  await exchange.done();
}

async function speak(
  exchange: FakeExchange,
  index: number,
  usage: (count: number) => object,
  state: FakeState,
): Promise<{ readonly count: number; readonly reason: string }> {
  const { body, path } = exchange.asked;
  const max = typeof body['max_tokens'] === 'number' ? body['max_tokens'] : 16;
  const isStory = JSON.stringify(body).includes('to a thousand');
  const words = body['response_format'] === undefined ? WORDS : ['{"ok":', 'true', '}'];
  let count = 0;
  const last = isStory ? max : Math.min(max, words.length);
  for (; count < last; count++) {
    const text = isStory ? `${count} ` : (words[count] ?? '');
    const chance = { token: text, logprob: -0.5, bytes: [...Buffer.from(text)] };
    const logprobs =
      body['logprobs'] === true ? { content: [{ ...chance, top_logprobs: [chance] }] } : null;
    const choice =
      path === '/v1/chat/completions'
        ? { index, delta: { content: text }, logprobs, finish_reason: null }
        : { index, text, logprobs: null, finish_reason: null };
    const isHeard = await exchange.chunk(choice, usage(count + 1));
    if (!isHeard && !state.ignoresAborts) break;
  }
  return { count, reason: count >= words.length && !isStory ? 'stop' : 'length' };
}

/** Where one is forced: the first tool, with a number. */
async function sayCall({ asked, chunk }: FakeExchange, index: number): Promise<number> {
  const { tool_choice: choice } = asked.body;
  if (choice === undefined || choice === 'none') return 0;
  const name = /"name":"([^"]+)"/.exec(JSON.stringify(asked.body['tools']))?.[1] ?? '';
  const call = { index: 0, id: 'call_1', type: 'function', function: { name, arguments: '' } };
  await chunk({ index, delta: { tool_calls: [call] } });
  await chunk({
    index,
    delta: { tool_calls: [{ index: 0, function: { arguments: '{"number":' } }] },
  });
  await chunk({ index, delta: { tool_calls: [{ index: 0, function: { arguments: '7}' } }] } });
  return 3;
}

function promptTokens(body: Readonly<Record<string, unknown>>): number {
  return JSON.stringify(body['messages'] ?? body['prompt'] ?? '').split(/\s+/).length + 4;
}

export function embedWell(body: Readonly<Record<string, unknown>>, model: string): object {
  const inputs: readonly unknown[] = Array.isArray(body['input']) ? body['input'] : [body['input']];
  return {
    object: 'list',
    model,
    // The last one first: an order is in the numbers.
    data: inputs
      .map((input, index) => ({
        index,
        embedding: [String(input).length, 1, index],
        object: 'embedding',
      }))
      .reverse(),
    usage: { prompt_tokens: inputs.length * 2, total_tokens: inputs.length * 2 },
  };
}
