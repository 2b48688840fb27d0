/** What the README shows is what `npm start` prints. @module */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { sdkSnippet } from '../../cli/up/report.ts';

test('the script of the README is the one that npm start saves', () => {
  const readme = readFileSync('README.md', 'utf8');
  const script = sdkSnippet({
    baseUrl: 'http://127.0.0.1:8787/v1',
    model: 'veilgate-demo',
    rootPath: '.data/published/root/1.json',
    channelFilePath: '.data/payer/channels/….json',
  });
  assert.ok(readme.includes(`\`\`\`js\n${script}\`\`\``));
});
