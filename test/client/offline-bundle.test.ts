/** One bundle for offline use: in force by the option, never below what was, and under a root that lives. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTrust } from '../../client/open-trust.ts';
import type { PolicyStore, StoredPolicy } from '../../client/policy-memory.ts';
import { makeBundle, makeRoot, policyOf } from '../support/publication.ts';
import { DAY_MS, NOW_MS } from '../support/tdx/pki.ts';

function open(serial: number, more: { root?: Uint8Array; memory?: PolicyStore } = {}) {
  const bundle = makeBundle(policyOf(serial));
  const policy = { root: makeRoot(), bundle, offline: true, ...more } as const;
  return openTrust({ policy, clock: () => NOW_MS, fetch: globalThis.fetch });
}

test('what was in force once is remembered: an older bundle does not follow it', async () => {
  let kept: StoredPolicy | undefined;
  const memory: PolicyStore = {
    load: () => Promise.resolve(kept),
    save: (stored) => {
      kept = stored;
      return Promise.resolve();
    },
  };
  const trust = await open(5, { memory });
  assert.equal(trust.current(NOW_MS).policy.document.serial, 5);
  await assert.rejects(open(4, { memory }), {
    code: 'client.policy_bundle',
    message: /publication\.rollback: serial 4 < 5/,
  });
});

test('a root that has expired vouches for no bundle', async () => {
  const root = makeRoot({ issuedMs: NOW_MS - 2 * DAY_MS, expiresMs: NOW_MS - 1000 });
  await assert.rejects(open(1, { root }), {
    code: 'client.policy_bundle',
    message: /publication\.root_expired/,
  });
});
