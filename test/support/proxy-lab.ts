/**
 * The local proxy in the test's own process, before a gateway in memory or a real one, and ways to talk to it that no SDK
 * would choose. @module
 */

import { connect } from 'node:net';
import { once } from 'node:events';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { TestContext } from 'node:test';
import OpenAI from 'openai';
import type { ProxyEvent } from '../../cli/proxy/events.ts';
import { runProxy, type ProxyDeps, type RunningProxy } from '../../cli/proxy/run.ts';
import type { ProxySettings } from '../../cli/proxy/settings.ts';
import { newToken } from '../../cli/proxy/token.ts';
import type { MemoryGateway } from './memory-gateway.ts';

export interface ProxyLab extends RunningProxy {
  readonly token: string;
  readonly events: readonly ProxyEvent[];
  /** OpenAI's client in front of it. */
  readonly sdk: OpenAI;
  /** Bytes on a connection of their own, and everything that comes back until it ends. */
  raw(text: string | Uint8Array): Promise<string>;
  ask(path: string, options?: AskOptions): Promise<Asked>;
}

export interface AskOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Asked {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** False: the connection ended before the last chunk, or before all that was announced. */
  readonly complete: boolean;
}

const CLOSE_MS = 5000;

export async function openProxy(
  context: TestContext | undefined,
  settings: Pick<ProxySettings, 'policy'> & Partial<ProxySettings>,
  deps: ProxyDeps = {},
): Promise<ProxyLab> {
  const token = settings.token ?? newToken();
  const events: ProxyEvent[] = [];
  const full: ProxySettings = {
    host: '127.0.0.1',
    port: 0,
    concurrency: 64,
    tokenFile: undefined,
    gatewayUrl: 'https://gateway.test',
    gatewayId: undefined,
    payer: { kind: 'nobody' },
    apiKey: '',
    spendMax: undefined,
    chunkTokens: undefined,
    maxAmount: undefined,
    recipients: undefined,
    constantRate: false,
    ...settings,
    token,
  };
  const running = await runProxy(full, { ...deps, onEvent: (event) => void events.push(event) });
  context?.after(() => running.close(CLOSE_MS));
  const { port, baseUrl } = running;
  return {
    ...running,
    token,
    events,
    sdk: new OpenAI({ baseURL: baseUrl, apiKey: token, maxRetries: 0 }),
    raw: (text) => raw(port, text),
    ask: (path, options) => ask(port, token, path, options),
  };
}

/** Before a gateway in memory. */
export function memoryProxy(
  context: TestContext,
  gateway: MemoryGateway,
  more: Partial<ProxySettings> = {},
  deps: ProxyDeps = {},
): Promise<ProxyLab> {
  const { fetch, policy, clock } = gateway;
  return openProxy(context, { policy, ...more }, { fetch, clock, ...deps });
}

async function raw(port: number, text: string | Uint8Array): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let back = '';
  socket.on('data', (bytes: Uint8Array) => (back += Buffer.from(bytes).toString('latin1')));
  // A connection that was cut is an answer too.
  socket.on('error', () => undefined);
  socket.write(text);
  await once(socket, 'close');
  return back;
}

function ask(
  port: number,
  token: string,
  path: string,
  { method = 'GET', headers = {}, body }: AskOptions = {},
): Promise<Asked> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      {
        host: '127.0.0.1',
        port,
        path,
        method,
        agent: false,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => (text += part));
        const done = (): void =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            complete: response.complete,
          });
        response.on('end', done);
        response.on('error', done);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

export const CHAT = '/v1/chat/completions';

/** Without `expect`, as most programs write it. */
export function rawPost(lab: ProxyLab, body: string, ...headers: readonly string[]): string {
  return [
    `POST ${CHAT} HTTP/1.1`,
    `host: 127.0.0.1:${lab.port}`,
    `authorization: Bearer ${lab.token}`,
    'content-type: application/json',
    ...headers,
    '',
    body,
  ].join('\r\n');
}
