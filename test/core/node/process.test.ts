/** Configuration, log, metrics and the ordered end. @module */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { z } from 'zod';
import { VeilError } from '../../../core/errors.ts';
import { loadConfig, redactedConfig } from '../../../core/node/config.ts';
import { createLifecycle } from '../../../core/node/lifecycle.ts';
import { codeOf, createLog, defineEvents } from '../../../core/node/log.ts';
import { createMetrics } from '../../../core/node/metrics.ts';

const SCHEMA = z.strictObject({
  listen: z
    .strictObject({ httpPort: z.int().default(1), host: z.string().default('h') })
    .prefault({}),
  apiToken: z.string().default('t'),
});
const dir = mkdtempSync(join(tmpdir(), 'veilgate-config-'));
after(() => rmSync(dir, { recursive: true }));

function file(text: string): string {
  const path = join(dir, 'config.yaml');
  writeFileSync(path, text);
  return path;
}

const load = (text: string, environment: Record<string, string> = {}) =>
  loadConfig(SCHEMA, { part: 'gateway', filePath: file(text), environment });
const codeIs = (code: string) => (error: unknown) =>
  error instanceof VeilError && error.code === code;

test('the environment wins over the file, the file over the default', () => {
  const config = load('listen: { httpPort: 2, host: f }', {
    VEILGATE_GATEWAY_LISTEN_HTTP_PORT: '3',
  });
  assert.deepEqual(config.listen, { httpPort: 3, host: 'f' });
  assert.ok(Object.isFrozen(config.listen));
});

test('a text that looks like a number stays a text where a text is wanted', () => {
  assert.equal(load('{}', { VEILGATE_GATEWAY_LISTEN_HOST: '127' }).listen.host, '127');
});

test('an unknown key or variable refuses to start and echoes no value', () => {
  assert.throws(() => load('listn: secret-value'), codeIs('config.invalid'));
  assert.throws(
    () => load('{}', { VEILGATE_GATEWAY_LISTN: 'secret-value' }),
    (error) => codeIs('config.unknown_variable')(error) && !String(error).includes('secret-value'),
  );
  assert.throws(
    () => load('listen: { httpPort: secret-value }'),
    (error) => codeIs('config.invalid')(error) && !String(error).includes('secret-value'),
  );
});

test('aliases and repeated keys are refused', () => {
  assert.throws(() => load('apiToken: &a x\nlisten: { host: *a }'), codeIs('config.syntax'));
  assert.throws(() => load('apiToken: x\napiToken: y'), codeIs('config.syntax'));
});

test('the printed configuration hides secrets', () => {
  assert.ok(!redactedConfig(load('apiToken: hush')).includes('hush'));
});

test('a log writes table fields only, and replaces what is no id', () => {
  const lines: string[] = [];
  const log = createLog({
    events: defineEvents({ 'a.b': { level: 'info', fields: { id: 'id', n: 'count' } } }),
    part: 'test',
    destination: { write: (line) => void lines.push(line) },
  });
  const sneaky = { id: 'a prompt with spaces', n: 1, extra: 'CANARY' };
  log.event('a.b', sneaky);
  assert.match(lines.join(''), /"id":"\(unprintable\)","n":1/);
  assert.ok(!lines.join('').includes('CANARY') && !lines.join('').includes('prompt'));
  assert.equal(codeOf(new Error('text')), undefined);
});

test('a label outside its set becomes other, and open sets are capped', async () => {
  const metrics = createMetrics();
  const counter = metrics.counter({
    name: 'veilgate_test_total',
    help: 'x',
    labels: { result: ['ok'], model: { namesMax: 1 } },
  });
  counter.add({ result: 'ok', model: 'a' });
  counter.add({ result: 'ok', model: 'b' });
  const text = await metrics.text();
  assert.match(text, /result="ok",model="a"\} 1/);
  assert.match(text, /result="ok",model="other"\} 1/);
});

test('what was opened last is closed first; who is late is named and left behind', async () => {
  const order: string[] = [];
  const lifecycle = createLifecycle({ graceMs: 40 });
  lifecycle.onClose('first', () => void order.push('first'));
  lifecycle.onClose('stuck', () => new Promise(() => {}));
  lifecycle.onClose('broken', () => Promise.reject(new Error('x')));
  lifecycle.onClose('last', () => void order.push('last'));
  const [late, again] = await Promise.all([lifecycle.close(), lifecycle.close()]);
  assert.equal(late, again);
  assert.deepEqual(order, ['last', 'first']);
  assert.ok(late.includes('stuck') && late.includes('broken'));
});
