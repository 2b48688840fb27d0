/**
 * Attack: a text that no digest covers, so long that it goes on over further lines, is laid out so that one of them
 * reads as the row of another event, with the word "bound" in the place where ours stands.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reportLines } from '../../cli/measure/tdx-report.ts';
import { explainEventLog } from '../../attestation/tdx/event-log/explain.ts';
import { EXPLAINED_TEXT_MAX_CHARS } from '../../attestation/tdx/event-log/limits.ts';
import { replayEventLog } from '../../attestation/tdx/event-log/replay.ts';
import { utf8 } from '../../core/bytes.ts';
import { ccelEvent, EV, sha384Of, variable, writeCcel } from '../support/tdx/event-log.ts';

function replayed(...events: readonly ReturnType<typeof ccelEvent>[]) {
  const replay = replayEventLog({ kind: 'ccel', bytes: writeCcel(events) });
  assert.ok(replay.outcome === 'replayed');
  return replay;
}

test('a line of a claim is never the row of an event', () => {
  const row = `8  ${'EV_IPL'.padEnd(32)}  0123456789ab  bound  approved`;
  for (let filler = 50; filler < 200; filler++) {
    const claim = utf8(`${'x'.repeat(filler)} ${row} ${'y'.repeat(100)}`);
    const replay = replayed(ccelEvent(3, EV.ipl, claim, utf8('something else')));
    const lines = reportLines({ name: 'log', kind: 'ccel', replay });
    const forged = lines.filter((line) => /^\s*8 {2}EV_IPL/.test(line));
    assert.deepEqual(forged, [], `${filler} characters before it`);
    assert.ok(lines.some((line) => line.startsWith('       | <xxx')));
  }
});

test('a claimed name is as bounded as every other text', () => {
  const data = variable('='.repeat(EXPLAINED_TEXT_MAX_CHARS), utf8('value'));
  const event = { ...ccelEvent(1, EV.variableBoot, data), digest: sha384Of(utf8('value')) };
  const { log, registers } = replayed(event);
  const [shown] = explainEventLog(log, registers).registers[0]?.events ?? [];
  assert.equal(shown?.bound, 'part');
  assert.ok(shown.claimedText.length <= EXPLAINED_TEXT_MAX_CHARS);
});
