/** A peer whose body was refused is cut when it never ends; that a refusal arrives is in test/conformance/raw.test.ts. @module */

import assert from 'node:assert/strict';
import { Agent, createServer, request as httpRequest, type RequestListener } from 'node:http';
import { after, test, type TestContext } from 'node:test';
import { dropRest, type RestLimits } from '../../gateway/refused-body.ts';
import { portOf } from '../support/relay.ts';

const PIECE = new Uint8Array(65_536);
const LONG_MS = 600_000;
/** As SDKs have it: a connection that is to end with the answer ends with the answer. */
const agent = new Agent({ keepAlive: true });
after(() => agent.destroy());

async function refusingServer(context: TestContext, limits: RestLimits): Promise<number> {
  const refuse: RequestListener = (request, response) => {
    // Some of it has been looked at, as by a reader that then finds it too long.
    request.once('data', () => {
      request.pause();
      response.writeHead(413).end('too large');
      dropRest(request, limits);
    });
  };
  const server = createServer(refuse);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return portOf(server);
}

interface Sent {
  readonly status: number;
  readonly end: 'whole' | 'cut';
}

/** So many pieces, as fast as they are taken, whatever is answered. */
function send(port: number, pieces: number): Promise<Sent> {
  const { promise, resolve } = Promise.withResolvers<Sent>();
  let status = 0;
  let left = pieces;
  const request = httpRequest({ port, host: '127.0.0.1', method: 'POST', agent });
  request.on('response', (response) => {
    status = response.statusCode ?? 0;
    response.resume();
  });
  const more = (): void => {
    while (left > 0) {
      left--;
      if (!request.write(PIECE)) {
        request.once('drain', more);
        return;
      }
    }
    request.end(() => resolve({ status, end: 'whole' }));
  };
  request.on('error', () => resolve({ status, end: 'cut' }));
  request.on('close', () => resolve({ status, end: left === 0 ? 'whole' : 'cut' }));
  more();
  return promise;
}

test('a peer that sends more than the bound is cut', async (context) => {
  const port = await refusingServer(context, { maxBytes: PIECE.length * 2, lingerMs: LONG_MS });
  const { end } = await send(port, 10_000);
  assert.equal(end, 'cut');
});

test('a peer that sends nothing more is cut after a while', async (context) => {
  const port = await refusingServer(context, { maxBytes: PIECE.length * 200, lingerMs: 50 });
  const request = httpRequest({ port, host: '127.0.0.1', method: 'POST', agent });
  const cut = new Promise<void>((resolve) => {
    request.on('error', () => undefined);
    request.on('close', () => resolve());
  });
  request.on('response', (response) => response.resume());
  request.write(PIECE);
  await cut;
});
