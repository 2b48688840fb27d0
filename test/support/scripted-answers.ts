/** What a scripted worker answers on every surface, as the product's own code words it. @module */

import { utf8 } from '../../core/bytes.ts';
import { parseJson } from '../../core/json.ts';
import { frontAt } from '../../protocol/fronts.ts';
import type { OpenedRequest } from '../../protocol/sx/open.ts';
import { typedEvents } from '../../protocol/typed-event.ts';
import { chunksOf, completionOf, decodedBy } from './chat-front.ts';
import { receiptOf } from './sx-worker.ts';
import type { Epoch } from '../../enclave-worker/keys.ts';

const SCRIPT = { text: 'a whole answer' };
const BODY_MAX_BYTES = 65_536;

/** Event by event, or the one body. */
export function scriptedPieces(
  path: string,
  body: Uint8Array,
  streams: boolean,
): readonly Uint8Array[] {
  const front = frontAt(path);
  if (front === undefined) {
    if (!streams) return [utf8(JSON.stringify(completionOf(SCRIPT)))];
    const events = chunksOf(SCRIPT).map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`);
    return [...events, 'data: [DONE]\n\n'].map((event) => utf8(event));
  }
  const request = decodedBy(front, parseJson(body, BODY_MAX_BYTES));
  if (!streams) return [utf8(JSON.stringify(request.whole(completionOf(SCRIPT))))];
  const stream = request.stream();
  const events = [...chunksOf(SCRIPT).flatMap((chunk) => stream.push(chunk)), ...stream.end()];
  return events.map((event) => typedEvents([event]));
}

/** Head, one frame per event, receipt, FINAL. */
export function sealedPieces(opened: OpenedRequest, epoch: Epoch): readonly Uint8Array[] {
  const { inner, prelude, responder } = opened;
  if (inner.kind !== 'request') throw new Error('the scripted worker takes what it is asked');
  const { path, body } = inner.request;
  const streams = prelude.flags.stream;
  const type = streams ? 'text/event-stream; charset=utf-8' : 'application/json';
  return [
    responder.head(200, [['content-type', type]]),
    ...scriptedPieces(path, body, streams).map((piece) => responder.data(piece)),
    receiptOf(opened, epoch).bytes,
    responder.final(),
  ];
}
