/**
 * A guest agent of dstack on a socket file. Sound until a test gives it other manners.
 * Spec: dstack guest agent RPC, `DstackGuest.GetQuote`.
 * @module
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { fixed, fromHex, toHex, utf8, type Bytes } from '../../../core/bytes.ts';
import { parseJson, type JsonObject } from '../../../core/json.ts';
import { tdxQuote } from '../tsm/quotes.ts';

export type Manners = (reportData: Bytes<64>, response: ServerResponse) => void;

export interface FakeAgent {
  readonly socketPath: string;
  /** Method and path of every call. */
  readonly calls: string[];
  /** For calls of GetQuote; everything else is answered as by an agent that does not know it. */
  manners: Manners;
  close(): Promise<void>;
}

export const EVENT_LOG = '[{"imr":3,"event_type":134217729,"digest":"","event":"app-id"}]';

const REQUEST = z.strictObject({ report_data: z.string().regex(/^[0-9a-f]{128}$/) });
const REQUEST_MAX_BYTES = 1000;

/** As a sound agent answers. */
export function soundAnswer(reportData: Bytes<64>): JsonObject {
  return {
    quote: toHex(tdxQuote(reportData)),
    event_log: EVENT_LOG,
    report_data: toHex(reportData),
    vm_config: '{"cpu_count":2}',
  };
}

export async function startFakeAgent(name = 'dstack.sock'): Promise<FakeAgent> {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-dstack-'));
  const socketPath = join(folder, name);
  const calls: string[] = [];
  const agent = {
    socketPath,
    calls,
    manners: (reportData, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(soundAnswer(reportData)));
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
      rmSync(folder, { recursive: true, force: true });
    },
  } satisfies FakeAgent;
  const behaving: FakeAgent = agent;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    calls.push(`${request.method} ${request.url}`);
    const body = await text(request);
    if (request.url !== '/GetQuote') {
      response.writeHead(400).end('{"error":"no such method"}');
      return;
    }
    const { report_data } = REQUEST.parse(parseJson(utf8(body), REQUEST_MAX_BYTES));
    behaving.manners(fixed(fromHex(report_data), 64), response);
  };
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(socketPath, resolve);
  });
  return behaving;
}
