/**
 * Whatever is asked fails as the question says: the last message names the failure. Behind a gateway a worker says it inside
 * the seal; without one the HTTP surface says it itself.
 * @module
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { after, before } from 'node:test';
import { json } from 'node:stream/consumers';
import { z } from 'zod';
import { utf8 } from '../../../core/bytes.ts';
import { parseJson } from '../../../core/json.ts';
import { plainModeSealer } from '../../../cli/plain-mode.ts';
import { sealedFetch } from '../../../client/index.ts';
import { respondFailure } from '../../../gateway/openai/respond.ts';
import {
  FAILURE_CODES,
  openAiFailure,
  type FailureCode,
  type OpenAiFailure,
} from '../../../protocol/openai/errors.ts';
import { RESPONSE_HEADERS } from '../../../protocol/sx/inner.ts';
import { openLab, type Lab as GatewayLab } from '../gateway-lab.ts';
import { portOf } from '../relay.ts';
import { DEMO_MODEL, receiptOf, type Script } from '../sx-worker.ts';
import type { PathName, Way } from './way.ts';

const BODY_MAX_BYTES = 65_536;
const ASKED = z.looseObject({ messages: z.array(z.looseObject({ content: z.string() })).min(1) });

/** `code`, or `code` and after how many milliseconds to ask again. */
export function failureAsked(code: FailureCode, retryAfterMs?: number): string {
  return retryAfterMs === undefined ? code : `${code} ${retryAfterMs}`;
}

function isCode(text: string): text is FailureCode {
  return FAILURE_CODES.includes(text);
}

function failureIn(body: unknown): OpenAiFailure {
  const { messages } = ASKED.parse(body);
  const [code = '', afterMs] = (messages.at(-1)?.content ?? '').split(' ');
  if (!isCode(code)) throw new Error('no such failure');
  return openAiFailure(code, afterMs === undefined ? {} : { retryAfterMs: Number(afterMs) });
}

const failing: Script = {
  kind: 'answer',
  act: ({ opened, epoch, response }) => {
    const { inner, responder } = opened;
    if (inner.kind !== 'request') throw new Error('not a request');
    const { status, body, headers } = failureIn(parseJson(inner.request.body, BODY_MAX_BYTES));
    const said = [['content-type', 'application/json'] as const, ...headers];
    response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
    response.write(
      responder.head(
        status,
        said.filter(([name]) => RESPONSE_HEADERS.includes(name)),
      ),
    );
    response.write(responder.data(utf8(JSON.stringify(body))));
    response.write(receiptOf(opened, epoch).bytes);
    response.end(responder.final());
  },
};

async function fail(request: IncomingMessage, response: ServerResponse): Promise<void> {
  respondFailure(response, failureIn(await json(request)));
}

/** For a file of rows. */
export function failingWays(): (path: PathName) => Way {
  const server = createServer((request, response) => {
    fail(request, response).catch(() => response.destroy());
  });
  let lab: GatewayLab | undefined;
  let policyFile = '';
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    lab = await openLab({
      config: { plaintext: 'operator-can-read' },
      deps: { sealer: plainModeSealer },
    });
    policyFile = `${lab.dataDir}/policy.yaml`;
    await lab.worker(failing);
  });
  after(async () => {
    await lab?.close();
    server.close();
    server.closeAllConnections();
  });
  return (path) => {
    const { url = '', apiKey = '' } = lab ?? {};
    const origin = path === 'engine' ? `http://127.0.0.1:${portOf(server)}` : url;
    return {
      path,
      baseURL: `${origin}/v1`,
      apiKey,
      model: DEMO_MODEL,
      fetch: path === 'sealed' ? sealedFetch({ policy: policyFile }) : globalThis.fetch,
      ended: [],
      charged: () => Promise.resolve(undefined),
    };
  };
}
