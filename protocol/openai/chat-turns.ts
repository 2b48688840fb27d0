/**
 * Gathers the turns of a conversation as chat completions has them: what an assistant says and the calls that follow are one
 * message, every result is one of its own. Spec: OpenAI API reference "Create chat completion".
 * @module
 */

import type { ChatCall, ChatMessage } from './chat-json.ts';

export class ChatTurns {
  readonly #done: ChatMessage[] = [];
  /** The assistant's turn that calls still belong to. */
  #open: { content: string | null; readonly calls: ChatCall[] } | undefined;

  say(role: 'system' | 'developer' | 'user' | 'assistant', content: string): void {
    this.#close();
    if (role === 'assistant') this.#open = { content, calls: [] };
    if (role !== 'assistant') this.#done.push({ role, content });
  }

  call(id: string, name: string, args: string): void {
    this.#open ??= { content: null, calls: [] };
    this.#open.calls.push({ id, type: 'function', function: { name, arguments: args } });
  }

  result(callId: string, content: string): void {
    this.#close();
    this.#done.push({ role: 'tool', tool_call_id: callId, content });
  }

  messages(): readonly ChatMessage[] {
    this.#close();
    return this.#done;
  }

  #close(): void {
    if (this.#open === undefined) return;
    const { content, calls } = this.#open;
    this.#done.push({
      role: 'assistant',
      content,
      ...(calls.length > 0 && { tool_calls: calls }),
    });
    this.#open = undefined;
  }
}
