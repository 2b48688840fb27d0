/** C20: OpenAI's client in a page of headless Chromium: it may ask from an origin that is listed, and from no other. @module */

import assert from 'node:assert/strict';
import { createServer, request as httpRequest } from 'node:http';
import { after, before } from 'node:test';
import { readFileSync } from 'node:fs';
import { build } from 'esbuild';
import { z } from 'zod';
import { answerCors } from '../../gateway/cors.ts';
import {
  findBrowser,
  servePage,
  startBrowser,
  type Browser,
  type PageServer,
} from '../support/browser.ts';
import { bundleBrowserModule } from '../client-package/browser-module.ts';
import { demoEngine } from '../support/conformance/engines.ts';
import { openConformanceLab, type Lab } from '../support/conformance/lab.ts';
import { row } from '../support/conformance/rows.ts';
import type { PathName, Way } from '../support/conformance/way.ts';
import { portOf } from '../support/relay.ts';

const path = findBrowser();
const skip = path === undefined ? 'there is no Chromium: apt-get install chromium' : false;

let browser: Browser;
let listed: PageServer;
let stranger: PageServer;
let lab: Lab;
/** Of the path without a gateway: its server with the gateway's CORS in front. */
let front: { readonly origin: string; close(): Promise<void> };
const closers: (() => Promise<unknown>)[] = [];

before(async () => {
  if (path === undefined) return;
  const { code } = await bundleBrowserModule();
  const modules = { 'veilgate-client.js': code, 'openai.js': await openAiModule() };
  for (const keep of [
    (page: PageServer) => (listed = page),
    (page: PageServer) => (stranger = page),
  ]) {
    const page = await servePage(modules, ['http://127.0.0.1:*']);
    keep(page);
    closers.push(() => page.close());
  }
  lab = await openConformanceLab({
    engine: demoEngine,
    gateway: { cors: { origins: [listed.origin] } },
  });
  closers.push(() => lab.close());
  front = await corsFront(lab.ways.engine, [listed.origin]);
  closers.push(() => front.close());
  browser = await startBrowser(path);
  closers.push(() => browser.close());
});

after(async () => {
  for (const close of closers.reverse()) await close();
});

async function openAiModule(): Promise<Uint8Array> {
  const { outputFiles } = await build({
    stdin: {
      contents: "export { default as OpenAI } from 'openai'",
      resolveDir: import.meta.dirname,
    },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
  });
  return outputFiles[0]?.contents ?? new Uint8Array();
}

async function corsFront(way: Way, origins: readonly string[]): Promise<typeof front> {
  const server = createServer((request, response) => {
    if (answerCors(origins, request, response)) return;
    const { method, headers, url = '' } = request;
    const onward = httpRequest(new URL(url, way.baseURL), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
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

function wayOf(name: PathName): Way {
  const way = lab.ways[name];
  return name === 'engine' ? { ...way, baseURL: `${front.origin}/v1` } : way;
}

const SEEN = z.strictObject({ text: z.string(), streamed: z.string(), error: z.string() });

async function asked(page: PageServer, way: Way): Promise<z.infer<typeof SEEN>> {
  const tab = await browser.open(`${page.origin}/`);
  const { baseURL, apiKey, model } = way;
  const policy = readFileSync(lab.policyPath, 'utf8');
  const given = { baseURL, apiKey, model, policy, isSealed: way.path === 'sealed' };
  return SEEN.parse(
    await tab.run(`
      const { baseURL, apiKey, model, policy, isSealed } = ${JSON.stringify(given)};
      const { OpenAI } = await import('/openai.js');
      const { sealedFetch } = await import('/veilgate-client.js');
      const openai = new OpenAI({
        baseURL,
        apiKey,
        maxRetries: 0,
        dangerouslyAllowBrowser: true,
        ...(isSealed && { fetch: sealedFetch({ policy }) }),
      });
      const messages = [{ role: 'user', content: 'What is remote attestation?' }];
      const question = { model, messages, max_tokens: 12, temperature: 0 };
      try {
        const whole = await openai.chat.completions.create(question);
        let streamed = '';
        for await (const { choices } of await openai.chat.completions.create({ ...question, stream: true })) {
          streamed += choices[0]?.delta?.content ?? '';
        }
        return { text: whole.choices[0].message.content, streamed, error: '' };
      } catch (error) {
        return { text: '', streamed: '', error: String(error) };
      }
    `),
  );
}

row(
  'C20',
  wayOf,
  {
    O: async (way) => {
      const seen = await asked(listed, way);
      assert.equal(seen.error, '');
      assert.match(seen.text, /^Remote attestation is a way/);
      assert.equal(seen.streamed, seen.text);
      const refused = await asked(stranger, way);
      assert.equal(refused.text, '');
      assert.notEqual(refused.error, '');
    },
  },
  { skip },
);
