/** `veilgate audit`: what is found, what is shown, what is compared, and how the command ends. @module */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runShow, type ShowOptions } from '../../cli/audit/show.ts';
import { runVerify, type VerifyOptions } from '../../cli/audit/verify.ts';
import { toHex } from '../../core/bytes.ts';
import { CHAIN_START, encodeLine, type ChainHead } from '../../core/node/chained-line.ts';
import { auditFolder, digestOf, say, type AuditFolder, type Said } from '../support/audit.ts';

const WORKERS = ['a', 'b', 'c'].map((name) => toHex(digestOf(name)));
const [FIRST = ''] = WORKERS;

let folder: AuditFolder;
let head: ChainHead;
let lines: readonly string[];
before(async () => {
  folder = auditFolder();
  const { time } = folder;
  const audit = folder.open('gw');
  await audit.started('gw1.x');
  const release = { name: 'production', number: 7, digest: digestOf('release') };
  await audit.releaseAccepted({ ...release, current: { serial: 41, policy: digestOf('41') } });
  for (const workerId of WORKERS) {
    await time.advance(60_000);
    const worker = { workerId, kid: workerId.slice(0, 32), model: 'llama', simulated: false };
    audit.workerAdmitted({ ...worker, rule: 'tdx', policy: digestOf('41') });
  }
  await audit.releaseAccepted({
    ...release,
    number: 8,
    current: { serial: 42, policy: digestOf('42') },
  });
  audit.workerDenied({ workerId: FIRST, check: 'policy.image', policy: digestOf('42') });
  await audit.close();
  lines = readFileSync(folder.logFile('gw'), 'utf8').trimEnd().split('\n');
  const [, hash = ''] = /"hash":"([0-9a-f]{64})"/.exec(lines.at(-1) ?? '') ?? [];
  head = { seq: lines.length, hash };
});
after(() => folder[Symbol.dispose]());

async function verify(path: string, options: VerifyOptions = {}): Promise<Said> {
  return await say((io) => runVerify(path, options, io));
}

const EVERYTHING: ShowOptions = {
  kinds: undefined,
  sinceMs: undefined,
  untilMs: undefined,
  worker: undefined,
  policy: undefined,
  limit: undefined,
  follow: false,
  ids: 'whole',
  format: 'text',
};

async function show(path: string, options: Partial<ShowOptions> = {}): Promise<Said> {
  return await say(async (io) => await runShow(path, { ...EVERYTHING, ...options }, io));
}

async function seqsOf(options: Partial<ShowOptions>): Promise<readonly number[]> {
  const { output } = await show(folder.path('gw'), options);
  return output.map((line) => Number(line.split(/ +/)[1]));
}

function damaged(name: string, altered: readonly string[]): string {
  return folder.write(name, altered.map((line) => `${line}\n`).join(''));
}

test('a sound log: how many entries, from when to when, and the head to remember', async () => {
  for (const path of [folder.logFile('gw'), join(folder.path('gw'), 'audit'), folder.path('gw')]) {
    const { status, text } = await verify(path);
    assert.equal(status, 0, text);
    assert.match(text, /^SOUND {2}/);
    assert.match(text, /\n {2}entries +7 in 1 file\n/);
    assert.match(
      text,
      /\n {2}first +1 {2}2026-06-15T12:00:00Z\n {2}last +7 {2}2026-06-15T12:03:00Z\n/,
    );
    assert.ok(text.includes(`\n  head      ${head.seq}:${head.hash}\n`));
  }
});

test('every kind of damage is named with its line', async () => {
  const [a = '', b = '', c = '', d = '', e = '', f = '', g = ''] = lines;
  const rows: readonly (readonly [lines: readonly string[], found: RegExp])[] = [
    [[a, b, c.replace('llama', 'lamma'), d, e, f, g], /x\.log:3 {2}was changed/],
    [[a, b, d, e, f, g], /x\.log:3 {2}is entry 4 where entry 3 belongs: 1 missing before it/],
    [[a, b, b, c, d, e, f, g], /x\.log:3 {2}is entry 2 where entry 3 belongs: it stood before/],
    [[b, c, d, e, f, g], /x\.log:1 {2}is entry 2 where entry 1 belongs/],
    [[a, b, `${c} `, d, e, f, g], /x\.log:3 {2}is not a line of a log/],
    [
      [a, b, c.replace('"entry":{', '"entry":{ '), d, e, f, g],
      /x\.log:3 {2}holds an entry that is not canonical/,
    ],
  ];
  for (const [altered, found] of rows) {
    const { status, text } = await verify(damaged('x.log', altered));
    assert.equal(status, 1, text);
    assert.match(text, /^BROKEN /);
    assert.match(text, found);
    assert.doesNotMatch(text, /\n {2}head/, 'no head to remember');
  }
  const torn = damaged('torn.log', lines);
  appendFileSync(torn, '{"entry":');
  const { status, text } = await verify(torn);
  assert.equal(status, 1);
  assert.match(text, /torn\.log:8 {2}has no end: 9 bytes/);
});

test('many findings are counted, and the first are shown', async () => {
  const { text } = await verify(
    damaged(
      'y.log',
      Array.from({ length: 50 }, () => 'x'),
    ),
  );
  assert.match(text, /y\.log:20 .*\n {2}and 30 more/);
});

test('a tail that was cut off is found by a remembered head, and by nothing else', async () => {
  const cut = damaged('cut.log', lines.slice(0, 4));
  assert.equal((await verify(cut)).status, 0);
  const { status, text } = await verify(cut, { head });
  assert.equal(status, 1);
  assert.match(text, /ends with entry 4, and entry 7 was in it: the end was cut off/);
  const sound = await verify(folder.path('gw'), { head });
  assert.equal(sound.status, 0);
  assert.match(sound.text, /Entry 7 is the one remembered/);
});

test('a chain that was made anew is found by a remembered head of the one before', async () => {
  const { status, text } = await verify(folder.path('gw'), {
    head: { seq: 3, hash: '0'.repeat(64) },
  });
  assert.equal(status, 1);
  assert.match(text, /entry 3 is another one than the one remembered/);
});

test('files put away: the rest is judged from the entry before it', async () => {
  const path = folder.path('put-away');
  mkdirSync(path);
  let [at, text]: [ChainHead, string] = [CHAIN_START, ''];
  const heads: ChainHead[] = [];
  for (let number = 1; number <= 6; number++) {
    const { bytes, head: next } = encodeLine(at, 0, { kind: 'gateway.started', aud: 'gw1.x' });
    heads.push(next);
    at = next;
    if (number > 3) text += `${Buffer.from(bytes).toString('utf8')}\n`;
  }
  folder.write('put-away/audit-000002.log', text);
  const unknown = await verify(path);
  assert.equal(unknown.status, 1);
  assert.match(unknown.text, /is entry 4 where entry 1 belongs: 3 missing before it/);
  const [, , third] = heads;
  assert.ok(third !== undefined);
  assert.equal((await verify(path, { from: third })).status, 0);
  const wrong = await verify(path, { from: { ...third, hash: 'f'.repeat(64) } });
  assert.equal(wrong.status, 1);
  const alone = await verify(join(path, 'audit-000002.log'));
  assert.equal(alone.status, 0);
  assert.match(alone.text, /begins in the middle of a chain/);
});

test('a file of another log in the folder is found, and two logs in one folder are not mixed', async () => {
  const other = folder.open('other');
  for (let at = 0; at < 9; at++) await other.started('gw1.y');
  await other.close();
  const path = folder.path('spliced');
  mkdirSync(path);
  copyFileSync(folder.logFile('gw'), join(path, 'audit-000001.log'));
  const tail = readFileSync(folder.logFile('other'), 'utf8').split('\n').slice(7).join('\n');
  folder.write('spliced/audit-000002.log', tail);
  const { status, text } = await verify(path);
  assert.equal(status, 1);
  assert.match(text, /audit-000002\.log:1 {2}follows [0-9a-f]{64}, and the entry before it is/);
  folder.write('spliced/other-000001.log', '');
  await assert.rejects(verify(path), /audit\.unreadable: .* holds several logs/);
});

test('one row for each entry, members in the order of the table, whole in a pipe', async () => {
  const { status, output, errors } = await show(folder.path('gw'));
  assert.deepEqual([status, errors, output.length], [0, [], 7]);
  assert.equal(
    output[2],
    `2026-06-15T12:01:00Z      3  worker.admitted           worker ${FIRST}  kid ${FIRST.slice(0, 32)}  model llama  rule tdx  policy sha256:${toHex(digestOf('41'))}`,
  );
});

test('in a terminal, rows wrap between members and ids are short', async () => {
  const { output } = await say(
    async (io) => await runShow(folder.path('gw'), { ...EVERYTHING, ids: 'short' }, io),
    { page: { columns: 80, rows: 'wrapped' } },
  );
  for (const row of output) assert.ok(row.length <= 80, row);
  assert.ok(output.some((row) => /^ {29}\S/.test(row)));
  assert.ok(
    output.every((row) => !/\b(policy|kid|worker|model)$/.test(row)),
    'label and value',
  );
  assert.ok(output.some((row) => row.includes(`worker ${FIRST.slice(0, 12)}…`)));
});

test('filters: kind, time, worker, policy, and the last so many', async () => {
  const rows: readonly (readonly [options: Partial<ShowOptions>, seqs: readonly number[]])[] = [
    [{ kinds: ['worker'] }, [3, 4, 5, 7]],
    [{ kinds: ['worker.denied', 'gateway'] }, [1, 7]],
    [{ sinceMs: Date.parse('2026-06-15T12:02:00Z') }, [4, 5, 6, 7]],
    [{ untilMs: Date.parse('2026-06-15T12:01:00Z') }, [1, 2, 3]],
    [{ worker: FIRST.slice(0, 8) }, [3, 7]],
    [{ policy: { by: 'serial', serial: 41 } }, [2, 3, 4, 5]],
    [{ policy: { by: 'serial', serial: 42 } }, [6, 7]],
    [{ policy: { by: 'digest', prefix: `sha256:${toHex(digestOf('42')).slice(0, 8)}` } }, [6, 7]],
    [{ limit: 2 }, [6, 7]],
    [{ limit: 100 }, [1, 2, 3, 4, 5, 6, 7]],
    [{ limit: 1, kinds: ['worker.admitted'] }, [5]],
  ];
  for (const [options, seqs] of rows) {
    assert.deepEqual(await seqsOf(options), seqs, JSON.stringify(options));
  }
});

test('a changed line is shown and marked, past every filter', async () => {
  const altered = lines.map((line) => line.replace('policy.image', 'policy.imagf'));
  const path = damaged('z.log', altered);
  const { status, text, errors } = await show(path, { kinds: ['gateway'] });
  assert.equal(status, 1);
  assert.match(text, /policy\.imagf.*\nBROKEN {2}z\.log:7 was changed/);
  assert.match(errors.join(), /does not verify \(1 finding\)/);
});

test('nothing in a log moves a cursor, starts a line or turns the direction of reading', async () => {
  const evil = '\u001b[2J\u009b1m\u202e\u2028\r\u0007';
  const entry = { kind: `x${evil}`, [`name${evil}`]: evil, list: [{ deep: evil }], n: null };
  const { bytes } = encodeLine(CHAIN_START, 0, entry);
  const path = folder.write('evil.log', Buffer.concat([bytes, Buffer.from(`\n${evil}\n`)]));
  for (const said of [
    await show(path),
    await show(path, { format: 'json' }),
    await verify(path),
    await verify(path, { json: true }),
  ]) {
    for (const row of said.output) assert.doesNotMatch(row, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  }
});

test('JSON has everything, one object to a line', async () => {
  const sound: unknown = JSON.parse((await verify(folder.path('gw'), { json: true })).text);
  assert.deepEqual(sound, {
    format: 'veilgate.audit/1',
    command: 'verify',
    exit: 0,
    log: folder.path('gw'),
    files: 1,
    entries: 7,
    first: { seq: 1, time: '2026-06-15T12:00:00Z' },
    last: { seq: 7, time: '2026-06-15T12:03:00Z' },
    head,
    findings: [],
    findingsMore: 0,
  });
  const { output } = await show(folder.path('gw'), { format: 'json', limit: 1 });
  const [last]: unknown[] = output.map((line): unknown => JSON.parse(line));
  assert.deepEqual(Object.keys(Object(last)), [
    'format',
    'file',
    'line',
    'fault',
    'seq',
    'time',
    'entry',
    'prev',
    'hash',
  ]);
});

test('follow goes on with what is written, through a new file, until it is enough', async () => {
  const audit = folder.open('live', { log: { fileMaxBytes: 600 } });
  await audit.started('gw1.x');
  const enough = new AbortController();
  const output: string[] = [];
  const seen = Promise.withResolvers<void>();
  const done = say(
    async (io) => await runShow(folder.path('live'), { ...EVERYTHING, follow: true }, io),
    {
      enough: () => enough.signal,
      output: (line) => {
        output.push(line);
        if (output.length === 5) seen.resolve();
      },
    },
  );
  for (let at = 0; at < 4; at++) await audit.started('gw1.x');
  await seen.promise;
  enough.abort();
  assert.equal((await done).status, 0);
  await audit.close();
  assert.equal((await verify(folder.path('live'))).status, 0);
});

function command(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['cli/veilgate.ts', 'audit', ...args],
    { encoding: 'utf8' },
  );
  assert.doesNotMatch(stderr, /\n {4}at /, 'a stack trace');
  return { status, stdout, stderr };
}

test('0 nothing wrong, 1 something is, 2 wrong usage, 3 cannot be read', () => {
  const gateway = folder.path('gw');
  const broken = damaged('w.log', lines.slice(1));
  const copy = damaged('copy.log', lines);
  const rows: readonly (readonly [status: number, args: readonly string[], said: RegExp])[] = [
    [0, ['verify', gateway, '--head', `${head.seq}:${head.hash}`], /^SOUND/],
    [1, ['verify', broken, '--json'], /"exit":1/],
    [0, ['show', gateway, '--kind', 'worker', '--since', '2026-06-15', '--limit', '2'], /denied/],
    [1, ['show', broken], /BROKEN/],
    [0, ['compare', gateway, copy], /THE SAME/],
    // One record is no second opinion of itself.
    [0, ['compare', gateway, gateway], /NOTHING COMPARED/],
    [1, ['compare', gateway, broken, '--json'], /"exit":1/],
    [2, ['verify', gateway, '--head', '7'], /want a number, a colon and 64 hex digits/],
    [2, ['show', gateway, '--kind', 'wurker'], /want some of gateway\.started/],
    [2, ['show', gateway, '--since', 'yesterday'], /want an instant/],
    [2, ['show', gateway, '--worker', 'c0ffee'], /first 8 hex digits/],
    [2, ['show', gateway, '--policy', 'sha256:1'], /serial of a policy/],
    [2, ['show', gateway, '--limit', '0'], /whole number/],
    [2, ['compare'], /missing required argument/],
    [3, ['verify', folder.path('nowhere')], /audit\.unreadable/],
    [3, ['compare', gateway, folder.write('m.json', '{}')], /policy_memory\.malformed/],
    [3, ['show', folder.path('nowhere'), '--json'], /"exit":3/],
  ];
  for (const [status, args, said] of rows) {
    const answer = command(...args);
    assert.equal(answer.status, status, args.join(' ') + answer.stdout + answer.stderr);
    assert.match(answer.stdout + answer.stderr, said, args.join(' '));
  }
});

test('Ctrl-C ends --follow quietly', async () => {
  const audit = folder.open('followed');
  await audit.started('gw1.x');
  const args = ['audit', 'show', folder.path('followed'), '--limit', '1', '--follow'];
  const child = spawn(process.execPath, ['cli/veilgate.ts', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const errors: string[] = [];
  child.stderr.on('data', (chunk) => errors.push(String(chunk)));
  const closed = once(child, 'close');
  await once(child.stdout, 'data');
  // Written after the first reading was over: whoever shows it follows.
  await audit.started('gw1.x');
  await once(child.stdout, 'data');
  child.kill('SIGINT');
  const [status]: unknown[] = await closed;
  assert.deepEqual([status, errors], [0, []]);
  await audit.close();
});
