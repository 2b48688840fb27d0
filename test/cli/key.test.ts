/** `veilgate key` on the data directory of a gateway that runs. @module */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { utf8 } from '../../core/bytes.ts';
import { parseJson } from '../../core/json.ts';
import { post, openLab, type Lab } from '../support/gateway-lab.ts';
import { until } from '../support/until.ts';

const CREATED = z.object({
  format: z.literal('veilgate.api-keys/1'),
  keyId: z.string(),
  apiKey: z.string(),
});

let lab: Lab;
before(async () => {
  lab = await openLab();
});
after(() => lab.close());

function veilgate(...args: readonly string[]) {
  const run = spawnSync(process.execPath, ['cli/veilgate.ts', 'key', ...args], {
    encoding: 'utf8',
  });
  return { status: run.status, out: run.stdout, err: run.stderr };
}

function made(): z.infer<typeof CREATED> {
  const { status, out } = veilgate('create', lab.dataDir, '--label', 'the web shop', '--json');
  assert.equal(status, 0);
  return CREATED.parse(parseJson(utf8(out), 10_000));
}

/** 401 is a key nobody knows; anything else got further. */
async function isTaken(apiKey: string): Promise<boolean> {
  const { status } = await post(lab, '/sx/v1/exchange', new Uint8Array(8), {
    authorization: `Bearer ${apiKey}`,
    'content-type': 'application/vnd.sx1.req',
    'content-length': '8',
  });
  return status !== 401;
}

test('a key that was made while the gateway runs is taken, and after it was revoked it is not', async () => {
  const { keyId, apiKey } = made();
  assert.match(apiKey, /^vg_[A-Za-z0-9_-]{43}$/);
  assert.equal(await isTaken(`${apiKey.slice(0, -1)}${apiKey.endsWith('A') ? 'B' : 'A'}`), false);
  assert.equal(await isTaken(apiKey), true);
  assert.equal(veilgate('revoke', lab.dataDir, keyId).status, 0);
  await until(async () => !(await isTaken(apiKey)));
  const again = veilgate('revoke', lab.dataDir, keyId);
  assert.deepEqual([again.status, again.out], [1, '']);
  assert.match(again.err, /no such key, or revoked before/);
});

test('whoever makes one sees it once, and the list says whose they are and no more', () => {
  const { status, out } = veilgate('create', lab.dataDir, '--label', 'by hand');
  assert.equal(status, 0);
  const [apiKey = ''] = out.split('\n');
  assert.match(out, /keep it now/);
  const list = veilgate('list', lab.dataDir);
  assert.match(list.out, /key_[0-9a-f]{16} {2}by hand +since 20/);
  const json = veilgate('list', lab.dataDir, '--json');
  for (const text of [list.out, json.out]) assert.ok(!text.includes(apiKey.slice(3)));
});

test('what is wrong is said, and changes nothing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-test-'));
  try {
    const nowhere = veilgate('create', folder);
    assert.equal(nowhere.status, 1);
    assert.match(nowhere.err, /no gateway\.sqlite; a gateway makes it when it first starts/);
    assert.deepEqual(readdirSync(folder), []);
  } finally {
    rmSync(folder, { recursive: true });
  }
  const { apiKey } = made();
  const mistaken = veilgate('revoke', lab.dataDir, apiKey);
  assert.equal(mistaken.status, 2);
  assert.match(mistaken.err, /want key_/);
  assert.ok(!`${mistaken.out}${mistaken.err}`.includes(apiKey.slice(3)), 'the key is not repeated');
  const moving = veilgate('create', lab.dataDir, '--label', 'a\u001b[2Jb');
  assert.equal(moving.status, 2);
  assert.ok(!moving.err.includes('\u001b'), 'nor what moves a cursor');
  assert.equal(veilgate('create', lab.dataDir, '--label', 'x'.repeat(65)).status, 2);
});
