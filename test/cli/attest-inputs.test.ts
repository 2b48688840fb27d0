/** What `veilgate attest` takes evidence for, and what it says about input that is none. @module */

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { z } from 'zod';
import { encodeEvidence } from '../../attestation/evidence.ts';
import { concat, toBase64, toBase64Url, toHex, utf8 } from '../../core/bytes.ts';
import {
  attest,
  evidenceFolder,
  jsonOf,
  streamOf,
  type Answered,
  type EvidenceFolder,
} from '../support/attest.ts';
import { seededBytes } from '../support/changes.ts';
import { buildSnpCase, type SnpCase } from '../support/snp/case.ts';
import { writeHcl } from '../support/snp/hcl.ts';
import { createSnpTestPki } from '../support/snp/pki.ts';
import { buildSnpEvidence, type TestSnpEvidence } from '../support/snp/worker-evidence.ts';
import { buildCase, type TdxCase } from '../support/tdx/case.ts';
import { createTestPki } from '../support/tdx/pki.ts';
import { buildEvidence, type TestEvidence } from '../support/worker-evidence.ts';

const ANSWER = z.object({
  evidence: z.array(z.object({ kind: z.string(), name: z.string() })),
  unreadable: z.array(z.object({ name: z.string(), code: z.string(), reason: z.string() })),
});

let folder: EvidenceFolder;
let tdxRoot: string;
let tdx: TdxCase;
let tdxBundle: TestEvidence;
let snp: SnpCase;
let snpTable: SnpCase;
let snpHcl: SnpCase;
let snpBundle: TestSnpEvidence;

before(async () => {
  folder = evidenceFolder();
  const tdxPki = await createTestPki();
  const snpPki = await createSnpTestPki();
  tdxRoot = folder.write('tdx-root.der', tdxPki.sound.root.der);
  tdx = await buildCase(tdxPki);
  tdxBundle = await buildEvidence(tdxPki);
  snp = await buildSnpCase(snpPki);
  snpTable = await buildSnpCase(snpPki, { table: (entries) => entries });
  snpHcl = await buildSnpCase(snpPki, { hcl: {} });
  snpBundle = await buildSnpEvidence(snpPki);
});
after(() => folder[Symbol.dispose]());

async function kindsOf(content: Uint8Array | string): Promise<readonly string[]> {
  const path = folder.write('input', content);
  const { evidence } = ANSWER.parse(jsonOf(await attest('inspect', path, { json: true })));
  return evidence.map(({ kind }) => kind);
}

suite('evidence is taken for what it is', () => {
  test('a bundle, of either kind of machine', async () => {
    assert.deepEqual(await kindsOf(JSON.stringify(encodeEvidence(tdxBundle.evidence))), [
      'tdx-bundle',
    ]);
    assert.deepEqual(await kindsOf(JSON.stringify(encodeEvidence(snpBundle.evidence))), [
      'snp-bundle',
    ]);
  });

  test('a quote in every encoding', async () => {
    const { quote } = tdx;
    const lines = toBase64(quote).replaceAll(/.{64}/g, '$&\n');
    for (const written of [
      quote,
      toHex(quote),
      `0x${toHex(quote).toUpperCase()}\n`,
      lines,
      `  ${toBase64Url(quote)}\r\n`,
    ]) {
      assert.deepEqual(await kindsOf(written), ['tdx-quote']);
    }
  });

  test('a report, alone, with a table, and with the zeros of a host that has none', async () => {
    const { bytes } = snp.evidence;
    assert.deepEqual(await kindsOf(bytes), ['snp-report']);
    assert.deepEqual(await kindsOf(toHex(bytes)), ['snp-report']);
    const table = snpTable.evidence.certTable ?? assert.fail();
    assert.deepEqual(await kindsOf(concat(bytes, table)), ['snp-report-table']);
    assert.deepEqual(await kindsOf(concat(bytes, new Uint8Array(4096))), ['snp-report-table']);
  });

  test('a blob of Azure’s', async () => {
    assert.deepEqual(await kindsOf(snpHcl.evidence.bytes), ['azure-hcl']);
  });

  test('a gateway’s saved list, one by one, and an unreadable entry does not spoil the others', async () => {
    const good = encodeEvidence(tdxBundle.evidence);
    const list = {
      candidates: [
        { workerId: 'aa'.repeat(32), evidence: good },
        { workerId: 'bb'.repeat(32), evidence: { tee: 'tdx' } },
        { workerId: 'cc'.repeat(32), evidence: encodeEvidence(snpBundle.evidence) },
      ],
    };
    const path = folder.write('list.json', JSON.stringify(list));
    const answer = await attest('verify', path, { json: true });
    const { evidence, unreadable } = ANSWER.parse(jsonOf(answer));
    assert.deepEqual(
      evidence.map(({ kind }) => kind),
      ['tdx-bundle', 'snp-bundle'],
    );
    assert.deepEqual(
      unreadable.map(({ name, code }) => [name, code]),
      [['list.json, worker bbbbbbbbbbbbbbbb', 'attest.malformed']],
    );
  });

  test('standard input, in pieces', async () => {
    const { quote } = tdx;
    const stdin = streamOf(quote.subarray(0, 100), quote.subarray(100));
    const { status, text } = await attest('inspect', '-', {}, { stdin });
    assert.equal(status, 0);
    assert.match(text, /standard input\n {2}Taken for: TDX quote, \d+ bytes/);
  });

  test('the answer says what it took the input for, and how it was written', async () => {
    const path = folder.write('evidence.txt', toHex(snp.evidence.bytes));
    const { text } = await attest('verify', path);
    assert.match(text, /evidence\.txt\n {2}Taken for: SEV-SNP report, 1184 bytes in hex\./);
  });
});

function assertRefused(answer: Answered, code: string, about = /./): void {
  assert.equal(answer.status, 3);
  assert.deepEqual(answer.output, []);
  const [line = '', ...more] = answer.errors;
  assert.deepEqual(more, []);
  assert.ok(line.startsWith(`veilgate: ${code}: `), line);
  assert.match(line, about);
  // One line, no stack trace, nothing that a terminal obeys.
  assert.match(line, /^[\x20-\x7e…’]*$/);
}

suite('input that is no evidence ends with a code and status 3', () => {
  const refused = (
    name: string,
    content: () => Uint8Array | string,
    code: string,
    about?: RegExp,
  ): void => {
    test(name, async () => {
      const path = folder.write('input', content());
      for (const command of ['verify', 'inspect', 'explain'] as const) {
        assertRefused(await attest(command, path), code, about);
      }
    });
  };

  refused('nothing', () => '', 'attest.unknown', /is empty/);
  refused('white space', () => ' \n\n ', 'attest.unknown');
  refused('random bytes', () => seededBytes('attest', 5000), 'attest.unknown', /5000 bytes/);
  refused('random bytes of a report’s size', () => seededBytes('attest', 1184), 'attest.unknown');
  refused('a word', () => 'hello', 'attest.unknown', /want an evidence bundle/);
  refused(
    'hex of something else',
    () => 'c0ffee'.repeat(100),
    'attest.unknown',
    /hex of 300 bytes/,
  );
  refused('PEM', () => '-----BEGIN CERTIFICATE-----\n', 'attest.unknown', /is PEM/);
  refused('broken JSON', () => '{"tee":', 'attest.malformed', /json\.syntax/);
  refused('JSON of something else', () => '{"a":1}', 'attest.unknown', /without a member "tee"/);
  refused('a bundle without its members', () => '{"tee":"tdx"}', 'attest.malformed', /bundle/);
  refused('a bundle of an unknown machine', () => '{"tee":"abacus"}', 'attest.malformed');
  refused('a list without entries', () => '{"candidates":[]}', 'attest.unknown');
  refused('a list that is none', () => '{"candidates":7}', 'attest.malformed');
  refused('a quote cut in its header', () => tdx.quote.subarray(0, 40), 'attest.unknown');
  refused('a quote cut in its body', () => tdx.quote.subarray(0, 300), 'attest.malformed', /TDX/);
  refused('a quote cut at its end', () => tdx.quote.subarray(0, -1), 'attest.malformed', /TDX/);
  refused('a report cut at its end', () => snp.evidence.bytes.subarray(0, -1), 'attest.unknown');
  refused(
    'a report with too much behind it',
    () => concat(snp.evidence.bytes, new Uint8Array(70_000)),
    'attest.malformed',
  );
  refused('a cut blob', () => snpHcl.evidence.bytes.subarray(0, 800), 'attest.malformed', /Azure/);
  refused(
    'a blob with a TDREPORT, which only its machine can check',
    () => writeHcl({ report: new Uint8Array(1184), reportType: 4 }),
    'attest.unsupported',
    /TDREPORT/,
  );
  refused(
    'a quote of an SGX enclave',
    () => concat(Uint8Array.of(3, 0, 2, 0, 0, 0, 0, 0), new Uint8Array(600)),
    'attest.unsupported',
    /SGX/,
  );
  refused('a quote that is too large', () => quoteOf(200_000), 'attest.malformed', /too large/);

  test('a file that is not there', async () => {
    assertRefused(await attest('verify', '/nowhere/quote.bin'), 'cli.file', /no such file/);
  });

  test('a folder', async () => {
    assertRefused(await attest('verify', '/tmp'), 'cli.file', /directory/);
  });

  test('more on standard input than any evidence has', async () => {
    const piece = new Uint8Array(1024 * 1024).fill(0x20);
    const stdin = streamOf(...Array.from({ length: 40 }, () => piece));
    assertRefused(await attest('verify', '-', {}, { stdin }), 'cli.file', /over 33554432 bytes/);
  });

  test('with --json the failure is an object, and the text goes to standard error', async () => {
    const path = folder.write('input', 'hello');
    const answer = await attest('explain', path, { json: true });
    assert.equal(answer.status, 3);
    const { error } = z
      .strictObject({
        format: z.literal('veilgate.attest/1'),
        command: z.literal('explain'),
        exit: z.literal(3),
        error: z.strictObject({ code: z.literal('attest.unknown'), message: z.string() }),
      })
      .parse(jsonOf(answer));
    assert.deepEqual(answer.errors, [`veilgate: ${error.message}`]);
  });
});

function quoteOf(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  bytes.set(tdx.quote.subarray(0, 632));
  return bytes;
}

suite('files that are handed over beside the evidence', () => {
  test('a file that cannot be read is named', async () => {
    const quote = folder.write('quote.bin', tdx.quote);
    const report = folder.write('report.bin', snp.evidence.bytes);
    const junk = folder.write('junk', 'junk');
    const broken = folder.write('broken.pem', '-----BEGIN CERTIFICATE-----\nAAAA');
    assertRefused(
      await attest('verify', quote, { collateral: junk }),
      'cli.file',
      /collateral .*junk/,
    );
    assertRefused(await attest('verify', quote, { root: junk }), 'cli.file', /root certificate/);
    assertRefused(
      await attest('verify', report, { vek: broken }),
      'cli.file',
      /certificate .*broken/,
    );
    assertRefused(await attest('verify', report, { crl: '/nowhere' }), 'cli.file', /no such file/);
  });

  test('a policy with mistakes is refused with a line for each', async () => {
    const quote = folder.write('quote.bin', tdx.quote);
    const policy = folder.write('policy.yaml', 'format: veilgate.policy/1\nname: x\n');
    const { status, output, errors } = await attest('verify', quote, { policy });
    assert.deepEqual([status, output], [3, []]);
    assert.equal(errors[0], 'veilgate: policy.schema: ');
    assert.ok(errors.length > 5);
    for (const line of errors.slice(1)) assert.match(line, /^policy\.yaml:\d+: [\x20-\x7e…]+$/);
  });

  test('an option that does not fit the evidence is wrong usage', async () => {
    const quote = folder.write('quote.bin', tdx.quote);
    const report = folder.write('report.bin', snp.evidence.bytes);
    const bundle = folder.bundle('bundle.json', tdxBundle.evidence);
    const policy = folder.write('policy.yaml', 'irrelevant');
    const collateral = folder.collateral('collateral.json', tdx.collateral);
    const root = folder.write('root.der', snp.certificates.root.der);
    const reportData = tdxBundle.statement.nonce;
    const answers = [
      await attest('verify', quote, { vek: report }),
      await attest('verify', report, { collateral }),
      await attest('verify', quote, { aud: 'gw1.x' }),
      await attest('verify', quote, { challenge: reportData }),
      await attest('verify', quote, { model: 'test/model' }),
    ];
    for (const { status, errors } of answers) {
      assert.equal(status, 2);
      assert.match(errors[0] ?? '', /^veilgate: attest\.option: --\S+ does not go with/);
    }
    assert.equal((await attest('verify', bundle, { policy, root })).status, 3);
  });
});

test('a collateral that says nothing is missing, not malformed', async () => {
  const quote = folder.write('quote.bin', tdx.quote);
  const nothing = folder.write('nothing.json', utf8('{}'));
  const { status, text } = await attest('verify', quote, { collateral: nothing, root: tdxRoot });
  assert.equal(status, 3);
  assert.match(text, /^UNDECIDED, NO POLICY/);
});
