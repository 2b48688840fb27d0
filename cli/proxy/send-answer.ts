/**
 * From the answer of `sealedFetch` to the program that asked. A whole answer waits for its end, so that one that broke off is
 * an HTTP error; a stream flows at the pace of its reader, and one that broke off is an error event and a connection that
 * ends without its last chunk. Spec: openai-gateway-and-engine §2.4; RFC 9112 §8.
 * @module
 */

import type { ServerResponse } from 'node:http';
import { z } from 'zod';
import { drained } from '../../gateway/drained.ts';
import { newRequestId } from '../../gateway/request-id.ts';
import { beginsLastEvent } from '../../client/done-gate.ts';
import { failureResponse } from '../../client/failure-response.ts';
import { equalPublic } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { parseJson } from '../../core/json.ts';
import { ERROR_BODY_MAX_BYTES } from '../../client/limits.ts';
import { FAILURE_CODES, openAiFailure } from '../../protocol/openai/errors.ts';
import { spokenFailure } from '../../protocol/spoken-failure.ts';
import { SSE_DONE, SSE_HEADERS } from '../../protocol/openai/sse.ts';

export interface AnswerWatcher {
  /** A piece of a stream went out; so many events ended in it. */
  onPiece(events: number): void;
  /** Whoever reads nothing for so long has left. */
  readonly slowReaderTimeoutMs: number;
}

export type Sent =
  /** `code`: what a worker refused with, where it is one of the known ones. */
  | { readonly outcome: 'whole'; readonly code?: string | undefined }
  /** The program went away, or stopped reading. */
  | { readonly outcome: 'left' }
  | { readonly outcome: 'broken'; readonly error: unknown; readonly status: number };

/** Owns the response to its end. Rejects only for an answer whose head cannot be passed on. */
export async function sendAnswer(
  answer: Response,
  response: ServerResponse,
  watcher: AnswerWatcher,
): Promise<Sent> {
  if (isEventStream(answer)) return sendStream(answer, response, watcher);
  let body: Uint8Array;
  try {
    body = new Uint8Array(await answer.arrayBuffer());
  } catch (error) {
    if (response.destroyed) return { outcome: 'left' };
    const { status } = await sendFailure(error, response);
    return { outcome: 'broken', error, status };
  }
  if (response.destroyed) return { outcome: 'left' };
  writeHead(answer, response);
  response.setHeader('cache-control', 'no-store');
  await ended(response, watcher, body);
  if (!response.writableFinished) return { outcome: 'left' };
  return { outcome: 'whole', code: answer.ok ? undefined : codeIn(body) };
}

const ERROR = z.looseObject({ error: z.looseObject({ code: z.string() }) });

function codeIn(body: Uint8Array): string | undefined {
  if (body.length > ERROR_BODY_MAX_BYTES) return undefined;
  try {
    const { code } = ERROR.parse(parseJson(body, ERROR_BODY_MAX_BYTES)).error;
    return FAILURE_CODES.includes(code) ? code : undefined;
  } catch {
    // For display only: an error in another form has no known code.
    return undefined;
  }
}

export function isEventStream({ headers }: Response): boolean {
  return /^text\/event-stream\b/i.test(headers.get('content-type') ?? '');
}

async function sendStream(
  answer: Response,
  response: ServerResponse,
  watcher: AnswerWatcher,
): Promise<Sent> {
  writeHead(answer, response);
  for (const [name, value] of SSE_HEADERS) response.setHeader(name, value);
  response.flushHeaders();
  const reader = answer.body?.getReader();
  let betweenEvents = true;
  let isDone = false;
  try {
    for (;;) {
      const step = await reader?.read();
      if (step === undefined || step.done) break;
      // Whoever has read `[DONE]` may leave with a whole answer: the rest, which is the bill, comes without it.
      if (response.destroyed && !isDone) return { outcome: 'left' };
      if (response.destroyed) continue;
      betweenEvents = endsEvent(step.value);
      isDone ||= endsDone(step.value) || beginsLastEvent(step.value);
      watcher.onPiece(eventsIn(step.value));
      if (response.write(step.value)) continue;
      if (!(await drainedInTime(response, watcher)) && !isDone) return { outcome: 'left' };
    }
  } catch (error) {
    if (response.destroyed) return { outcome: 'left' };
    await breakOff(error, response, betweenEvents);
    return { outcome: 'broken', error, status: response.statusCode };
  } finally {
    // Of a body that has ended this does nothing; whoever left must stop the worker.
    await reader?.cancel().catch(() => undefined);
  }
  await ended(response, watcher);
  return response.writableFinished || isDone ? { outcome: 'whole' } : { outcome: 'left' };
}

/** What failed before the status line. */
export async function sendFailure(error: unknown, response: ServerResponse): Promise<Response> {
  const failure = failureOfAny(error, response);
  if (response.destroyed || response.headersSent) return failure;
  writeHead(failure, response);
  response.setHeader('cache-control', 'no-store');
  response.end(await failure.clone().text());
  return failure;
}

/** A bug is said to be one, without its text. */
function failureOfAny(error: unknown, { req }: ServerResponse): Response {
  const [path = ''] = (req.url ?? '').split('?', 1);
  if (error instanceof VeilError) return failureResponse(error, path);
  const { status, body } = spokenFailure(path, openAiFailure('internal_error'));
  return Response.json(body, { status, headers: { 'x-should-retry': 'false' } });
}

/** An event can be said only where one has ended; the end without the last chunk says it to everybody. */
async function breakOff(
  error: unknown,
  response: ServerResponse,
  betweenEvents: boolean,
): Promise<void> {
  const { socket } = response;
  if (betweenEvents) {
    const said = await failureOfAny(error, response).text();
    // Anthropic's SDK reads named events only; OpenAI's knows an error by its data.
    const name = said.startsWith('{"type":"error"') ? 'event: error\n' : '';
    const event = `${name}data: ${said}\n\n`;
    response.write(event, () => socket?.destroySoon());
  } else socket?.destroySoon();
}

function writeHead(answer: Response, response: ServerResponse): void {
  response.statusCode = answer.status;
  for (const [name, value] of answer.headers) response.setHeader(name, value);
  if (!response.req.complete) response.setHeader('connection', 'close');
  if (!response.hasHeader('x-request-id')) response.setHeader('x-request-id', newRequestId());
  response.setHeader('x-content-type-options', 'nosniff');
}

/** Until everything was handed to the system, or the reader left. */
async function ended(
  response: ServerResponse,
  { slowReaderTimeoutMs }: AnswerWatcher,
  body?: Uint8Array,
): Promise<void> {
  if (response.destroyed) return;
  const done = new Promise<void>((resolve) => {
    response.once('finish', resolve);
    response.once('close', resolve);
  });
  const late = setTimeout(() => response.destroy(), slowReaderTimeoutMs);
  if (body === undefined) response.end();
  else response.end(body);
  await done;
  clearTimeout(late);
}

/** False: the reader left, or read nothing for too long and is cut. */
async function drainedInTime(
  response: ServerResponse,
  { slowReaderTimeoutMs }: AnswerWatcher,
): Promise<boolean> {
  const late = setTimeout(() => response.destroy(), slowReaderTimeoutMs);
  await drained(response);
  clearTimeout(late);
  return !response.destroyed;
}

/** The client lets it go only when the answer has verified to its end. */
function endsDone(bytes: Uint8Array): boolean {
  const from = bytes.length - SSE_DONE.length;
  return from >= 0 && equalPublic(bytes.subarray(from), SSE_DONE);
}

const LINE_FEED = 0x0a;

function endsEvent(bytes: Uint8Array): boolean {
  return bytes.at(-1) === LINE_FEED && bytes.at(-2) === LINE_FEED;
}

/** Blank lines: an event that is cut in two by pieces is counted late or not at all, and this is for display only. */
function eventsIn(bytes: Uint8Array): number {
  let events = 0;
  for (let at = bytes.indexOf(LINE_FEED); at !== -1; at = bytes.indexOf(LINE_FEED, at + 1)) {
    if (bytes[at + 1] === LINE_FEED) events++;
  }
  return events;
}
