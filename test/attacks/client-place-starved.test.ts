/**
 * A gateway with yesterday's documents and a stolen timestamp key uses up all the time of a look-up, so that the client never
 * gets to the place of the app's own, which has the newest. Spec: docs/publication.md §4; SECURITY.md "Keys of a stolen
 * timestamp machine".
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DocumentSource } from '../../client/documents.ts';
import { SignedTrust } from '../../client/signed-trust.ts';
import { memoryGateway } from '../support/memory-gateway.ts';
import { MemoryPublication } from '../support/memory-publication.ts';
import { blankReader, entry } from '../support/publication.ts';

test('the place of the app is looked at although the gateway left no time for it', async () => {
  const { clock, policy } = await memoryGateway();
  const shown = new MemoryPublication(clock, policy);
  const newest = new MemoryPublication(clock, policy);
  newest.revoke(entry('rule', 'tdx-cpu'));
  const place: DocumentSource = (name, _, signal) => {
    signal.throwIfAborted();
    return Promise.resolve(newest.document(name));
  };
  const trust = new SignedTrust({ clock, state: blankReader(), place, mode: 'online' });
  const limit = new AbortController();
  const documents: DocumentSource = (name) => {
    if (name === 'root/2.json') limit.abort();
    return Promise.resolve(shown.document(name));
  };
  const staple = { ...shown.staple(), root: 2 };
  await trust.update({ staple, documents }, limit.signal);
  const { revocations } = trust.current(clock());
  assert.ok('list' in revocations && revocations.list.find('rule', 'tdx-cpu') !== undefined);
});
