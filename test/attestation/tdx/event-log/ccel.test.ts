/** CCEL logs: what replays, and for each rule a log in which exactly that rule fails. @module */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Covered } from '../../../../attestation/tdx/event-log/event.ts';
import {
  EVENT_DATA_MAX_BYTES,
  EVENT_LOG_MAX_BYTES,
  EVENTS_MAX,
} from '../../../../attestation/tdx/event-log/limits.ts';
import {
  appraiseEventLog,
  replayEventLog,
  type EventLogResult,
} from '../../../../attestation/tdx/event-log/replay.ts';
import { concat, fixed, utf8 } from '../../../../core/bytes.ts';
import {
  ccelEvent,
  ccelEvents,
  EV,
  replayCcel,
  SHA256,
  SHA384,
  sha384Of,
  u16le,
  u32le,
  variable,
  writeCcel,
  writeCcelEvent,
  type CcelEvent,
  type CcelFaults,
} from '../../../support/tdx/event-log.ts';

const EVENTS = ccelEvents();
const REGISTERS = replayCcel(EVENTS);
const NONE = new Uint8Array(0);

function appraise(bytes: Uint8Array): EventLogResult {
  return appraiseEventLog({ kind: 'ccel', bytes }, REGISTERS);
}

function failuresOf(faults: CcelFaults): readonly (readonly [string, string])[] {
  const result = appraise(writeCcel(EVENTS, faults));
  assert.equal(result.verdict, 'reject');
  return result.failures.map(({ id, reason }) => [id, reason]);
}

function coverageOf(event: CcelEvent): Covered | undefined {
  const replay = replayEventLog({ kind: 'ccel', bytes: writeCcel([event]) });
  assert.equal(replay.outcome, 'replayed');
  return replay.log.events[0]?.covered;
}

test('a sound log replays to the registers that node:crypto computes', () => {
  const result = appraise(writeCcel());
  assert.equal(result.verdict, 'match');
  assert.deepEqual(result.replayed, REGISTERS);
  assert.equal(result.log.events.length, EVENTS.length);
  assert.equal(result.facts, undefined);
});

test('a log needs no padding and no event', () => {
  assert.equal(appraise(writeCcel(EVENTS, { padding: NONE })).verdict, 'match');
  const zero = fixed(new Uint8Array(48), 48);
  const empty = { kind: 'ccel', bytes: writeCcel([]) } as const;
  assert.equal(appraiseEventLog(empty, [zero, zero, zero, zero]).verdict, 'match');
});

test('remarks and notes on MRTD are listed and change no register', () => {
  const result = appraise(writeCcel());
  assert.ok(result.verdict === 'match');
  const [remark, note] = result.log.events;
  assert.deepEqual([remark?.register, remark?.covered], [0, { kind: 'unmeasured' }]);
  assert.deepEqual([note?.register, note?.covered], ['mrtd', { kind: 'unmeasured' }]);
});

test('what stands on MRTD is unmeasured even when its digest fits', () => {
  assert.deepEqual(coverageOf(ccelEvent(0, EV.action, utf8('I am trusted'))), {
    kind: 'unmeasured',
  });
});

for (const register of [0, 1, 2, 3] as const) {
  test(`RTMR${register} alone differs when one of its digests does`, () => {
    const at = EVENTS.findIndex(
      (event) => event.register === register + 1 && event.type !== EV.noAction,
    );
    const events = EVENTS.map((event, index) =>
      index === at ? ccelEvent(event.register, EV.ipl, event.data, utf8('other')) : event,
    );
    const result = appraise(writeCcel(events));
    assert.equal(result.verdict, 'mismatch');
    assert.deepEqual(result.failing, [`rtmr.${register}`]);
    assert.deepEqual(result.replayed, replayCcel(events));
  });
}

test('the order of events counts', () => {
  const swapped = [...EVENTS.slice(0, 2), EVENTS[3], EVENTS[2], ...EVENTS.slice(4)];
  const events = swapped.filter((event) => event !== undefined);
  assert.deepEqual(appraise(writeCcel(events)).failing, ['rtmr.0']);
});

test('several algorithms may be listed; the digest of SHA-384 is the one that counts', () => {
  const events = EVENTS.map((event, index) => ({ ...event, index }));
  const result = appraise(
    writeCcel(events, {
      algorithms: [
        [SHA256, 32],
        [SHA384, 48],
      ],
      event: ({ register, type, digest, data }) =>
        concat(
          u32le(register),
          u32le(type),
          u32le(2),
          concat(u16le(SHA256), new Uint8Array(32).fill(7)),
          concat(u16le(SHA384), digest),
          u32le(data.length),
          data,
        ),
    }),
  );
  assert.equal(result.verdict, 'match');
});

test('a buffer that the caller reuses does not change what was judged', () => {
  const bytes = writeCcel();
  const result = appraise(bytes);
  bytes.fill(0);
  assert.ok(result.verdict === 'match');
  assert.deepEqual(result.log.events[3]?.data, utf8('ACPI DATA'));
});

describe('what a digest covers', () => {
  const value = utf8('value');
  const setting = variable('Name', value);
  const cases: readonly (readonly [string, CcelEvent, Covered])[] = [
    ['separator', ccelEvent(1, EV.separator, u32le(0)), { kind: 'data' }],
    ['action', ccelEvent(1, EV.action, utf8('text')), { kind: 'data' }],
    ['variable as a whole', ccelEvent(1, EV.driverConfig, setting), { kind: 'data' }],
    [
      'value of a variable, not its name',
      ccelEvent(1, EV.variableBoot, setting, value),
      { kind: 'part', from: 40, to: 45 },
    ],
    [
      'command of GRUB, not its label',
      ccelEvent(3, EV.ipl, utf8('grub_cmd: boot\0'), utf8('boot')),
      { kind: 'part', from: 10, to: 14 },
    ],
    ['text of the boot loader', ccelEvent(3, EV.ipl, utf8('MokList\0')), { kind: 'data' }],
    ['path of a measured file', ccelEvent(3, EV.ipl, utf8('/a'), utf8('file')), { kind: 'digest' }],
    ['marker', ccelEvent(1, EV.platformFlags, utf8('ACPI'), utf8('t')), { kind: 'digest' }],
    ['unknown type', ccelEvent(1, 0x7777, utf8('x'), utf8('y')), { kind: 'digest' }],
  ];
  for (const [name, event, covered] of cases) {
    test(name, () => assert.deepEqual(coverageOf(event), covered));
  }
});

describe('a text that its digest contradicts', () => {
  const lies: readonly (readonly [string, CcelEvent])[] = [
    ['separator', ccelEvent(1, EV.separator, u32le(1), u32le(0))],
    ['firmware action', ccelEvent(1, EV.action, utf8('ready'), utf8('not ready'))],
    ['partition table', ccelEvent(1, EV.gpt, utf8('a'), utf8('b'))],
    ['setting', ccelEvent(1, EV.driverConfig, variable('SecureBoot', u16le(1)), utf8('x'))],
    ['boot variable', ccelEvent(1, EV.variableBoot, variable('BootOrder', u16le(1)), utf8('x'))],
    [
      'variable whose lengths do not fill it',
      ccelEvent(1, EV.variableBoot, concat(variable('Name', u16le(1)), u16le(2)), u32le(0x20001)),
    ],
    ['no variable at all', ccelEvent(1, EV.variableBoot, utf8('short'), utf8('x'))],
  ];
  for (const [name, lie] of lies) {
    test(`${name}: rejected though every register matches`, () => {
      const events = [...EVENTS, lie];
      const result = appraiseEventLog(
        { kind: 'ccel', bytes: writeCcel(events) },
        replayCcel(events),
      );
      assert.equal(result.verdict, 'reject');
      assert.deepEqual(result.failing, ['log.eventDigest']);
    });
  }

  test('beside registers that differ, both are found', () => {
    const lie = ccelEvent(1, EV.action, utf8('ready'), utf8('not ready'));
    const result = appraise(writeCcel([...EVENTS, lie]));
    assert.equal(result.verdict, 'mismatch');
    assert.deepEqual(result.failing, ['log.eventDigest', 'rtmr.0']);
  });
});

/** Replaces the first event by these bytes. */
const instead = (bytes: Uint8Array): CcelFaults => ({
  event: (event, index) => (index === 0 ? bytes : writeCcelEvent(event)),
});
const digestOf = sha384Of(utf8('x'));
const frame = (...digests: readonly Uint8Array[]): Uint8Array =>
  concat(u32le(1), u32le(EV.ipl), u32le(digests.length), ...digests, u32le(0));
const sha384Digest = concat(u16le(SHA384), digestOf);

describe('a log that is not of the form', () => {
  const cases: readonly (readonly [string, CcelFaults, RegExp])[] = [
    ['header on another register', { headerRegister: 2 }, /header register 2 at 0/],
    ['header of another type', { headerType: EV.separator }, /header type 4 at 4/],
    ['header with a digest', { headerDigest: new Uint8Array(20).fill(1) }, /header digest at 8/],
    ['another signature', { signature: 'Spec ID Event02\0' }, /signature at 32/],
    ['another minor version', { version: [1, 2] }, /version 2\.1 at 52/],
    ['another major version', { version: [0, 3] }, /version 3\.0 at 52/],
    ['too many algorithms', { algorithmCount: 9 }, /9 algorithms at 56/],
    ['more algorithms than there are', { algorithmCount: 2 }, /past the end/],
    ['no algorithms', { algorithms: [] }, /SHA-384 is not listed/],
    ['SHA-384 of another size', { algorithms: [[SHA384, 32]] }, /SHA-384 is not listed/],
    ['a digest without bytes', { algorithms: [[SHA256, 0]] }, /digest size 0/],
    ['a digest of 65 bytes', { algorithms: [[SHA256, 65]] }, /digest size 65/],
    [
      'an algorithm listed twice',
      {
        algorithms: [
          [SHA384, 48],
          [SHA384, 48],
        ],
      },
      /algorithm 12 listed twice/,
    ],
    ['bytes behind the header', { afterHeader: Uint8Array.of(0) }, /bytes after the header/],
    [
      'a register that does not exist',
      instead(writeCcelEvent(ccelEvent(5, EV.ipl, NONE))),
      /event 0: register 5/,
    ],
    ['no digest', instead(frame()), /event 0: 0 digests/],
    ['two digests', instead(frame(sha384Digest, sha384Digest)), /event 0: 2 digests/],
    [
      'a digest of an algorithm that is not listed',
      instead(frame(concat(u16le(SHA256), digestOf))),
      /event 0: algorithm 11 is not listed/,
    ],
    [
      'an event larger than the log',
      instead(concat(frame(sha384Digest).subarray(0, -4), u32le(4000))),
      /event data past the end/,
    ],
    [
      'an event larger than an event may be',
      instead(concat(frame(sha384Digest).subarray(0, -4), u32le(EVENT_DATA_MAX_BYTES + 1))),
      /event 0: 262145 bytes of data/,
    ],
    ['bytes in the padding', { padding: Uint8Array.of(255, 255, 255, 255, 0) }, /in the padding/],
    ['padding cut to three bytes', { padding: Uint8Array.of(255, 255, 255) }, /past the end/],
  ];
  for (const [name, faults, reason] of cases) {
    test(name, () => {
      const failures = failuresOf(faults);
      assert.equal(failures.length, 1);
      assert.equal(failures[0]?.[0], 'log.format');
      assert.match(failures[0]?.[1] ?? '', reason);
    });
  }

  test('two digests of one algorithm, where two algorithms are listed', () => {
    const failures = failuresOf({
      algorithms: [
        [SHA256, 32],
        [SHA384, 48],
      ],
      event: () => frame(sha384Digest, sha384Digest),
    });
    assert.match(failures[0]?.[1] ?? '', /two digests of algorithm 12/);
  });

  test('events that follow the padding', () => {
    const padding = new Uint8Array(8).fill(0xff);
    const hidden = writeCcelEvent(ccelEvent(1, EV.ipl, utf8('hidden')));
    const failures = failuresOf({ padding: concat(padding, hidden) });
    assert.match(failures[0]?.[1] ?? '', /bytes in the padding/);
  });

  test('too many events', () => {
    const event = ccelEvent(1, EV.ipl, NONE);
    const bytes = writeCcel(Array.from({ length: EVENTS_MAX + 1 }, () => event));
    const result = appraise(bytes);
    assert.ok(result.verdict === 'reject');
    assert.match(result.failures[0]?.reason ?? '', /too many events/);
  });

  test('too many bytes', () => {
    const result = appraise(new Uint8Array(EVENT_LOG_MAX_BYTES + 1));
    assert.ok(result.verdict === 'reject');
    assert.match(result.failures[0]?.reason ?? '', /log too large/);
  });

  test('no bytes', () => {
    assert.deepEqual(appraise(NONE).failing, ['log.format']);
  });
});

test('both headers that exist are read, with what a vendor adds', () => {
  assert.equal(appraise(writeCcel(EVENTS, { headerRegister: 0 })).verdict, 'match');
  assert.equal(appraise(writeCcel(EVENTS, { vendorInfo: utf8('vendor') })).verdict, 'match');
});
