/** What a service says about a start that failed: whose words, and which. @module */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import { configError } from '../../../core/node/config.ts';
import { whyNotStarted } from '../../../core/node/service.ts';

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

test('an error of ours is named, with the file that the system refused', () => {
  const cause = thrownBy(() => readFileSync('/nowhere/gateway.yaml'));
  const error = configError('config.file', '/nowhere/gateway.yaml', { cause });
  assert.equal(
    whyNotStarted(error),
    'config.file: /nowhere/gateway.yaml (ENOENT open /nowhere/gateway.yaml)',
  );
});

test('an address that is taken is named', async () => {
  const first = createServer().listen(0, '127.0.0.1');
  await once(first, 'listening');
  const address = first.address();
  assert.ok(typeof address === 'object' && address !== null);
  const second = createServer().listen(address.port, '127.0.0.1');
  const [error] = await once(second, 'error');
  first.close();
  assert.equal(
    whyNotStarted(error),
    `could not start (EADDRINUSE listen 127.0.0.1:${address.port})`,
  );
});

test('a foreign message is never repeated', () => {
  const secret = 'the moon is made of cheese';
  assert.equal(whyNotStarted(new Error(secret)), 'could not start');
  const error = configError('config.syntax', 'worker.yaml', { cause: new Error(secret) });
  assert.equal(whyNotStarted(error), 'config.syntax: worker.yaml');
  assert.equal(whyNotStarted(secret), 'could not start');
});

test('a path cannot move a cursor', () => {
  const cause = thrownBy(() => readFileSync('/nowhere/\u001b[2J\nx'));
  assert.doesNotMatch(whyNotStarted(cause), /[\p{Cc}\p{Cf}]/u);
});

test('causes that lead back to themselves end', () => {
  const error = new Error('one');
  error.cause = error;
  assert.equal(whyNotStarted(error), 'could not start');
});
