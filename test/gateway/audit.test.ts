/**
 * What the gateway writes into its audit log, how much of it strangers can cause, and when it is on the disk.
 * @module
 */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasCode } from '../../core/errors.ts';
import { AUDIT_ENTRY, AUDIT_KINDS } from '../../gateway/audit-entries.ts';
import { openAudit, type Audit } from '../../gateway/audit.ts';
import { AUDIT_START_MS, auditFolder, digestOf, type AuditFolder } from '../support/audit.ts';
import { walk } from '../support/chained-log.ts';

const POLICY = digestOf('policy 41');
const WORKER = { workerId: 'ab'.repeat(32), kid: 'cd'.repeat(16) };
const ADMITTED = { ...WORKER, model: 'llama-3.3-70b', policy: POLICY, simulated: false };

function entriesOf(folder: AuditFolder, gateway = 'gw') {
  const { lines, faults } = walk(join(folder.path(gateway), 'audit'));
  assert.deepEqual(faults, []);
  return lines.map(({ entry }) => entry);
}

function kindsOf(folder: AuditFolder): readonly unknown[] {
  return entriesOf(folder).map(({ kind }) => kind);
}

/** One of each. */
async function writeAll(audit: Audit): Promise<void> {
  const document = { name: 'production', digest: digestOf('document') };
  await audit.started(`gw1.${'x'.repeat(43)}`);
  await audit.rootAccepted({ ...document, version: 1 });
  await audit.releaseAccepted({ ...document, number: 7, current: { serial: 41, policy: POLICY } });
  await audit.releaseAccepted({
    ...document,
    number: 8,
    current: { serial: 41, policy: POLICY },
    candidate: { serial: 42, policy: digestOf('policy 42'), share: 5 },
  });
  const added = Array.from({ length: 40 }, (_, at) => ({ kind: 'image', value: `image-${at}` }));
  await audit.revocationsAccepted({ ...document, number: 3, added });
  audit.publicationRefused({ document: 'release', code: 'publication.signature' });
  const [accepted, offered] = [digestOf('a'), digestOf('b')];
  await audit.equivocation({
    name: 'production',
    document: 'release',
    number: 9,
    accepted,
    offered,
  });
  audit.workerAdmitted({ ...ADMITTED, rule: 'tdx', image: 'vllm' });
  audit.workerDenied({ check: 'policy.image', policy: POLICY });
  audit.workerRejudged({ ...WORKER, outcome: 'denied', check: 'policy.image', policy: POLICY });
  audit.workerRemoved(WORKER, 'denied');
}

test('every entry is of the table, and the table has no other', async () => {
  using folder = auditFolder();
  const audit = folder.open('gw');
  await writeAll(audit);
  await audit.close();
  const entries = entriesOf(folder);
  for (const entry of entries) {
    const decoded = AUDIT_ENTRY.safeParse(entry);
    assert.deepEqual(decoded.error?.issues, undefined, JSON.stringify(entry));
  }
  const rare = ['publication.refused_more', 'worker.denied_more', 'log.cut', 'log.dropped'];
  assert.deepEqual(
    new Set(entries.map(({ kind }) => kind)),
    new Set(AUDIT_KINDS.filter((kind) => !rare.includes(kind))),
  );
  const revocations = entries.find(({ kind }) => kind === 'revocations.accepted');
  assert.ok(Array.isArray(revocations?.['added']));
  assert.deepEqual([revocations['added'].length, revocations['addedMore']], [32, 8]);
});

test('text that is no id is not written, whatever it holds', async () => {
  using folder = auditFolder();
  const audit = folder.open('gw');
  const canary = 'CANARY says: hello';
  const bad = [canary, '\u001b[2J', 'x'.repeat(100_000), '\ud800'];
  for (const text of bad) {
    audit.workerAdmitted({ ...ADMITTED, model: text, rule: text, image: text, kid: text });
    audit.workerDenied({ workerId: text, check: text, policy: POLICY });
    const added = [{ kind: text, value: text }];
    await audit.revocationsAccepted({ name: text, number: 1, digest: POLICY, added });
    audit.publicationRefused({ document: 'root', code: text });
  }
  await audit.close();
  const text = JSON.stringify(entriesOf(folder));
  assert.ok(!text.includes('CANARY') && !text.includes('xxxxxxxx') && !text.includes('u001b'));
  for (const entry of entriesOf(folder)) assert.ok(AUDIT_ENTRY.safeParse(entry).success);
});

test('the largest list of revocations fits into an entry', async () => {
  using folder = auditFolder();
  const audit = folder.open('gw');
  const added = Array.from({ length: 500 }, () => ({
    kind: 'measurement',
    value: '"'.repeat(140),
  }));
  await audit.revocationsAccepted({ name: '"'.repeat(200), number: 1, digest: POLICY, added });
  await audit.close();
  assert.equal(entriesOf(folder).length, 1);
});

test('a flood of denials is 60 entries a minute, and one that says how many there were', async () => {
  using folder = auditFolder();
  const { time } = folder;
  const audit = folder.open('gw');
  for (let at = 0; at < 10_000; at++) audit.workerDenied({ check: 'chain.root', policy: POLICY });
  await time.advance(59_999);
  audit.workerDenied({ check: 'chain.root', policy: POLICY });
  await time.advance(1);
  audit.workerDenied({ check: 'chain.root', policy: POLICY });
  await audit.close();
  const kinds = kindsOf(folder);
  assert.equal(kinds.filter((kind) => kind === 'worker.denied').length, 61);
  assert.deepEqual(kinds.slice(60), ['worker.denied_more', 'worker.denied']);
  assert.equal(entriesOf(folder)[60]?.['count'], 9941);
  assert.equal(time.sleeping, 0);
});

test('what was counted when the gateway closes is told', async () => {
  using folder = auditFolder();
  const audit = folder.open('gw');
  for (let at = 0; at < 100; at++) audit.workerDenied({ check: 'chain.root', policy: POLICY });
  await audit.close();
  assert.deepEqual(
    entriesOf(folder).at(-1),
    Object.assign(Object.create(null), { kind: 'worker.denied_more', count: 40 }),
  );
});

test('a clock that is set back does not silence the log', async () => {
  using folder = auditFolder();
  let nowMs = AUDIT_START_MS;
  const audit = openAudit(folder.path('gw'), () => nowMs, { pause: folder.time.pause });
  for (let at = 0; at < 100; at++) audit.workerDenied({ check: 'chain.root', policy: POLICY });
  nowMs -= 3_600_000;
  audit.workerDenied({ check: 'chain.root', policy: POLICY });
  await audit.close();
  assert.deepEqual(kindsOf(folder).slice(60), ['worker.denied_more', 'worker.denied']);
});

test('the same refused document is written once; others are, up to a rate', async () => {
  using folder = auditFolder();
  const audit = folder.open('gw');
  const refusal = { document: 'release', code: 'publication.signature' } as const;
  for (let second = 0; second < 600; second++) {
    audit.publicationRefused({ ...refusal, digest: digestOf('one') });
    audit.publicationRefused({ ...refusal, digest: digestOf('two') });
    audit.publicationRefused(refusal);
    await folder.time.advance(1000);
  }
  audit.publicationRefused({ ...refusal, code: 'publication.expired', digest: digestOf('one') });
  assert.equal((await closed(audit, folder)).length, 4);

  const flooded = folder.open('flooded');
  for (let at = 0; at < 1000; at++) {
    flooded.publicationRefused({ ...refusal, digest: digestOf(`other ${at}`) });
  }
  await flooded.close();
  const entries = entriesOf(folder, 'flooded');
  assert.deepEqual([entries.length, entries.at(-1)?.['count']], [61, 940]);
});

async function closed(audit: Audit, folder: AuditFolder): Promise<readonly unknown[]> {
  await audit.close();
  return kindsOf(folder);
}

test('an equivocation that is offered again and again is written once', async () => {
  using folder = auditFolder();
  const audit = folder.open('gw');
  const [accepted, offered] = [digestOf('a'), digestOf('b')];
  const found = { name: 'production', document: 'release', number: 9, accepted } as const;
  for (let at = 0; at < 10; at++) await audit.equivocation({ ...found, offered });
  await audit.equivocation({ ...found, offered: digestOf('c') });
  assert.equal((await closed(audit, folder)).length, 2);
});

test('a worker that is judged again is written when it came out differently', async () => {
  using folder = auditFolder();
  const audit = folder.open('gw');
  audit.workerAdmitted({ ...ADMITTED, rule: 'tdx' });
  const kept = { ...WORKER, outcome: 'kept', policy: POLICY } as const;
  for (let sweep = 0; sweep < 100; sweep++) audit.workerRejudged({ ...kept, rule: 'tdx' });
  const newer = digestOf('policy 42');
  for (let sweep = 0; sweep < 100; sweep++) {
    audit.workerRejudged({ ...kept, rule: 'tdx', policy: newer });
  }
  audit.workerRejudged({ ...WORKER, outcome: 'denied', check: 'policy.image', policy: newer });
  audit.workerRemoved(WORKER, 'denied');
  await audit.close();
  assert.deepEqual(kindsOf(folder), [
    'worker.admitted',
    'worker.rejudged',
    'worker.rejudged',
    'worker.removed',
  ]);
});

test('what was accepted is on the disk when the promise resolves; a broken disk rejects and is told once', async () => {
  using folder = auditFolder();
  let [isBroken, told] = [false, 0];
  const audit = folder.open('gw', {
    onFailure: () => void told++,
    log: {
      disk: {
        write: (_file, bytes) => Promise.resolve(bytes.length),
        sync: () => (isBroken ? Promise.reject(new Error('EIO')) : Promise.resolve()),
      },
    },
  });
  isBroken = true;
  const broken = (error: unknown): boolean => hasCode(error, 'chained_log.failed');
  await assert.rejects(audit.started('gw1.x'), broken);
  await assert.rejects(
    audit.rootAccepted({ name: 'production', version: 1, digest: POLICY }),
    broken,
  );
  audit.workerAdmitted(ADMITTED);
  assert.ok(broken(audit.failure));
  assert.equal(told, 1);
  await assert.rejects(audit.close(), broken);
});

test('the log goes on where it ended, and a second gateway on the same data is refused', async () => {
  using folder = auditFolder();
  const audit = folder.open('gw');
  await audit.started('gw1.x');
  assert.throws(
    () => folder.open('gw'),
    (error: unknown) => hasCode(error, 'writer_lock.held'),
  );
  const before = audit.head();
  await audit.close();
  const next = folder.open('gw');
  assert.deepEqual(next.head(), before);
  await next.started('gw1.x');
  assert.equal(next.head().seq, 2);
  await next.close();
});
