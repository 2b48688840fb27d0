/** Attack: a host gives an event another type, so that the check for its own type is skipped. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainEventLog } from '../../attestation/tdx/event-log/explain.ts';
import { appraiseEventLog } from '../../attestation/tdx/event-log/replay.ts';
import { utf8 } from '../../core/bytes.ts';
import {
  ccelEvents,
  dstackEvents,
  EV,
  replayCcel,
  replayDstack,
  withEvent,
  writeCcel,
  writeDstackLog,
  type CcelEvent,
} from '../support/tdx/event-log.ts';

for (const type of [EV.ipl, EV.noAction, EV.action, 0x0800_0002]) {
  test(`a runtime event of dstack as type 0x${type.toString(16)} is rejected, changed or not`, () => {
    for (const payload of ['22'.repeat(32), 'ab'.repeat(32)]) {
      const events = withEvent(dstackEvents(), 'compose-hash', {
        event_type: type,
        event_payload: payload,
      });
      const result = appraiseEventLog(
        { kind: 'dstack', bytes: writeDstackLog(events) },
        replayDstack(dstackEvents()),
      );
      assert.equal(result.verdict, 'reject');
      assert.ok(result.failing.includes('log.unboundEvent'));
    }
  });
}

function appraiseChanged(change: (event: CcelEvent) => CcelEvent) {
  const events = ccelEvents().map((event, at) => (at === 5 ? change(event) : event));
  return appraiseEventLog({ kind: 'ccel', bytes: writeCcel(events) }, replayCcel(ccelEvents()));
}

test('a firmware action as a remark leaves its register', () => {
  const result = appraiseChanged((event) => ({ ...event, type: EV.noAction }));
  assert.deepEqual([result.verdict, result.failing], ['mismatch', ['rtmr.1']]);
});

test('a firmware action with another text, as a type whose text is free, proves no text', () => {
  const result = appraiseChanged((event) => ({
    ...event,
    type: EV.ipl,
    data: utf8('grub_cmd: trusted'),
  }));
  assert.ok(result.verdict === 'match');
  const shown = explainEventLog(result.log, result.replayed).registers[1]?.events[0];
  assert.deepEqual([shown?.bound, shown?.boundText], ['none', '']);
});
