/** C05: a worker that is killed in the middle of a stream is an error in every client, and nobody pays. @module */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { fixed } from '../../core/bytes.ts';
import { keyHashOf } from '../../gateway/accounts.ts';
import { startChild, type Child } from '../support/conformance/children.ts';
import {
  aiSdkHears,
  langChainHears,
  openAiHears,
  type OnText,
} from '../support/conformance/cut.ts';
import { tinyEngine } from '../support/conformance/engines.ts';
import { haltingEngine } from '../support/conformance/halting.ts';
import { labOf, waysOf, type Lab } from '../support/conformance/lab.ts';
import { row } from '../support/conformance/rows.ts';
import type { Way } from '../support/conformance/way.ts';
import { until } from '../support/until.ts';

/** For the path without a gateway: there the engine's process is what can be killed. */
const real = labOf({ engine: tinyEngine, worker: 'none' });
/** A worker process of its own for every test; the lab's engine says only what is on the card. */
const lab = labOf({ engine: () => Promise.resolve(haltingEngine()), worker: 'none' });

type Hears = (way: Way, onText: OnText) => Promise<void>;

function once(act: () => Promise<void>): OnText {
  let done = false;
  return async (text) => {
    if (text === '' || done) return;
    done = true;
    await act();
  };
}

async function reservedIn({ gateway }: Lab, { apiKey }: Way): Promise<bigint> {
  const account = await gateway.ledger.findAccount(fixed(keyHashOf(apiKey), 32));
  return account?.reserved ?? 0n;
}

async function workerKilled(way: Way, hears: Hears): Promise<void> {
  const { seat, gateway } = lab();
  await until(() => gateway.registry.all().every(({ load }) => load.inFlight === 0));
  for (const { kid } of gateway.registry.all()) gateway.registry.remove(kid, 'key_gone');
  const child: Child = await startChild('worker-child.ts', JSON.stringify(seat));
  const before = await way.charged();
  try {
    let killed = false;
    await hears(
      way,
      once(async () => {
        assert.ok((await reservedIn(lab(), way)) > 0n);
        killed = true;
        await child.kill();
      }),
    );
    assert.ok(killed, 'in the middle of a stream');
  } finally {
    await child.kill();
  }
  await until(async () => (await reservedIn(lab(), way)) === 0n);
  assert.equal(await way.charged(), before);
}

/** Processes of this test that run the engine's file. */
function enginePids(): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const parent = /\nPPid:\t(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
        const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        return Number(parent) === process.pid && command.includes('llama-cpp/child.ts');
      } catch {
        // Gone while we looked.
        return false;
      }
    })
    .map(Number);
}

async function engineKilled(way: Way, hears: Hears): Promise<void> {
  const { engine } = real().labEngine;
  await until(() => engine.healthy());
  const [pid, ...others] = enginePids();
  assert.ok(pid !== undefined && others.length === 0);
  const before = way.ended.length;
  await hears(
    way,
    once(async () => {
      process.kill(pid, 'SIGKILL');
      await until(() => !enginePids().includes(pid));
    }),
  );
  await until(() => way.ended.length > before);
  assert.equal(way.ended.at(-1)?.outcome, 'error');
}

function cell(hears: Hears): (way: Way) => Promise<void> {
  return (way) => (way.path === 'engine' ? engineKilled(way, hears) : workerKilled(way, hears));
}

row('C05', (path) => waysOf(path === 'engine' ? real : lab)(path), {
  O: cell(openAiHears),
  A: cell(aiSdkHears),
  L: cell(langChainHears),
});
