/** Every TypeScript block of docs/clients.md runs as it stands there, against a running gateway. @module */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { startStack, STACK_MODEL, type Stack } from '../support/stack.ts';

const run = promisify(execFile);
const TEXT = readFileSync('docs/clients.md', 'utf8');
const PACKAGE = new URL('../../client/index.ts', import.meta.url).href;
const TIMEOUT_MS = 120_000;

interface Block {
  readonly heading: string;
  readonly code: string;
}

function blocks(): readonly Block[] {
  const found = TEXT.matchAll(/```ts\n([\s\S]*?)```/g);
  return [...found].map(({ 1: code = '', index }) => ({
    heading:
      TEXT.slice(0, index)
        .match(/^## .*$/gm)
        ?.at(-1) ?? '',
    code,
  }));
}

let stack: Stack;
before(async () => {
  stack = await startStack();
});
after(() => stack.close());

test('there is a block for every way in', () => {
  assert.deepEqual(
    blocks().map(({ heading }) => heading),
    [
      '## openai',
      '## AI SDK, `@ai-sdk/openai-compatible`',
      '## AI SDK, `@ai-sdk/openai`',
      '## LangChain',
      '## Through a gateway that reads along',
    ],
  );
});

for (const { heading, code } of blocks()) {
  test(`the example runs: ${heading.slice('## '.length)}`, async () => {
    const source = code.replaceAll("'@veilgate/client'", `'${PACKAGE}'`);
    const { stdout } = await run(
      process.execPath,
      ['--input-type=module-typescript', '--eval', source],
      {
        timeout: TIMEOUT_MS,
        env: {
          PATH: '',
          VEILGATE_URL: stack.baseUrl,
          VEILGATE_KEY: stack.apiKey,
          VEILGATE_MODEL: STACK_MODEL,
          VEILGATE_ROOT: stack.rootFile,
        },
      },
    );
    assert.match(stdout, /Remote attestation is a way for a machine to prove/);
  });
}
