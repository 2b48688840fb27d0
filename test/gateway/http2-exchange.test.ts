/**
 * Exchanges over HTTP/2 through a whole gateway: the same bytes as over HTTP/1.1 (C23), and what becomes of a worker whose
 * reader leaves, stalls, or whose own end is cut. Spec: openai-gateway-and-engine §2.4, §2.9.
 * @module
 */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { constants } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { concat, fromUtf8, utf8 } from '../../core/bytes.ts';
import { drained } from '../../gateway/drained.ts';
import { plainModeSealer } from '../../cli/plain-mode.ts';
import { openLab, type Lab } from '../support/gateway-lab.ts';
import { answerOf, askHttp2, openHttp2 } from '../support/http2.ts';
import { answering, receiptOf, type Script, type SxWorker } from '../support/sx-worker.ts';
import { until } from '../support/until.ts';

let lab: Lab;
let worker: SxWorker;
before(async () => {
  lab = await openLab({
    config: {
      listen: { httpPort: 0, httpsPort: 0 },
      plaintext: 'operator-can-read',
      limits: { slowReaderTimeoutMs: 1000 },
    },
    deps: { sealer: plainModeSealer },
  });
  worker = await lab.worker();
});
after(() => lab.close());

const CHAT = '/v1/chat/completions';

function chat(stream: boolean): Uint8Array {
  const messages = [{ role: 'user', content: 'hello' }];
  return utf8(JSON.stringify({ model: 'veilgate-demo', messages, stream }));
}

function events(...pieces: readonly string[]): Script {
  return {
    kind: 'answer',
    act: ({ opened, epoch, response }) => {
      const { responder } = opened;
      response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
      response.write(responder.head(200, [['content-type', 'text/event-stream']]));
      for (const piece of pieces) response.write(responder.data(utf8(piece)));
      response.write(receiptOf(opened, epoch).bytes);
      response.end(responder.final());
    },
  };
}

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

interface Heard {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Of one connection, or of one answer alone. */
const OWN_HEADERS: readonly string[] = [
  'date',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'x-request-id',
  'sx-request-id',
  'x-ratelimit-remaining-requests',
  'x-ratelimit-reset-requests',
];

function heard(status: number, headers: Iterable<[string, unknown]>, body: Uint8Array): Heard {
  const kept = [...headers]
    .filter(([name]) => !name.startsWith(':') && !OWN_HEADERS.includes(name))
    // The length of a whole answer; HTTP/1.1 may say it where HTTP/2 has its own end.
    .filter(([name]) => name !== 'content-length')
    .map(([name, value]): [string, string] => [name, String(value)])
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  // A list of models is dated by the moment that it was asked for.
  const text = fromUtf8(body).replaceAll(/"created":\d+/g, '"created":0');
  return { status, headers: Object.fromEntries(kept), body: text };
}

function lengthOf(body: Uint8Array | undefined) {
  return body === undefined ? {} : { 'content-length': String(body.length) };
}

async function overHttp2({ method, path, headers, body }: Asked): Promise<Heard> {
  const session = await openHttp2(lab.httpsPort);
  const asked = { ':method': method, ':path': path, ...headers, ...lengthOf(body) };
  const answer = await askHttp2(session, asked, body);
  session.close();
  assert.equal(answer.rstCode, 0);
  return heard(answer.status, Object.entries(answer.headers), answer.body);
}

function overHttp1({ method, path, headers, body }: Asked): Promise<Heard> {
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest(
      {
        host: '127.0.0.1',
        port: lab.httpsPort,
        path,
        method,
        agent: false,
        headers: { ...headers, ...lengthOf(body) },
        rejectUnauthorized: false,
      },
      (response) => {
        const chunks: Uint8Array[] = [];
        response.on('data', (chunk: Uint8Array) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const { statusCode = 0, headers: received } = response;
          resolve(heard(statusCode, Object.entries(received), concat(...chunks)));
        });
      },
    );
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

async function overCurl(asked: Asked, version: '--http1.1' | '--http2'): Promise<Heard> {
  const { method, path, headers, body } = asked;
  const { stdout } = await promisify(execFile)('curl', [
    '--silent',
    '--insecure',
    '--include',
    '--no-buffer',
    version,
    '--request',
    method,
    ...Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`]),
    ...(body === undefined ? [] : ['--data-binary', fromUtf8(body)]),
    `https://127.0.0.1:${lab.httpsPort}${path}`,
  ]);
  const end = stdout.indexOf('\r\n\r\n');
  const [line = '', ...lines] = stdout.slice(0, end).split('\r\n');
  const received = lines.map((text): [string, string] => {
    const at = text.indexOf(':');
    return [text.slice(0, at).toLowerCase(), text.slice(at + 1).trim()];
  });
  return heard(Number(line.split(' ')[1]), received, utf8(stdout.slice(end + 4)));
}

async function hasCurl(): Promise<boolean> {
  try {
    const { stdout } = await promisify(execFile)('curl', ['--version']);
    return stdout.includes('HTTP2');
  } catch {
    return false; // not on this machine: Node's two clients still say the same
  }
}

const authorization = (): string => `Bearer ${lab.apiKey}`;
const JSON_TYPE = { 'content-type': 'application/json' };
const CASES: readonly (readonly [string, () => Asked, Script?])[] = [
  ['a list', () => ({ method: 'GET', path: '/v1/models', headers: {} })],
  ['an unknown path', () => ({ method: 'GET', path: '/v1/files', headers: {} })],
  ['a wrong method', () => ({ method: 'DELETE', path: CHAT, headers: {} })],
  ['no key', () => ({ method: 'POST', path: CHAT, headers: JSON_TYPE, body: chat(false) })],
  [
    'a wrong type',
    () => ({
      method: 'POST',
      path: CHAT,
      headers: { authorization: authorization(), 'content-type': 'text/plain' },
      body: utf8('hello'),
    }),
  ],
  [
    'a body that is no JSON',
    () => ({
      method: 'POST',
      path: CHAT,
      headers: { authorization: authorization(), ...JSON_TYPE },
      body: utf8('{"model"'),
    }),
  ],
  [
    'a whole answer',
    () => ({
      method: 'POST',
      path: CHAT,
      headers: { authorization: authorization(), ...JSON_TYPE },
      body: chat(false),
    }),
    answering('{"object":"chat.completion","choices":[]}'),
  ],
  [
    'a stream',
    () => ({
      method: 'POST',
      path: CHAT,
      headers: { authorization: authorization(), ...JSON_TYPE },
      body: chat(true),
    }),
    events('data: {"n":1}\n\n', 'data: {"n":2}\n\n', 'data: [DONE]\n\n'),
  ],
  [
    'a sealed request that is none',
    () => ({
      method: 'POST',
      path: '/sx/v1/exchange',
      headers: { authorization: authorization(), 'content-type': 'application/vnd.sx1.req' },
      body: utf8('not sealed at all'),
    }),
  ],
];

for (const [name, asked, script] of CASES) {
  test(`C23: HTTP/2 and HTTP/1.1 give the same bytes: ${name}`, async () => {
    if (script !== undefined) worker.script = script;
    const plain = await overHttp1(asked());
    assert.ok(plain.status > 0);
    assert.deepEqual(await overHttp2(asked()), plain);
    if (!(await hasCurl())) return;
    assert.deepEqual(await overCurl(asked(), '--http2'), plain);
    assert.deepEqual(await overCurl(asked(), '--http1.1'), plain);
  });
}

/** One stream, with a worker that begins an answer and waits. */
async function begun(plain: boolean) {
  const started = Promise.withResolvers<void>();
  worker.script = {
    kind: 'answer',
    act: ({ opened, response }) => {
      response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
      response.write(opened.responder.head(200, [['content-type', 'text/event-stream']]));
      response.write(opened.responder.data(utf8('data: {"n":1}\n\n')));
      started.resolve();
    },
  };
  const session = await openHttp2(lab.httpsPort);
  const body = plain ? chat(true) : lab.seal(lab.keysOf(worker), '{}', { stream: true }).bytes;
  const stream = session.request({
    ':method': 'POST',
    ':path': plain ? CHAT : '/sx/v1/exchange',
    authorization: authorization(),
    'content-type': plain ? 'application/json' : 'application/vnd.sx1.req',
    ...lengthOf(body),
  });
  return { session, stream, body, started: started.promise };
}

for (const mode of ['convenience', 'sealed'] as const) {
  test(`a reader that resets its stream stops the worker: ${mode}`, async () => {
    const { session, stream, body, started } = await begun(mode === 'convenience');
    stream.on('error', () => undefined);
    const abortedBefore = worker.seen.aborted;
    const head = new Promise((resolve) => {
      stream.once('data', resolve);
    });
    stream.end(body);
    await Promise.all([started, head]);
    stream.close(constants.NGHTTP2_CANCEL);
    await until(() => worker.seen.aborted === abortedBefore + 1);
    assert.equal(session.destroyed, false);
    session.close();
  });
}

test('an answer that its worker cuts is an event that says so, and an error of the stream', async () => {
  worker.script = {
    kind: 'answer',
    act: ({ opened, response }) => {
      response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
      response.write(opened.responder.head(200, [['content-type', 'text/event-stream']]));
      response.write(opened.responder.data(utf8('data: {"n":1}\n\n')), () => response.destroy());
    },
  };
  const session = await openHttp2(lab.httpsPort);
  const headers = { ':method': 'POST', ':path': CHAT, authorization: authorization() };
  const { status, body, rstCode } = await askHttp2(
    session,
    { ...headers, 'content-type': 'application/json' },
    chat(true),
  );
  assert.equal(status, 200);
  assert.match(fromUtf8(body), /"error"/);
  assert.ok(!fromUtf8(body).includes('[DONE]'));
  assert.equal(rstCode, constants.NGHTTP2_INTERNAL_ERROR);
  session.close();
});

const PIECE = new Uint8Array(32_768);
/** What lies between a worker and a reader on one machine: two pairs of sockets and a window. */
const BETWEEN_MAX_BYTES = 16_777_216;

test('a reader whose window stays shut stops the worker, and costs the gateway no memory', async () => {
  let written = 0;
  let isStuck = false;
  const link = { isGone: false };
  worker.script = {
    kind: 'answer',
    act: async ({ opened, response }) => {
      response.once('close', () => {
        link.isGone = true;
      });
      response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
      response.write(opened.responder.head(200, [['content-type', 'text/event-stream']]));
      while (!link.isGone && written < BETWEEN_MAX_BYTES * 2) {
        written += PIECE.length;
        if (response.write(opened.responder.data(PIECE))) continue;
        isStuck = true;
        await drained(response);
      }
    },
  };
  const session = await openHttp2(lab.httpsPort);
  const { bytes } = lab.seal(lab.keysOf(worker), '{}', { stream: true });
  const stream = session.request({
    ':method': 'POST',
    ':path': '/sx/v1/exchange',
    authorization: authorization(),
    'content-type': 'application/vnd.sx1.req',
    ...lengthOf(bytes),
  });
  // Nobody listens for data, so Node gives the peer no window beyond the first.
  stream.on('error', () => undefined);
  stream.end(bytes);
  await until(() => link.isGone);
  assert.ok(isStuck);
  assert.ok(written < BETWEEN_MAX_BYTES, `${written}`);
  // Other streams of the same connection are served meanwhile.
  assert.equal((await askHttp2(session, { ':path': '/v1/models' })).status, 200);
  const rest = answerOf(stream);
  await rest;
  session.destroy();
});
