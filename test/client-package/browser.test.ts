/**
 * The browser module in headless Chromium, under a strict policy of the page's own, against a running gateway: it verifies
 * evidence of both kinds of machines and seals in the page, and what is cut or forged on the way is an error there.
 * @module
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { build } from 'esbuild';
import { z } from 'zod';
import { concat, fromUtf8, utf8 } from '../../core/bytes.ts';
import {
  findBrowser,
  servePage,
  startBrowser,
  type Browser,
  type PageServer,
  type Tab,
} from '../support/browser.ts';
import { asSent, startRelay, type Fate, type Relay } from '../support/relay.ts';
import { startStack, STACK_MODEL, type Stack } from '../support/stack.ts';
import { bundleBrowserModule } from './browser-module.ts';

const path = findBrowser();
const skip = path === undefined ? 'there is no Chromium: apt-get install chromium' : false;

const TEES = ['tdx', 'snp'] as const;

interface Scene {
  readonly stack: Stack;
  readonly relay: Relay;
}

let browser: Browser;
let page: PageServer;
let stranger: PageServer;
let tab: Tab;
const scenes = new Map<string, Scene>();

/** Ended in reverse, whatever of it had begun. */
const closers: (() => Promise<unknown>)[] = [];

before(async () => {
  if (path === undefined) return;
  const { code } = await bundleBrowserModule();
  const modules = { 'veilgate-client.js': code, 'openai.js': await openAiModule() };
  page = await servePage(modules, ['http://127.0.0.1:*']);
  closers.push(() => page.close());
  stranger = await servePage(modules, ['http://127.0.0.1:*']);
  closers.push(() => stranger.close());
  for (const tee of TEES) {
    const stack = await startStack({ tee, gateway: { cors: { origins: [page.origin] } } });
    closers.push(() => stack.close());
    const relay = await startRelay(new URL(stack.baseUrl).origin);
    closers.push(() => relay.close());
    scenes.set(tee, { stack, relay });
  }
  browser = await startBrowser(path);
  closers.push(() => browser.close());
  tab = await browser.open(`${page.origin}/`);
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

function scene(tee: (typeof TEES)[number]): Scene {
  const found = scenes.get(tee);
  assert.ok(found !== undefined);
  return found;
}

/** What every page of these tests begins with: `openai` sealed, `plain` not, and the question. */
function prelude({ stack, relay }: Scene): string {
  const given = {
    baseURL: `${relay.url}/v1`,
    apiKey: stack.apiKey,
    root: fromUtf8(readFileSync(stack.rootFile)),
    model: STACK_MODEL,
  };
  return `
    const { baseURL, apiKey, root, model } = ${JSON.stringify(given)};
    const { sealedFetch } = await import('/veilgate-client.js');
    const { OpenAI } = await import('/openai.js');
    const fetch = sealedFetch({ policy: { root } });
    const common = { baseURL, apiKey, maxRetries: 0, dangerouslyAllowBrowser: true };
    const openai = new OpenAI({ ...common, fetch });
    const plain = new OpenAI(common);
    const messages = [{ role: 'user', content: 'Say hello' }];
    const asked = { model, messages, max_tokens: 24, temperature: 0, seed: 1 };
    const streamed = async (client) => {
      let text = '';
      try {
        for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
          text += chunk.choices[0]?.delta?.content ?? '';
        }
        return { text, error: '' };
      } catch (error) {
        return { text, error: String(error) };
      }
    };
  `;
}

const ANSWERED = z.strictObject({
  privacy: z.literal('end-to-end'),
  checks: z.array(z.string()),
  outcome: z.literal('admitted'),
  text: z.string().min(1),
  streamed: z.strictObject({ text: z.string(), error: z.literal('') }),
});

const SIGNATURE_CHECKS = { tdx: 'quote.signature', snp: 'report.signature' } as const;

for (const tee of TEES) {
  test(`a page verifies ${tee} evidence, seals, and reads the answer`, { skip }, async () => {
    const here = scene(tee);
    const said = ANSWERED.parse(
      await tab.run(`
        ${prelude(here)}
        const { data, response } = await openai.chat.completions.create(asked).withResponse();
        const [{ appraisal }] = fetch.verdicts();
        return {
          privacy: response.headers.get('sx-privacy'),
          checks: appraisal.verdict.checks.map(({ id }) => id),
          outcome: appraisal.outcome,
          text: data.choices[0].message.content,
          streamed: await streamed(openai),
        };
      `),
    );
    assert.ok(said.checks.includes(SIGNATURE_CHECKS[tee]));
    assert.equal(said.streamed.text, said.text);
  });
}

const BROKEN = z.strictObject({ text: z.string(), error: z.string() });

/** Streams in the page while every exchange meets this fate. */
async function streamMeets(fate: (body: Uint8Array) => Fate): Promise<z.infer<typeof BROKEN>> {
  const { relay } = scene('tdx');
  let exchanges = 0;
  relay.decide((url, body) => {
    if (url !== '/sx/v1/exchange' || body.length === 0) return asSent(url, body);
    exchanges++;
    return fate(body);
  });
  try {
    const said = await tab.run(`${prelude(scene('tdx'))} return streamed(openai);`);
    assert.ok(exchanges > 0, 'the exchange went through the relay');
    return BROKEN.parse(said);
  } finally {
    relay.decide(asSent);
  }
}

test('through a relay that does nothing a stream is whole', { skip }, async () => {
  const { text, error } = await streamMeets((body) => ({ kind: 'sent', body }));
  assert.equal(error, '');
  assert.ok(text.length > 0);
});

const CUT = /sx\.truncated|before its end mark|broken off/;
// In public words where the page had nothing of the answer yet, by the code where the stream had begun: how the network
// hands over the bytes decides which, and which byte of a frame is hit decides what it is taken for.
const ALTERED = new RegExp(
  [
    CUT.source,
    /cut or altered|receipt for this answer|the request cost does not hold/.source,
    /sx\.(response|trailing|limit|receipt)|client\.ledger_line/.source,
  ].join('|'),
);
const CUTS: readonly (readonly [name: string, keep: (size: number) => number])[] = [
  ['before its end alone', (size) => size - 1],
  ['in the middle', (size) => Math.floor(size / 2)],
  ['at its beginning', () => 0],
];

for (const [name, keep] of CUTS) {
  for (const kind of ['sent', 'cut'] as const) {
    const how = kind === 'sent' ? 'that ends quietly' : 'whose connection breaks';
    test(`a stream ${how} ${name} is an error in the page`, { skip }, async () => {
      const { error } = await streamMeets((body) => ({
        kind,
        body: body.subarray(0, keep(body.length)),
      }));
      assert.match(error, CUT);
    });
  }
}

const PLACES: readonly (readonly [name: string, at: (body: Uint8Array) => number])[] = [
  ['near its beginning', (body) => Math.floor(body.length / 10)],
  ['in the middle', (body) => Math.floor(body.length / 2)],
  ['in the receipt', (body) => Buffer.from(body).indexOf('VGR1') + 20],
  ['in the ledger line', (body) => Buffer.from(body).indexOf('VGS1') + 100],
  ['at its end', (body) => body.length - 1],
];

for (const [name, place] of PLACES) {
  test(`a stream with one bit turned ${name} is an error in the page`, { skip }, async () => {
    const { error } = await streamMeets((body) => {
      const at = place(body);
      const forged = body.slice();
      forged.set([(body[at] ?? 0) ^ 1], at);
      return { kind: 'sent', body: forged };
    });
    assert.match(error, ALTERED);
  });
}

test('a stream with something after its end is an error in the page', { skip }, async () => {
  const { error } = await streamMeets((body) => ({
    kind: 'sent',
    body: concat(body, body.subarray(body.length - 20)),
  }));
  assert.match(error, ALTERED);
});

test('the answer to another request is an error in the page', { skip }, async () => {
  let first: Uint8Array | undefined;
  await streamMeets((body) => {
    first = body;
    return { kind: 'sent', body };
  });
  const { text, error } = await streamMeets(() => ({
    kind: 'sent',
    body: first ?? new Uint8Array(),
  }));
  assert.match(error, ALTERED);
  assert.equal(text, '');
});

for (const tee of TEES) {
  test(`forged ${tee} evidence gets nothing sealed to it`, { skip }, async () => {
    const { relay } = scene(tee);
    let exchanges = 0;
    relay.decide((url, body) => {
      if (url === '/sx/v1/exchange') exchanges++;
      if (!url.startsWith('/v1/evidence') || body.length === 0) return asSent(url, body);
      return { kind: 'sent', body: utf8(withForgedQuote(fromUtf8(body), MEASURED_AT[tee])) };
    });
    try {
      const said = BROKEN.parse(await tab.run(`${prelude(scene(tee))} return streamed(openai);`));
      assert.match(said.error, FORGED[tee]);
      assert.equal(exchanges, 0);
    } finally {
      relay.decide(asSent);
    }
  });
}

const FORGED = { tdx: /quote\.signature/, snp: /report\.signature/ } as const;

/** Characters of the base64 that lie in what was measured. Spec: tdx §3 (MRTD at 184); SNP ABI table 23 (MEASUREMENT at 0x90). */
const MEASURED_AT = { tdx: 268, snp: 212 } as const;

function withForgedQuote(list: string, at: number): string {
  const forged = list.replaceAll(/"quote":"([^"]+)"/g, (_, quote: string) => {
    const other = quote.at(at) === 'A' ? 'B' : 'A';
    return `"quote":"${quote.slice(0, at)}${other}${quote.slice(at + 1)}"`;
  });
  assert.notEqual(forged, list);
  return forged;
}

test('a policy by path is refused in words, for there are no files', { skip }, async () => {
  const said = await tab.run(`
    ${prelude(scene('tdx'))}
    const answer = await sealedFetch({ policy: { root: 'root.json' } })(baseURL + '/models');
    return answer.text();
  `);
  assert.match(z.string().parse(said), /client\.option|not valid|option/i);
});

test('the SDK alone works from a listed page', { skip }, async () => {
  const said = BROKEN.parse(await tab.run(`${prelude(scene('tdx'))} return streamed(plain);`));
  assert.equal(said.error, '');
  assert.ok(said.text.length > 0);
});

test('a page that is not listed gets neither an answer nor evidence', { skip }, async () => {
  const other = await browser.open(`${stranger.origin}/`);
  for (const client of ['plain', 'openai']) {
    const run = other.run(`${prelude(scene('tdx'))} return streamed(${client});`);
    const said = BROKEN.parse(await run);
    assert.notEqual(said.error, '');
    assert.equal(said.text, '');
  }
});
