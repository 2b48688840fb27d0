/** Attack: a host writes a fact of dstack onto a register whose texts nothing covers. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appraiseEventLog } from '../../attestation/tdx/event-log/replay.ts';
import { toHex } from '../../core/bytes.ts';
import {
  COMPOSE_HASH,
  dstackEvents,
  EV,
  replayDstack,
  writeDstackLog,
  type DstackEvent,
} from '../support/tdx/event-log.ts';

const LIE = toHex(new Uint8Array(32).fill(0xab));

function factsWith(change: (event: DstackEvent) => DstackEvent) {
  // Event 1 is the ACPI marker: its digest is of the tables, its text is free.
  const events = dstackEvents().map((event, at) => (at === 1 ? change(event) : event));
  const result = appraiseEventLog(
    { kind: 'dstack', bytes: writeDstackLog(events) },
    replayDstack(dstackEvents()),
  );
  assert.ok(result.verdict === 'match' && result.facts?.outcome === 'read');
  return result.facts.value;
}

test('a firmware event called compose-hash supplies no compose hash', () => {
  const facts = factsWith((event) => ({ ...event, event: 'compose-hash', event_payload: LIE }));
  assert.deepEqual(facts.composeHash, COMPOSE_HASH);
});

test('nor does one that also has the type of a runtime event', () => {
  const facts = factsWith((event) => ({
    ...event,
    event: 'os-image-hash',
    event_payload: LIE,
    event_type: EV.runtime,
  }));
  assert.ok(!('osImageHash' in facts));
});

test('a firmware event called system-ready does not end the boot early', () => {
  const facts = factsWith((event) => ({
    ...event,
    event: 'system-ready',
    event_type: EV.runtime,
  }));
  assert.deepEqual(facts.composeHash, COMPOSE_HASH);
  assert.equal(facts.applicationEvents.length, 1);
});
