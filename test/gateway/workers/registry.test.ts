/** Who serves, who sits on the bench, and whose streams can still be cut. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#primitives';
import { utf8 } from '../../../core/bytes.ts';
import { encodeEvidence, type EvidenceBundle } from '../../../attestation/evidence.ts';
import { WORKERS_MAX } from '../../../gateway/limits.ts';
import type { WorkerLink } from '../../../gateway/workers/link.ts';
import {
  MemoryRegistry,
  type Admission,
  type LiveWorker,
  type RemovalReason,
} from '../../../gateway/workers/registry.ts';
import { generateHpkeKeyPair } from '../../../protocol/hpke.ts';
import { testWorker } from '../../support/attested-key.ts';

const pair = generateHpkeKeyPair('X25519');

/** Nobody listens there. */
const LINK: WorkerLink = {
  exchange: () => ({ abort: () => undefined }),
  fetchReceipt: async () => await Promise.resolve(undefined),
  fetchReceiptsAfter: async () => await Promise.resolve(new Uint8Array()),
  sendSettled: async () => await Promise.resolve(404),
  stop: async () => await Promise.resolve(false),
  probe: async () => await Promise.resolve('gone'),
  close: async () => await Promise.resolve(),
  destroy: async () => await Promise.resolve(),
};

function admission(name: string): Admission {
  const { key } = testWorker('X25519', { pair, workerId: sha256(utf8(name)) });
  const bytes = Uint8Array.of(1);
  const bundle: EvidenceBundle = {
    tee: 'snp',
    statement: bytes,
    card: bytes,
    quote: bytes,
    endorsements: {},
  };
  return {
    key,
    bundle,
    evidence: encodeEvidence(bundle),
    verdict: {
      decision: 'admitted',
      checks: [],
      warnings: [],
      policy: { name: 'test', serial: 1, digest: key.policyDigest },
      revocable: [{ kind: 'image', value: name }],
      simulated: true,
      validUntilMs: 0,
    },
    challenge: sha256(bytes),
    endpoint: 'https://127.0.0.1:1',
    publishUntilMs: Number.MAX_SAFE_INTEGER,
    link: LINK,
  };
}

function bench(registry: MemoryRegistry, workers: readonly LiveWorker[]): void {
  registry.place(
    workers.map((worker) => ({
      worker,
      outcome: 'benched',
      reason: 'policy',
      verdict: worker.verdict,
    })),
  );
}

test('a full bench makes room for who is admitted, the longest benched first', () => {
  const removed: RemovalReason[] = [];
  const registry = new MemoryRegistry({ onRemoved: (_, reason) => void removed.push(reason) });
  for (let at = 0; at < WORKERS_MAX; at++) assert.ok(registry.add(admission(`worker ${at}`)));
  assert.ok(!registry.add(admission('one more')));
  const [first, ...others] = registry.all();
  assert.ok(first !== undefined);
  bench(registry, [first, ...others]);
  assert.ok(registry.add(admission('one more')));
  assert.deepEqual(removed, ['replaced']);
  assert.ok(!registry.benched().some(({ kid }) => kid === first.kid));
  assert.equal(registry.benched().length + registry.all().length, WORKERS_MAX);
});

test('of who has gone only what still runs is cut, and once', () => {
  const registry = new MemoryRegistry();
  for (const name of ['busy', 'idle']) assert.ok(registry.add(admission(name)));
  const [busy, idle] = registry.all();
  assert.ok(busy !== undefined && idle !== undefined);
  let cuts = 0;
  const cut = (): void => {
    cuts++;
    busy.running.delete(cut);
  };
  busy.running.add(cut);
  for (const { kid } of [busy, idle]) registry.remove(kid, 'left');
  assert.equal(
    registry.cutGone(() => false),
    0,
  );
  assert.equal(
    registry.cutGone(() => true),
    1,
  );
  assert.equal(
    registry.cutGone(() => true),
    0,
  );
  assert.equal(cuts, 1);
});

test('who has gone does not come back with a standing that was made before', () => {
  const registry = new MemoryRegistry();
  assert.ok(registry.add(admission('worker')));
  const [worker] = registry.all();
  assert.ok(worker !== undefined);
  const { key, verdict, publishUntilMs } = worker;
  registry.remove(worker.kid, 'left');
  registry.place([{ worker, outcome: 'serves', key, verdict, publishUntilMs }]);
  bench(registry, [worker]);
  assert.equal(registry.all().length + registry.benched().length, 0);
});

test('what runs on a worker is the same set under every policy, and is cut when it is revoked alone', () => {
  const registry = new MemoryRegistry();
  assert.ok(registry.add(admission('worker')));
  const [worker] = registry.all();
  assert.ok(worker !== undefined);
  let cuts = 0;
  worker.running.add(() => cuts++);
  bench(registry, [worker]);
  const { key, verdict, publishUntilMs } = worker;
  registry.place([{ worker, outcome: 'serves', key, verdict, publishUntilMs }]);
  assert.equal(cuts, 0);
  registry.place([{ worker, outcome: 'benched', reason: 'revoked', verdict }]);
  assert.equal(cuts, 1);
});
