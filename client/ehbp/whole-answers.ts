/**
 * What EHBP does not promise and SDKs do not ask for: that an answer is whole. A stream without its end mark, and an answer
 * of nothing, become errors. It stands between an SDK and the `fetch` of an EHBP transport, and is judged by what was asked:
 * headers of an answer are anybody's. Spec: docs/ehbp.md "What is not promised".
 * @module
 */

import { utf8 } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { endpointAt } from '../../protocol/openai/endpoints.ts';
import { decodeEnvelope } from '../../protocol/openai/envelope.ts';
import { sxError } from '../../protocol/sx/errors.ts';
import { DoneGate } from '../done-gate.ts';
import { clientError } from '../errors.ts';
import { REQUEST_BODY_MAX_BYTES } from '../limits.ts';

type SdkFetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** Of requests to OpenAI's paths as SDKs make them, with a body of text. Throws `client.request` for other bodies. */
export function wholeAnswers(fetch: SdkFetch): SdkFetch {
  return async (input, init) => {
    const isStream = asksForStream(input, init);
    const response = await fetch(input, init);
    if (isStream === undefined || !response.ok) return response;
    // As of 204, to which an SDK has no questions: whoever writes the status writes that.
    if (response.body === null) throw sxError('sx.truncated');
    const headers = new Headers(response.headers);
    // An SDK that reads zero here does not look any further.
    headers.delete('content-length');
    // Nor does one that reads of another type parse what it is given: half an object would be a text.
    headers.set('content-type', isStream ? 'text/event-stream' : 'application/json');
    const { status, statusText } = response;
    const body = response.body.pipeThrough(isStream ? toItsMark() : notNothing());
    return new Response(body, { status, statusText, headers });
  };
}

/** Undefined: nothing was asked of a model. */
function asksForStream(
  input: string | URL | Request,
  init: RequestInit | undefined,
): boolean | undefined {
  const body = init?.body ?? undefined;
  if (body === undefined && !(input instanceof Request && input.body !== null)) return undefined;
  const url = input instanceof Request ? input.url : String(input);
  const endpoint = endpointAt(new URL(url).pathname.replace(/^\/e\/[0-9a-f]{32}/, ''));
  if (endpoint === undefined || typeof body !== 'string') {
    throw clientError('client.request', 'only text to the paths of OpenAI and Anthropic');
  }
  try {
    return decodeEnvelope(endpoint.path, utf8(body), REQUEST_BODY_MAX_BYTES).mode === 'stream';
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    // Whatever is wrong with it, the worker says so in words that an SDK knows.
    return false;
  }
}

function toItsMark(): TransformStream<Uint8Array, Uint8Array> {
  const gate = new DoneGate();
  const last = new LastEvent();
  return new TransformStream({
    transform: (chunk, controller) => {
      // Chunks are authenticated and numbered: where the mark is, all before it has come.
      if (gate.isClosed) last.take(chunk);
      else {
        gate.pass(chunk);
        if (gate.isClosed) last.take(gate.release());
      }
      controller.enqueue(chunk);
    },
    flush: () => {
      if (!last.isWhole) throw sxError('sx.truncated');
    },
  });
}

/** The mark only begins it, and it may be longer than a chunk: of one without its empty line SDKs say nothing. */
class LastEvent {
  #atLineStart = false;
  #isWhole = false;

  get isWhole(): boolean {
    return this.#isWhole;
  }

  take(bytes: Uint8Array): void {
    for (const byte of bytes) {
      const isLineEnd = byte === LINE_FEED;
      this.#isWhole ||= isLineEnd && this.#atLineStart;
      this.#atLineStart = isLineEnd;
    }
  }
}

const LINE_FEED = 0x0a;

function notNothing(): TransformStream<Uint8Array, Uint8Array> {
  let isNothing = true;
  return new TransformStream({
    transform: (chunk, controller) => {
      isNothing = false;
      controller.enqueue(chunk);
    },
    flush: () => {
      if (isNothing) throw sxError('sx.truncated');
    },
  });
}
