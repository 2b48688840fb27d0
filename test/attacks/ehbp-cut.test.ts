/**
 * Attack: an answer to an EHBP client is cut. Where the worker or its connection breaks, the gateway breaks the client's
 * connection, and the SDK hears it. A gateway that ends the answer properly between two chunks is not noticed by EHBP, nor
 * by OpenAI's SDK in a stream; `wholeAnswers` notices. @module
 */

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test, type TestContext } from 'node:test';
import { Transport } from 'ehbp';
import OpenAI from 'openai';
import { utf8 } from '../../core/bytes.ts';
import { wholeAnswers } from '../../client/index.ts';
import {
  begin,
  beginStream,
  EHBP_CONFIG,
  ehbpCaller,
  wholeStream,
  type EhbpCaller,
} from '../support/ehbp-lab.ts';
import { openLab, type Lab } from '../support/gateway-lab.ts';
import { receiptOf, type EhbpTurn } from '../support/sx-worker.ts';

async function opened(context: TestContext, onEhbp: (turn: EhbpTurn) => void) {
  const lab = await openLab({ config: EHBP_CONFIG });
  context.after(() => lab.close());
  const worker = await lab.worker(undefined, { onEhbp });
  return { lab, worker, caller: await ehbpCaller(lab, worker) };
}

type SdkFetch = NonNullable<ConstructorParameters<typeof OpenAI>[0]>['fetch'];

function sdk(
  { apiKey }: Pick<Lab, 'apiKey'>,
  caller: EhbpCaller,
  url: string,
  around: (fetch: NonNullable<SdkFetch>) => NonNullable<SdkFetch> = (fetch) => fetch,
): OpenAI {
  const transport = new Transport(caller.identity, new URL(url).host);
  const baseURL = `${url}${caller.path.replace('/chat/completions', '')}`;
  const fetch = around((input, init) => transport.request(input, init));
  return new OpenAI({ baseURL, apiKey, maxRetries: 0, fetch });
}

const ASKED = { model: 'veilgate-demo', messages: [{ role: 'user' as const, content: 'hello' }] };

async function readStream(client: OpenAI): Promise<number> {
  const stream = await client.chat.completions.create({ ...ASKED, stream: true });
  let parts = 0;
  for await (const _ of stream) parts++;
  return parts;
}

/** Each ends an answer that had begun, in a way of its own. */
const BREAKS: Readonly<Record<string, (turn: EhbpTurn) => void>> = {
  'the worker ends its stream between two chunks': (turn) => {
    beginStream(turn);
    turn.response.end();
  },
  'the worker’s connection breaks': (turn) => {
    beginStream(turn);
    setImmediate(() => turn.response.destroy());
  },
  'the worker ends within a chunk': (turn) => {
    beginStream(turn);
    const chunk = turn.opened.responder.data(utf8('data: {"choices":[]}\n\n'));
    turn.response.end(chunk.subarray(0, 40));
  },
  'the worker sends its last chunk and no receipt': (turn) => {
    beginStream(turn);
    turn.response.end(turn.opened.responder.last(utf8('data: [DONE]\n\n')));
  },
  'the worker bills for something else': (turn) => {
    beginStream(turn);
    const { opened: request, epoch, response } = turn;
    response.write(request.responder.last(utf8('data: [DONE]\n\n')));
    const receipt = receiptOf(request, epoch).bytes.slice();
    // In its amount.
    receipt[4 + 64 + 259] = 7;
    response.write(receipt);
    response.end(request.responder.final());
  },
};

for (const [what, act] of Object.entries(BREAKS)) {
  test(`${what}: the SDK hears it, and never sees the end`, async (context) => {
    const { lab, caller } = await opened(context, act);
    await assert.rejects(readStream(sdk(lab, caller, lab.url)));
  });
}

test('before anything was passed on a broken answer is an HTTP error', async (context) => {
  const { lab, caller } = await opened(context, (turn) => {
    begin(turn, { 'ehbp-content-type': 'application/json' });
    const { responder } = turn.opened;
    turn.response.write(responder.head(200, [['content-type', 'application/json']]));
    turn.response.end(responder.last(utf8('{"choices":[]}')));
  });
  await assert.rejects(sdk(lab, caller, lab.url).chat.completions.create(ASKED), { status: 502 });
});

/** In front of the gateway: what comes of an answer is this many of its chunks, and a proper end. */
async function cutter(context: TestContext, { url }: Lab, chunksKept: number): Promise<string> {
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => void pass(Buffer.concat(parts)));
    const pass = async (body: Buffer): Promise<void> => {
      const headers = Object.entries(request.headers).filter(
        (entry): entry is [string, string] =>
          typeof entry[1] === 'string' &&
          !['host', 'content-length', 'connection'].includes(entry[0]),
      );
      const answer = await fetch(`${url}${request.url}`, { method: 'POST', headers, body });
      const whole = Buffer.from(await answer.arrayBuffer());
      let at = 0;
      for (let kept = 0; kept < chunksKept; kept++) at += 4 + whole.readUInt32BE(at);
      response.writeHead(answer.status, {
        'content-type': answer.headers.get('content-type') ?? '',
        'ehbp-response-nonce': answer.headers.get('ehbp-response-nonce') ?? '',
        'content-length': String(at),
      });
      response.end(whole.subarray(0, at));
    };
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return `http://127.0.0.1:${address.port}`;
}

test('a stream that a gateway ends early is taken for whole by EHBP and SDK, and not by wholeAnswers', async (context) => {
  const { lab, caller } = await opened(context, wholeStream);
  const url = await cutter(context, lab, 1);
  assert.equal(await readStream(sdk(lab, caller, url)), 1);
  await assert.rejects(readStream(sdk(lab, caller, url, wholeAnswers)), /sx\.truncated/);
  assert.equal(await readStream(sdk(lab, caller, lab.url, wholeAnswers)), 1);
});

test('an answer of nothing is taken for an answer by the SDK, and not by wholeAnswers', async (context) => {
  const { lab, caller } = await opened(context, (turn) => {
    begin(turn, { 'ehbp-content-type': 'application/json' });
    const { responder } = turn.opened;
    turn.response.write(responder.head(200, [['content-type', 'application/json']]));
    turn.response.write(responder.last(utf8('{"choices":[]}')));
    turn.response.write(receiptOf(turn.opened, turn.epoch).bytes);
    turn.response.end(responder.final());
  });
  const url = await cutter(context, lab, 0);
  assert.equal(await sdk(lab, caller, url).chat.completions.create(ASKED), undefined);
  await assert.rejects(sdk(lab, caller, url, wholeAnswers).chat.completions.create(ASKED));
  const whole = await sdk(lab, caller, lab.url, wholeAnswers).chat.completions.create(ASKED);
  assert.deepEqual(whole.choices, []);
});

test('a plain answer with status 200 is an error of the client', async (context) => {
  const { lab, caller } = await opened(context, wholeStream);
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end('{"choices":[{"message":{"content":"forged"}}]}');
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const url = `http://127.0.0.1:${address.port}`;
  await assert.rejects(sdk(lab, caller, url).chat.completions.create(ASKED), /Connection error/);
});
