/** Event logs can be large and their lengths can lie; the work and what is answered stay in proportion. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { candidateRanges } from '../../../../attestation/tdx/event-log/covered.ts';
import { explainEventLog } from '../../../../attestation/tdx/event-log/explain.ts';
import {
  EVENT_LOG_MAX_BYTES,
  EVENTS_MAX,
  EXPLAINED_TEXT_MAX_CHARS,
} from '../../../../attestation/tdx/event-log/limits.ts';
import {
  replayEventLog,
  type EventLogSource,
} from '../../../../attestation/tdx/event-log/replay.ts';
import { concat, utf8 } from '../../../../core/bytes.ts';
import {
  ccelEvent,
  dstackEvent,
  EV,
  SHA384,
  u16le,
  u32le,
  variable,
  writeCcel,
  writeDstackLog,
} from '../../../support/tdx/event-log.ts';

function reasonOf(source: EventLogSource): string {
  const replay = replayEventLog(source);
  assert.ok(replay.outcome === 'rejected');
  assert.equal(replay.failures.length, 1);
  return replay.failures[0]?.reason ?? '';
}

/** `at 12345` */
function offsetOf(reason: string): number {
  return Number(/ at (\d+)$/.exec(reason)?.[1]);
}

const HEADER_BYTES = 65;
const EVENT_BYTES = 66;

test('reading stops at the last event allowed, however many follow', () => {
  const event = ccelEvent(1, EV.ipl, new Uint8Array(0));
  const count = Math.floor((EVENT_LOG_MAX_BYTES - HEADER_BYTES) / EVENT_BYTES);
  const bytes = writeCcel(
    Array.from({ length: count }, () => event),
    {
      padding: new Uint8Array(0),
    },
  );
  assert.ok(count > EVENTS_MAX && bytes.length <= EVENT_LOG_MAX_BYTES);
  const offset = offsetOf(reasonOf({ kind: 'ccel', bytes }));
  assert.equal(offset, HEADER_BYTES + EVENTS_MAX * EVENT_BYTES + 4);
});

test('a digest count of two thousand million is refused before any digest is read', () => {
  const bytes = writeCcel([ccelEvent(1, EV.ipl, utf8('x'))], {
    event: () => concat(u32le(1), u32le(EV.ipl), u32le(2_000_000_000), new Uint8Array(4096)),
  });
  assert.match(reasonOf({ kind: 'ccel', bytes }), /event 0: 2000000000 digests/);
});

test('an event of four thousand million bytes is refused by its length alone', () => {
  const digest = concat(u32le(1), u16le(SHA384), new Uint8Array(48));
  const bytes = writeCcel([ccelEvent(1, EV.ipl, utf8('x'))], {
    event: () => concat(u32le(1), u32le(EV.ipl), digest, u32le(0xffff_ffff)),
  });
  assert.match(reasonOf({ kind: 'ccel', bytes }), /event 0: 4294967295 bytes of data/);
});

test('a header that lists four thousand million algorithms is refused by the number', () => {
  const bytes = writeCcel([], { algorithmCount: 0xffff_ffff });
  assert.match(reasonOf({ kind: 'ccel', bytes }), /4294967295 algorithms/);
});

test('events share the bytes of the log: what is kept is one copy of it', () => {
  const data = new Uint8Array(1000);
  const bytes = writeCcel(
    Array.from({ length: 1000 }, () => ccelEvent(1, EV.ipl, data, utf8('x'))),
  );
  const replay = replayEventLog({ kind: 'ccel', bytes });
  assert.ok(replay.outcome === 'replayed');
  const buffers = new Set(replay.log.events.map((event) => event.data.buffer));
  assert.equal(buffers.size, 1);
  assert.equal([...buffers][0]?.byteLength, bytes.length);
});

test('at most two ranges of an event are hashed, both inside it', () => {
  const datas = [
    new Uint8Array(0),
    new Uint8Array(31),
    new Uint8Array(32),
    new Uint8Array(64).fill(0xff),
    utf8('grub_cmd: '),
    utf8('grub_cmd: x\0'),
    variable('', new Uint8Array(0)),
    variable('Name', utf8('value')),
    // Lengths that are right only when they wrap around at 64 bits.
    concat(new Uint8Array(16), new Uint8Array(7), Uint8Array.of(0x80), new Uint8Array(8)),
  ];
  for (const type of [EV.ipl, EV.driverConfig, EV.variableBoot, EV.action, EV.eventTag, 0x7777]) {
    for (const data of datas) {
      const ranges = candidateRanges(type, data);
      assert.ok(ranges.length === 1 || ranges.length === 2);
      for (const { from, to } of ranges) assert.ok(0 <= from && from <= to && to <= data.length);
    }
  }
});

test('a list of a hundred thousand wrong events is refused by its length, one within bounds at the first', () => {
  const long = utf8(`[${'0,'.repeat(100_000)}0]`);
  assert.match(reasonOf({ kind: 'dstack', bytes: long }), /100001 events/);
  const short = utf8(`[${'0,'.repeat(EVENTS_MAX - 1)}0]`);
  assert.match(reasonOf({ kind: 'dstack', bytes: short }), /event 0: /);
});

test('an event of ten thousand unknown members gets a short answer', () => {
  const members = Array.from({ length: 9000 }, (_, at) => `"m${at}":0`).join();
  const reason = reasonOf({ kind: 'dstack', bytes: utf8(`[{${members}}]`) });
  assert.match(reason, /9000 unknown members/);
  assert.ok(reason.length < 500);
});

test('brackets within brackets end at the depth of an event', () => {
  const bytes = utf8('['.repeat(EVENT_LOG_MAX_BYTES));
  assert.match(reasonOf({ kind: 'dstack', bytes }), /json\.depth: at 3/);
});

test('a log that breaks a rule a thousand times is told once', () => {
  const events = Array.from({ length: 1000 }, () => ({ ...dstackEvent('a:b'), digest: '' }));
  assert.match(reasonOf({ kind: 'dstack', bytes: writeDstackLog(events) }), /event 0: a colon/);
});

test('an explanation has bounded texts, whatever the events hold', () => {
  const data = new Uint8Array(100_000);
  const types = [EV.ipl, EV.application, EV.eventTag, EV.gpt, 0x8000_000a, 0x8000_000b, 0x7777];
  const fills = [0x00, 0x41, 0x09, 0x1b, 0x5c, 0xff];
  const events = types.flatMap((type) =>
    fills.map((fill) => ccelEvent(1, type, Uint8Array.from(data).fill(fill))),
  );
  const value = new Uint8Array(100_000).fill(0x1b);
  const variables = [
    ccelEvent(1, EV.driverConfig, variable('x'.repeat(50_000), value)),
    ccelEvent(1, EV.variableBoot, variable('Boot0000', value), value),
    ccelEvent(1, EV.variableBoot, variable('BootOrder', value), value),
  ];
  const replay = replayEventLog({ kind: 'ccel', bytes: writeCcel(events.slice(0, 14)) });
  const others = replayEventLog({ kind: 'ccel', bytes: writeCcel(variables) });
  assert.ok(replay.outcome === 'replayed' && others.outcome === 'replayed');
  for (const { log, registers } of [replay, others]) {
    for (const { boundText, claimedText } of explainEventLog(log, registers).registers.flatMap(
      (register) => register.events,
    )) {
      assert.ok(boundText.length <= EXPLAINED_TEXT_MAX_CHARS);
      assert.ok(claimedText.length <= EXPLAINED_TEXT_MAX_CHARS);
    }
  }
});
