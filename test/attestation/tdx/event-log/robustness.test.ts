/**
 * Damaged event logs end in a result: never an exception, and never a match with other content where a digest or a
 * register covers the byte. SLOW=1 tries every value of every byte and the logs of the shared corpus.
 * @module
 */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { EventLog, Registers } from '../../../../attestation/tdx/event-log/event.ts';
import { explainEventLog } from '../../../../attestation/tdx/event-log/explain.ts';
import {
  appraiseEventLog,
  replayEventLog,
  type EventLogResult,
  type EventLogSource,
} from '../../../../attestation/tdx/event-log/replay.ts';
import { equalPublic, toHex } from '../../../../core/bytes.ts';
import { damage, seededBytes } from '../../../support/changes.ts';
import {
  BOOT_EVENTS,
  ccelEvents,
  ccelSpans,
  dstackEvents,
  dstackEventV2,
  EV,
  replayCcel,
  replayDstack,
  sha384Of,
  writeCcel,
  writeDstackLog,
} from '../../../support/tdx/event-log.ts';

const SLOW = process.env['SLOW'] === '1';

interface SoundLog extends EventLogSource {
  readonly expected: Registers;
}

const CCEL_EVENTS = ccelEvents();
const CCEL: SoundLog = {
  kind: 'ccel',
  bytes: writeCcel(CCEL_EVENTS),
  expected: replayCcel(CCEL_EVENTS),
};
const DSTACK_EVENTS = [
  ...dstackEvents().slice(0, -1),
  dstackEventV2('application', Uint8Array.of(1, 2)),
];
const DSTACK: SoundLog = {
  kind: 'dstack',
  bytes: writeDstackLog(DSTACK_EVENTS),
  expected: replayDstack(DSTACK_EVENTS),
};

function appraise({ kind, expected }: SoundLog, bytes: Uint8Array): EventLogResult {
  const result = appraiseEventLog({ kind, bytes }, expected);
  // A reader of the result goes on to explain it; that must not fail either.
  if (result.verdict !== 'reject') explainEventLog(result.log, result.replayed);
  return result;
}

/** What a match promises, recomputed: every covered byte is in its digest, every digest in its register. */
function assertHonest(log: EventLog): void {
  for (const { covered, data, digest, type, name, index } of log.events) {
    if (covered.kind === 'data') assert.deepEqual(sha384Of(data), digest, `event ${index}`);
    if (covered.kind === 'part') {
      assert.deepEqual(sha384Of(data.subarray(covered.from, covered.to)), digest, `event ${index}`);
    }
    if (covered.kind === 'event' || covered.kind === 'joined') {
      assert.equal(type, EV.runtime);
      assert.ok(name !== '');
    }
  }
}

/** Everything in a log that is authenticated when it matches. */
function contentOf(result: EventLogResult): unknown {
  assert.ok(result.verdict === 'match');
  return {
    measured: result.log.events
      .filter(({ covered }) => covered.kind !== 'unmeasured')
      .map(({ register, digest, covered, name, data }) => ({
        register,
        digest: toHex(digest),
        ...(covered.kind === 'event' ? { name, data: toHex(data) } : {}),
      })),
    facts: result.facts,
  };
}

const FLIPS = [0x01, 0x02, 0x20, 0x80, 0xff];

function* changesOf(bytes: Uint8Array): Generator<readonly [at: number, changed: Uint8Array]> {
  for (let at = 0; at < bytes.length; at++) {
    const flips = SLOW ? Array.from({ length: 255 }, (_, i) => i + 1) : FLIPS;
    for (const flip of flips) {
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ flip;
      yield [at, changed];
    }
  }
}

/** Bytes that no digest and no register covers, by their place in the sound log. */
function uncovered(): ReadonlySet<number> {
  const free = new Set<number>();
  const add = (from: number, to: number): void => {
    for (let at = from; at < to; at++) free.add(at);
  };
  add(0, 1); // register of the header: 0 and 1 exist
  add(48, 52); // platform class
  add(54, 56); // errata, size of UINTN
  for (const { event, register, type, digest, data, end } of ccelSpans(CCEL_EVENTS)) {
    if (event.type === EV.noAction) {
      add(register, register + 4);
      add(digest, digest + 48);
      add(data - 4, data); // one remark may swallow the next
    }
    add(type, type + 4);
    const isBound = equalPublic(sha384Of(event.data), event.digest);
    const isRemark = event.type === EV.noAction;
    if (!isBound || isRemark) add(data, end);
    if (event.type === EV.variableBoot) for (let at = end - 4; at < end; at++) free.delete(at);
  }
  return free;
}

describe('a CCEL log', () => {
  test('cut anywhere before its padding is no match', () => {
    const end = CCEL.bytes.length - 16;
    for (let length = 0; length < CCEL.bytes.length; length++) {
      const result = appraise(CCEL, CCEL.bytes.subarray(0, length));
      if (length < end) assert.notEqual(result.verdict, 'match', `cut to ${length} bytes`);
    }
  });

  test('changed in a covered byte is no match', () => {
    const free = uncovered();
    let matches = 0;
    for (const [at, changed] of changesOf(CCEL.bytes)) {
      const result = appraise(CCEL, changed);
      if (result.verdict !== 'match') continue;
      matches++;
      assert.ok(free.has(at), `byte ${at} was changed, and the log matched`);
      assertHonest(result.log);
    }
    assert.ok(matches > 0, 'texts that nothing covers may change');
  });
});

describe('a dstack log', () => {
  test('cut anywhere is rejected', () => {
    for (let length = 0; length < DSTACK.bytes.length; length++) {
      const result = appraise(DSTACK, DSTACK.bytes.subarray(0, length));
      assert.equal(result.verdict, 'reject', `cut to ${length} bytes`);
    }
  });

  test('changed in any byte never matches with other content', () => {
    const content = contentOf(appraise(DSTACK, DSTACK.bytes));
    let matches = 0;
    for (const [at, changed] of changesOf(DSTACK.bytes)) {
      const result = appraise(DSTACK, changed);
      if (result.verdict !== 'match') continue;
      matches++;
      assert.deepEqual(contentOf(result), content, `byte ${at}`);
      assertHonest(result.log);
    }
    assert.ok(matches > 0, 'texts that nothing covers may change');
  });

  test('changed in any character of its runtime events is no match', () => {
    const text = new TextDecoder().decode(DSTACK.bytes);
    const from = text.indexOf(JSON.stringify(BOOT_EVENTS[0]));
    for (const [at, changed] of changesOf(DSTACK.bytes)) {
      if (at < from) continue;
      assert.notEqual(appraise(DSTACK, changed).verdict, 'match', `byte ${at}`);
    }
  });
});

describe('any log', () => {
  for (const log of [CCEL, DSTACK]) {
    test(`garbage as a ${log.kind} log is rejected`, () => {
      for (let size = 0; size < (SLOW ? 20_000 : 2000); size += 7) {
        const result = appraise(log, seededBytes(`${log.kind}/${size}`, size));
        assert.equal(result.verdict, 'reject');
      }
    });

    test(`a ${log.kind} log cut up and put together again ends in a result`, () => {
      for (let round = 0; round < (SLOW ? 20_000 : 2000); round++) {
        const result = appraise(log, damage(log.bytes, `${log.kind}/${round}`));
        if (result.verdict === 'match') assertHonest(result.log);
      }
    });
  }

  test('a log of one kind is no log of the other', () => {
    assert.equal(appraise(CCEL, DSTACK.bytes).verdict, 'reject');
    assert.equal(appraise(DSTACK, CCEL.bytes).verdict, 'reject');
  });
});

const CORPUS = '../shared/vectors/tdx/rtmr';
const REAL = [
  ['ccel', 'ccel-cos113.bin'],
  ['dstack', 'dstack-quote-report.json'],
] as const;

describe('logs of the shared corpus', { skip: !SLOW || !existsSync(CORPUS) }, () => {
  for (const [kind, file] of SLOW && existsSync(CORPUS) ? REAL : []) {
    const bytes = new Uint8Array(readFileSync(`${CORPUS}/${file}`));
    test(`${file} cut or changed anywhere ends in a result`, () => {
      const sound = replayEventLog({ kind, bytes });
      assert.ok(sound.outcome === 'replayed');
      const log: SoundLog = { kind, bytes, expected: sound.registers };
      const { events } = sound.log;
      for (let at = 0; at < bytes.length; at++) {
        appraise(log, bytes.subarray(0, at));
        const changed = Uint8Array.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
        const result = appraise(log, changed);
        if (result.verdict !== 'match') continue;
        assertHonest(result.log);
        assert.deepEqual(
          result.log.events.map(({ digest }) => toHex(digest)),
          events.map(({ digest }) => toHex(digest)),
        );
      }
    });
  }
});
