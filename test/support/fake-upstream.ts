/**
 * A server that speaks OpenAI's API as an engine beside a worker does, over real HTTP: well behaved until a test gives it a
 * script for the answers to come. @module
 */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { assert } from '../../core/errors.ts';
import { parseJson } from '../../core/json.ts';
import { answerWell, embedWell } from './fake-upstream-answers.ts';

export interface FakeAsked {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Readonly<Record<string, unknown>>;
}

/** One answer, in the hands of a script. */
export interface FakeExchange {
  readonly asked: FakeAsked;
  readonly res: ServerResponse;
  /** Headers of a stream. */
  readonly begin: () => void;
  /** Raw text of the body; waits while the reader is slow. False: the reader has gone. */
  readonly write: (text: string | Uint8Array) => Promise<boolean>;
  /** `data: <json>` and an empty line. */
  readonly event: (json: unknown) => Promise<boolean>;
  /** A chunk with one choice. */
  readonly chunk: (choice: object, more?: object) => Promise<boolean>;
  readonly done: () => Promise<void>;
  readonly isGone: () => boolean;
  /** Resolves when the reader has gone. */
  readonly gone: Promise<void>;
}

export type FakeScript = (exchange: FakeExchange) => Promise<void>;

export interface FakeUpstreamOptions {
  readonly model?: string;
  readonly contextTokens?: number;
  /** Absent: any free port of the loopback interface. */
  readonly socketPath?: string;
  /** Members that it refuses with 400, as a server that was started without them does. */
  readonly refuses?: readonly string[];
}

export class FakeUpstream {
  readonly asked: FakeAsked[] = [];
  model: string;
  contextTokens: number;
  refuses: readonly string[];
  /** Takes the place of an answer; undefined: it behaves. */
  script: FakeScript | undefined;
  /** Takes the place of everything else, by path. */
  readonly routes = new Map<string, (res: ServerResponse) => void>();
  /** Goes on writing for nobody. */
  ignoresAborts = false;
  /** Of how many answers it says that it writes them. */
  running = 0;
  /** Of prompts that were seen before, whatever the salt. */
  cachedTokens = 0;
  #url = '';
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((req, res) => void this.#serve(req, res));

  constructor({ model = 'fake/model', contextTokens = 8192, refuses = [] }: FakeUpstreamOptions) {
    this.model = model;
    this.contextTokens = contextTokens;
    this.refuses = refuses;
  }

  get url(): string {
    return this.#url;
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#sockets.size;
  }

  async listen(socketPath?: string): Promise<void> {
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    if (socketPath === undefined) this.#server.listen(0, '127.0.0.1');
    else this.#server.listen(socketPath);
    await once(this.#server, 'listening');
    const address: AddressInfo | string | null = this.#server.address();
    const isPort = typeof address === 'object' && address !== null;
    this.#url = isPort ? `http://127.0.0.1:${address.port}` : 'http://localhost';
  }

  /** Ends every connection too. */
  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = req.url ?? '';
    const route = this.routes.get(path);
    if (route !== undefined) {
      req.resume();
      route(res);
      return;
    }
    if (req.method === 'GET') {
      this.#tell(path, res);
      return;
    }
    const bytes: Uint8Array[] = [];
    for await (const chunk of req) if (chunk instanceof Uint8Array) bytes.push(chunk);
    const json = parseJson(Buffer.concat(bytes), 16 * 1_048_576);
    assert(typeof json === 'object' && json !== null, 'a body of JSON');
    const asked = { path, headers: req.headers, body: { ...json } };
    if (path === '/tokenize') {
      reply(res, 200, { count: tokensIn(asked.body), max_model_len: this.contextTokens });
      return;
    }
    this.asked.push(asked);
    await this.#answer(asked, res);
  }

  #tell(path: string, res: ServerResponse): void {
    if (path === '/health') reply(res, 200, { status: 'ok' });
    else if (path === '/metrics') {
      res.writeHead(200, { 'content-type': 'text/plain' });
      res.end(
        `# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{engine="0"} ${this.running}\n`,
      );
    } else if (path === '/v1/models') {
      const data = [{ id: this.model, object: 'model', max_model_len: this.contextTokens }];
      reply(res, 200, { object: 'list', data });
    } else reply(res, 404, { error: { message: 'not here' } });
  }

  async #answer(asked: FakeAsked, res: ServerResponse): Promise<void> {
    const refused = this.refuses.find((member) => Object.hasOwn(asked.body, member));
    if (refused !== undefined) {
      reply(res, 400, { error: { message: `${refused} is not taken`, type: 'BadRequestError' } });
      return;
    }
    if (asked.path === '/v1/embeddings') {
      reply(res, 200, embedWell(asked.body, this.model));
      return;
    }
    this.running++;
    const exchange = exchangeOf(asked, res, this.model);
    try {
      await (this.script ?? ((on) => answerWell(on, this)))(exchange);
    } finally {
      if (!this.ignoresAborts || !exchange.isGone()) this.running--;
    }
  }
}

export async function startFakeUpstream(options: FakeUpstreamOptions = {}): Promise<FakeUpstream> {
  const upstream = new FakeUpstream(options);
  await upstream.listen(options.socketPath);
  return upstream;
}

export function reply(res: ServerResponse, status: number, json: unknown): void {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(json));
}

/** A word is a token; whatever is around it counts for four. */
export function tokensIn(body: Readonly<Record<string, unknown>>): number {
  const { messages, prompt } = body;
  const words = JSON.stringify(messages ?? prompt ?? '').split(/\s+/);
  return words.length + 4;
}

function exchangeOf(asked: FakeAsked, res: ServerResponse, model: string): FakeExchange {
  let isGone = false;
  const gone = new Promise<void>((resolve) => {
    res.once('close', () => {
      isGone = !res.writableFinished;
      if (isGone) resolve();
    });
  });
  const write = async (text: string | Uint8Array): Promise<boolean> => {
    if (isGone) return false;
    if (res.write(text)) await new Promise((resolve) => void setImmediate(resolve));
    else await Promise.race([once(res, 'drain'), gone]);
    return !isGone;
  };
  const event = (json: unknown): Promise<boolean> => write(`data: ${JSON.stringify(json)}\n\n`);
  const isChat = asked.path === '/v1/chat/completions';
  const object = isChat ? 'chat.completion.chunk' : 'text_completion';
  return {
    asked,
    res,
    begin: () => {
      res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
      res.flushHeaders();
    },
    write,
    event,
    chunk: (choice, more = {}) =>
      event({ id: 'c', object, created: 1, model, choices: [choice], ...more }),
    done: async () => {
      await write('data: [DONE]\n\n');
      res.end();
    },
    isGone: () => isGone,
    gone,
  };
}
