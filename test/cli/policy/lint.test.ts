/** `veilgate policy lint` as a person and a program use it. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { lintAnswer } from '../../../cli/policy/lint.ts';
import { lintPolicy } from '../../../attestation/policy/lint.ts';
import { compileDocument, TEST_CPU, TEST_RULE } from '../../support/worker-evidence.ts';
import { quietDocument } from '../../support/lint-policy.ts';
import { policyFolder, runPolicy } from '../../support/policy-files.ts';
import { NOW_MS } from '../../support/tdx/pki.ts';

const PAGE = { columns: 80, rows: 'wrapped' } as const;
const QUESTION = { command: 'lint', json: false } as const;
const AT = ['--at', '2026-06-15T12:00:00Z'] as const;
const EVIL = '\u001b[2J\u009b31m\u202e\u0007\u2028x';

const REPORT = z.looseObject({
  exit: z.int(),
  counts: z.strictObject({ error: z.int(), warning: z.int(), note: z.int() }),
  findings: z.array(
    z.strictObject({
      level: z.enum(['error', 'warning', 'note']),
      id: z.string(),
      at: z.string(),
      message: z.string(),
      hint: z.string().nullable(),
    }),
  ),
});

function written(overrides: Parameters<typeof quietDocument>[0] = {}): string {
  return JSON.stringify(quietDocument(overrides), undefined, 2);
}

test('0 when nothing is wrong; warnings count with --strict; 1 for errors; 3 for no file', () => {
  using folder = policyFolder();
  const quiet = folder.write('quiet.yaml', written());
  const warned = folder.write('warned.yaml', written({ expires: '2026-12-01T00:00:00Z' }));
  const wrong = folder.write('wrong.yaml', written({ rules: [] }));
  const broken = folder.write('broken.yaml', 'a: [');
  const rows = [
    [0, [quiet, '--strict']],
    [0, [warned]],
    [1, [warned, '--strict']],
    [1, [wrong]],
    [1, [broken]],
    [3, [`${folder.path}/absent.yaml`]],
    [2, [quiet, '--at', 'yesterday']],
  ] as const;
  for (const [status, args] of rows) {
    const ran = runPolicy('lint', ...(args.length > 2 ? [] : AT), ...args);
    assert.equal(ran.status, status, ran.stdout + ran.stderr);
  }
});

test('for programs: one line of ASCII with everything that people are told', () => {
  using folder = policyFolder();
  const path = folder.write('p.yaml', written({ expires: '2026-12-01T00:00:00Z' }));
  const { status, stdout } = runPolicy('lint', path, ...AT, '--json');
  assert.equal(status, 0);
  assert.match(stdout, /^[ -~]+\n$/);
  const { findings, counts } = REPORT.parse(JSON.parse(stdout));
  assert.deepEqual(counts, { error: 0, warning: 1, note: 0 });
  assert.equal(findings[0]?.id, 'time.long');
});

test('nothing from a policy moves a cursor, and no line is wider than the screen but for words', () => {
  using folder = policyFolder();
  const cpu = {
    ...TEST_CPU,
    platforms: { any: true, note: `${EVIL} ${'a long reason '.repeat(20)}` },
  };
  const path = folder.write(`p.yaml`, written({ rules: [{ ...TEST_RULE, cpu }] }));
  const request = { path, nowMs: NOW_MS, level: 'error' } as const;
  const { output } = lintAnswer(QUESTION, request, PAGE);
  for (const line of output) {
    assert.match(line, /^[ -~\u2026\u2019→]*$/);
    assert.ok(line.length <= 80, line);
  }
});

test('in a pipe, each finding is one line for grep', () => {
  using folder = policyFolder();
  const overrides = { expires: '2026-12-01T00:00:00Z', rules: [] };
  const path = folder.write('p.yaml', written(overrides));
  const page = { columns: 100, rows: 'whole' } as const;
  const request = { path, nowMs: NOW_MS, level: 'error' } as const;
  const rows = lintAnswer(QUESTION, request, page).output.filter((line) =>
    /^(?:error|warning|note) /.test(line),
  );
  const findings = lintPolicy(compileDocument(quietDocument(overrides)), NOW_MS);
  assert.equal(rows.length, findings.length);
  for (const row of rows) assert.match(row, /p\.yaml:\d+ {2}.* \[[a-z.-]+\]$/);
});
