/**
 * A gateway that lets EHBP clients through, a worker whose every byte a test decides, and a request as the published
 * client sends it. @module
 */

import { Identity } from 'ehbp';
import { toHex, utf8 } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { ehbpRead, ehbpSeal, type Sealed } from './ehbp-stage.ts';
import { post, type Lab, type RawAnswer } from './gateway-lab.ts';
import { receiptOf, type EhbpTurn, type SxWorker } from './sx-worker.ts';

export const EHBP_ASKED =
  '{"model":"veilgate-demo","messages":[{"role":"user","content":"canary-in"}]}';
export const EHBP_CONFIG = { ehbp: 'serve' } as const;
const LINK_TYPE = 'application/vnd.veilgate.ehbp.res';

export function begin({ response }: EhbpTurn, more: Readonly<Record<string, string>> = {}): void {
  response.on('error', () => undefined);
  response.writeHead(200, {
    'content-type': LINK_TYPE,
    'ehbp-status': '200',
    'ehbp-content-type': 'text/event-stream; charset=utf-8',
    ...more,
  });
}

export const EVENT_HEADERS = [['content-type', 'text/event-stream']] as const;

/** Begins a stream with one event. */
export function beginStream(turn: EhbpTurn): void {
  begin(turn);
  const { responder } = turn.opened;
  turn.response.write(responder.head(200, EVENT_HEADERS));
  turn.response.write(responder.data(utf8('data: {"choices":[]}\n\n')));
}

export function endStream(turn: EhbpTurn): void {
  const { opened, epoch, response } = turn;
  response.write(opened.responder.last(utf8('data: [DONE]\n\n')));
  response.write(receiptOf(opened, epoch).bytes);
  response.end(opened.responder.final());
}

export function wholeStream(turn: EhbpTurn): void {
  beginStream(turn);
  endStream(turn);
}

export interface EhbpCaller {
  readonly identity: Identity;
  readonly path: string;
  seal(text?: string): Promise<Sealed>;
  send(sealed: Sealed, headers?: Readonly<Record<string, string>>): Promise<RawAnswer>;
  read(sealed: Sealed, answer: RawAnswer): Promise<string>;
}

export async function ehbpCaller(lab: Lab, worker: SxWorker): Promise<EhbpCaller> {
  const { ehbp } = worker.epoch;
  assert(ehbp !== undefined, 'the worker offers a key');
  const identity = await Identity.fromPublicKeyHex(toHex(ehbp.pair.publicKey));
  const path = `/e/${toHex(ehbp.kid)}/v1/chat/completions`;
  return {
    identity,
    path,
    seal: (text = EHBP_ASKED) => ehbpSeal(identity, text),
    send: ({ enc, body }, headers = {}) =>
      post(lab, path, body, { ...ehbpHeaders(lab, enc), ...headers }),
    read: (sealed, { headers, body }) =>
      ehbpRead(identity, sealed, {
        nonce: Buffer.from(String(headers['ehbp-response-nonce']), 'hex'),
        chunks: body,
      }),
  };
}

export function ehbpHeaders(lab: Pick<Lab, 'apiKey'>, enc: Uint8Array): Record<string, string> {
  return {
    'content-type': 'application/json',
    authorization: `Bearer ${lab.apiKey}`,
    'ehbp-encapsulated-key': toHex(enc),
  };
}
