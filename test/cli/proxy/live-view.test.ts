/**
 * The live view: what stands in a frame at any size, that frames are written over each other, that the terminal comes back as
 * it was, and that nothing from outside moves its cursor. @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Activity } from '../../../cli/proxy/activity.ts';
import type { ModelRow } from '../../../cli/proxy/events.ts';
import { startLiveView, type Terminal } from '../../../cli/proxy/live-view.ts';
import { screen, type ScreenFacts } from '../../../cli/proxy/screen.ts';
import { clipped, fitted, folded, plain, span } from '../../../cli/proxy/spans.ts';
import type { WorkerVerdict } from '../../../client/session.ts';
import { manualClock } from '../../../core/clock.ts';
import { memoryGateway, MODEL, PROMPT, STREAM_ANSWER } from '../../support/memory-gateway.ts';
import { memoryProxy } from '../../support/proxy-lab.ts';
import { until } from '../../support/until.ts';

const FACTS: ScreenFacts = {
  baseUrl: 'http://127.0.0.1:8080/v1',
  gatewayUrl: 'https://gateway.test',
  token: 'vgproxy_token',
  payer: 'channel 00',
};

function textAt(
  activity: Activity,
  columns: number,
  rows: number,
  nowMs: number,
): readonly string[] {
  const lines = screen(activity, FACTS, { columns, rows, nowMs, isStopping: false });
  return lines.map(plain);
}

async function usedProxy(context: Parameters<typeof memoryProxy>[0]) {
  const gateway = await memoryGateway([{ answer: STREAM_ANSWER }, { unlisted: true }]);
  const lab = await memoryProxy(context, gateway);
  const messages = [{ role: 'user' as const, content: PROMPT }];
  for await (const part of await lab.sdk.chat.completions.create({
    model: MODEL,
    messages,
    stream: true,
  })) {
    assert.ok(part.choices.length <= 1);
  }
  await assert.rejects(lab.sdk.chat.completions.create({ model: PROMPT, messages }));
  await until(() => lab.activity.ended.length === 2);
  await until(() => lab.events.some(({ kind }) => kind === 'ready'));
  return { lab, gateway };
}

test('a frame says who was verified, who was not and why, what was asked, and what it cost', async (context) => {
  const { lab, gateway } = await usedProxy(context);
  const text = textAt(lab.activity, 140, 30, gateway.clock()).join('\n');
  assert.match(text, /✔ verified SIMULATED [0-9a-f]{16}… {2}test\/model/);
  assert.match(text, /✘ denied .*[\s\S]*want .*, got /);
  assert.match(text, /simulated machines: nothing here is protected/);
  assert.match(text, /1 answered · 1 failed · 0 left early · 0 running/);
  assert.match(text, / chat +test\/model +5 +2 .*free answered/);
  assert.match(text, /✘ client\.model/);
  assert.match(text, /#2 client\.model: The gateway does not serve this model/);
  assert.ok(!text.includes(PROMPT), 'a model that only the app named is content');
});

test('a frame fits every screen', async (context) => {
  const { lab, gateway } = await usedProxy(context);
  for (let n = 0; n < 40; n++) lab.activity.asked('chat');
  for (const columns of [20, 40, 59, 80, 81, 120, 200]) {
    for (const rows of [4, 8, 12, 24, 60]) {
      const lines = textAt(lab.activity, columns, rows, gateway.clock());
      assert.equal(lines.length, rows);
      for (const line of lines) assert.ok(line.length <= columns, `${columns}: ${line}`);
    }
  }
});

test('nothing from outside moves the cursor, colours a line or fills more columns than it has', () => {
  const { now } = manualClock(0);
  const activity = new Activity(now);
  const evil = 'x\u001B[2J\u009B31m\r\n\u202E\u200B界🙂\u0301';
  const unreadable: WorkerVerdict = {
    model: evil,
    claimedWorkerId: evil,
    gateway: { id: 'gateway.identity', outcome: 'pass' },
    appraisal: { outcome: 'unreadable', code: 'evidence.truncated' },
  };
  activity.verdict(unreadable);
  const model: ModelRow = {
    model: evil,
    outcome: 'refused',
    workers: 0,
    code: 'client.no_worker',
    why: evil,
    advice: undefined,
  };
  activity.looked([model], activity.workers);
  activity.gatewayIsAway('client.unreachable', evil);
  for (const line of textAt(activity, 300, 20, 0)) assert.match(line, /^[\x20-\x7e✔✘…·→—’]*$/u);
});

class FakeTerminal implements Terminal {
  columns = 80;
  rows = 20;
  written = '';
  #resized: (() => void)[] = [];
  write(text: string): void {
    this.written += text;
  }
  on(_: 'resize', listener: () => void): void {
    this.#resized.push(listener);
  }
  off(_: 'resize', listener: () => void): void {
    this.#resized = this.#resized.filter((known) => known !== listener);
  }
  resize(columns: number): void {
    this.columns = columns;
    for (const listener of this.#resized) listener();
  }
  get listeners(): number {
    return this.#resized.length;
  }
}

test('frames are written over each other, and the terminal comes back as it was', async () => {
  const { now, advance } = manualClock(0);
  const activity = new Activity(now);
  const terminal = new FakeTerminal();
  const view = startLiveView(terminal, activity, FACTS, now);
  const first = terminal.written.length;
  assert.ok(terminal.written.startsWith('\u001B[?1049h\u001B[?25l'));
  for (let n = 0; n < 500; n++) activity.asked('chat');
  advance(1000);
  await until(() => terminal.written.includes('500 running'));
  const more = terminal.written.slice(first);
  assert.equal(more.match(/500 running/g)?.length, 1, 'many events, one frame');
  // Whole frames in one write each, without clearing first: nothing to flicker.
  assert.ok(more.startsWith('\u001B[?2026h\u001B[H'));
  assert.ok(!more.includes('\u001B[2J'));
  terminal.resize(40);
  assert.ok(terminal.written.endsWith('\u001B[?2026l'));
  view.end();
  view.end();
  assert.ok(terminal.written.endsWith('\u001B[?25h\u001B[?1049l'));
  assert.equal(terminal.written.split('\u001B[?1049l').length, 2);
  assert.equal(terminal.listeners, 0);
  const after = terminal.written.length;
  activity.asked('chat');
  terminal.resize(50);
  assert.equal(terminal.written.length, after);
});

test('lines are cut to their width and folded at blanks', () => {
  assert.equal(plain(clipped([span('abc'), span('defgh')], 6)), 'abcde…');
  assert.equal(fitted('abc', 5), 'abc  ');
  assert.deepEqual(folded('one two three', 8, '  '), ['  one', '  two', '  three']);
  assert.equal(span('naïve 界').text, 'na?ve ?');
});
