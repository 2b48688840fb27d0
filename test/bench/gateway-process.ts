/**
 * The processes around the gateway benchmark: `gateway` (with convenience mode), `worker` (an engine stub that speaks real
 * SX/1), `relay` (bare node:http to the same worker over the same pinned pool, or in the clear to `stub`, which answers the
 * same amount of bytes), each told what to do by its arguments.
 * @module
 */

import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { fixed, fromHex, toHex, utf8 } from '../../core/bytes.ts';
import { createPinnedPool } from '../../core/node/http-client.ts';
import { parseJson } from '../../core/json.ts';
import { plainModeSealer } from '../../cli/plain-mode.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import { createApiKey } from '../../gateway/accounts.ts';
import { createGateway } from '../../gateway/app.ts';
import { GATEWAY_CONFIG } from '../../gateway/config.ts';
import { decodeConfig } from '../../core/node/config.ts';
import { labConfig, writePolicy } from '../support/gateway-lab.ts';
import { receiptOf, startSxWorker, type Script } from '../support/sx-worker.ts';

export const STREAM_CHUNKS = 100;
const CHUNK = utf8(`data: ${'x'.repeat(167)}\n\n`);
const JSON_BODY = utf8(JSON.stringify({ object: 'chat.completion', pad: 'y'.repeat(970) }));

function tell(facts: object): void {
  process.stdout.write(`${JSON.stringify(facts)}\n`);
}

async function gatewayProcess(dataDir: string, durability: string): Promise<void> {
  const provider = await createSimulator({ pkiDir: `${dataDir}/pki` });
  const config = decodeConfig(GATEWAY_CONFIG, {
    ...labConfig(dataDir, writePolicy(dataDir, provider.rootSha256())),
    plaintext: 'operator-can-read',
    ehbp: 'serve',
    accounts: { requestsPerMinute: 10_000_000 },
    store: { durability: durability === 'full' ? 'full' : 'normal' },
  });
  const sink = { write: () => {} };
  const gateway = await createGateway({ config, sealer: plainModeSealer, logDestination: sink });
  const { httpPort } = await gateway.listen();
  tell({
    port: httpPort,
    aud: gateway.aud,
    apiKey: createApiKey(gateway.store, 'bench', 0).apiKey,
  });
}

/** Answers by what the request says of itself: a JSON body at once, or a burst of chunks, one frame each. */
const STUB: Script = {
  kind: 'answer',
  act: ({ opened, epoch, response }) => {
    const { responder, prelude } = opened;
    response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
    const type = prelude.flags.stream ? 'text/event-stream' : 'application/json';
    response.write(responder.head(200, [['content-type', type]]));
    if (!prelude.flags.stream) response.write(responder.data(JSON_BODY));
    else for (let i = 0; i < STREAM_CHUNKS; i++) response.write(responder.data(CHUNK));
    response.write(receiptOf(opened, epoch).bytes);
    response.end(responder.final());
  },
};

async function workerProcess(dataDir: string, aud: string, gatewayUrl: string): Promise<void> {
  const provider = await createSimulator({ pkiDir: `${dataDir}/pki` });
  const worker = await startSxWorker({
    provider,
    aud,
    gatewayUrl,
    script: STUB,
    maxConcurrent: 1024,
  });
  const { status } = await worker.register();
  const { linkSpki, port } = worker;
  tell({ status, port, spki: toHex(linkSpki) });
}

/** An upstream without TLS and without sealing: what is left is node:http and the loopback device. */
function stubProcess(): void {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
      if (request.url === '/json') response.write(JSON_BODY);
      else for (let i = 0; i < STREAM_CHUNKS; i++) response.write(CHUNK);
      response.end();
    });
  });
  tellPort(server);
}

function relayProcess(workerPort: string, spki: string): void {
  const pool =
    spki === 'clear'
      ? createPinnedPool({ origin: `http://127.0.0.1:${workerPort}`, trust: { kind: 'loopback' } })
      : createPinnedPool({
          origin: `https://127.0.0.1:${workerPort}`,
          trust: { kind: 'spki', sha256: [fixed(fromHex(spki), 32)] },
        });
  const server = createServer((request, response) => {
    const chunks: Uint8Array[] = [];
    request.on('data', (chunk: Uint8Array) => chunks.push(chunk));
    request.on('end', () => {
      pool.stream(
        {
          method: 'POST',
          path: request.url ?? '/',
          headers: { 'content-type': 'application/vnd.sx1.req' },
          body: Buffer.concat(chunks),
        },
        {
          onHead: (status) => void response.writeHead(status),
          onData: (chunk) => void response.write(chunk),
          onEnd: () => void response.end(),
          onError: () => response.destroy(),
        },
      );
    });
  });
  tellPort(server);
}

function tellPort(server: Server): void {
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    tell({ port: typeof address === 'object' ? address?.port : 0 });
  });
}

const CLOCK_TICKS_PER_S = 100;

/** User and system time of a process. Spec: proc_pid_stat(5), fields 14 and 15. */
export function cpuUs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / CLOCK_TICKS_PER_S;
}

/** What a process told on its first line. */
export function told(line: string): Readonly<Record<string, string | number>> {
  const value = parseJson(utf8(line), 4096);
  const out: Record<string, string | number> = {};
  if (typeof value !== 'object' || value === null) return out;
  for (const [name, member] of Object.entries(value)) {
    if (typeof member === 'string' || typeof member === 'number') out[name] = member;
  }
  return out;
}

const [role, first = '', second = '', third = ''] = process.argv.slice(2);
if (role === 'gateway-process') await gatewayProcess(first, second);
if (role === 'worker-process') await workerProcess(first, second, third);
if (role === 'stub-process') stubProcess();
if (role === 'relay-process') relayProcess(first, second);
