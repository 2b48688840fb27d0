/**
 * A headless Chromium, driven over its own debugging socket, and the pages it visits. Spec: Chrome DevTools Protocol
 * (Target, Page, Runtime).
 * @module
 */

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { utf8 } from '../../core/bytes.ts';
import { parseJson } from '../../core/json.ts';
import { portOf } from './relay.ts';

const NAMES = ['chromium', 'chromium-browser', 'chromium-headless-shell', 'google-chrome'];
const FOLDERS = ['/usr/bin', '/usr/local/bin', '/snap/bin'];
const MESSAGE_MAX_BYTES = 8_388_608;
const START_TIMEOUT_MS = 30_000;
const CLOSE_TIMEOUT_MS = 5000;

/** Undefined where there is none: Debian has it as `chromium`. */
export function findBrowser(): string | undefined {
  return FOLDERS.flatMap((folder) => NAMES.map((name) => join(folder, name))).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false; // not there: an answer
    }
  });
}

export interface Browser {
  open(url: string): Promise<Tab>;
  close(): Promise<void>;
}

export interface Tab {
  /** The body of an async function that runs in the page; what it returns comes back as JSON. */
  run(body: string): Promise<unknown>;
}

const REPLY = z.object({
  id: z.int().optional(),
  method: z.string().optional(),
  sessionId: z.string().optional(),
  result: z.looseObject({}).optional(),
  error: z.object({ message: z.string() }).optional(),
});

class Connection {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<object>>();
  readonly #awaited = new Map<string, () => void>();
  #last = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => this.#take(String(data)));
    socket.addEventListener('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the browser is gone'));
    });
  }

  static async to(url: string): Promise<Connection> {
    const socket = new WebSocket(url);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.addEventListener('open', () => resolve());
    socket.addEventListener('error', () => reject(new Error('no line to the browser')));
    await promise;
    return new Connection(socket);
  }

  send(method: string, params: object = {}, sessionId?: string): Promise<object> {
    const id = ++this.#last;
    const waiting = Promise.withResolvers<object>();
    this.#waiting.set(id, waiting);
    this.#socket.send(JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) }));
    return waiting.promise;
  }

  /** Of one session, once. */
  event(method: string, sessionId: string): Promise<void> {
    return new Promise((resolve) => this.#awaited.set(`${method} ${sessionId}`, resolve));
  }

  close(): void {
    this.#socket.close();
  }

  #take(text: string): void {
    const message = REPLY.parse(parseJson(utf8(text), MESSAGE_MAX_BYTES));
    const { id, method = '', sessionId = '', result, error } = message;
    if (id === undefined) {
      this.#awaited.get(`${method} ${sessionId}`)?.();
      return;
    }
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(result ?? {});
    else waiting?.reject(new Error(error.message));
  }
}

export async function startBrowser(path: string): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), 'veilgate-browser-'));
  const child = spawn(
    path,
    [
      '--headless',
      '--remote-debugging-port=0',
      `--user-data-dir=${profile}`,
      '--no-first-run',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--disable-background-networking',
      // Tests in containers run as root, where Chromium has no sandbox; it visits our own pages only.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      'about:blank',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  try {
    const connection = await Connection.to(await debuggingUrl(child));
    return {
      open: (url) => openTab(connection, url),
      close: async () => {
        await connection.send('Browser.close').catch(() => undefined);
        connection.close();
        await ended(child, exited);
        rmSync(profile, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await ended(child, exited);
    rmSync(profile, { recursive: true, force: true });
    throw error;
  }
}

async function ended(child: ChildProcess, exited: Promise<void>): Promise<void> {
  const late = AbortSignal.timeout(CLOSE_TIMEOUT_MS);
  late.addEventListener('abort', () => child.kill('SIGKILL'));
  await exited;
}

async function debuggingUrl(child: ChildProcess): Promise<string> {
  assert.ok(child.stderr !== null);
  const late = AbortSignal.timeout(START_TIMEOUT_MS);
  late.addEventListener('abort', () => child.kill('SIGKILL'));
  const said: string[] = [];
  for await (const line of createInterface(child.stderr)) {
    const [, url] = /^DevTools listening on (ws:\S+)$/.exec(line) ?? [];
    if (url !== undefined) {
      child.stderr.resume();
      return url;
    }
    said.push(line);
  }
  throw new Error(`the browser did not start: ${said.slice(-5).join(' | ')}`);
}

const TARGET = z.object({ targetId: z.string() });
const SESSION = z.object({ sessionId: z.string() });
const EVALUATED = z.object({
  result: z.looseObject({ value: z.unknown().optional() }),
  exceptionDetails: z
    .looseObject({ exception: z.looseObject({ description: z.string().optional() }).optional() })
    .optional(),
});

async function openTab(connection: Connection, url: string): Promise<Tab> {
  const blank = { url: 'about:blank' };
  const { targetId } = TARGET.parse(await connection.send('Target.createTarget', blank));
  const attach = { targetId, flatten: true };
  const { sessionId } = SESSION.parse(await connection.send('Target.attachToTarget', attach));
  await connection.send('Page.enable', {}, sessionId);
  const loaded = connection.event('Page.loadEventFired', sessionId);
  await connection.send('Page.navigate', { url }, sessionId);
  await loaded;
  const run = async (body: string): Promise<unknown> => {
    const evaluated = await connection.send(
      'Runtime.evaluate',
      {
        expression: `(async () => {${body}})()`,
        awaitPromise: true,
        returnByValue: true,
        // Else an evaluation may do what the page's own policy forbids it.
        allowUnsafeEvalBlockedByCSP: false,
      },
      sessionId,
    );
    const { result, exceptionDetails } = EVALUATED.parse(evaluated);
    if (exceptionDetails !== undefined) {
      throw new Error(`in the page: ${exceptionDetails.exception?.description ?? 'failed'}`);
    }
    return result.value;
  };
  return { run };
}

export interface PageServer {
  readonly origin: string;
  close(): Promise<void>;
}

/** A page with a strict policy of its own, and the modules given; `connect`: to whom it may talk. */
export async function servePage(
  modules: Readonly<Record<string, Uint8Array>>,
  connect: readonly string[],
): Promise<PageServer> {
  const policy = `default-src 'none'; script-src 'self'; connect-src ${connect.join(' ')}`;
  const server = createServer((request, response) => {
    const module = modules[request.url?.slice(1).replace(/\?.*$/, '') ?? ''];
    if (module !== undefined) {
      response.writeHead(200, { 'content-type': 'text/javascript' }).end(module);
      return;
    }
    if (request.url !== '/') {
      response.writeHead(404).end();
      return;
    }
    response
      .writeHead(200, {
        'content-type': 'text/html',
        'content-security-policy': policy,
        // Alone in its process a page gets a clock of microseconds.
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-embedder-policy': 'require-corp',
      })
      .end('<!doctype html><title>page</title>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${portOf(server)}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
