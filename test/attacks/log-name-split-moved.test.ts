/**
 * Attack: a host moves the border between name and payload to another colon. Version 1 hashes both joined by a colon,
 * so digest and register stay the same while an event disappears, or appears, under another name.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainEventLog } from '../../attestation/tdx/event-log/explain.ts';
import { appraiseEventLog } from '../../attestation/tdx/event-log/replay.ts';
import { toHex, utf8 } from '../../core/bytes.ts';
import {
  BOOT_EVENTS,
  dstackEvent,
  dstackEventV2,
  FIRMWARE_EVENTS,
  KEY_PROVIDER,
  replayDstack,
  withEvent,
  writeDstackLog,
  type DstackEvent,
} from '../support/tdx/event-log.ts';

function appraise(shown: readonly DstackEvent[], measured: readonly DstackEvent[]) {
  return appraiseEventLog({ kind: 'dstack', bytes: writeDstackLog(shown) }, replayDstack(measured));
}

const SOUND = [...FIRMWARE_EVENTS, ...BOOT_EVENTS];

test('the key provider cannot be hidden behind a longer name', () => {
  for (let at = 0; at < KEY_PROVIDER.length; at++) {
    if (KEY_PROVIDER[at] !== ':') continue;
    const moved = withEvent(SOUND, 'key-provider', {
      event: `key-provider:${KEY_PROVIDER.slice(0, at)}`,
      event_payload: toHex(utf8(KEY_PROVIDER.slice(at + 1))),
    });
    const result = appraise(moved, SOUND);
    assert.deepEqual([result.verdict, result.failing], ['reject', ['log.eventName']]);
  }
});

test('nor with the digest left out', () => {
  const moved = withEvent(SOUND, 'key-provider', {
    event: 'key-provider:{"name"',
    event_payload: toHex(utf8(KEY_PROVIDER.slice('{"name":'.length))),
    digest: '',
  });
  assert.deepEqual(appraise(moved, SOUND).failing, ['log.eventName']);
});

test('a version 2 event has one reading: nothing can be moved', () => {
  const measured = [dstackEventV2('a:b', utf8('c')), ...SOUND];
  const moved = [{ ...measured[0], event: 'a', event_payload: toHex(utf8('b:c')) }, ...SOUND];
  assert.deepEqual(appraise(moved, measured).failing, ['log.eventDigest']);
});

test('an event of the application cannot become one of the boot, nor end it', () => {
  const measured = [
    ...SOUND,
    dstackEvent('x', utf8('system-ready:')),
    dstackEvent('app', utf8('y')),
  ];
  const moved = withEvent(measured, 'x', { event: 'x:system-ready', event_payload: '' });
  const result = appraise(moved, measured);
  assert.ok(result.verdict === 'match' && result.facts?.outcome === 'read');
  assert.deepEqual(
    result.facts.value.applicationEvents.map(({ name, border }) => [name, border]),
    [
      ['x:system-ready', 'unproven'],
      ['app', 'proven'],
    ],
  );
});

test('a longer name cannot be cut at one of its colons and pass for proven', () => {
  const measured = [...SOUND, dstackEvent('config:approved', utf8('no'))];
  const moved = withEvent(measured, 'config:approved', {
    event: 'config',
    event_payload: toHex(utf8('approved:no')),
  });
  const result = appraise(moved, measured);
  assert.ok(result.verdict === 'match' && result.facts?.outcome === 'read');
  assert.deepEqual(
    result.facts.value.applicationEvents.map(({ name, border }) => [name, border]),
    [['config', 'unproven']],
  );
  const shown = explainEventLog(result.log, result.replayed).registers[3]?.events.at(-1);
  assert.equal(shown?.boundText, 'config:approved:no');
});

test('a colon behind bytes that are in no name leaves the border proven', () => {
  const measured = [...SOUND, dstackEvent('key', Uint8Array.of(0xff, 0x3a, 0x61))];
  const result = appraise(measured, measured);
  assert.ok(result.verdict === 'match' && result.facts?.outcome === 'read');
  assert.deepEqual(
    result.facts.value.applicationEvents.map(({ border }) => border),
    ['proven'],
  );
});

test('what dstack writes during the boot has no colon in a name: its payloads may', () => {
  const result = appraise(SOUND, SOUND);
  assert.ok(result.verdict === 'match');
  const event = result.log.events.find(({ name }) => name === 'key-provider');
  assert.deepEqual([event?.covered, event?.data.includes(0x3a)], [{ kind: 'event' }, true]);
});
