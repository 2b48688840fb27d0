/**
 * The `response` object: what is told of a request, and the items of its output. Spec: OpenAI API reference "The response
 * object"; openai-gateway-and-engine §2.7.
 * @module
 */

import { readCompletion, type ChatCounts, type ChatEnd, type ChatHead } from './chat-answer.ts';

/** Members of the request that the object repeats. */
export interface ResponseEcho {
  readonly instructions: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly max_output_tokens: number | null;
  readonly temperature: number;
  readonly top_p: number;
  readonly tools: readonly object[];
  readonly tool_choice: string | object;
  readonly parallel_tool_calls: boolean;
  readonly text: object;
  readonly reasoning: object;
}

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

export interface OutputText {
  readonly type: 'output_text';
  readonly text: string;
  readonly annotations: readonly [];
  readonly logprobs: readonly [];
}

export type OutputItem =
  | {
      readonly type: 'message';
      readonly id: string;
      readonly status: ItemStatus;
      readonly role: 'assistant';
      readonly content: readonly OutputText[];
    }
  | {
      readonly type: 'function_call';
      readonly id: string;
      readonly call_id: string;
      readonly name: string;
      readonly arguments: string;
      readonly status: ItemStatus;
    };

export type ResponseStanding =
  | { readonly status: 'in_progress' }
  | {
      readonly status: 'failed';
      readonly error: { readonly code: string; readonly message: string };
    }
  | { readonly status: 'ended'; readonly end: ChatEnd; readonly counts: ChatCounts };

export function outputText(text: string): OutputText {
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}

export function messageItem(id: string, status: ItemStatus, text?: string): OutputItem {
  const content = text === undefined ? [] : [outputText(text)];
  return { type: 'message', id, status, role: 'assistant', content };
}

/** Ids say whose they are: the exchange's own id is in each. */
export function itemId(head: ChatHead, kind: 'msg' | 'fc', index: number): string {
  return `${kind}_${exchangeOf(head)}_${index}`;
}

function exchangeOf({ id }: ChatHead): string {
  return id.replace(/^chatcmpl-/, '');
}

/** How the item that was being written stands when the answer ends. */
export function lastStatus({ reason }: ChatEnd): 'completed' | 'incomplete' {
  return reason === 'length' || reason === 'content_filter' ? 'incomplete' : 'completed';
}

export function responseObject(
  echo: ResponseEcho,
  head: ChatHead,
  output: readonly OutputItem[],
  standing: ResponseStanding,
): object {
  return {
    id: `resp_${exchangeOf(head)}`,
    object: 'response',
    created_at: head.created,
    ...outcomeOf(standing),
    model: head.model,
    output,
    ...echo,
    background: false,
    previous_response_id: null,
    service_tier: 'default',
    store: false,
    top_logprobs: 0,
    truncation: 'disabled',
    user: null,
  };
}

function outcomeOf(standing: ResponseStanding): object {
  if (standing.status === 'in_progress') {
    return { status: 'in_progress', error: null, incomplete_details: null, usage: null };
  }
  if (standing.status === 'failed') {
    return { ...standing, incomplete_details: null, usage: null };
  }
  const { end, counts } = standing;
  const usage = usageOf(counts);
  if (lastStatus(end) === 'completed') {
    return { status: 'completed', error: null, incomplete_details: null, usage };
  }
  const reason = end.reason === 'length' ? 'max_output_tokens' : 'content_filter';
  return { status: 'incomplete', error: null, incomplete_details: { reason }, usage };
}

function usageOf({ prompt, cached, completion, reasoning }: ChatCounts): object {
  return {
    input_tokens: prompt,
    input_tokens_details: { cached_tokens: cached, cache_write_tokens: 0 },
    output_tokens: completion,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: prompt + completion,
  };
}

/** Throws `chat.answer`. */
export function wholeResponse(echo: ResponseEcho, completion: unknown): object {
  const { head, text, calls, end, counts } = readCompletion(completion);
  const first = text === '' ? [] : [text];
  const count = first.length + calls.length;
  const statusAt = (index: number): ItemStatus =>
    index === count - 1 ? lastStatus(end) : 'completed';
  const output = [
    ...first.map((said, at) => messageItem(itemId(head, 'msg', at), statusAt(at), said)),
    ...calls.map((call, at) => {
      const index = first.length + at;
      return callItem(itemId(head, 'fc', index), statusAt(index), call);
    }),
  ];
  return responseObject(echo, head, output, { status: 'ended', end, counts });
}

export function callItem(
  id: string,
  status: ItemStatus,
  call: { readonly id: string; readonly name: string; readonly arguments: string },
): OutputItem {
  return {
    type: 'function_call',
    id,
    call_id: call.id,
    name: call.name,
    arguments: call.arguments,
    status,
  };
}
