/**
 * F4, B1: a gateway that is killed while policies and revocations are published comes back with the last good state, and
 * with a log that knows of it. Spec: docs/publication.md §3; docs/audit.md §1.
 * @module
 */

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { sha256 } from '#primitives';
import { toHex, utf8, type Bytes } from '../../../core/bytes.ts';
import { systemClock } from '../../../core/clock.ts';
import type { PublicationState } from '../../../attestation/publication/memory.ts';
import { openPublication } from '../../../attestation/publication/open.ts';
import { walk } from '../../support/chained-log.ts';
import { labConfig } from '../../support/gateway-lab.ts';
import { Publisher } from '../../support/publisher.ts';

/** After the first line that the gateway says: in the middle of a look, between two, in the middle of a change. */
const KILLED_AFTER_MS = [0, 23, 61, 140, 600];

/** Resolves when it listens. */
function startGateway(configFile: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['gateway/main.ts', '--config', configFile], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return new Promise((resolve, reject) => {
    child.once('exit', () => reject(new Error('the gateway did not start')));
    child.stdout.once('data', () => resolve(child));
  });
}

function killed(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

/** Publishes something with every step, as a team on a busy night would. */
async function publishing(publisher: Publisher, signal: AbortSignal): Promise<void> {
  for (let step = 0; !signal.aborted; step++) {
    if (step % 3 === 0) publisher.publish(publisher.policy());
    if (step % 3 === 1)
      publisher.revoke({ kind: 'image', value: `image-${step}-${systemClock()}` });
    if (step % 3 === 2) publisher.candidate(publisher.policy(), step % 100);
    await pause(40);
  }
}

interface Numbers {
  readonly root: number;
  readonly release: number;
  readonly serial: number;
  readonly revocations: number;
}

function numbersOf({ root, release, revocations, highestSerial }: PublicationState): Numbers {
  return {
    root: root.payload.version,
    release: release?.document.payload.number ?? 0,
    serial: highestSerial,
    revocations: revocations?.document.payload.number ?? 0,
  };
}

function assertNoneBack(before: Numbers, after: Numbers): void {
  for (const name of ['root', 'release', 'serial', 'revocations'] as const) {
    assert.ok(after[name] >= before[name], `${name} went from ${before[name]} to ${after[name]}`);
  }
}

test('F4, B1: killed at any moment of a publication, a gateway comes back with the last good state', async (context) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'veilgate-policy-kill-'));
  context.after(() => rmSync(dataDir, { recursive: true, force: true }));
  const publisher = new Publisher(join(dataDir, 'published'), [sha256(utf8('no root'))]);
  publisher.publish(publisher.policy());
  publisher.revocations([]);
  const { rootFile, directory } = publisher;
  const configFile = join(dataDir, 'gateway.json');
  const publication = { rootFile, directory, allowDevelopment: true };
  const config = labConfig(dataDir, '', { policyFile: null, publication });
  writeFileSync(configFile, JSON.stringify(config));

  const stop = new AbortController();
  const publishes = publishing(publisher, stop.signal);
  context.after(async () => {
    stop.abort();
    await publishes;
  });
  const statePath = join(dataDir, 'policy', 'accepted.json');
  const reopened = (): PublicationState => {
    assert.ok(existsSync(statePath));
    return openPublication({
      pinnedRoot: readFileSync(rootFile),
      saved: readFileSync(statePath),
      nowMs: systemClock(),
    });
  };
  let before: Numbers = { root: 1, release: 0, serial: 0, revocations: 0 };
  let lost: readonly Bytes<32>[] = [];
  for (const afterMs of KILLED_AFTER_MS) {
    const child = await startGateway(configFile);
    context.after(() => killed(child));
    const audit = walk(join(dataDir, 'audit'));
    const digests = JSON.stringify(audit.lines.map(({ entry }) => entry));
    for (const digest of lost)
      assert.ok(digests.includes(toHex(digest)), 'accepted, and not written down');
    await pause(afterMs);
    await killed(child);
    const state = reopened();
    const after = numbersOf(state);
    assertNoneBack(before, after);
    before = after;
    // What was saved a moment before the end: the next start writes it down.
    lost = [state.release, state.revocations].flatMap((held) =>
      held === undefined ? [] : [held.document.digest],
    );
    const { faults } = walk(join(dataDir, 'audit'));
    assert.deepEqual(
      faults.filter((fault) => fault !== 'torn'),
      [],
    );
  }
  assert.ok(before.release > 1 && before.revocations > 1, 'something was published meanwhile');
});
