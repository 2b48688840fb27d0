/**
 * The same upstream as upstream.c for machines without a compiler, and the one that misbehaves: a body that says `reset`
 * gets three chunks and a reset, one that says `forever` chunks until its reader leaves. `GET /open` counts those.
 * @module
 */

import { createServer } from 'node:http';
import { setInterval as every } from 'node:timers';

const CHUNKS = 100;
const CHUNK_BYTES = 175;
const JSON_BYTES = 1020;
const PACE_MS = 50;

function padded(begin: string, end: string, pad: string, bytes: number): string {
  return `${begin}${pad.repeat(bytes - begin.length - end.length)}${end}`;
}

const COMMON = '"created":1,"model":"m","choices":[{"index":0,';
const EVENT = padded(
  `data: {"id":"chatcmpl-1","object":"chat.completion.chunk",${COMMON}"delta":{"content":"`,
  '"}}]}\n\n',
  'x',
  CHUNK_BYTES,
);
const JSON_ANSWER = padded(
  `{"id":"chatcmpl-1","object":"chat.completion",${COMMON}"finish_reason":"stop","message":{"role":"assistant","content":"`,
  '"}}],"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}',
  'y',
  JSON_BYTES,
);

let open = 0;
const server = createServer((request, response) => {
  let body = '';
  request.on('data', (chunk: Buffer) => {
    body += chunk.toString('latin1');
  });
  request.on('end', () => {
    if (request.url === '/open') {
      response.end(String(open));
      return;
    }
    if (!body.includes('"stream":true')) {
      response.setHeader('content-type', 'application/json');
      response.end(JSON_ANSWER);
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    if (body.includes('forever')) {
      open++;
      const ticking = every(() => response.write(EVENT), PACE_MS);
      response.once('close', () => {
        clearInterval(ticking);
        open--;
      });
      return;
    }
    if (body.includes('reset')) {
      for (let i = 0; i < 3; i++) response.write(EVENT);
      setTimeout(() => response.socket?.resetAndDestroy(), PACE_MS);
      return;
    }
    for (let i = 0; i < CHUNKS; i++) response.write(EVENT);
    response.end('data: [DONE]\n\n');
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  process.stdout.write(`${JSON.stringify({ port })}\n`);
});
