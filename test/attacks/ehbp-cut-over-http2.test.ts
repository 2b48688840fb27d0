/**
 * Attack: an answer to an EHBP client over HTTP/2 is cut. EHBP has no end mark, so the stream itself must end with an error; Node's
 * own classes would end it as if it were whole. The same for a request that is cut on its way in. @module
 */

import assert from 'node:assert/strict';
import { constants } from 'node:http2';
import { after, before, test } from 'node:test';
import { utf8 } from '../../core/bytes.ts';
import {
  beginStream,
  EHBP_CONFIG,
  ehbpCaller,
  ehbpHeaders,
  wholeStream,
  type EhbpCaller,
} from '../support/ehbp-lab.ts';
import { openLab, type Lab } from '../support/gateway-lab.ts';
import { answerOf, askHttp2, openHttp2, type StreamAnswer } from '../support/http2.ts';
import type { EhbpTurn } from '../support/sx-worker.ts';

let lab: Lab;
let caller: EhbpCaller;
let act: (turn: EhbpTurn) => void = wholeStream;
let turns = 0;
before(async () => {
  lab = await openLab({ config: { ...EHBP_CONFIG, listen: { httpPort: 0, httpsPort: 0 } } });
  const onEhbp = (turn: EhbpTurn): void => {
    turns++;
    act(turn);
  };
  caller = await ehbpCaller(lab, await lab.worker(undefined, { onEhbp }));
});
after(() => lab.close());

type Session = Awaited<ReturnType<typeof openHttp2>>;

async function over<Value>(work: (session: Session) => Promise<Value>): Promise<Value> {
  const session = await openHttp2(lab.httpsPort);
  try {
    return await work(session);
  } finally {
    session.destroy();
  }
}

async function ask(): Promise<StreamAnswer> {
  const { enc, body } = await caller.seal();
  return over((session) =>
    askHttp2(session, { ':method': 'POST', ':path': caller.path, ...ehbpHeaders(lab, enc) }, body),
  );
}

test('a whole answer ends as it should', async () => {
  act = wholeStream;
  const { status, rstCode, body } = await ask();
  assert.deepEqual([status, rstCode], [200, constants.NGHTTP2_NO_ERROR]);
  assert.ok(body.length > 0);
});

const BREAKS: Readonly<Record<string, (turn: EhbpTurn) => void>> = {
  'the worker ends its stream between two chunks': (turn) => {
    beginStream(turn);
    turn.response.end();
  },
  'the worker’s connection breaks': (turn) => {
    beginStream(turn);
    setImmediate(() => turn.response.destroy());
  },
  'the worker sends its last chunk and no receipt': (turn) => {
    beginStream(turn);
    turn.response.end(turn.opened.responder.last(utf8('data: [DONE]\n\n')));
  },
};

for (const [what, breaking] of Object.entries(BREAKS)) {
  test(`${what}: the stream ends with an error`, async () => {
    act = breaking;
    const { rstCode } = await ask();
    assert.notEqual(rstCode, constants.NGHTTP2_NO_ERROR);
  });
}

test('a request that is cut goes to no worker', async () => {
  act = wholeStream;
  const { enc, body } = await caller.seal();
  const before = turns;
  await over(async (session) => {
    const headers = { ':method': 'POST', ':path': caller.path, ...ehbpHeaders(lab, enc) };
    const stream = session.request(headers, { endStream: false });
    const answer = answerOf(stream);
    // All of it, and no end: there might have been more.
    stream.write(body, () => stream.close(constants.NGHTTP2_CANCEL));
    await answer;
    // Whatever comes behind it on the same session is served.
    const other = await caller.seal();
    const next = { ':method': 'POST', ':path': caller.path, ...ehbpHeaders(lab, other.enc) };
    assert.equal((await askHttp2(session, next, other.body)).status, 200);
  });
  assert.equal(turns, before + 1);
});
