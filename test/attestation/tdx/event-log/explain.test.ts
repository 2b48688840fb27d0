/** Explanations: the right words, and a clean line between what is bound to a digest and what is claimed. @module */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eventType } from '../../../../attestation/tdx/event-log/event-types.ts';
import {
  explainEventLog,
  type ExplainedEvent,
  type Explanation,
} from '../../../../attestation/tdx/event-log/explain.ts';
import {
  replayEventLog,
  type EventLogSource,
} from '../../../../attestation/tdx/event-log/replay.ts';
import { concat, utf8 } from '../../../../core/bytes.ts';
import {
  ccelEvent,
  ccelEvents,
  dstackEvent,
  dstackEvents,
  EV,
  firmwareEvent,
  u16le,
  u32le,
  u64le,
  utf16,
  variable,
  writeCcel,
  writeDstackLog,
  type CcelEvent,
  type DstackEvent,
} from '../../../support/tdx/event-log.ts';

function explain(source: EventLogSource): Explanation {
  const replay = replayEventLog(source);
  assert.ok(replay.outcome === 'replayed');
  return explainEventLog(replay.log, replay.registers);
}

function explainCcel(events: readonly CcelEvent[]): Explanation {
  return explain({ kind: 'ccel', bytes: writeCcel(events) });
}

function explainDstack(events: readonly DstackEvent[]): Explanation {
  return explain({ kind: 'dstack', bytes: writeDstackLog(events) });
}

function eventsOf({ registers, notMeasured }: Explanation): readonly ExplainedEvent[] {
  return [...registers.flatMap(({ events }) => events), ...notMeasured];
}

/** bound, bound text, claimed text. */
function textsOf(explanation: Explanation): readonly (readonly string[])[] {
  return eventsOf(explanation).map(({ bound, boundText, claimedText }) => [
    bound,
    boundText,
    claimedText,
  ]);
}

test('each register lists its events in the order of the log, with names for their types', () => {
  const { registers, notMeasured } = explainCcel(ccelEvents());
  assert.deepEqual(
    registers.map(({ register, events }) => [
      register,
      events.map(({ index, typeName }) => `${index} ${typeName}`),
    ]),
    [
      [
        0,
        ['2 EV_EFI_VARIABLE_DRIVER_CONFIG', '3 EV_PLATFORM_CONFIG_FLAGS', '4 EV_EFI_VARIABLE_BOOT'],
      ],
      [1, ['5 EV_EFI_ACTION', '6 EV_EFI_BOOT_SERVICES_APPLICATION', '10 EV_EFI_ACTION']],
      [2, ['7 EV_IPL', '8 EV_IPL']],
      [3, ['9 EV_SEPARATOR']],
    ],
  );
  assert.deepEqual(
    notMeasured.map(({ index, bound }) => [index, bound]),
    [
      [0, 'none'],
      [1, 'none'],
    ],
  );
  for (const { title, holds } of registers) assert.ok(title !== '' && holds !== '');
});

test('bound and claimed texts of a CCEL log are kept apart', () => {
  assert.deepEqual(textsOf(explainCcel(ccelEvents())), [
    ['all', 'SecureBoot = 1', ''],
    ['none', '', 'ACPI DATA'],
    ['part', '0001, 0000', 'BootOrder'],
    ['all', 'Calling EFI Application from Boot Option', ''],
    ['none', '', 'some device path'],
    ['all', 'Exit Boot Services Returned with Success', ''],
    ['part', 'linux /vmlinuz ro', 'grub_cmd:'],
    ['none', '', '/vmlinuz'],
    ['all', '0x00000000', ''],
    ['none', '', 'a remark'],
    ['none', '', 'a note on MRTD'],
  ]);
});

test('bound and claimed texts of a dstack log are kept apart', () => {
  const named = { ...firmwareEvent(0, EV.platformFlags, utf8('ACPI'), utf8('t')), event: 'app-id' };
  const texts = textsOf(explainDstack([named, ...dstackEvents().slice(4)]));
  assert.deepEqual(texts[0], ['none', '', 'app-id ACPI']);
  assert.deepEqual(texts[1], ['all', 'system-preparing', '']);
  assert.deepEqual(texts[2], ['all', `app-id = 0x${'11'.repeat(20)}`, '']);
  assert.deepEqual(texts.at(-2), ['all', 'system-ready', '']);
  assert.deepEqual(texts.at(-1), ['all', 'app:started:now', '']);
});

test('a name cannot pass for a name and its value', () => {
  const texts = textsOf(
    explainDstack([
      dstackEvent('app-id = 0xab', utf8('x=y')),
      dstackEvent('system-ready'),
      dstackEvent('app-id = 0xab:', utf8('=')),
    ]),
  );
  assert.equal(texts[0]?.[1], 'app-id \\x3d 0xab = x=y');
  assert.equal(texts[2]?.[1], 'app-id \\x3d 0xab::\\x3d');
  const setting = ccelEvent(1, EV.driverConfig, variable('SecureBoot = 1', utf8('no')));
  assert.deepEqual(textsOf(explainCcel([setting])), [['all', 'SecureBoot \\x3d 1 = no', '']]);
});

test('a text that its digest contradicts is shown as a claim', () => {
  const lie = ccelEvent(1, EV.action, utf8('ready'), utf8('not ready'));
  assert.deepEqual(textsOf(explainCcel([lie])), [['contradicted', '', 'ready']]);
});

describe('data in words', () => {
  const node = (type: number, subtype: number, body: Uint8Array): Uint8Array =>
    concat(Uint8Array.of(type, subtype), u16le(4 + body.length), body);
  const image = (path: Uint8Array, size = path.length): Uint8Array =>
    concat(new Uint8Array(24), u64le(size), path);
  const path = concat(
    node(4, 1, new Uint8Array(38)),
    node(4, 4, utf16('\\EFI\0')),
    node(4, 4, utf16('\\BOOT\0')),
    node(0x7f, 0xff, new Uint8Array(0)),
  );
  const other = utf8('what was hashed');
  const option = (text: string): Uint8Array => concat(new Uint8Array(6), utf16(`${text}\0`), path);
  const gpt = (count: number, entries: number): Uint8Array =>
    concat(new Uint8Array(92), u64le(count), new Uint8Array(128 * entries));
  const cases: readonly (readonly [string, CcelEvent, string])[] = [
    ['file of an application', ccelEvent(2, EV.application, image(path), other), '\\\\EFI\\\\BOOT'],
    [
      'application without a file',
      ccelEvent(2, EV.application, image(node(4, 1, Uint8Array.of(1))), other),
      `0x${'00'.repeat(24)}05000000000000000401050001`,
    ],
    [
      'device path that is cut',
      ccelEvent(2, EV.application, image(path, 1000).subarray(0, 40), other),
      /^0x0000/.source,
    ],
    [
      'device path without end',
      ccelEvent(2, EV.application, image(node(4, 4, utf16('x'))), other),
      'x',
    ],
    [
      'node that says it is empty',
      ccelEvent(2, EV.application, image(concat(Uint8Array.of(4, 4, 0, 0), path)), other),
      /^0x0000/.source,
    ],
    [
      'tag',
      ccelEvent(3, EV.eventTag, concat(u32le(0x8f3b22ed), u32le(5), utf8('tag\0x')), other),
      'tag 0x8f3b22ed 0x7461670078',
    ],
    [
      'tag that is cut',
      ccelEvent(3, EV.eventTag, concat(u32le(1), u32le(9)), other),
      '0x0100000009000000',
    ],
    [
      'firmware volume',
      ccelEvent(1, 0x8000_000a, concat(Uint8Array.of(4), utf8('Fv()'), u64le(0)), other),
      'Fv()',
    ],
    [
      'table',
      ccelEvent(1, 0x8000_000b, concat(Uint8Array.of(9), utf8('TdxTable\0')), other),
      'TdxTable',
    ],
    ['description that is cut', ccelEvent(1, 0x8000_000b, Uint8Array.of(8, 65), other), '0x0841'],
    ['unknown type', ccelEvent(1, 0x7777, utf8('text'), other), 'text'],
  ];
  for (const [name, event, want] of cases) {
    test(name, () => {
      const [text] = textsOf(explainCcel([event]));
      assert.equal(text?.[0], 'none');
      if (want.startsWith('^')) assert.match(text[2] ?? '', new RegExp(want));
      else assert.equal(text[2], want);
    });
  }

  const bound: readonly (readonly [string, CcelEvent, string])[] = [
    ['partition table', ccelEvent(2, EV.gpt, gpt(2, 2)), '2 partitions'],
    ['partition table whose count is wrong', ccelEvent(2, EV.gpt, gpt(3, 2)), /^0x0000/.source],
    [
      'boot entry',
      ccelEvent(1, EV.driverConfig, variable('Boot0001', option('Linux'))),
      'Boot0001 = Linux',
    ],
    [
      'boot entry without end',
      ccelEvent(1, EV.driverConfig, variable('Boot0001', concat(new Uint8Array(6), utf16('ab')))),
      'Boot0001 = ab',
    ],
    [
      'short boot entry',
      ccelEvent(1, EV.driverConfig, variable('Boot0001', u16le(1))),
      'Boot0001 = ',
    ],
    [
      'empty setting',
      ccelEvent(1, EV.driverConfig, variable('PK', new Uint8Array(0))),
      'PK = empty',
    ],
    ['key', ccelEvent(1, EV.driverConfig, variable('db', new Uint8Array(900))), 'db = 900 bytes'],
    [
      'text',
      ccelEvent(1, EV.driverConfig, variable('SbatLevel', utf8('sbat,1\n'))),
      'SbatLevel = sbat,1\\n',
    ],
    [
      'long boot order',
      ccelEvent(1, EV.driverConfig, variable('BootOrder', new Uint8Array(40))),
      `BootOrder = ${'0000, '.repeat(16)}...`,
    ],
    [
      'long separator',
      ccelEvent(1, EV.separator, concat(u32le(0), u32le(1))),
      '0x0000000001000000',
    ],
    ['short separator', ccelEvent(1, EV.separator, Uint8Array.of(0)), '0x00'],
  ];
  for (const [name, event, want] of bound) {
    test(name, () => {
      const [text] = textsOf(explainCcel([event]));
      assert.equal(text?.[0], 'all');
      if (want.startsWith('^')) assert.match(text[1] ?? '', new RegExp(want));
      else assert.equal(text[1], want);
    });
  }
});

test('a type that nobody told us of has its number for a name', () => {
  assert.deepEqual(eventType(0x7777), { name: '0x00007777', means: 'unknown event type' });
});

test('no event of any type, whatever its bytes, prints anything but ink', () => {
  const ink = /^[ -;=?-~]*$/;
  const hostile = [
    utf8('\u001b[2J\u001b]0;x\u0007\u202e\u009b1A<>'),
    utf16('\u001b[2J\u202e<>'),
    concat(utf8('grub_cmd: '), utf8('\u001b[2J')),
    variable('\u001b[2J<', utf8('\u001b[2J>')),
    concat(Uint8Array.of(8), utf8('\u001b[2J\u0007<> ')),
    concat(new Uint8Array(24), u64le(12), Uint8Array.of(4, 4, 12, 0), utf16('\u001b[2J')),
    concat(u32le(7), u32le(4), utf8('\u001b[2J')),
  ];
  const types = [...Array(0x15).keys(), EV.runtime, 0x7777];
  for (let low = 1; low <= 0xe4; low++) types.push(0x8000_0000 + low);
  const events = types.flatMap((type) => hostile.map((data) => ccelEvent(1, type, data)));
  const shown = eventsOf(explainCcel(events));
  assert.equal(shown.length, events.length);
  for (const { typeName, boundText, claimedText, means } of shown) {
    for (const text of [typeName, boundText, claimedText, means]) assert.match(text, ink);
  }
  const names = hostile.map((data) => new TextDecoder().decode(data).replaceAll(':', ''));
  const dstack = names.flatMap((name) => [
    dstackEvent(name, utf8(name)),
    { ...firmwareEvent(0, EV.ipl, utf8(name)), event: name },
  ]);
  for (const { boundText, claimedText } of eventsOf(explainDstack(dstack))) {
    assert.match(boundText, ink);
    assert.match(claimedText, ink);
  }
});
