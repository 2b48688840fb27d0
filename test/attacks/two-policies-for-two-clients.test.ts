/**
 * B5. Attack: the people who sign, or somebody with their keys, sign two releases under one number, and a gateway (or
 * two of them) hands one to some clients and the other to the rest. Each client sees a good signature. What each of
 * them keeps, side by side, shows it.
 * @module
 */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { runCompare } from '../../cli/audit/compare.ts';
import { toHex } from '../../core/bytes.ts';
import { hasCode } from '../../core/errors.ts';
import { encodeLine, readLine } from '../../core/node/chained-line.ts';
import { auditFolder, digestOf, say, type AuditFolder } from '../support/audit.ts';

const AT = '2026-06-15T12:00:00Z';

function text(what: string): string {
  return `sha256:${toHex(digestOf(what))}`;
}

async function gateway(folder: AuditFolder, name: string, release: string): Promise<string> {
  const audit = folder.open(name);
  await audit.started(`gw1.${name}`);
  await audit.rootAccepted({ name: 'production', version: 1, digest: digestOf('root') });
  const current = { serial: 41, policy: digestOf('policy') };
  await audit.releaseAccepted({
    name: 'production',
    number: 7,
    digest: digestOf(release),
    current,
  });
  await audit.close();
  return folder.path(name);
}

function accepted(
  number: number,
  content: string,
  document: 'release' | 'revocations' = 'release',
) {
  return { document, number, digest: text(content), at: AT };
}

const ANSWER = z.object({
  exit: z.int(),
  compared: z.int(),
  equivocations: z.array(
    z.object({
      document: z.string(),
      number: z.int(),
      contents: z.array(
        z.object({
          digest: z.string(),
          seen: z.array(z.object({ where: z.string(), at: z.string(), how: z.string() })),
        }),
      ),
    }),
  ),
});

async function compare(...paths: readonly string[]) {
  const { text: json } = await say((io) => runCompare(paths, { json: true }, io));
  const people = await say((io) => runCompare(paths, {}, io));
  const answer = ANSWER.parse(JSON.parse(json));
  assert.equal(answer.exit, people.status);
  return { ...answer, people: people.text };
}

test('B5: two clients of one gateway that were given different releases find it by their memories', async () => {
  using folder = auditFolder();
  const a = folder.memory('alice.json', [accepted(6, 'six'), accepted(7, 'one')]);
  const b = folder.memory('bob.json', [accepted(6, 'six'), accepted(7, 'another')]);
  const { exit, compared, equivocations, people } = await compare(a, b);
  assert.deepEqual([exit, compared, equivocations.length], [1, 2, 1]);
  const [found] = equivocations;
  assert.deepEqual([found?.document, found?.number], ['release', 7]);
  assert.deepEqual(
    found?.contents.map(({ digest, seen }) => [digest, seen.map(({ where }) => where)]),
    [
      [text('one'), [a]],
      [text('another'), [b]],
    ],
  );
  assert.match(people, /^EQUIVOCATION {2}release 7 of production: 2 different contents\n/);
  for (const part of [a, b, text('one'), text('another'), `accepted ${AT}`]) {
    assert.ok(people.includes(part), part);
  }
});

test('B5: replicas of a gateway that accepted different releases find it by their logs', async () => {
  using folder = auditFolder();
  const [a, b] = [await gateway(folder, 'a', 'one'), await gateway(folder, 'b', 'another')];
  const { exit, equivocations } = await compare(a, b);
  assert.equal(exit, 1);
  const [found] = equivocations;
  assert.deepEqual(
    found?.contents.map(({ seen }) => seen.map(({ where }) => where)),
    [[`${folder.logFile('a')}:3`], [`${folder.logFile('b')}:3`]],
  );
});

test('B5: a client that was given something else than the gateway itself accepted finds it', async () => {
  using folder = auditFolder();
  const log = await gateway(folder, 'a', 'one');
  assert.equal((await compare(log, folder.memory('c.json', [accepted(7, 'another')]))).exit, 1);
  assert.equal((await compare(log, folder.memory('c.json', [accepted(7, 'one')]))).exit, 0);
});

test('B5: one serial with two policies, in releases of different numbers, is found too', async () => {
  using folder = auditFolder();
  const a = await gateway(folder, 'a', 'one');
  const audit = folder.open('b');
  await audit.releaseAccepted({
    name: 'production',
    number: 8,
    digest: digestOf('eight'),
    current: { serial: 40, policy: digestOf('older') },
    candidate: { serial: 41, policy: digestOf('other policy'), share: 5 },
  });
  await audit.close();
  const { exit, equivocations } = await compare(a, folder.path('b'));
  assert.deepEqual(
    [exit, equivocations.map(({ document, number }) => [document, number])],
    [1, [['policy', 41]]],
  );
});

test('B5: what a gateway refused as equivocation is shown with both contents, by its log alone', async () => {
  using folder = auditFolder();
  const audit = folder.open('a');
  const [one, two] = [digestOf('one'), digestOf('two')];
  const found = { name: 'production', document: 'revocations', number: 3 } as const;
  await audit.equivocation({ ...found, accepted: one, offered: two });
  await audit.close();
  const { exit, equivocations } = await compare(folder.path('a'));
  assert.equal(exit, 1);
  assert.deepEqual(
    equivocations[0]?.contents.flatMap(({ seen }) => seen.map(({ how }) => how)),
    ['accepted', 'offered'],
  );
});

test('B5: a log that was changed to hide it does not verify, and the comparison says so', async () => {
  using folder = auditFolder();
  const [a, b] = [await gateway(folder, 'a', 'one'), await gateway(folder, 'b', 'another')];
  const log = folder.logFile('b');
  writeFileSync(log, readFileSync(log, 'utf8').replace(text('another'), text('one')));
  const { exit, equivocations, people } = await compare(a, b);
  assert.deepEqual([exit, equivocations], [1, []]);
  assert.match(people, /BROKEN {2}\S+b\n {2}This log does not verify/);
});

test('B5: a log made anew to hide it verifies by itself, and not against the head that somebody kept', async () => {
  using folder = auditFolder();
  await gateway(folder, 'b', 'another');
  const path = folder.logFile('b');
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  const [, second, third] = lines.map((line) => readLine(new TextEncoder().encode(line)));
  assert.ok(second?.outcome === 'sound' && third?.outcome === 'sound');
  const forged = encodeLine(second.line, Date.parse(AT), {
    ...third.line.entry,
    digest: text('one'),
  });
  const anew = [...lines.slice(0, 2), new TextDecoder().decode(forged.bytes), ''].join('\n');
  writeFileSync(path, anew);
  const { runVerify } = await import('../../cli/audit/verify.ts');
  const { seq, hash } = third.line;
  assert.equal((await say((io) => runVerify(path, {}, io))).status, 0);
  assert.equal((await say((io) => runVerify(path, { head: { seq, hash } }, io))).status, 1);
});

test('B5: other policies with the same numbers, and documents that one record alone has, are no finding', async () => {
  using folder = auditFolder();
  const log = await gateway(folder, 'a', 'one');
  const staging = folder.memory('staging.json', [accepted(7, 'another')], 'staging');
  const { exit, compared, people } = await compare(log, staging);
  assert.deepEqual([exit, compared], [0, 0]);
  assert.match(people, /^NOTHING COMPARED/, 'and no comfort either');
});

test('B5: a record that cannot be read is never taken for one without findings', async () => {
  using folder = auditFolder();
  const log = await gateway(folder, 'a', 'one');
  const memory = readFileSync(folder.memory('c.json', [accepted(7, 'one')]), 'utf8');
  const rows: readonly (readonly [content: string, code: string])[] = [
    [memory.replace('memory/1', 'memory/2'), 'policy_memory.malformed'],
    [memory.replace('"number":7', '"number":7.5'), 'json.number'],
    [memory.replace('"number":7', '"number":7,"number":8'), 'json.duplicate'],
    [memory.replace('"number":7', '"extra":1,"number":7'), 'policy_memory.malformed'],
    [memory.replace('"release"', '"bundle"'), 'policy_memory.malformed'],
    [memory.replace(AT, 'yesterday'), 'policy_memory.malformed'],
    [memory.replace('sha256:', 'SHA256:'), 'policy_memory.malformed'],
    [memory.slice(0, -1), 'json.syntax'],
  ];
  for (const [content, code] of rows) {
    const path = folder.write('bad.json', content);
    await assert.rejects(compare(log, path), (error) => hasCode(error, code), content);
  }
});
