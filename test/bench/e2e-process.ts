/**
 * The processes around the end-to-end benchmark: `engine`, an OpenAI server in the clear that answers at once and then a token
 * each millisecond; `worker`, the same engine behind real SX/1; `proxy`, the local proxy before a gateway.
 * @module
 */

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { utf8 } from '../../core/bytes.ts';
import { parseJson } from '../../core/json.ts';
import { runProxy } from '../../cli/proxy/run.ts';
import { newToken } from '../../cli/proxy/token.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import { EHBP_LINK_RESPONSE_TYPE } from '../../protocol/ehbp/names.ts';
import { receiptOf, startSxWorker, type EhbpTurn, type Script } from '../support/sx-worker.ts';

const TOKEN_EVERY_MS = 1;
const BODY_MAX_BYTES = 65_536;
const ASKED = z.looseObject({ max_tokens: z.int().min(1).max(128) });

/** As large as a chunk of a chat completion. */
function chunk(content: string): Uint8Array {
  const head = { id: `chatcmpl-${'0'.repeat(32)}`, object: 'chat.completion.chunk', created: 1 };
  const choices = [{ index: 0, delta: { content }, logprobs: null, finish_reason: null }];
  const json = { ...head, model: 'veilgate-demo', system_fingerprint: 'fp_000000000000', choices };
  return utf8(`data: ${JSON.stringify(json)}\n\n`);
}
const CHUNK = chunk(' token');
const DONE = utf8('data: [DONE]\n\n');
const STREAM_TYPE = 'text/event-stream; charset=utf-8';

function tell(facts: object): void {
  process.stdout.write(`${JSON.stringify(facts)}\n`);
}

function engine(): void {
  const server = createServer((request, response) => {
    const parts: Uint8Array[] = [];
    request.on('data', (part: Uint8Array) => parts.push(part));
    request.on('end', () => {
      const { max_tokens: tokens } = ASKED.parse(parseJson(Buffer.concat(parts), BODY_MAX_BYTES));
      response.writeHead(200, { 'content-type': STREAM_TYPE });
      void paced(tokens, () => void response.write(CHUNK)).then(() => response.end(DONE));
    });
  });
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    tell({ port: typeof address === 'object' ? address?.port : 0 });
  });
}

async function paced(tokens: number, write: () => void): Promise<void> {
  for (let n = 0; n < tokens; n++) {
    if (n > 0) await sleep(TOKEN_EVERY_MS);
    write();
  }
}

const SEALED_ENGINE: Script = {
  kind: 'answer',
  act: async ({ opened, epoch, response }) => {
    const { responder, prelude } = opened;
    response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
    response.write(responder.head(200, [['content-type', STREAM_TYPE]]));
    await paced(prelude.maxOutput, () => void response.write(responder.data(CHUNK)));
    response.write(responder.data(DONE));
    response.write(receiptOf(opened, epoch).bytes);
    response.end(responder.final());
  },
};

/** The last chunk at its end, as a real worker has it. */
async function ehbpEngine({ opened, epoch, response }: EhbpTurn): Promise<void> {
  const { responder, prelude } = opened;
  response.writeHead(200, {
    'content-type': EHBP_LINK_RESPONSE_TYPE,
    'ehbp-status': '200',
    'ehbp-content-type': STREAM_TYPE,
  });
  response.write(responder.head(200, [['content-type', STREAM_TYPE]]));
  await paced(prelude.maxOutput, () => void response.write(responder.data(CHUNK)));
  response.write(responder.last(DONE));
  response.write(receiptOf(opened, epoch).bytes);
  response.end(responder.final());
}

async function worker(dataDir: string, aud: string, gatewayUrl: string): Promise<void> {
  const provider = await createSimulator({ pkiDir: `${dataDir}/pki` });
  const script = SEALED_ENGINE;
  const started = await startSxWorker({
    provider,
    aud,
    gatewayUrl,
    script,
    maxConcurrent: 1024,
    onEhbp: (turn) => void ehbpEngine(turn),
  });
  const { status } = await started.register();
  tell({ status });
}

async function proxy(dataDir: string, gatewayUrl: string, apiKey: string): Promise<void> {
  const token = newToken();
  const { port } = await runProxy({
    host: '127.0.0.1',
    port: 0,
    concurrency: 1024,
    token,
    tokenFile: undefined,
    gatewayUrl,
    gatewayId: undefined,
    policy: readFileSync(`${dataDir}/policy.yaml`, 'utf8'),
    payer: { kind: 'account' },
    apiKey,
    spendMax: undefined,
    chunkTokens: undefined,
    maxAmount: undefined,
    recipients: undefined,
    constantRate: false,
  });
  tell({ port, token });
}

const [role, first = '', second = '', third = ''] = process.argv.slice(2);
if (role === 'engine') engine();
if (role === 'worker') await worker(first, second, third);
if (role === 'proxy') await proxy(first, second, third);
