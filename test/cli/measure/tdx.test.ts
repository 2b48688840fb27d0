/** `veilgate measure tdx` as a person and a program use it. @module */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { z } from 'zod';
import { toHex, utf8 } from '../../../core/bytes.ts';
import { buildCase } from '../../support/tdx/case.ts';
import {
  ccelEvent,
  ccelEvents,
  dstackEvent,
  dstackEvents,
  EV,
  replayCcel,
  replayDstack,
  withEvent,
  writeCcel,
  writeDstackLog,
} from '../../support/tdx/event-log.ts';
import { createTestPki } from '../../support/tdx/pki.ts';

interface Run {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

function measure(...args: readonly string[]): Run {
  const run = spawnSync(process.execPath, ['cli/veilgate.ts', 'measure', 'tdx', ...args], {
    encoding: 'utf8',
  });
  return { status: run.status, out: run.stdout, err: run.stderr };
}

const folder = mkdtempSync(join(tmpdir(), 'veilgate-measure-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

const pki = await createTestPki();
const ccel = file('ccel.bin', writeCcel());
const dstack = file('dstack.json', writeDstackLog());
const ccelRtmr = replayCcel(ccelEvents());
const dstackRtmr = replayDstack(dstackEvents());
const ccelQuote = file(
  'ccel.quote',
  (await buildCase(pki, { quote: { td: { rtmr: ccelRtmr } } })).quote,
);
const dstackQuote = file(
  'dstack.quote',
  (await buildCase(pki, { quote: { td: { rtmr: dstackRtmr } } })).quote,
);

test('a log alone is replayed, explained and made into lines for a policy', () => {
  const { status, out } = measure('--ccel', ccel);
  assert.equal(status, 0);
  for (const register of [0, 1, 2, 3] as const) {
    assert.ok(out.includes(`        rtmr${register}: "${toHex(ccelRtmr[register])}"\n`));
  }
  assert.match(out, /RTMR0 {2}firmware configuration\n/);
  assert.match(
    out,
    /2 {2}EV_EFI_VARIABLE_DRIVER_CONFIG +[0-9a-f]{12} {2}bound {2}SecureBoot = 1\n/,
  );
  assert.match(out, /3 {2}EV_PLATFORM_CONFIG_FLAGS +[0-9a-f]{12} {2}claim {2}<ACPI DATA>\n/);
  assert.match(out, /7 {2}EV_IPL +[0-9a-f]{12} {2}part {3}<grub_cmd:> linux \/vmlinuz ro\n/);
  assert.match(out, /In the log, in no register\n/);
  assert.match(out, /No quote to compare with/);
});

test('a quote that agrees is said to be unverified', () => {
  const { status, out } = measure('--dstack', dstack, '--quote', dstackQuote);
  assert.equal(status, 0);
  assert.equal(out.match(/agrees with the quote\n/g)?.length, 4);
  assert.match(out, /All four registers agree with the quote\.\nThe quote was read, not verified/);
  assert.match(out, /compose hash +(22){32}\n/);
  assert.match(out, /rtmr3: "/);
});

test('a quote that does not agree: which registers, no facts, no lines for a policy', () => {
  const { status, out } = measure('--dstack', dstack, '--quote', ccelQuote);
  assert.equal(status, 1);
  assert.equal(out.match(/differs from the quote, which says\n/g)?.length, 4);
  assert.match(out, /do not belong together: rtmr\.0, rtmr\.1, rtmr\.2, rtmr\.3\n/);
  assert.ok(!out.includes('compose hash'));
  assert.ok(!out.includes('rtmr0: '));
});

test('a log that is rejected is named with the rule, and nothing else of it is shown', () => {
  const events = withEvent(dstackEvents(), 'compose-hash', { event_payload: 'ab'.repeat(32) });
  const { status, out } = measure('--dstack', file('lie.json', writeDstackLog(events)));
  assert.equal(status, 1);
  assert.match(out, /This log cannot be used\.\n {2}log\.eventDigest {2}event 6: name and payload/);
  assert.ok(!out.includes('rtmr'));
});

test('a text that its digest contradicts is shown as false, and nothing goes into a policy', () => {
  const lie = ccelEvent(1, EV.action, utf8('ready'), utf8('not ready'));
  const { status, out } = measure('--ccel', file('false.bin', writeCcel([lie])));
  assert.equal(status, 1);
  assert.match(out, /EV_EFI_ACTION +[0-9a-f]{12} {2}FALSE {2}<ready>\n/);
  assert.match(out, /log\.eventDigest {2}event 0/);
  assert.ok(!out.includes('rtmr0: '));
});

test('a register without events is zero, and says that the log is silent', () => {
  const { out } = measure('--ccel', file('empty.bin', writeCcel([])));
  assert.match(out, /rtmr0: zero {2}# no event in this log\n/);
});

const REPORT = z.strictObject({
  kind: z.enum(['ccel', 'dstack']),
  verdict: z.enum(['match', 'mismatch', 'reject']).nullable(),
  quote: z.strictObject({ verified: z.literal(false) }).nullable(),
  usable: z.boolean(),
  failures: z.array(z.strictObject({ id: z.string(), reason: z.string() })),
  failing: z.array(z.string()).optional(),
  registers: z.array(z.object({ value: z.string(), quoted: z.string().nullable() })).optional(),
  notMeasured: z.array(z.unknown()).optional(),
  facts: z.object({ composeHash: z.string() }).nullable().optional(),
  policy: z.record(z.string(), z.string()).nullable().optional(),
});

function reportOf({ out }: Run): z.output<typeof REPORT> {
  assert.match(out, /^[ -~]*\n$/);
  return REPORT.parse(JSON.parse(out));
}

test('JSON for programs: one line of ASCII', () => {
  const alone = reportOf(measure('--ccel', ccel, '--json'));
  assert.deepEqual([alone.verdict, alone.quote, alone.usable], [null, null, true]);
  assert.equal(alone.policy?.['rtmr1'], toHex(ccelRtmr[1]));
  const compared = reportOf(measure('--dstack', dstack, '--quote', dstackQuote, '--json'));
  assert.deepEqual([compared.verdict, compared.quote], ['match', { verified: false }]);
  assert.equal(compared.facts?.composeHash, '22'.repeat(32));
  const differs = reportOf(measure('--ccel', ccel, '--quote', dstackQuote, '--json'));
  assert.deepEqual([differs.verdict, differs.policy, differs.facts], ['mismatch', null, null]);
  const broken = reportOf(measure('--ccel', dstack, '--quote', ccelQuote, '--json'));
  assert.deepEqual([broken.verdict, broken.usable], ['reject', false]);
});

test('a log full of terminal commands prints none, as text and as JSON', () => {
  const evil = '\u001b[2J\u009b31m\u202e\u0007<x>';
  const log = file(
    'evil.json',
    writeDstackLog([
      ...dstackEvents(),
      dstackEvent(evil, utf8(evil)),
      dstackEvent(`${evil}:`, utf8(evil)),
    ]),
  );
  for (const extra of [[], ['--json']]) {
    const { status, out } = measure('--dstack', log, ...extra);
    assert.equal(status, 0);
    assert.match(out, /^[\n -~\u2026]*$/);
  }
});

test('wrong usage is status 2, unreadable files and quotes are status 1', () => {
  assert.equal(measure().status, 2);
  assert.equal(measure('--ccel', ccel, '--dstack', dstack).status, 2);
  assert.equal(measure('--ccel', ccel, '--frobnicate').status, 2);
  const absent = measure('--ccel', join(folder, 'absent'));
  assert.equal(absent.status, 1);
  assert.match(absent.err, /cli\.file: cannot read event log/);
  const endless = measure('--dstack', '/dev/zero');
  assert.equal(endless.status, 1);
  assert.match(endless.err, /has over 2097152 bytes/);
  const noQuote = measure('--ccel', ccel, '--quote', dstack);
  assert.equal(noQuote.status, 1);
  assert.match(noQuote.err, /tdx\.quote/);
});
