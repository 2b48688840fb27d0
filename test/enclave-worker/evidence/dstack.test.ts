/** Quotes from a dstack guest agent, and from agents that do not behave. @module */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { parseTdxQuote } from '../../../attestation/tdx/quote.ts';
import { fixed, fromHex, fromUtf8, toHex, type Bytes } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import type { JsonObject } from '../../../core/json.ts';
import { openDstack } from '../../../enclave-worker/evidence/dstack.ts';
import { thisGuest, type Guest } from '../../../enclave-worker/evidence/guest.ts';
import type { EvidenceProvider } from '../../../enclave-worker/evidence/provider.ts';
import { systemError } from '../../support/tsm/fake-kernel.ts';
import { tdxQuote } from '../../support/tsm/quotes.ts';
import {
  EVENT_LOG,
  soundAnswer,
  startFakeAgent,
  type FakeAgent,
  type Manners,
} from '../../support/dstack/fake-agent.ts';

const REPORT_DATA: Bytes<64> = fixed(new Uint8Array(64).fill(0xa5), 64);
const OTHER_DATA: Bytes<64> = fixed(new Uint8Array(64).fill(0x5a), 64);
const SIGNAL = new AbortController().signal;
const MIB = 1_048_576;

let agent: FakeAgent;
let provider: EvidenceProvider;
let sound: Manners;

before(async () => {
  agent = await startFakeAgent();
  sound = agent.manners;
  provider = await openDstack({ socketPath: agent.socketPath }, thisGuest, SIGNAL);
});
afterEach(() => {
  agent.manners = sound;
});
after(() => agent.close());

function withCode(code: string): (error: unknown) => boolean {
  return (error) => hasCode(error, code);
}

/** What the agent says in place of the sound answer. */
function says(change: (answer: JsonObject) => unknown): void {
  agent.manners = (reportData, response) =>
    void response.end(JSON.stringify(change(soundAnswer(reportData))));
}

function sends(body: string | Uint8Array, status = 200): void {
  agent.manners = (_reportData, response) => void response.writeHead(status).end(body);
}

async function assertRefused(code: string, what?: string): Promise<void> {
  await assert.rejects(provider.collect(REPORT_DATA), withCode(code), what);
}

test('the agent gives a quote over the report data and its event log', async () => {
  assert.equal(provider.name, 'dstack');
  assert.equal(provider.tee, 'tdx');
  assert.equal(provider.simulated, false);
  const { tee, quote, eventLog, ...rest } = await provider.collect(REPORT_DATA);
  assert.equal(tee, 'tdx');
  assert.equal(toHex(parseTdxQuote(quote).td.reportData), toHex(REPORT_DATA));
  assert.equal(eventLog?.kind, 'dstack');
  assert.equal(fromUtf8(eventLog?.bytes ?? new Uint8Array()), EVENT_LOG);
  assert.deepEqual(rest, {});
  assert.equal(agent.calls.at(-1), 'POST /GetQuote');
});

test('an agent without an event log, or without a machine description, is sound', async () => {
  says((answer) => ({ ...answer, event_log: '' }));
  assert.equal('eventLog' in (await provider.collect(REPORT_DATA)), false);
  says(({ vm_config: _dropped, ...rest }) => rest);
  assert.equal((await provider.collect(REPORT_DATA)).tee, 'tdx');
});

test('an answer to another call is foreign, whichever part of it is', async () => {
  says((answer) => ({ ...answer, report_data: toHex(OTHER_DATA) }));
  await assertRefused('evidence.foreign');
  says((answer) => ({ ...answer, quote: toHex(tdxQuote(OTHER_DATA)) }));
  await assertRefused('evidence.foreign');
  says(() => soundAnswer(OTHER_DATA));
  await assertRefused('evidence.foreign');
});

test('an agent that hashes or cuts the report data is not believed', async () => {
  says((answer) => ({ ...answer, report_data: toHex(REPORT_DATA.subarray(0, 32)) }));
  await assertRefused('evidence.malformed');
  says((answer) => ({ ...answer, hash_algorithm: 'sha512', prefix: 'app-data:' }));
  await assertRefused('evidence.malformed');
});

test('an answer that is not of the form is malformed', async () => {
  const bodies: readonly string[] = [
    '',
    '<html>',
    'null',
    '[]',
    '{}',
    JSON.stringify(soundAnswer(REPORT_DATA)).slice(0, -1),
    `${JSON.stringify(soundAnswer(REPORT_DATA))}{}`,
    JSON.stringify(soundAnswer(REPORT_DATA)).replace('{', '{"quote":"",'),
  ];
  for (const body of bodies) {
    sends(body);
    await assertRefused('evidence.malformed', body.slice(0, 40));
  }
  sends(fromHex('7bff7d'));
  await assertRefused('evidence.malformed', 'not UTF-8');
  const changes: readonly JsonObject[] = [
    { quote: 'zz' },
    { quote: 'abc' },
    { quote: toHex(tdxQuote(REPORT_DATA)).slice(0, 1200) },
    { quote: 7 },
    { event_log: [] },
    { event_log: null },
    { report_data: '' },
    { report_data: null },
    { vm_config: {} },
    { vm_config: 'x'.repeat(65_537) },
    { event_log: 'x'.repeat(MIB + 1) },
    { quote: '00'.repeat(131_073) },
    { attestation: '' },
  ];
  for (const change of changes) {
    says((answer) => ({ ...answer, ...change }));
    await assertRefused('evidence.malformed', Object.keys(change)[0]);
  }
});

test('an empty quote is a failure of the host', async () => {
  says((answer) => ({ ...answer, quote: '' }));
  await assertRefused('evidence.host');
});

test('an event log that is too long only in bytes is refused as well', async () => {
  says((answer) => ({ ...answer, event_log: '\u20ac'.repeat(MIB / 2) }));
  await assertRefused('evidence.oversized');
});

test('an answer past its cap is cut', async () => {
  sends('x'.repeat(3 * MIB + 1));
  await assertRefused('evidence.oversized');
});

test('an agent that says no is a failure of the host', async () => {
  for (const status of [400, 404, 500, 503, 302, 204]) {
    sends(status === 204 ? '' : '{"error":"no quote"}', status);
    await assertRefused('evidence.host', String(status));
  }
});

test('an agent that closes early is a failure of the host', async () => {
  agent.manners = (_reportData, response) => void response.destroy();
  await assertRefused('evidence.host');
  agent.manners = (_reportData, response) => {
    response.writeHead(200, { 'content-length': '1000' });
    response.write('{');
    response.destroy();
  };
  await assertRefused('evidence.host');
});

test('an agent that does not answer is left when the time is over', async () => {
  agent.manners = () => undefined;
  await assert.rejects(
    provider.collect(REPORT_DATA, AbortSignal.timeout(50)),
    withCode('evidence.timeout'),
  );
  // One that begins to answer and goes on for ever.
  agent.manners = (_reportData, response) => {
    response.writeHead(200).write('{');
  };
  await assert.rejects(
    provider.collect(REPORT_DATA, AbortSignal.timeout(50)),
    withCode('evidence.timeout'),
  );
});

test('the caller may leave, before and during a call', async () => {
  await assert.rejects(
    provider.collect(REPORT_DATA, AbortSignal.abort()),
    withCode('evidence.aborted'),
  );
  const caller = new AbortController();
  agent.manners = () => caller.abort();
  await assert.rejects(provider.collect(REPORT_DATA, caller.signal), withCode('evidence.aborted'));
});

test('calls at once each get their own quote', async () => {
  const wanted = Array.from({ length: 8 }, (_, at) => fixed(new Uint8Array(64).fill(at), 64));
  const all = await Promise.all(wanted.map((data) => provider.collect(data)));
  assert.deepEqual(
    all.map(({ quote }) => toHex(parseTdxQuote(quote).td.reportData)),
    wanted.map((data) => toHex(data)),
  );
});

/** A guest whose agent would be at these places. */
function guestWith(dstackSockets: readonly string[], legacy: readonly string[] = []): Guest {
  return {
    ...thisGuest,
    paths: { ...thisGuest.paths, dstackSockets, legacyDstackSockets: legacy },
  };
}

test('the agent is looked for at its places, and a dead socket does not hide a living one', async () => {
  const dead = await startFakeAgent();
  const { socketPath } = dead;
  await dead.close();
  const found = await openDstack({}, guestWith([socketPath, agent.socketPath]), SIGNAL);
  assert.equal((await found.collect(REPORT_DATA)).tee, 'tdx');
});

test('no agent is told at the start', async () => {
  await assert.rejects(
    openDstack({}, guestWith(['/nowhere/dstack.sock']), SIGNAL),
    withCode('evidence.unavailable'),
  );
  await assert.rejects(
    openDstack({ socketPath: '/dev/null' }, thisGuest, SIGNAL),
    withCode('evidence.unavailable'),
  );
});

test('the old tappd socket is refused, by its place and by its name', async (context) => {
  const tappd = await startFakeAgent('tappd.sock');
  context.after(() => tappd.close());
  const { socketPath } = tappd;
  const refused = (promise: Promise<unknown>): Promise<void> =>
    assert.rejects(promise, (error: Error) => {
      assert.match(error.message, /hashes the report data/);
      return hasCode(error, 'evidence.unsupported');
    });
  await refused(openDstack({ socketPath }, thisGuest, SIGNAL));
  await refused(openDstack({}, guestWith([], [socketPath]), SIGNAL));
  assert.deepEqual(tappd.calls, [], 'it was not even asked');
});

test('a socket that may not be used is told from one that is not there', async () => {
  const guest: Guest = {
    ...guestWith(['/run/dstack.sock']),
    files: { ...thisGuest.files, kindOf: () => Promise.reject(systemError('EACCES')) },
  };
  await assert.rejects(openDstack({}, guest, SIGNAL), withCode('evidence.permission'));
});

test('opening obeys the signal', async () => {
  await assert.rejects(
    openDstack({ socketPath: agent.socketPath }, thisGuest, AbortSignal.abort()),
    withCode('evidence.aborted'),
  );
});
