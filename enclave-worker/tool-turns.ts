/**
 * Tools in the words of the prompt: which there are, what was called before, what came of it. The form is the one that
 * grammar/tools.ts makes the model answer in. Spec: docs/structured-output.md "Tool calls".
 * @module
 */

import type { ChatMessage } from '../protocol/openai/chat.ts';
import type { ToolFunction } from '../protocol/openai/tools.ts';
import type { ChatTurn } from './engine.ts';
import { toolCallsText, toolPrompt, toolResultText } from './grammar/tool-text.ts';

/** `tools`: those that may be called now; calls of the past are told in any case. */
export function turnsOf(
  messages: readonly ChatMessage[],
  tools: readonly ToolFunction[],
): readonly ChatTurn[] {
  const turns: ChatTurn[] = [];
  let before: ChatMessage['role'] | undefined;
  for (const message of messages) {
    const turn = turnOf(message);
    // What several tools answered is one turn.
    if (message.role === 'tool' && before === 'tool') {
      const earlier = turns.pop();
      turns.push({ role: 'user', content: `${earlier?.content ?? ''}\n${turn.content}` });
    } else turns.push(turn);
    before = message.role;
  }
  return tools.length === 0 ? turns : withTools(turns, toolPrompt(tools));
}

function turnOf(message: ChatMessage): ChatTurn {
  const { role, content } = message;
  if (role === 'tool') return { role: 'user', content: toolResultText(content) };
  if (role !== 'assistant' || message.toolCalls.length === 0) return { role, content };
  const calls = toolCallsText(message.toolCalls);
  return { role, content: content === '' ? calls : `${content}\n${calls}` };
}

function withTools(turns: readonly ChatTurn[], text: string): readonly ChatTurn[] {
  const [first, ...others] = turns;
  if (first?.role !== 'system') return [{ role: 'system', content: text }, ...turns];
  return [{ role: 'system', content: `${first.content}\n\n${text}` }, ...others];
}
