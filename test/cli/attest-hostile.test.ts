/** Damaged and spiteful evidence: always an answer with a known status, never an internal error, never a raw control. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { encodeEvidence } from '../../attestation/evidence.ts';
import type { AttestOptions } from '../../cli/attest/request.ts';
import { concat, utf8 } from '../../core/bytes.ts';
import { attest, evidenceFolder, type EvidenceFolder } from '../support/attest.ts';
import { damage } from '../support/changes.ts';
import { buildSnpCase } from '../support/snp/case.ts';
import { createSnpTestPki } from '../support/snp/pki.ts';
import { buildSnpEvidence } from '../support/snp/worker-evidence.ts';
import { createTestPki } from '../support/tdx/pki.ts';
import { buildEvidence } from '../support/worker-evidence.ts';

const ROUNDS = 60;
const COMMANDS = ['verify', 'inspect', 'explain'] as const;

let folder: EvidenceFolder;
let sound: readonly (readonly [name: string, bytes: Uint8Array, options: AttestOptions])[];

before(async () => {
  folder = evidenceFolder();
  const pki = await createTestPki();
  const snpPki = await createSnpTestPki();
  const bundle = await buildEvidence(pki);
  const snpBundle = await buildSnpEvidence(snpPki);
  const table = await buildSnpCase(snpPki, { table: (entries) => entries });
  const hcl = await buildSnpCase(snpPki, { hcl: {} });
  const tdxOptions = {
    root: folder.write('root.der', pki.sound.root.der),
    collateral: folder.collateral('collateral.json', bundle.evidence.endorsements),
  };
  const json = (evidence: Parameters<typeof encodeEvidence>[0]): Uint8Array =>
    utf8(JSON.stringify(encodeEvidence(evidence)));
  sound = [
    ['quote', bundle.evidence.quote, tdxOptions],
    ['TDX bundle', json(bundle.evidence), { root: tdxOptions.root }],
    ['SNP bundle', json(snpBundle.evidence), {}],
    [
      'report with table',
      concat(table.evidence.bytes, table.evidence.certTable ?? assert.fail()),
      {},
    ],
    ['blob', hcl.evidence.bytes, {}],
  ];
});
after(() => folder[Symbol.dispose]());

/** Everything but the line breaks that we write. */
function assertPrintable(lines: readonly string[]): void {
  for (const line of lines) assert.doesNotMatch(line, /[\p{C}\p{Zl}\p{Zp}]/u);
}

test('damaged evidence is refused or cannot be read, and says so in words', async () => {
  for (const [name, bytes, options] of sound) {
    for (let round = 0; round < ROUNDS; round++) {
      const input = folder.write('input', damage(bytes, `${name} ${round}`));
      const command = COMMANDS[round % COMMANDS.length] ?? 'verify';
      const { status, output, errors } = await attest(command, input, options);
      const about = `${name} ${round}: ${errors.join(' ')}`;
      assert.ok([0, 1, 3].includes(status), about);
      assert.doesNotMatch(errors.join(), /internal/, about);
      assert.equal(output.length > 0, errors.length === 0, about);
      assertPrintable([...output, ...errors]);
    }
  }
});

test('damaged collateral is refused or cannot be read', async () => {
  const [[, quote, { collateral = '', root = '' }] = assert.fail()] = sound;
  const { readFileSync } = await import('node:fs');
  const text = new Uint8Array(readFileSync(collateral));
  const input = folder.write('quote.bin', quote);
  for (let round = 0; round < ROUNDS; round++) {
    const spoilt = folder.write('spoilt.json', damage(text, `collateral ${round}`));
    const options = { collateral: spoilt, root };
    const { status, output, errors } = await attest('explain', input, options);
    assert.ok([0, 1, 3].includes(status));
    assert.doesNotMatch(errors.join(), /internal/);
    assertPrintable([...output, ...errors]);
  }
});

const SPITE = '\u001B]0;owned\u0007\u001B[2J\u009B31m\u202E\u2066\u0000\r\nACCEPTED';

test('spite in every text of a bundle reaches nobody’s terminal', async () => {
  const [, [, bytes] = assert.fail()] = sound;
  const good: unknown = JSON.parse(new TextDecoder().decode(bytes));
  assert.ok(typeof good === 'object' && good !== null && 'endorsements' in good);
  const { endorsements } = good;
  assert.ok(typeof endorsements === 'object' && endorsements !== null);
  const bundles = [
    { ...good, tee: SPITE },
    { ...good, [SPITE]: SPITE },
    ...Object.keys(endorsements).map((name) => ({
      ...good,
      endorsements: { ...endorsements, [name]: SPITE },
    })),
    { ...good, statement: Buffer.from(`{"fmt":"${SPITE}"}`).toString('base64') },
    { ...good, card: Buffer.from(JSON.stringify({ fmt: SPITE })).toString('base64') },
    { candidates: [{ workerId: SPITE, evidence: good }] },
    { candidates: [{ workerId: SPITE, evidence: { tee: SPITE } }] },
  ];
  for (const bundle of bundles) {
    for (const command of COMMANDS) {
      for (const json of [undefined, true] as const) {
        const input = folder.write('spite.json', JSON.stringify(bundle));
        const options = json === undefined ? {} : { json };
        const { output, errors } = await attest(command, input, options);
        assertPrintable([...output, ...errors]);
        for (const line of output) assert.ok(!line.startsWith('ACCEPTED'));
      }
    }
  }
});

test('a file’s own name is text like any other', async () => {
  const input = folder.write('quote\u001B[31m\u202E.bin', 'hello');
  const { errors } = await attest('verify', input);
  assertPrintable(errors);
  const missing = await attest('verify', '/nowhere/\u001B[31m');
  assertPrintable(missing.errors);
});
