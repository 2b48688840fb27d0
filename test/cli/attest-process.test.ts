/** `veilgate attest` as a program uses it: exit status, and what goes where. @module */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { Command, CommanderError } from 'commander';
import { z } from 'zod';
import { registerAttestCommand } from '../../cli/attest.ts';
import { evidenceFolder, type EvidenceFolder } from '../support/attest.ts';
import { buildCase } from '../support/tdx/case.ts';
import { createTestPki, NOW_MS } from '../support/tdx/pki.ts';
import { formatInstant } from '../../core/clock.ts';

let folder: EvidenceFolder;
let quote: string;
let options: readonly string[];
before(async () => {
  folder = evidenceFolder();
  const pki = await createTestPki();
  const built = await buildCase(pki);
  quote = folder.write('quote.bin', built.quote);
  options = [
    '--collateral',
    folder.collateral('collateral.json', built.collateral),
    '--root',
    folder.write('root.der', pki.sound.root.der),
    '--at',
    formatInstant(NOW_MS),
  ];
});
after(() => folder[Symbol.dispose]());

function run(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['cli/veilgate.ts', 'attest', ...args],
    { encoding: 'utf8', input: '' },
  );
  assert.doesNotMatch(stderr, /\n {4}at /, 'a stack trace');
  return { status, stdout, stderr };
}

const LINE = z.looseObject({ format: z.literal('veilgate.attest/1'), exit: z.int() });

test('0 for accepted, 1 for rejected, 3 for what cannot be judged; with --json one line of ASCII', () => {
  const withoutRoot = [...options.slice(0, 2), ...options.slice(4)];
  const rows = [
    [0, [quote, ...options, '--json']],
    [1, [quote, ...withoutRoot, '--json']],
    [3, [quote, ...options.slice(2), '--json']],
    [3, ['-', '--json']],
  ] as const;
  for (const [status, args] of rows) {
    const answer = run('verify', ...args);
    assert.equal(answer.status, status, answer.stdout + answer.stderr);
    const [line = '', ...more] = answer.stdout.split('\n');
    assert.deepEqual(more, ['']);
    // Whatever stands in evidence is escaped.
    assert.match(line, /^[\x20-\x7e]+$/);
    assert.equal(LINE.parse(JSON.parse(line)).exit, status);
  }
});

test('people get text, without colour in a pipe', () => {
  const { status, stdout, stderr } = run('explain', quote, ...options);
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(stdout, /^ACCEPTED, NO POLICY {2}quote\.bin\n/);
  assert.ok(!stdout.includes('\u001B'));
});

test('wrong usage ends with 2, the reason on standard error and nothing on standard output', () => {
  const { status, stdout, stderr } = run('verify', quote, '--at', 'yesterday');
  assert.deepEqual([status, stdout], [2, '']);
  assert.match(stderr, /want an instant such as/);
});

/** What commander says about these arguments. */
async function refusal(...args: readonly string[]): Promise<string> {
  const said: string[] = [];
  const program = new Command('veilgate')
    .configureOutput({ writeOut: (text) => said.push(text), writeErr: (text) => said.push(text) })
    .exitOverride();
  registerAttestCommand(program);
  await assert.rejects(program.parseAsync(['attest', ...args], { from: 'user' }), CommanderError);
  return said.join('');
}

test('each option says what it wants', async () => {
  const rows: readonly (readonly [args: readonly string[], reason: RegExp])[] = [
    [[], /verify.*inspect.*explain/s],
    [['verify'], /missing required argument/],
    [['approve', quote], /unknown command/],
    [['verify', quote, '--report-data', 'c0ffee'], /want 64 bytes, that is 128 hex digits/],
    [['verify', quote, '--report-data', ''], /want 64 bytes/],
    [['verify', quote, '--challenge', 'zz'.repeat(32)], /want 32 bytes/],
    [['verify', quote, '--aud', 'a b'], /want the identity of a gateway/],
    [['verify', quote, '--force'], /unknown option/],
  ];
  for (const [args, reason] of rows) assert.match(await refusal(...args), reason, args.join(' '));
});

test('help says what the exit status means', async () => {
  for (const command of ['verify', 'inspect', 'explain']) {
    const text = await refusal(command, '--help');
    assert.match(
      text,
      /Exit status: 0 accepted; 1 rejected; 2 wrong usage; 3 the input could not be\nread/,
    );
    assert.match(text, /--policy <path>/);
  }
});
