/** Chat answers by script, and a fetch that answers an SDK with them through a front. @module */

import { utf8, concat, fromUtf8 } from '../../core/bytes.ts';
import { parseJson } from '../../core/json.ts';
import type { Front, FrontRequest } from '../../protocol/openai/chat-front.ts';
import type { FreeObject } from '../../protocol/judge-request.ts';
import { typedEvents, type TypedEvent } from '../../protocol/typed-event.ts';

export interface ScriptedCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

export interface ChatScript {
  readonly text?: string;
  readonly calls?: readonly ScriptedCall[];
  readonly finish?: 'stop' | 'length' | 'tool_calls' | 'content_filter';
  /** The stop string that ended it, as some engines tell. */
  readonly stop?: string;
}

export const CHAT_HEAD = { id: 'chatcmpl-00ff', created: 1_764_000_000, model: 'm' };
export const CHAT_USAGE = {
  prompt_tokens: 11,
  completion_tokens: 7,
  total_tokens: 18,
  prompt_tokens_details: { cached_tokens: 4 },
  completion_tokens_details: { reasoning_tokens: 2 },
};

function callOf({ id, name, arguments: args }: ScriptedCall): object {
  return { id, type: 'function', function: { name, arguments: args } };
}

function finishOf({ finish, calls = [] }: ChatScript): string {
  return finish ?? (calls.length > 0 ? 'tool_calls' : 'stop');
}

export function completionOf(script: ChatScript): object {
  const { text, calls = [], stop } = script;
  return {
    ...CHAT_HEAD,
    object: 'chat.completion',
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: text ?? null,
          refusal: null,
          ...(calls.length > 0 && { tool_calls: calls.map(callOf) }),
        },
        logprobs: null,
        finish_reason: finishOf(script),
        ...(stop !== undefined && { stop_reason: stop }),
      },
    ],
    usage: CHAT_USAGE,
    system_fingerprint: 'fp_0',
  };
}

export function chunkOf(delta: object, finish: string | null = null, more: object = {}): object {
  return {
    ...CHAT_HEAD,
    object: 'chat.completion.chunk',
    system_fingerprint: 'fp_0',
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish, ...more }],
  };
}

export const ROLE_CHUNK: object = chunkOf({ role: 'assistant', content: '' });
export const USAGE_CHUNK: object = { ...chunkOf({}), choices: [], usage: CHAT_USAGE };

export function callChunk(index: number, call: ScriptedCall): object {
  const { id, name } = call;
  return chunkOf({
    tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }],
  });
}

export function argumentsChunk(index: number, text: string): object {
  return chunkOf({ tool_calls: [{ index, function: { arguments: text } }] });
}

/** In pieces of so many characters. */
export function piecesOf(text: string, size: number): readonly string[] {
  const characters = Array.from(text);
  const count = Math.ceil(characters.length / size);
  return Array.from({ length: count }, (_, at) =>
    characters.slice(at * size, (at + 1) * size).join(''),
  );
}

export function chunksOf(script: ChatScript, pieceSize = 3): readonly object[] {
  const { text = '', calls = [], stop } = script;
  return [
    ROLE_CHUNK,
    ...piecesOf(text, pieceSize).map((content) => chunkOf({ content })),
    ...calls.flatMap((call, index) => [
      callChunk(index, call),
      ...piecesOf(call.arguments, pieceSize).map((piece) => argumentsChunk(index, piece)),
    ]),
    chunkOf({}, finishOf(script), stop === undefined ? {} : { stop_reason: stop }),
    USAGE_CHUNK,
  ];
}

/** Every event of one answer. */
export function eventsOf(request: FrontRequest, chunks: readonly unknown[]): readonly TypedEvent[] {
  const stream = request.stream();
  return [...chunks.flatMap((chunk) => stream.push(chunk)), ...stream.end()];
}

export function decodedBy(front: Front, body: unknown): FrontRequest {
  const decision = front.decode(body);
  if (decision.outcome === 'refused') throw new Error(JSON.stringify(decision.failure.body));
  return decision.request;
}

/** What was asked of chat, and how the answer reached the SDK. */
export interface FrontDoor {
  readonly fetch: typeof globalThis.fetch;
  readonly asked: FreeObject[];
}

export interface DoorOptions {
  /** Chunks to answer a stream with, in place of the script's. */
  readonly chunks?: readonly unknown[];
  /** The body breaks off without an end: the front does not hear of it. */
  readonly cut?: true;
  readonly bytesPerPiece?: number;
}

/** Answers as a worker would; `scripts` are used one after the other. */
export function frontDoor(
  front: Front,
  scripts: readonly ChatScript[],
  options: DoorOptions = {},
): FrontDoor {
  const asked: FreeObject[] = [];
  const answer = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    const body = parseJson(new Uint8Array(await request.arrayBuffer()), 8_388_608);
    const decision = front.decode(body);
    if (decision.outcome === 'refused') {
      const { status, body: refused, headers } = decision.failure;
      return Response.json(refused, {
        status,
        headers: headers.map(([name, value]) => [name, value]),
      });
    }
    const script = scripts[Math.min(asked.length, scripts.length - 1)] ?? {};
    asked.push(decision.request.chat);
    const headers = { 'request-id': 'req_1', 'x-request-id': 'req_1' };
    if (decision.request.mode === 'unary') {
      return Response.json(decision.request.whole(completionOf(script)), { headers });
    }
    const bytes = streamBytes(front, decision.request, options.chunks ?? chunksOf(script), options);
    return new Response(inPieces(bytes, options.bytesPerPiece ?? 7), {
      headers: { ...headers, 'content-type': 'text/event-stream; charset=utf-8' },
    });
  };
  return { fetch: answer, asked };
}

function streamBytes(
  front: Front,
  request: FrontRequest,
  chunks: readonly unknown[],
  { cut }: DoorOptions,
): Uint8Array {
  const stream = request.stream();
  const parts = [front.ping];
  for (const chunk of chunks) parts.push(typedEvents(stream.push(chunk)), front.ping);
  if (cut === undefined) parts.push(typedEvents(stream.end()));
  return concat(...parts);
}

function inPieces(bytes: Uint8Array, size: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) {
        controller.close();
        return;
      }
      controller.enqueue(bytes.slice(at, at + size));
      at += size;
    },
  });
}

/** The data lines of a stream, read back. */
export function readEvents(bytes: Uint8Array): readonly unknown[] {
  return fromUtf8(bytes)
    .split('\n')
    .filter((line) => line.startsWith('data: '))
    .map((line) => parseJson(utf8(line.slice('data: '.length)), 8_388_608));
}
