/** What a dstack log says about the application, and when it says nothing. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attempt } from '../../../../attestation/attempt.ts';
import type { DstackFacts } from '../../../../attestation/tdx/event-log/facts.ts';
import { KEY_PROVIDER_MAX_BYTES } from '../../../../attestation/tdx/event-log/limits.ts';
import { appraiseEventLog } from '../../../../attestation/tdx/event-log/replay.ts';
import { utf8 } from '../../../../core/bytes.ts';
import {
  APP_ID,
  BOOT_EVENTS,
  COMPOSE_HASH,
  dstackEvent,
  dstackEvents,
  dstackEventV2,
  firmwareEvent,
  EV,
  INSTANCE_ID,
  KEY_PROVIDER,
  replayDstack,
  writeDstackLog,
  type DstackEvent,
} from '../../../support/tdx/event-log.ts';

/** Of a log that matches. */
function factsOf(events: readonly DstackEvent[]): Attempt<DstackFacts> {
  const result = appraiseEventLog(
    { kind: 'dstack', bytes: writeDstackLog(events) },
    replayDstack(events),
  );
  assert.ok(result.verdict === 'match' && result.facts !== undefined);
  return result.facts;
}

function readFacts(events: readonly DstackEvent[]): DstackFacts {
  const facts = factsOf(events);
  assert.equal(facts.outcome, 'read');
  return facts.value;
}

function without(name: string): readonly DstackEvent[] {
  return BOOT_EVENTS.filter(({ event }) => event !== name);
}

function replaced(name: string, payload: Uint8Array): readonly DstackEvent[] {
  return BOOT_EVENTS.map((event) => (event['event'] === name ? dstackEvent(name, payload) : event));
}

function assertNone(events: readonly DstackEvent[], reason: RegExp): void {
  const facts = factsOf(events);
  assert.equal(facts.outcome, 'malformed');
  assert.match(facts.reason, reason);
}

test('all facts of a sound log', () => {
  assert.deepEqual(readFacts(dstackEvents()), {
    appId: APP_ID,
    composeHash: COMPOSE_HASH,
    instanceId: INSTANCE_ID,
    keyProvider: KEY_PROVIDER,
    applicationEvents: [{ name: 'app:started', payload: utf8('now'), border: 'unproven' }],
  });
});

test('facts of version 2 events are the same', () => {
  const events = BOOT_EVENTS.map((event) =>
    event['event'] === 'app-id' ? dstackEventV2('app-id', APP_ID) : event,
  );
  assert.deepEqual(readFacts(events).appId, APP_ID);
});

test('the image digest and the key provider may be absent or present', () => {
  const [first, ...rest] = without('key-provider');
  assert.ok(first !== undefined);
  const image = new Uint8Array(32).fill(0x44);
  const facts = readFacts([first, dstackEvent('os-image-hash', image), ...rest]);
  assert.deepEqual(facts.osImageHash, image);
  assert.ok(!('keyProvider' in facts));
});

test('an application without instance identity has an empty one', () => {
  assert.equal(readFacts(replaced('instance-id', new Uint8Array(0))).instanceId.length, 0);
});

test('the border between name and payload of an application event is proven where no other fits', () => {
  const { applicationEvents } = readFacts([
    ...BOOT_EVENTS,
    dstackEvent('plain', utf8('ab')),
    dstackEvent('with:colon'),
    dstackEvent('colon behind', utf8('a:b')),
    dstackEvent('colon at once', utf8(':')),
    dstackEvent('not in a name', Uint8Array.of(0xc3, 0x3a, 0x3a)),
    dstackEventV2('two:colons:', utf8('a:b')),
  ]);
  assert.deepEqual(
    applicationEvents.map(({ name, border }) => [name, border]),
    [
      ['plain', 'proven'],
      ['with:colon', 'unproven'],
      ['colon behind', 'unproven'],
      ['colon at once', 'unproven'],
      ['not in a name', 'proven'],
      ['two:colons:', 'proven'],
    ],
  );
});

test('what the application writes later supplies no facts', () => {
  const later = [
    dstackEvent('compose-hash', new Uint8Array(32).fill(0xab)),
    dstackEvent('os-image-hash', new Uint8Array(32).fill(0xab)),
    dstackEvent('system-ready'),
    dstackEvent('app-id', new Uint8Array(20).fill(0xab)),
  ];
  const facts = readFacts([...BOOT_EVENTS, ...later]);
  assert.deepEqual(facts.composeHash, COMPOSE_HASH);
  assert.deepEqual(facts.appId, APP_ID);
  assert.ok(!('osImageHash' in facts));
});

test('without system-ready nothing is a fact: the application may have written it', () => {
  assertNone(without('system-ready'), /no system-ready event/);
});

for (const fact of ['app-id', 'compose-hash', 'instance-id']) {
  test(`no facts without ${fact}`, () => {
    assertNone(without(fact), new RegExp(`no ${fact} event`));
  });
}

for (const fact of ['app-id', 'compose-hash', 'instance-id', 'key-provider']) {
  test(`no facts when ${fact} comes twice`, () => {
    const again = BOOT_EVENTS.filter(({ event }) => event === fact);
    assertNone([...again, ...BOOT_EVENTS], new RegExp(`second ${fact} event`));
  });
}

for (const fact of ['app-id', 'compose-hash', 'instance-id']) {
  test(`no facts when ${fact} has another size`, () => {
    assertNone(replaced(fact, utf8('short')), new RegExp(`${fact}: want \\d+, got 5`));
  });
}

test('no facts when the image digest has another size', () => {
  assertNone([dstackEvent('os-image-hash', APP_ID), ...BOOT_EVENTS], /os-image-hash: want 32/);
});

test('no facts when the key provider is no text, or a long one', () => {
  assertNone(replaced('key-provider', Uint8Array.of(0xff)), /bytes\.utf8/);
  assertNone(replaced('key-provider', new Uint8Array(KEY_PROVIDER_MAX_BYTES + 1)), /too long/);
});

test('a fact on a firmware register is none', () => {
  for (const imr of [0, 1, 2]) {
    const fake = {
      ...firmwareEvent(imr, EV.runtime, new Uint8Array(32).fill(0xab)),
      event: 'os-image-hash',
    };
    assert.ok(!('osImageHash' in readFacts([fake, ...BOOT_EVENTS])));
  }
});

test('a log that does not match has no facts', () => {
  const events = dstackEvents();
  const result = appraiseEventLog(
    { kind: 'dstack', bytes: writeDstackLog(events) },
    replayDstack(events.slice(1)),
  );
  assert.equal(result.verdict, 'mismatch');
  assert.ok(!('facts' in result));
});
