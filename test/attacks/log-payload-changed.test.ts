/** Attack: a host changes what an event says and keeps its digest, so that the registers still match. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appraiseEventLog } from '../../attestation/tdx/event-log/replay.ts';
import { explainEventLog } from '../../attestation/tdx/event-log/explain.ts';
import { toHex, utf8 } from '../../core/bytes.ts';
import {
  ccelEvents,
  dstackEvents,
  replayCcel,
  replayDstack,
  withEvent,
  writeCcel,
  writeDstackLog,
} from '../support/tdx/event-log.ts';

test('another compose hash under the digest of the measured one is rejected', () => {
  const events = withEvent(dstackEvents(), 'compose-hash', { event_payload: 'ab'.repeat(32) });
  const result = appraiseEventLog(
    { kind: 'dstack', bytes: writeDstackLog(events) },
    replayDstack(dstackEvents()),
  );
  assert.deepEqual([result.verdict, result.failing], ['reject', ['log.eventDigest']]);
});

test('with its digest recomputed it no longer matches the quote', () => {
  const other = new Uint8Array(32).fill(0xab);
  const events = withEvent(dstackEvents(), 'compose-hash', {
    event_payload: toHex(other),
    digest: '',
  });
  const result = appraiseEventLog(
    { kind: 'dstack', bytes: writeDstackLog(events) },
    replayDstack(dstackEvents()),
  );
  assert.deepEqual([result.verdict, result.failing], ['mismatch', ['rtmr.3']]);
  assert.ok(!('facts' in result));
});

test('a firmware text that the digest covers is rejected', () => {
  const events = ccelEvents().map((event) =>
    event.data.length === 40
      ? { ...event, data: utf8('Calling EFI Application from Boot option') }
      : event,
  );
  const result = appraiseEventLog(
    { kind: 'ccel', bytes: writeCcel(events) },
    replayCcel(ccelEvents()),
  );
  assert.deepEqual([result.verdict, result.failing], ['reject', ['log.eventDigest']]);
});

test('a firmware text that no digest covers changes nothing that is proven', () => {
  const events = ccelEvents().map((event, at) =>
    at === 8 ? { ...event, data: utf8('/trusted') } : event,
  );
  const result = appraiseEventLog(
    { kind: 'ccel', bytes: writeCcel(events) },
    replayCcel(ccelEvents()),
  );
  assert.ok(result.verdict === 'match');
  const shown = explainEventLog(result.log, result.replayed).registers[2]?.events[1];
  assert.deepEqual([shown?.boundText, shown?.claimedText], ['', '/trusted']);
});
