/** `veilgate receipt`: what it says of bills that hold, that do not, and that are none, and how it ends. @module */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { encodeBill } from '../../client/pay/bill.ts';
import { amount } from '../../settlement/money.ts';
import { BILL_AUD, BILL_COST, billOf, type Lies } from '../support/bill-lab.ts';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'veilgate-bills-'));
});
after(() => rmSync(folder, { recursive: true }));

function saved(name: string, lies?: Lies): string {
  const path = join(folder, name);
  writeFileSync(path, encodeBill(billOf(lies)));
  return path;
}

function receipt(...words: readonly string[]) {
  const ran = spawnSync(process.execPath, ['cli/veilgate.ts', 'receipt', ...words], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  return { status: ran.status, stdout: ran.stdout, stderr: ran.stderr };
}

const REPORT = z.object({
  holds: z.boolean(),
  files: z.array(
    z.object({
      file: z.string(),
      gateway: z.string().nullable(),
      worker: z.string().nullable(),
      checks: z.array(z.object({ id: z.string(), outcome: z.string() })),
    }),
  ),
  contradictions: z.array(z.object({ why: z.string(), one: z.string(), other: z.string() })),
});

test('a bill that holds ends with 0 and a table in which everything passes', () => {
  const { status, stdout, stderr } = receipt('verify', saved('good.json'));
  assert.equal(status, 0);
  assert.equal(stderr, '');
  assert.match(stdout, /pass {5}receipt\.signature/);
  assert.match(stdout, /pass {5}line\.signature/);
  assert.match(stdout, /everything holds/);
  assert.doesNotMatch(stdout, /fail/);
});

test('whose word a bill is stands beside it, and another gateway than the one named does not do', () => {
  const path = saved('whose.json');
  const { stdout } = receipt('verify', path);
  assert.ok(stdout.includes(BILL_AUD));
  assert.match(stdout, /worker {3}[0-9a-f]{64}/);
  assert.equal(receipt('verify', '--gateway-id', BILL_AUD, path).status, 0);
  const other = receipt('verify', '--json', '--gateway-id', `gw1.${'A'.repeat(43)}`, path);
  assert.equal(other.status, 1);
  assert.deepEqual(failedIn(other.stdout), ['gateway.id']);
  assert.equal(REPORT.parse(JSON.parse(other.stdout)).files[0]?.gateway, BILL_AUD);
});

test('a voucher on a channel that is not that of its terms is found', () => {
  const path = saved('elsewhere.json', { terms: { salt: 8n } });
  assert.deepEqual(failedIn(receipt('verify', '--json', path).stdout), ['voucher.channel']);
});

function failedIn(stdout: string): readonly string[] {
  const [file] = REPORT.parse(JSON.parse(stdout)).files;
  return (file?.checks ?? []).filter(({ outcome }) => outcome === 'fail').map(({ id }) => id);
}

test('a bill that does not hold ends with 1 and names the check', () => {
  const path = saved('bad.json', { receipt: { amount: BILL_COST + 1n } });
  const { status, stdout } = receipt('verify', '--json', path);
  assert.equal(status, 1);
  const { holds, files } = REPORT.parse(JSON.parse(stdout));
  assert.equal(holds, false);
  const failed = files[0]?.checks.filter(({ outcome }) => outcome === 'fail');
  assert.deepEqual(
    failed?.map(({ id }) => id),
    ['receipt.amount'],
  );
});

test('bills that hold one by one and contradict each other end with 1 and show both lines', () => {
  // One number, two requests: each bill alone is in order.
  const [one, other] = [saved('one.json'), saved('other.json', { seen: [] })];
  assert.equal(receipt('verify', other).status, 0);
  const { status, stdout } = receipt('verify', '--json', one, other);
  assert.equal(status, 1);
  const { files, contradictions } = REPORT.parse(JSON.parse(stdout));
  assert.ok(files.every(({ checks }) => checks.every(({ outcome }) => outcome !== 'fail')));
  assert.deepEqual(
    contradictions.map(({ why }) => why),
    ['same_number'],
  );
  assert.match(receipt('verify', one, other).stdout, /same_number: request/);
});

test('the same bill twice contradicts nothing', () => {
  const path = saved('twice.json');
  assert.equal(receipt('verify', path, path).status, 0);
});

test('what cannot be read ends with 2, and nothing is said of the others', () => {
  const good = saved('fine.json');
  const spoilt = join(folder, 'spoilt.json');
  writeFileSync(spoilt, '{"fmt":"veilgate.bill/1\u001b[31m"}');
  const large = join(folder, 'large.json');
  writeFileSync(large, ' '.repeat(200_000));
  for (const path of [spoilt, large, folder, join(folder, 'none.json')]) {
    const { status, stdout, stderr } = receipt('verify', good, path);
    assert.equal(status, 2);
    assert.equal(stdout, '');
    assert.ok(stderr.includes(path) && !stderr.includes('\u001b'));
  }
  assert.equal(receipt('verify').status, 2);
});

test('show says what stands in a bill, in whole and in parts of TON', () => {
  const path = saved('shown.json', { line: { cum: amount(1_500_000_000n), n: 9n } });
  const { status, stdout } = receipt('show', path);
  assert.equal(status, 0);
  assert.match(stdout, /charged in all +1\.5 TON/);
  assert.match(stdout, /tokens +prompt 5, cached 1, completion 2, reasoning 3/);
  const json = z
    .record(z.string(), z.string())
    .parse(JSON.parse(receipt('show', '--json', path).stdout));
  assert.equal(json['number'], '9');
});

test('a bill of an answer that broke off shows what the worker metered, and what had been read', () => {
  const bill = { receipt: undefined, line: undefined, recount: undefined };
  const path = saved('metered.json', { meter: { completion: 40 }, bill });
  const { stdout } = receipt('show', path);
  assert.match(stdout, /receipt +none/);
  assert.match(stdout, /meter +40 tokens, 0\.000001027 TON; read by then: at most 2/);
  const verified = receipt('verify', path);
  assert.equal(verified.status, 1);
  assert.match(verified.stdout, /fail {5}meter\.recount/);
});
