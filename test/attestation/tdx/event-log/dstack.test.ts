/** dstack logs: what replays, and for each rule a log in which exactly that rule fails. @module */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Registers } from '../../../../attestation/tdx/event-log/event.ts';
import {
  EVENT_DATA_MAX_BYTES,
  EVENT_LOG_MAX_BYTES,
  EVENT_NAME_MAX_CHARS,
  EVENTS_MAX,
} from '../../../../attestation/tdx/event-log/limits.ts';
import {
  appraiseEventLog,
  type EventLogResult,
} from '../../../../attestation/tdx/event-log/replay.ts';
import { concat, toHex, utf8 } from '../../../../core/bytes.ts';
import {
  BOOT_EVENTS,
  COMPOSE_HASH,
  dstackEvent,
  dstackEvents,
  dstackEventV2,
  EV,
  FIRMWARE_EVENTS,
  firmwareEvent,
  KEY_PROVIDER,
  replayDstack,
  variable,
  withEvent,
  writeDstackLog,
  type DstackEvent,
} from '../../../support/tdx/event-log.ts';

const EVENTS = dstackEvents();
const REGISTERS = replayDstack(EVENTS);

function appraiseBytes(bytes: Uint8Array, expected: Registers = REGISTERS): EventLogResult {
  return appraiseEventLog({ kind: 'dstack', bytes }, expected);
}

/** Against the registers of the sound log. */
function appraise(events: readonly DstackEvent[]): EventLogResult {
  return appraiseBytes(writeDstackLog(events));
}

/** Against its own registers. */
function appraiseItself(events: readonly DstackEvent[]): EventLogResult {
  return appraiseBytes(writeDstackLog(events), replayDstack(events));
}

function assertRejected(result: EventLogResult, id: string, reason: RegExp): void {
  assert.equal(result.verdict, 'reject');
  assert.deepEqual(result.failing, [id]);
  assert.match(result.failures[0]?.reason ?? '', reason);
}

test('a sound log replays to the registers that node:crypto computes', () => {
  const result = appraise(EVENTS);
  assert.equal(result.verdict, 'match');
  assert.deepEqual(result.replayed, REGISTERS);
  assert.equal(result.log.events.length, EVENTS.length);
});

test('digests of runtime events and payloads of firmware events may be left out', () => {
  for (const nothing of ['', undefined]) {
    let events = EVENTS;
    for (const { event } of BOOT_EVENTS) {
      events = withEvent(events, String(event), { digest: nothing });
    }
    events = withEvent(events, '', { event_payload: nothing });
    assert.equal(appraise(events).verdict, 'match');
  }
});

test('a supplied digest makes no difference to what is extended', () => {
  const events = withEvent(EVENTS, 'app-id', { digest: '' });
  const result = appraise(events);
  assert.ok(result.verdict === 'match');
  assert.deepEqual(result.log.events[5]?.digest.length, 48);
});

test('a log of version 2 replays, and one that changes its version on the way', () => {
  const boot = BOOT_EVENTS.map(({ event, event_payload: payload }) =>
    dstackEventV2(String(event), new Uint8Array(Buffer.from(String(payload), 'hex'))),
  );
  assert.equal(appraiseItself([...FIRMWARE_EVENTS, ...boot]).verdict, 'match');
  const mixed = BOOT_EVENTS.map((event, at) => (at % 2 === 0 ? event : (boot[at] ?? event)));
  assert.equal(appraiseItself([...FIRMWARE_EVENTS, ...mixed]).verdict, 'match');
});

test('version 2 names are quoted before they are hashed, so a colon in one is harmless', () => {
  const boot = [dstackEventV2('a:b"\\\n\u00e9', utf8('x')), ...BOOT_EVENTS];
  assert.equal(appraiseItself(boot).verdict, 'match');
});

test('a preimage may come with version 1, and is checked', () => {
  const preimage = concat(Uint8Array.of(1, 0, 0, 8), utf8(':compose-hash:'), COMPOSE_HASH);
  const events = withEvent(EVENTS, 'compose-hash', { preimage: toHex(preimage) });
  assert.equal(appraise(events).verdict, 'match');
});

for (const register of [0, 1, 2, 3] as const) {
  test(`RTMR${register} alone differs when one of its digests does`, () => {
    const other =
      register === 3
        ? dstackEvent('one-more')
        : firmwareEvent(register, EV.eventTag, utf8('one more'));
    const result = appraise([...EVENTS, other]);
    assert.equal(result.verdict, 'mismatch');
    assert.deepEqual(result.failing, [`rtmr.${register}`]);
  });
}

describe('log.eventDigest', () => {
  test('a payload changed, the digest kept', () => {
    const events = withEvent(EVENTS, 'compose-hash', { event_payload: 'ab'.repeat(32) });
    assertRejected(appraise(events), 'log.eventDigest', /event 6: name and payload/);
  });

  test('a digest changed', () => {
    const events = withEvent(EVENTS, 'compose-hash', { digest: 'ab'.repeat(48) });
    assertRejected(appraise(events), 'log.eventDigest', /event 6: name and payload/);
  });

  test('an event renamed', () => {
    const events = withEvent(EVENTS, 'compose-hash', { event: 'compose-hash-2' });
    assertRejected(appraise(events), 'log.eventDigest', /event 6: name and payload/);
  });

  test('a version 1 digest passed off as version 2', () => {
    const { preimage, version } = dstackEventV2('compose-hash', COMPOSE_HASH);
    assert.ok(preimage !== undefined && version !== undefined);
    const events = withEvent(EVENTS, 'compose-hash', { preimage, version });
    assertRejected(appraise(events), 'log.eventDigest', /event 6: name and payload/);
  });

  test('a preimage of another event', () => {
    const { preimage } = dstackEventV2('compose-hash', utf8('other'));
    assert.ok(preimage !== undefined);
    const events = [...FIRMWARE_EVENTS, ...BOOT_EVENTS].map((event) =>
      event['event'] === 'compose-hash'
        ? { ...dstackEventV2('compose-hash', COMPOSE_HASH), preimage }
        : event,
    );
    assertRejected(appraiseItself(events), 'log.eventDigest', /event 6: the preimage/);
  });

  test('the same of an application event', () => {
    const events = withEvent(EVENTS, 'app:started', { event_payload: 'ab' });
    assertRejected(appraise(events), 'log.eventDigest', /event 11: name and payload/);
  });

  test('a firmware setting that its digest contradicts', () => {
    const secure = toHex(variable('SecureBoot', Uint8Array.of(1)));
    const events = EVENTS.map((event, at) =>
      at === 0 ? { ...event, event_payload: secure } : event,
    );
    assertRejected(appraise(events), 'log.eventDigest', /event 0: the data/);
  });
});

describe('log.eventName', () => {
  test('a colon in a version 1 name before system-ready', () => {
    const events = [dstackEvent('a:b'), ...EVENTS];
    assertRejected(appraiseItself(events), 'log.eventName', /event 0: a colon/);
  });

  test('the border between name and payload moved', () => {
    const [name, ...rest] = KEY_PROVIDER.split(':');
    const events = withEvent(EVENTS, 'key-provider', {
      event: `key-provider:${name}`,
      event_payload: toHex(utf8(rest.join(':'))),
    });
    assertRejected(appraise(events), 'log.eventName', /event 9: a colon/);
  });

  test('a colon after system-ready is the application’s business', () => {
    assert.equal(appraise(EVENTS).verdict, 'match');
  });

  test('an event cannot end the boot by a name that a colon extends', () => {
    const events = [dstackEvent('system-ready:'), dstackEvent('a:b'), ...EVENTS];
    assertRejected(appraiseItself(events), 'log.eventName', /event 0: a colon/);
  });

  test('nor by one that anything else extends', () => {
    const events = [dstackEvent('system-ready2'), dstackEvent('a:b'), ...EVENTS];
    assertRejected(appraiseItself(events), 'log.eventName', /event 1: a colon/);
  });

  test('an event of another register cannot end the boot', () => {
    const ready = { ...firmwareEvent(2, EV.runtime, utf8('')), event: 'system-ready' };
    const events = [ready, dstackEvent('a:b'), ...EVENTS];
    assertRejected(appraiseItself(events), 'log.eventName', /event 1: a colon/);
  });
});

describe('log.unboundEvent', () => {
  for (const type of [EV.ipl, EV.noAction, EV.eventTag]) {
    test(`an event of type ${type} on RTMR3`, () => {
      const events = withEvent(EVENTS, 'compose-hash', { event_type: type });
      assertRejected(
        appraise(events),
        'log.unboundEvent',
        /event 6: RTMR3 has an event of another/,
      );
    });
  }

  test('also after system-ready', () => {
    const events = [...EVENTS, firmwareEvent(3, EV.ipl, utf8('x'))];
    assertRejected(appraiseItself(events), 'log.unboundEvent', /event 12/);
  });
});

describe('log.format', () => {
  const change = (member: string, value: string | number | undefined): Uint8Array =>
    writeDstackLog(withEvent(EVENTS, 'compose-hash', { [member]: value }));
  const firmware = (member: string, value: string | number | undefined): Uint8Array =>
    writeDstackLog(withEvent(EVENTS, '', { [member]: value }));
  const cases: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ['not JSON', utf8('{'), /json\.syntax/],
    ['text behind the list', concat(writeDstackLog(), utf8(' x')), /json\.syntax/],
    ['a byte order mark', concat(utf8('\uFEFF'), writeDstackLog()), /json\.syntax/],
    ['not UTF-8', Uint8Array.of(0x22, 0xff, 0x22), /bytes\.utf8/],
    ['a member twice', utf8('[{"imr":3,"imr":0}]'), /json\.duplicate/],
    ['no list', utf8('{"imr":3}'), /want a list of events/],
    ['no object', utf8('[7]'), /event 0: .*want object/],
    ['nested', utf8('[{"imr":[3]}]'), /json\.depth/],
    ['an unknown member', change('imr2', 3), /event 6: \(root\): 1 unknown member/],
    ['no register', change('imr', undefined), /event 6: imr: want a register/],
    ['a register that does not exist', change('imr', 4), /event 6: imr: want a register/],
    ['a negative register', change('imr', -1), /event 6: imr: want a register/],
    ['a register as text', change('imr', '3'), /event 6: imr: want a register/],
    ['no type', change('event_type', undefined), /event 6: event_type/],
    ['a type of 33 bits', change('event_type', 2 ** 32), /event 6: event_type/],
    ['a fraction', utf8('[{"imr":3.0}]'), /json\.number/],
    ['no name', change('event', undefined), /event 6: event: want string/],
    ['a long name', change('event', 'x'.repeat(EVENT_NAME_MAX_CHARS + 1)), /event 6: event/],
    ['hex in capitals', change('event_payload', 'AB'), /event_payload: want lower-case hex/],
    ['half a byte', change('event_payload', 'a'), /event_payload: want whole bytes/],
    [
      'a large payload',
      change('event_payload', '00'.repeat(EVENT_DATA_MAX_BYTES + 1)),
      /event_payload: want at most/,
    ],
    ['a short digest', change('digest', 'ab'), /digest: want 48 bytes or none/],
    ['version 0', change('version', 0), /version: want version 1 or 2/],
    ['version 3', change('version', 3), /version: want version 1 or 2/],
    ['version 2 without preimage', change('version', 2), /preimage: version 2 carries it/],
    ['a firmware event without digest', firmware('digest', ''), /event 0: digest: want 48 bytes/],
    ['a firmware event of version 2', firmware('version', 2), /belong to runtime events/],
    ['a firmware event with preimage', firmware('preimage', 'ab'), /belong to runtime events/],
    ['too many bytes', utf8(' '.repeat(EVENT_LOG_MAX_BYTES + 1)), /json\.size/],
    ['too many events', utf8(`[${'0,'.repeat(EVENTS_MAX)}0]`), /16385 events/],
  ];
  for (const [name, bytes, reason] of cases) {
    test(name, () => assertRejected(appraiseBytes(bytes), 'log.format', reason));
  }
});

test('reasons never repeat a text of the log', () => {
  const secret = 'canary-7f3a';
  const logs = [
    change(secret, 'x'),
    change('event', `${secret}:x`),
    change('digest', secret),
    change('event_payload', secret),
    utf8(`["${secret}"]`),
    utf8(`[{"${secret}`),
  ];
  for (const bytes of logs) {
    const result = appraiseBytes(bytes);
    assert.ok(result.verdict === 'reject');
    assert.ok(!JSON.stringify(result.failures).includes(secret));
  }
  function change(member: string, value: string): Uint8Array {
    return writeDstackLog(withEvent(EVENTS, 'compose-hash', { [member]: value }));
  }
});
